//! Budgets as an admin writes them: `5 USD / day`.

use std::fmt;
use std::str::FromStr;

use super::window::Log;
use crate::domain::{Civil, Money, Timestamp};

/// So much money in every period.
///
/// Written as `5 USD / day`, `1 USD / week in +02:00`, `0.50 USD / rolling 6h` or `20 USD / total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    pub limit: Money,
    pub period: Period,
}

/// What a budget's money is for. Budgets of the same period share what is spent in it, whatever their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Period {
    /// Once, for ever.
    Total,
    /// Aligned with the calendar at a fixed offset from UTC.
    Calendar { unit: Unit, offset: Offset },
    /// Any stretch of so many seconds: whole minutes, so that a sixtieth of it is whole seconds.
    Rolling { seconds: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Unit {
    Hour,
    Day,
    /// Begins on Monday.
    Week,
    Month,
    Year,
}

/// Minutes east of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Offset(i16);

/// Why a text is not a budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a budget: {expected}")]
pub struct NotABudget {
    text: String,
    expected: &'static str,
}

const LONGEST_ROLLING: u32 = 366 * 86_400;

impl FromStr for Budget {
    type Err = NotABudget;

    fn from_str(text: &str) -> Result<Self, NotABudget> {
        parse(text).map_err(|expected| NotABudget { text: text.chars().take(80).collect(), expected })
    }
}

fn parse(text: &str) -> Result<Budget, &'static str> {
    const FORM: &str = "expected an amount and a period, such as \"5 USD / day\"";
    let (amount, period) = text.split_once('/').ok_or(FORM)?;
    let amount = amount
        .trim()
        .strip_suffix("USD")
        .ok_or("expected the amount in USD before the slash, such as \"5 USD / day\"")?;
    let limit = amount
        .trim_end()
        .parse()
        .map_err(|_| "expected a plain decimal with at most 9 places before USD, such as \"0.25\"")?;
    let mut words = period.split_whitespace();
    let first = words.next().ok_or(FORM)?;
    let period = match first {
        "total" => Period::Total,
        "rolling" => rolling(words.next())?,
        name => {
            let unit = Unit::ALL.into_iter().find(|unit| unit.name() == name).ok_or(
                "expected the period hour, day, week, month, year, total, or rolling and a length such as 6h",
            )?;
            Period::Calendar { unit, offset: zone(&mut words)? }
        }
    };
    match (words.next(), period) {
        (None, _) => Ok(Budget { limit, period }),
        (Some("in"), Period::Total | Period::Rolling { .. }) => {
            Err("only hour, day, week, month and year have a time zone")
        }
        (Some(_), _) => Err("expected nothing after the period, or a time zone such as \"in +02:00\""),
    }
}

fn rolling(length: Option<&str>) -> Result<Period, &'static str> {
    const FORM: &str = "expected a length after rolling in whole minutes, hours or days, such as 30m, 6h or 7d, at most 366d";
    let length = length.ok_or(FORM)?;
    let unit = match length.as_bytes().last() {
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err(FORM),
    };
    let count = length.get(..length.len() - 1).unwrap_or_default();
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    let seconds = count.parse::<u32>().ok().and_then(|count| count.checked_mul(unit)).ok_or(FORM)?;
    if seconds == 0 || seconds > LONGEST_ROLLING { Err(FORM) } else { Ok(Period::Rolling { seconds }) }
}

fn zone<'a>(words: &mut (impl Iterator<Item = &'a str> + Clone)) -> Result<Offset, &'static str> {
    const FORM: &str = "expected UTC or an offset such as +02:00 after in; names of zones are not known yet";
    let mut ahead = words.clone();
    if ahead.next() != Some("in") {
        return Ok(Offset::default());
    }
    let name = ahead.next().ok_or(FORM)?;
    *words = ahead;
    if name == "UTC" {
        return Ok(Offset::default());
    }
    let (sign, digits) = match name.as_bytes().first() {
        Some(b'+') => (1, &name[1..]),
        Some(b'-') => (-1, &name[1..]),
        _ => return Err(FORM),
    };
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<i16>().ok())
            .flatten()
    };
    let (hours, minutes) = digits.split_once(':').ok_or(FORM)?;
    let (hours, minutes) = (number(hours).ok_or(FORM)?, number(minutes).ok_or(FORM)?);
    let total = hours * 60 + minutes;
    if minutes > 59 || total > 14 * 60 { Err(FORM) } else { Ok(Offset(sign * total)) }
}

/// What [`FromStr`] reads back; UTC is not spelled out.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} USD / {}", self.limit, self.period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => f.write_str("total"),
            Self::Rolling { seconds } if seconds % 86_400 == 0 => write!(f, "rolling {}d", seconds / 86_400),
            Self::Rolling { seconds } if seconds % 3_600 == 0 => write!(f, "rolling {}h", seconds / 3_600),
            Self::Rolling { seconds } => write!(f, "rolling {}m", seconds / 60),
            Self::Calendar { unit, offset } => {
                f.write_str(unit.name())?;
                if offset.0 == 0 {
                    return Ok(());
                }
                let sign = if offset.0 < 0 { '-' } else { '+' };
                let minutes = offset.0.unsigned_abs();
                write!(f, " in {sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl serde::Serialize for Budget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Budget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Period {
    /// Seconds in a bucket of a rolling period's log; one for others.
    pub(super) fn bucket(self) -> i64 {
        match self {
            Self::Rolling { seconds } => i64::from(seconds) / Log::BUCKETS,
            Self::Total | Self::Calendar { .. } => 1,
        }
    }
}

impl Unit {
    const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The first second after the unit that contains `second`: the budget renews there.
    pub(super) fn ends(self, offset: Offset, second: i64) -> i64 {
        let shift = i64::from(offset.0) * 60;
        let local = second.saturating_add(shift);
        let plain = |length: i64| (local.div_euclid(length) + 1).saturating_mul(length).saturating_sub(shift);
        match self {
            Self::Hour => plain(3_600),
            Self::Day => plain(86_400),
            Self::Week => {
                // 1970-01-01 was a Thursday, four days before a Monday.
                let week = 7 * 86_400;
                let monday = 4 * 86_400;
                ((local - monday).div_euclid(week) + 1) * week + monday - shift
            }
            Self::Month | Self::Year => {
                let today = Civil::of(Timestamp::from_seconds(local));
                let next = today.and_then(|today| match self {
                    Self::Year => Civil::month_begins(today.year + 1, 1),
                    _ => Civil::month_begins(today.year, today.month + 1),
                });
                // What no calendar can show never renews.
                next.map(|next| next.saturating_sub(shift)).filter(|next| *next > second).unwrap_or(i64::MAX)
            }
        }
    }
}
