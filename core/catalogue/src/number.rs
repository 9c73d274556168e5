//! Numbers: dollars as text, and whole numbers in few bytes.

/// `text` dollars as a count of `10^-places` dollars: digits, at most one point, nothing else. None where that is not
/// a whole number.
pub fn picos(text: &str, places: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let used = fraction.trim_end_matches('0');
    let places = places as usize;
    if !digits(whole) || !digits(fraction) || used.len() > places {
        return None;
    }
    format!("{whole}{used:0<places$}").parse().ok()
}

/// The other way: without zeros that say nothing.
pub(crate) fn dollars(picos: u64, places: u32) -> String {
    let places = places as usize;
    let digits = format!("{picos:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// A number with few digits that count, such as a price or a size: they, and how many zeros follow.
pub(crate) fn put_round(out: &mut Vec<u8>, value: u64) {
    let (mut digits, mut zeros) = (value, 0);
    while digits != 0 && digits % 10 == 0 && zeros < 15 {
        digits /= 10;
        zeros += 1;
    }
    // 60 bits of digits; all that catalogues hold has fewer.
    put(out, digits.min(u64::MAX >> 4) << 4 | zeros);
}

/// How far `to` is from `from`: the lowest bit says that it is before it.
pub(crate) fn distance(from: u64, to: u64) -> u64 {
    to.abs_diff(from) << 1 | u64::from(to < from)
}

/// What is so far from `from`, as [`distance`] says it.
pub(crate) fn moved(from: u64, distance: u64) -> Option<u64> {
    let by = distance >> 1;
    if distance & 1 == 1 { from.checked_sub(by) } else { from.checked_add(by) }
}

/// Reads what [`put`] and [`put_round`] wrote; none at the end of the bytes, or where they are no numbers.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn round(&mut self) -> Option<u64> {
        let packed = self.number()?;
        (packed >> 4).checked_mul(10_u64.checked_pow(u32::from(packed.to_le_bytes()[0] & 15))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        assert_eq!(picos("2.5", 6), Some(2_500_000));
        assert_eq!(picos("0.000084", 12), Some(84_000_000));
        for wrong in ["", ".", ".5", "1.", "1e3", "-1", "0.0000001", " 1", "1,5"] {
            assert_eq!(picos(wrong, 6), None, "{wrong}");
        }
        for (picos_, places) in [(0, 6), (1, 12), (2_500_000, 6), (123_456_789, 12), (10, 6)] {
            assert_eq!(picos(&dollars(picos_, places), places), Some(picos_));
        }
        assert_eq!(dollars(2_500_000, 6), "2.5");
        assert_eq!(dollars(3_000_000, 6), "3");
    }

    proptest::proptest! {
        #[test]
        fn numbers_come_back(value in 0..u64::MAX >> 4, any: u64) {
            let mut out = Vec::new();
            put_round(&mut out, value);
            put(&mut out, any);
            let mut reader = Reader(&out);
            proptest::prop_assert_eq!(reader.round(), Some(value));
            proptest::prop_assert_eq!(reader.number(), Some(any));
            proptest::prop_assert_eq!(reader.byte(), None);
            let (from, to) = (value >> 1, any >> 1);
            proptest::prop_assert_eq!(moved(from, distance(from, to)), Some(to));
        }
    }
}
