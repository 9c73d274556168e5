//! Check digits and checksums. Each takes what it needs as bytes and refuses whatever is malformed; none panics.

use sha2::{Digest, Sha256};

/// The digits of `text`, up to `N`; nothing where there are more.
pub(crate) fn digits<const N: usize>(text: &[u8]) -> Option<([u8; N], usize)> {
    let mut found = [0; N];
    let mut length = 0;
    for byte in text.iter().filter(|byte| byte.is_ascii_digit()) {
        *found.get_mut(length)? = byte - b'0';
        length += 1;
    }
    Some((found, length))
}

/// Luhn's (ISO/IEC 7812-1, annex B) over digits' values.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let value = u32::from(digit) << (place & 1);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// ISO 7064 mod 97-10 over letters and digits, as IBANs have it: the first four characters are moved to the end.
pub(crate) fn iban(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(4) else { return false };
    mod97(rest.iter().chain(head).copied()) == Some(1)
}

pub(crate) fn mod97(mut text: impl Iterator<Item = u8>) -> Option<u32> {
    text.try_fold(0, |left, byte| {
        let value = u32::from(value36(byte)?);
        Some(if value > 9 { (left * 100 + value) % 97 } else { (left * 10 + value) % 97 })
    })
}

/// The value of a digit or a letter: `A` is 10.
pub(crate) fn value36(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 10),
        _ => None,
    }
}

pub(crate) fn weighted(digits: &[u8], weights: &[u8]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, &weight)| u32::from(digit) * u32::from(weight)).sum()
}

/// ISO 7064 mod 11,10: Germany's tax number and others.
pub(crate) fn mod11_10(digits: &[u8]) -> bool {
    let Some((&check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, &digit| {
        let sum = (product + u32::from(digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(check)
}

/// Verhoeff's dihedral check (Aadhaar).
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    const ORDER: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    // Multiplication in the dihedral group of order ten: 0 to 4 turn, 5 to 9 turn and flip.
    let multiply = |left: u8, right: u8| match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => (left + right - 5) % 5 + 5,
        (false, true) => (left - 5 + 5 - right) % 5 + 5,
        (false, false) => (left + 5 - right) % 5,
    };
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (place, &digit)| {
        multiply(sum, ORDER.get(place % 8).and_then(|row| row.get(usize::from(digit))).copied().unwrap_or(0))
    });
    sum == 0 && !digits.is_empty()
}

const BITCOIN: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const RIPPLE: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// The version byte of 21 bytes in base58check (Bitcoin's alphabet, or Ripple's), if their checksum holds.
pub(crate) fn base58check(text: &[u8], ripple: bool) -> Option<u8> {
    let alphabet = if ripple { RIPPLE } else { BITCOIN };
    let mut bytes = [0_u8; 25];
    for &letter in text {
        let mut carry = u32::try_from(alphabet.iter().position(|&known| known == letter)?).ok()?;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = u8::try_from(carry & 255).ok()?;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    let (body, check) = bytes.split_at(21);
    let hash = Sha256::digest(Sha256::digest(body));
    (hash.get(..4) == Some(check)).then_some(bytes[0])
}

/// BIP 173 and BIP 350: `prefix1data` in one case, with the checksum of either.
pub(crate) fn bech32(text: &[u8]) -> bool {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let Some(one) = text.iter().rposition(|&byte| byte == b'1') else { return false };
    let (Some(prefix), Some(data)) = (text.get(..one), text.get(one + 1..)) else { return false };
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        let mut sum = (sum & 0x01ff_ffff) << 5 ^ value;
        for (bit, generator) in
            [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].into_iter().enumerate()
        {
            if top >> bit & 1 == 1 {
                sum ^= generator;
            }
        }
        sum
    };
    let mut sum = 1;
    for byte in prefix {
        sum = step(sum, u32::from(byte.to_ascii_lowercase() >> 5));
    }
    sum = step(sum, 0);
    for byte in prefix {
        sum = step(sum, u32::from(byte.to_ascii_lowercase() & 31));
    }
    for byte in data {
        let Some(value) = LETTERS.iter().position(|known| *known == byte.to_ascii_lowercase()) else {
            return false;
        };
        sum = step(sum, u32::try_from(value).unwrap_or(0));
    }
    data.len() >= 6 && (sum == 1 || sum == 0x2bc8_30a3)
}

/// CRC-32 as GitHub and npm write it behind their tokens: six letters of base62, padded with zeros.
pub(crate) fn crc32_base62(body: &[u8], check: &[u8]) -> bool {
    let mut crc = !0_u32;
    for byte in body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let stated = check.iter().try_fold(0_u64, |sum, &byte| {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        Some(sum * 62 + u64::from(value))
    });
    check.len() == 6 && stated == Some(u64::from(!crc))
}

/// Bits a byte, by the frequencies of the text's own bytes (Shannon), in hundredths.
pub(crate) fn entropy(text: &[u8]) -> u32 {
    let mut counts = [0_u16; 256];
    for byte in text.iter().take(512) {
        counts[usize::from(*byte)] += 1;
    }
    let length = text.len().min(512);
    if length == 0 {
        return 0;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 512")]
    let all = length as f32;
    let bits: f32 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|&count| {
            let part = f32::from(count) / all;
            -part * part.log2()
        })
        .sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 8")]
    let hundredths = (bits * 100.0) as u32;
    hundredths
}

/// Whether day, month and (where it is whole) year can be a date.
pub(crate) fn date(year: u32, month: u32, day: u32) -> bool {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(year.is_multiple_of(4)),
        _ => return false,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
