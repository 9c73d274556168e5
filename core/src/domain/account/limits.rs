//! Limits as an admin writes them.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};

use super::Budget;

/// What one account allows. A limit that is not there does not limit; one of zero lets nothing pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u64>,
    /// Tokens, input and output, in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u64>,
    /// Money: each holds, all at once. One string or a list of at most [`Limits::MOST_BUDGETS`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "budgets")]
    pub budget: Vec<Budget>,
    /// Money that may be passed, but not silently.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "budgets")]
    pub soft_budget: Vec<Budget>,
}

impl Limits {
    pub const MOST_BUDGETS: usize = 8;
}

/// Limits as the text of their JSON: for encodings that cannot leave a field out.
pub(super) mod as_text {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Limits;

    pub(in super::super) fn serialize<S: Serializer>(
        limits: &Limits,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(limits).map_err(serde::ser::Error::custom)?)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Limits, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}

fn budgets<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Budget>, D::Error> {
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<Budget>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a budget such as \"5 USD / day\", or a list of at most {}", Limits::MOST_BUDGETS)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.parse().map_err(E::custom)?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut budgets = Vec::new();
            while let Some(budget) = list.next_element()? {
                if budgets.len() == Limits::MOST_BUDGETS {
                    return Err(A::Error::invalid_length(budgets.len() + 1, &self));
                }
                budgets.push(budget);
            }
            Ok(budgets)
        }
    }

    deserializer.deserialize_any(OneOrMore)
}
