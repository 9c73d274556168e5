//! A model, as a text says it and as bytes hold it.

use std::fmt;

use crate::words::{Capabilities, Meter, Mode};

/// What is known of one model of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The provider's own name for it.
    pub id: String,
    pub mode: Mode,
    /// Tokens of input and output together; 0 where unknown.
    pub context: u64,
    /// The most output tokens of one answer; 0 where unknown.
    pub max_output: u64,
    /// Numbers in an embedding, at most; 0 where unknown.
    pub dimensions: u64,
    pub capabilities: Capabilities,
    /// The day on which its provider shuts it down.
    pub ends: Option<Day>,
    /// By rising first day. None where no source prices it.
    pub prices: Vec<Price>,
}

/// What a model costs from one day to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The first day (UTC) on which it holds; none: it has always held.
    pub from: Option<Day>,
    pub standard: Schedule,
    /// Service tiers by name, sorted: `batch`, `flex`, `priority`. What one leaves out is as in the standard service.
    pub services: Vec<(String, Schedule)>,
}

/// Rates, and those that replace them where the prompt has more tokens than a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    pub rates: Rates,
    /// By rising mark.
    pub tiers: Vec<(u64, Rates)>,
}

/// Pico-dollars (10⁻¹² USD) for one unit, sorted by meter.
pub type Rates = Vec<(Meter, u64)>;

/// A day of the calendar, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// Reads `2026-12-31`. None where there is no such day, or it lies before 1970.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
            return None;
        }
        let (year, month, day): (u32, u32, u32) =
            (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        let found = Self(days(year, month, day)?);
        // Counting back shows whether the month has such a day.
        (found.civil() == (year, month, day)).then_some(found)
    }

    /// Year, month, day. (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".)
    fn civil(self) -> (u32, u32, u32) {
        let shifted = self.0 + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year_of_era + era * 400 + u32::from(month <= 2), month, day)
    }
}

fn days(year: u32, month: u32, day: u32) -> Option<u32> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(Day::read("1970-01-01"), Some(Day(0)));
        assert_eq!(Day::read("2000-03-01"), Some(Day(11_017)));
        assert_eq!(Day::read("2026-11-22"), Some(Day(20_779)));
        for day in 0..80_000 {
            assert_eq!(Day::read(&Day(day).to_string()), Some(Day(day)));
        }
        for wrong in ["2026-02-29", "2026-13-01", "2026-1-01", "1969-12-31", "2026-11-22x", "", "2026-11"] {
            assert_eq!(Day::read(wrong), None, "{wrong}");
        }
    }
}
