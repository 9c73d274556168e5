//! Limits as an admin writes them.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};

use super::{Budget, Period, Unit};

/// What one account allows. A limit that is not there does not limit; one of zero lets nothing pass.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u64>,
    /// Tokens, input and output, in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// Requests in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpd: Option<u64>,
    /// Tokens, input and output, in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpd: Option<u64>,
    /// Tokens of input, and of output, in any 60 seconds and in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tpd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tpd: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u64>,
    /// Money: each holds, all at once. One string or a list of at most [`Limits::MOST_BUDGETS`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "budgets")]
    #[cfg_attr(feature = "schema", schemars(length(max = 8)))]
    pub budget: Vec<Budget>,
    /// Money that may be passed, but not silently.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "budgets")]
    #[cfg_attr(feature = "schema", schemars(length(max = 8)))]
    pub soft_budget: Vec<Budget>,
    /// What becomes of a request that these limits refuse.
    #[serde(skip_serializing_if = "AtLimit::is_refuse", deserialize_with = "at_limit")]
    pub at_limit: AtLimit,
    /// They refuse nothing: what they would have refused is written down.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

impl Limits {
    /// How long something that was counted may matter: a day at least, in which a settlement may come late.
    pub(super) fn memory(&self) -> Duration {
        const DAY: Duration = Duration::from_hours(24);
        let budgets = self.budget.iter().chain(&self.soft_budget).map(|budget| match budget.period {
            Period::Total => Self::LONGEST_MEMORY,
            Period::Rolling { seconds } => Duration::from_secs(u64::from(seconds)) + DAY,
            Period::Calendar { unit: Unit::Hour | Unit::Day, .. } => 2 * DAY,
            Period::Calendar { unit: Unit::Week, .. } => 8 * DAY,
            Period::Calendar { unit: Unit::Month, .. } => 32 * DAY,
            Period::Calendar { unit: Unit::Year, .. } => 367 * DAY,
        });
        // A day's window, and its bucket.
        budgets.max().unwrap_or_default().max(DAY + DAY / 2)
    }
}

/// What becomes of a request that a limit refuses.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    #[default]
    Refuse,
    /// It waits so many seconds, at most [`AtLimit::MOST_SECONDS`], for what others give back or a window lets go; not for
    /// money that is spent.
    Wait(u8),
    /// As `wait`; and requests are spread before: each waits the longer, up to so many seconds, the fuller a window is.
    Throttle(u8),
    /// It is asked of the first of these models that the limits let pass.
    Cheaper(Vec<String>),
}

impl AtLimit {
    pub const MOST_SECONDS: u8 = 30;
    pub const MOST_MODELS: usize = 8;

    fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }

    /// What is wrong with it; none: nothing.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Refuse => None,
            Self::Wait(seconds) | Self::Throttle(seconds) => {
                (!(1..=Self::MOST_SECONDS).contains(seconds)).then_some("expected 1 to 30 seconds")
            }
            Self::Cheaper(models) => {
                let named = models.iter().all(|model| (1..=256).contains(&model.len()));
                let few = (1..=Self::MOST_MODELS).contains(&models.len());
                (!(named && few)).then_some("expected names of 1 to 8 models")
            }
        }
    }

    /// How long a request may wait, in seconds.
    pub fn patience(&self) -> Option<u8> {
        match self {
            Self::Wait(seconds) | Self::Throttle(seconds) => Some(*seconds),
            Self::Refuse | Self::Cheaper(_) => None,
        }
    }
}

impl Limits {
    pub const MOST_BUDGETS: usize = 8;
    /// How long an account without a document keeps what counts for ever.
    pub const LONGEST_MEMORY: Duration = Duration::from_hours(30 * 24);
    pub const NONE: Self = Self {
        rpm: None,
        tpm: None,
        rpd: None,
        tpd: None,
        input_tpm: None,
        output_tpm: None,
        input_tpd: None,
        output_tpd: None,
        parallel: None,
        budget: Vec::new(),
        soft_budget: Vec::new(),
        at_limit: AtLimit::Refuse,
        shadow: false,
    };
}

fn at_limit<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<AtLimit, D::Error> {
    let at_limit = <AtLimit as serde::Deserialize>::deserialize(deserializer)?;
    at_limit.problem().map_or(Ok(at_limit), |problem| Err(D::Error::custom(problem)))
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
