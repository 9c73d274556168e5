//! Limits as an admin writes them.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};

use super::{Budget, Period, Unit};
use crate::domain::{Money, Timestamp};

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
    /// Money that budgets have more of for a while.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 8)))]
    pub increase: Vec<Increase>,
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

/// More money for the budgets of one period, until a moment: then it lapses by itself. What was spent of it stays spent, so a
/// budget may then be passed until its period renews.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increase {
    /// How much more, and of which period: `2 USD / day`.
    pub budget: Budget,
    /// RFC 3339. Whole seconds count.
    #[serde(with = "moment")]
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("format" = "date-time")))]
    pub until: Timestamp,
}

/// A moment as people write it.
mod moment {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Timestamp;

    pub(super) fn serialize<S: Serializer>(
        at: &impl std::fmt::Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let expected = "expected a moment such as 2026-12-31T00:00:00Z";
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom(expected))
    }
}

impl Limits {
    /// What a budget's limit is at a second: with what it has more for a while.
    pub fn hard(&self, budget: &Budget, second: i64) -> Money {
        let more = self.increase.iter().filter(|increase| increase.budget.period == budget.period);
        let more = more.filter(|increase| second < increase.until.seconds());
        more.fold(budget.limit, |limit, increase| limit.plus(increase.budget.limit))
    }

    /// The counts that a request may not pass, by their names.
    fn counts(&mut self) -> [(&'static str, &mut Option<u64>); 9] {
        [
            ("rpm", &mut self.rpm),
            ("tpm", &mut self.tpm),
            ("rpd", &mut self.rpd),
            ("tpd", &mut self.tpd),
            ("input_tpm", &mut self.input_tpm),
            ("output_tpm", &mut self.output_tpm),
            ("input_tpd", &mut self.input_tpd),
            ("output_tpd", &mut self.output_tpd),
            ("parallel", &mut self.parallel),
        ]
    }

    /// Brings limits below others: what they do not say is as there. Where they say more, that is refused with the name of
    /// the field; or, if nobody said them (`lower`), it is as there.
    pub fn under(&mut self, most: &Self, lower: bool) -> Result<(), &'static str> {
        let mut most = most.clone();
        let mut bounded = !most.budget.is_empty();
        for ((name, mine), (_, most)) in self.counts().into_iter().zip(most.counts()) {
            let Some(most) = *most else { continue };
            bounded = true;
            match *mine {
                Some(mine) if mine <= most => {}
                Some(_) if !lower => return Err(name),
                _ => *mine = Some(most),
            }
        }
        for most in &most.budget {
            let more = self.increase.iter().filter(|increase| increase.budget.period == most.period);
            let more = more.fold(Money::ZERO, |sum, increase| sum.plus(increase.budget.limit));
            let fits = |budget: &&Budget| budget.limit.plus(more) <= most.limit;
            let mine = self.budget.iter().filter(|budget| budget.period == most.period);
            // Each holds, so the least of them does.
            match mine.min_by_key(|budget| budget.limit) {
                Some(mine) if fits(&mine) => {}
                Some(_) if !lower => return Err("budget"),
                None if more > Money::ZERO => return Err("increase"),
                _ => {
                    self.budget.retain(|budget| budget.period != most.period);
                    if self.budget.len() == Self::MOST_BUDGETS {
                        return Err("budget");
                    }
                    self.budget.push(*most);
                }
            }
        }
        if bounded && self.shadow {
            return Err("shadow");
        }
        Ok(())
    }
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
    Wait(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 30)))] u8),
    /// As `wait`; and requests are spread before: each waits the longer, up to so many seconds, the fuller a window is.
    Throttle(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 30)))] u8),
    /// It is asked of the first of these models that the limits let pass.
    Cheaper(
        #[cfg_attr(
            feature = "schema",
            schemars(length(min = 1, max = 8), inner(length(min = 1, max = 256)))
        )]
        Vec<String>,
    ),
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
                let named = models.iter().all(|model| (1..=256).contains(&model.chars().count()));
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
        increase: Vec::new(),
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
        gatelet_wire::json::from_str(&text).map_err(serde::de::Error::custom)
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
