//! Money in integers. Never a float.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// An amount in nano-dollars (10⁻⁹ USD). The largest is about 18 billion dollars; sums saturate there, which refuses
/// rather than wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

impl Money {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn nanos(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// By reference, as serde asks.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// What is left of `self` after `other`; nothing when `other` is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// A sum of pico-dollars as money, rounded up: a call never costs less than it used.
    pub fn from_picos_up(picos: u128) -> Self {
        Self(u64::try_from(picos.div_ceil(1_000)).unwrap_or(u64::MAX))
    }
}

impl Money {
    /// Reads a number as others write it in JSON, an exponent included, as a count of `10^-places` USD. Rounded up to the
    /// nano-dollar, digit by digit and never through a float. None for what is negative, no number, or too much.
    pub fn stated(text: &str, places: u32) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse::<i32>().ok()?.into();
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self::ZERO);
        }
        // How many of the digits stand before the point, once nano-dollars are counted.
        let before = i64::try_from(digits.len()).ok()? + 9 + exponent
            - i64::try_from(fraction.len()).ok()?
            - i64::from(places);
        let Ok(before) = usize::try_from(before) else { return Some(Self(1)) };
        let (head, tail) = digits.split_at(before.min(digits.len()));
        let zeros = u32::try_from(before - head.len()).ok()?;
        let head = if head.is_empty() { 0 } else { head.parse::<u64>().ok()? };
        let nanos = head.checked_mul(10_u64.checked_pow(zeros)?)?;
        let more = tail.bytes().any(|byte| byte != b'0');
        Some(Self(nanos.checked_add(u64::from(more))?))
    }
}

/// A price in pico-dollars (10⁻¹² USD) for one unit: a token, a search, an image.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Rate(u64);

impl Rate {
    pub const ZERO: Self = Self(0);

    pub const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    pub const fn picos(self) -> u64 {
        self.0
    }

    /// The price of `units`, in pico-dollars: sum these, then round once with [`Money::from_picos_up`].
    pub fn times(self, units: u64) -> u128 {
        u128::from(self.0).saturating_mul(u128::from(units))
    }
}

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an amount in USD with at most {places} decimal places, such as \"0.25\"")]
pub struct NotMoney {
    places: u32,
}

/// Reads a plain decimal, such as `5` or `0.000000001`, exactly or not at all.
impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        decimal(text, 9).map(Self).ok_or(NotMoney { places: 9 })
    }
}

/// Reads `text` as an integer count of `10^-places`: digits, at most one point, nothing else. Exact, or none.
pub fn decimal(text: &str, places: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (fraction.is_empty() && text.contains('.'))
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = places.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let scale = 10_u64.checked_pow(places)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.checked_add(fraction.checked_mul(10_u64.checked_pow(missing)?)?)
}

/// A plain decimal in USD without trailing zeros, such as `0.0123`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, place) = self.text();
        f.write_str(std::str::from_utf8(text.get(place).unwrap_or_default()).unwrap_or_default())
    }
}

/// Where the point stands in a text of [`Money`]: before it is room for the largest amount.
const POINT: usize = 11;

impl Money {
    /// Its text, and where that stands. By hand, because every answer and every record says what it cost.
    pub(crate) fn text(self) -> ([u8; 21], Range<usize>) {
        const NANOS: u64 = 1_000_000_000;
        let mut text = *b"00000000000.000000000";
        let (mut whole, mut parts) = (self.0 / NANOS, self.0 % NANOS);
        let mut end = POINT;
        if parts > 0 {
            end = text.len();
            while parts % 10 == 0 {
                parts /= 10;
                end -= 1;
            }
            for digit in text.iter_mut().take(end).skip(POINT + 1).rev() {
                *digit = b'0' + (parts % 10) as u8;
                parts /= 10;
            }
        }
        let mut first = POINT - 1;
        for (place, digit) in text.iter_mut().enumerate().take(POINT).rev() {
            first = place;
            *digit = b'0' + (whole % 10) as u8;
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        (text, first..end)
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        assert_eq!("0.01".parse(), Ok(Money::from_nanos(10_000_000)));
        assert_eq!("5".parse(), Ok(Money::from_nanos(5_000_000_000)));
        assert_eq!("0.0000000010".parse(), Ok(Money::from_nanos(1)));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000001", "99999999999", "1,5", " 1"] {
            assert!(wrong.parse::<Money>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_shown_without_trailing_zeros() {
        assert_eq!(Money::from_nanos(10_000_000).to_string(), "0.01");
        assert_eq!(Money::from_nanos(5_000_000_000).to_string(), "5");
        assert_eq!(Money::from_nanos(1).to_string(), "0.000000001");
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_what_is_read(nanos: u64, fewer in 0_u32..64) {
            let money = Money::from_nanos(nanos >> fewer);
            let text = money.to_string();
            proptest::prop_assert_eq!(text.parse(), Ok(money));
            proptest::prop_assert!(text.parse::<f64>().is_ok() && !text.ends_with('.'), "{}", text);
            proptest::prop_assert!(!text.contains('.') || !text.ends_with('0'), "{}", text);
            proptest::prop_assert!(!text.starts_with('0') || text == "0" || text.starts_with("0."), "{}", text);
        }
    }

    #[test]
    fn a_call_is_rounded_up_once() {
        assert_eq!(Money::from_picos_up(Rate::from_picos(150_001).times(1)), Money::from_nanos(151));
        assert_eq!(Money::from_picos_up(0), Money::ZERO);
    }

    #[test]
    fn what_others_state_is_read_digit_by_digit_and_rounded_up() {
        let stated = |text, places| Money::stated(text, places).map(Money::nanos);
        assert_eq!(stated("0.1", 0), Some(100_000_000));
        assert_eq!(stated("1", 10), Some(1));
        assert_eq!(stated("10", 10), Some(1));
        assert_eq!(stated("11", 10), Some(2));
        assert_eq!(stated("0.000000001", 0), Some(1));
        assert_eq!(stated("0.0000000010000000001", 0), Some(2));
        assert_eq!(stated("1.23e-5", 0), Some(12_300));
        assert_eq!(stated("1.23E+2", 0), Some(123_000_000_000));
        assert_eq!(stated("1e-400", 0), Some(1));
        assert_eq!(stated("0e9", 0), Some(0));
        assert_eq!(stated("0.30000000000000004", 0), Some(300_000_001));
        for wrong in
            ["", "-1", "-0.0", "+1", ".5", "1e", "e1", "NaN", "1e11", "1e99999999999", "1.2.3", "0x1", "1_0"]
        {
            assert_eq!(stated(wrong, 0), None, "{wrong}");
        }
    }

    proptest::proptest! {
        /// A plain decimal means the same to both readers, and an exponent only moves its point.
        #[test]
        fn a_stated_amount_is_what_it_says(nanos in 0_u64..1_000_000_000_000_000, shift in 0_u32..20) {
            let money = Money::from_nanos(nanos);
            proptest::prop_assert_eq!(Money::stated(&money.to_string(), 0), Some(money));
            proptest::prop_assert_eq!(Money::stated(&nanos.to_string(), 9), Some(money));
            proptest::prop_assert_eq!(Money::stated(&format!("{nanos}e{shift}"), 9 + shift), Some(money));
            proptest::prop_assert_eq!(Money::stated(&format!("{money}e-{shift}"), 0).map(Money::nanos),
                Some(u64::try_from(u128::from(nanos).div_ceil(10_u128.pow(shift))).unwrap()));
        }
    }
}
