//! Lengths of time as people write them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whole seconds, written as `45s`, `30m`, `24h` or `90d`: at most ten years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const LONGEST: u64 = 3_653 * 86_400;

impl Span {
    pub fn parse(text: &str) -> Option<Self> {
        let (_, unit) = UNITS.into_iter().find(|(letter, _)| text.ends_with(*letter))?;
        let count = text.get(..text.len() - 1)?;
        let plain = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = count.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit)?;
        (seconds <= LONGEST).then_some(Self(seconds))
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let even = UNITS.into_iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        let (letter, unit) = even.unwrap_or(('s', 1));
        write!(f, "{}{letter}", self.0 / unit)
    }
}

impl TryFrom<String> for Span {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected a length of time such as 45s, 30m, 24h or 90d")
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_it_is_read_in_its_largest_unit() {
        for (text, seconds, written) in [
            ("45s", 45, "45s"),
            ("90m", 5_400, "90m"),
            ("24h", 86_400, "1d"),
            ("0s", 0, "0s"),
            ("7d", 604_800, "7d"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.duration().as_secs(), span.to_string().as_str()), (seconds, written));
        }
        for text in [
            "",
            "s",
            "1",
            "1w",
            "-1s",
            "+1s",
            "1.5h",
            " 1s",
            "1s ",
            "99999999d",
            "18446744073709551616s",
            "\u{e9}",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
