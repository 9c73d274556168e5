//! Moments in time.

use std::time::Duration;

use super::calendar::{self, Civil};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339, such as `2026-12-01T00:00:00Z`.
    pub fn parse(text: &str) -> Option<Self> {
        calendar::rfc3339(text)
    }

    /// Reads the dates of HTTP, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn parse_http(text: &str) -> Option<Self> {
        calendar::rfc2822(text)
    }

    /// As HTTP writes it: `Thu, 01 Jan 2026 00:00:00 GMT`.
    pub fn to_http(self) -> String {
        calendar::imf_fixdate(self.utc(), self.seconds())
    }

    /// As a calendar in UTC shows it; what none can show is shown as 1970.
    pub fn utc(self) -> Civil {
        Civil::of(self).unwrap_or(FIRST)
    }
}

const FIRST: Civil = Civil { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };

/// RFC 3339 in UTC, to the second where there are no parts of one.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (text, length) = self.text();
        f.write_str(text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default())
    }
}

impl Timestamp {
    /// Its text and the text's length. Without the machinery of formatting, since every record says when it was.
    pub(crate) fn text(self) -> ([u8; 27], usize) {
        let shown = Civil::of(self);
        let Civil { year, month, day, hour, minute, second } = shown.unwrap_or(FIRST);
        let mut parts = if shown.is_some() { self.0.rem_euclid(1_000_000) } else { 0 };
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let century = year / 100;
        let pairs = [
            (0, century),
            (2, year - century * 100),
            (5, month),
            (8, day),
            (11, hour),
            (14, minute),
            (17, second),
        ];
        for (first, pair) in pairs {
            let pair = u8::try_from(pair).unwrap_or_default();
            text[first] = b'0' + pair / 10;
            text[first + 1] = b'0' + pair % 10;
        }
        if parts == 0 {
            text[19] = b'Z';
            return (text, 20);
        }
        let mut last = 25;
        while parts % 10 == 0 {
            parts /= 10;
            last -= 1;
        }
        digits(&mut text, last, parts.unsigned_abs());
        text[last + 1] = b'Z';
        (text, last + 2)
    }
}

/// Writes `number` over the zeros that end at `last`.
fn digits(text: &mut [u8; 27], last: usize, mut number: u64) {
    for digit in text.iter_mut().take(last + 1).rev() {
        if number == 0 {
            return;
        }
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calendar(micros: i64) -> String {
        jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
    }

    #[test]
    fn the_ends_of_years_months_and_time_are_shown_as_the_calendar_shows_them() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1999-12-31T23:59:59.999999Z",
            "2000-02-28T23:59:59.9Z",
            "2000-02-29T00:00:00Z",
            "2023-02-28T12:00:00.000001Z",
            "2023-03-01T00:00:00.1Z",
            "2024-02-29T09:08:07.0605Z",
            "2100-02-28T00:00:00Z",
            "2100-03-01T00:00:00Z",
            "9999-12-30T21:59:59.999999Z",
            "1969-12-31T23:59:59.5Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        for micros in [i64::MIN, i64::MAX, 253_402_207_200_000_000, 253_402_207_199_999_999, -1] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), calendar(micros), "{micros}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_shown_as_the_calendar_shows_it(seconds in 0..253_402_207_200_i64, part in 0..1_000_000_i64, zeros in 0..7_u32) {
            let part = part / 10_i64.pow(zeros) * 10_i64.pow(zeros);
            let micros = seconds * 1_000_000 + part;
            prop_assert_eq!(Timestamp::from_micros(micros).to_string(), calendar(micros));
        }
    }
}
