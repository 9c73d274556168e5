//! Budgets as an admin writes them: `5 USD / day`.

use std::fmt;
use std::str::FromStr;

use super::window::Log;
use crate::domain::{Civil, Money, Timestamp, Zone};

/// So much money in every period.
///
/// Written as `5 USD / day`, `5 USD / day in Europe/Berlin`, `1 USD / week in +02:00`, `0.50 USD / rolling 6h` or `20 USD / total`.
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
    /// Aligned with the calendar of a place.
    Calendar { unit: Unit, place: Place },
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

/// Whose clocks say when a period begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Minutes east of UTC.
    Offset(i16),
    Zone(Zone),
}

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
            Period::Calendar { unit, place: place(&mut words)? }
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

fn place<'a>(words: &mut (impl Iterator<Item = &'a str> + Clone)) -> Result<Place, &'static str> {
    const FORM: &str =
        "expected a zone after the period, such as \"in Europe/Berlin\", or UTC, or an offset such as +02:00";
    let mut ahead = words.clone();
    let Some(first) = ahead.next() else { return Ok(Place::UTC) };
    let name = if first == "in" { ahead.next().ok_or(FORM)? } else { first };
    *words = ahead;
    Place::named(name).ok_or(FORM)
}

impl Place {
    pub const UTC: Self = Self::Offset(0);

    fn named(name: &str) -> Option<Self> {
        let (sign, digits) = match name.as_bytes().first() {
            _ if name == "UTC" => return Some(Self::UTC),
            Some(b'+') => (1, name.get(1..)?),
            Some(b'-') => (-1, name.get(1..)?),
            _ => return Zone::named(name).map(Self::Zone),
        };
        let number = |text: &str| {
            let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<i16>().ok()).flatten()
        };
        let (hours, minutes) = digits.split_once(':')?;
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let total = hours * 60 + minutes;
        (minutes <= 59 && total <= 14 * 60).then_some(Self::Offset(sign * total))
    }

    /// Seconds east of UTC at a moment.
    fn offset(self, second: i64) -> i64 {
        match self {
            Self::Offset(minutes) => i64::from(minutes) * 60,
            Self::Zone(zone) => zone.offset(second),
        }
    }

    /// The first second at which its clocks show `local` or what is after it.
    fn first(self, local: i64) -> i64 {
        match self {
            Self::Offset(minutes) => local.saturating_sub(i64::from(minutes) * 60),
            Self::Zone(zone) => zone.first(local),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(0) => f.write_str("UTC"),
            Self::Offset(offset) => {
                let sign = if *offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Self::Zone(zone) => f.write_str(zone.name()),
        }
    }
}

/// By its name, which outlives every table.
impl serde::Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| serde::de::Error::custom("not a time zone that is known"))
    }
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
            Self::Calendar { unit, place: Place::UTC } => f.write_str(unit.name()),
            Self::Calendar { unit, place } => write!(f, "{} in {place}", unit.name()),
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

    /// The first second after the unit that contains `second`: the budget renews there. Where clocks skip that moment, it is
    /// that of the change; where they show it twice, the first of the two. An hour is an hour of the clock that is in force.
    pub(super) fn ends(self, place: Place, second: i64) -> i64 {
        let shift = place.offset(second);
        let local = second.saturating_add(shift);
        let day = local.div_euclid(86_400);
        let next = match self {
            Self::Hour => return (local.div_euclid(3_600) + 1).saturating_mul(3_600).saturating_sub(shift),
            Self::Day => Some((day + 1).saturating_mul(86_400)),
            // 1970-01-01 was a Thursday, four days before a Monday.
            Self::Week => Some((((day - 4).div_euclid(7) + 1) * 7 + 4).saturating_mul(86_400)),
            Self::Month | Self::Year => {
                Civil::of(Timestamp::from_seconds(local)).and_then(|today| match self {
                    Self::Year => Civil::month_begins(today.year + 1, 1),
                    _ => Civil::month_begins(today.year, today.month + 1),
                })
            }
        };
        // What no calendar can show never renews.
        next.map(|next| place.first(next)).filter(|next| *next > second).unwrap_or(i64::MAX)
    }
}
