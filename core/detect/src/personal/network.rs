//! Addresses of networks, and URLs that hold credentials.

use crate::bytes::{at, before, joins, part, run};
use crate::walk::{Walk, Word};
use crate::words::Senses;
use crate::{Kind, Kinds};

const WANTED: Kinds = Kinds::NONE.with(Kind::Ip).with(Kind::Mac);

/// Called at a word: MAC and IPv6 begin with one to four hexadecimal digits.
pub(crate) fn octets(walk: &mut Walk<'_>, word: &Word) -> Option<usize> {
    let text = walk.text;
    // What follows tells most words.
    let sign = at(text, word.end);
    if !matches!(sign, b':' | b'-' | b'.')
        || word.len() > 4
        || !walk.wanted.meets(WANTED)
        || !hex(part(text, word.start, word.end))
    {
        return None;
    }
    if matches!(before(text, word.start), b':' | b'.' | b'-') {
        return None;
    }
    if let Some(end) = mac(text, word.start, word.len(), sign) {
        walk.find(Kind::Mac, "mac", word.start, end, 95);
        return Some(end);
    }
    if sign == b':' { address(walk, word.start) } else { None }
}

fn hex(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit)
}

fn mac(text: &[u8], start: usize, width: usize, sign: u8) -> Option<usize> {
    let groups = match (width, sign) {
        (2, b':' | b'-') => 6,
        (4, b'.') => 3,
        _ => return None,
    };
    let end = start + groups * (width + 1) - 1;
    for group in 0..groups {
        let from = start + group * (width + 1);
        if part(text, from, from + width).len() != width || !hex(part(text, from, from + width)) {
            return None;
        }
        if group > 0 && before(text, from) != sign {
            return None;
        }
    }
    let letters = part(text, start, end).iter().any(u8::is_ascii_alphabetic);
    let more = at(text, end) == sign && at(text, end + 1).is_ascii_hexdigit();
    // Dates and times have no six groups of two; three groups of four digits in dots are a number.
    (!joins(at(text, end)) && !more && (letters || groups == 6)).then_some(end)
}

/// Called at the first of `::`.
pub(crate) fn v6(walk: &mut Walk<'_>, place: usize) -> usize {
    let previous = before(walk.text, place);
    if joins(previous) || previous == b':' || previous >= 0x80 {
        return place + 2;
    }
    address(walk, place).unwrap_or(place + 2)
}

/// RFC 4291, section 2.2: eight groups, or fewer around one `::`, the last two perhaps as IPv4.
fn address(walk: &mut Walk<'_>, start: usize) -> Option<usize> {
    let text = walk.text;
    let (mut place, mut groups, mut gap) = (start, 0_usize, false);
    let mut wide = false;
    loop {
        let end = run(text, place, 5, |byte| byte.is_ascii_hexdigit());
        let length = end - place;
        if length > 4 {
            return None;
        }
        if length > 0 {
            if at(text, end) == b'.' && groups >= 1 && v4(text, place).is_some() {
                place = v4(text, place)?;
                groups += 2;
                break;
            }
            wide |= length >= 3;
            groups += 1;
            place = end;
        }
        if groups > 8 {
            return None;
        }
        match (at(text, place), at(text, place + 1)) {
            (b':', b':') if !gap => {
                gap = true;
                place += 2;
                if !at(text, place).is_ascii_hexdigit() {
                    break;
                }
            }
            (b':', next) if next.is_ascii_hexdigit() && length > 0 => place += 1,
            _ => break,
        }
    }
    let whole = if gap { groups <= 7 } else { groups == 8 };
    // `a::b` of a programming language has words for groups; an address has digits, and more than one group beside the gap.
    let digits = part(text, start, place).iter().any(u8::is_ascii_digit);
    let likely = !gap || wide || part(text, start, place) == b"::1";
    if !whole || !digits || !likely || joins(at(text, place)) || at(text, place) == b':' {
        return None;
    }
    walk.find(Kind::Ip, "ipv6", start, place, 90);
    Some(place)
}

/// Where four octets in dots end.
pub(crate) fn v4(text: &[u8], start: usize) -> Option<usize> {
    let mut place = start;
    for group in 0..4 {
        let end = run(text, place, 4, |byte| byte.is_ascii_digit());
        let value = part(text, place, end).iter().fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        let leading = end - place > 1 && at(text, place) == b'0';
        if end == place || value > 255 || leading {
            return None;
        }
        if group < 3 {
            if at(text, end) != b'.' {
                return None;
            }
            place = end + 1;
        } else {
            place = end;
        }
    }
    Some(place)
}

/// IPv4 at a digit that nothing precedes.
pub(crate) fn ip4(walk: &mut Walk<'_>, start: usize) -> Option<usize> {
    let text = walk.text;
    let end = v4(text, start)?;
    let after = at(text, end);
    if joins(after) || (matches!(after, b'.' | b'-') && joins(at(text, end + 1))) {
        return None;
    }
    if matches!(before(text, start), b'v' | b'V') || walk.told_within(Senses::VERSION, start, 12) {
        return Some(end);
    }
    walk.find(Kind::Ip, "ipv4", start, end, 90);
    Some(end)
}

/// Called at the colon of `://`: a scheme before it, perhaps `user:password@` behind it.
pub(crate) fn url(walk: &mut Walk<'_>, colon: usize) -> usize {
    let text = walk.text;
    if part(text, colon, colon + 3) != b"://" {
        return colon + 1;
    }
    let first = colon + 3;
    let end = run(text, first, 512, |byte| !b" \t\r\n\"'`<>/?#\\,;|".contains(&byte));
    let authority = part(text, first, end);
    let Some(at_sign) = authority.iter().rposition(|byte| *byte == b'@') else { return first };
    let Some(split) = authority.iter().position(|byte| *byte == b':').filter(|split| *split < at_sign) else {
        return first;
    };
    let password = part(authority, split + 1, at_sign);
    let mut start = colon;
    while start > colon.saturating_sub(24)
        && (joins(before(text, start)) || b"+.-".contains(&before(text, start)))
    {
        start -= 1;
    }
    if start == colon || password.is_empty() || placeholder(password) {
        return first;
    }
    // The path and the query belong to what is not to be shown.
    let whole = run(text, end, 1024, |byte| !b" \t\r\n\"'`<>\\".contains(&byte));
    let scheme = part(text, start, colon).to_ascii_lowercase();
    let web = [&b"http"[..], b"https", b"ftp", b"ftps", b"ws", b"wss", b"git", b"svn"].contains(&&*scheme);
    let (kind, label) = if web {
        (Kind::CredentialUrl, "credential-url")
    } else {
        (Kind::ConnectionString, "connection-string")
    };
    let score = if web || password.len() >= 4 { 90 } else { 70 };
    walk.find(kind, label, start, whole, score);
    walk.past(kind, whole).unwrap_or(first)
}

/// What stands for a password in documents and templates: `<password>`, `${PASSWORD}`, `xxx`, `…`.
pub(crate) fn placeholder(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let first = at(&lower, 0);
    let same = lower.iter().all(|byte| *byte == first);
    same || b"<{[$%*.".contains(&first)
        || lower.contains(&b'{')
        || lower.contains(&b'<')
        || [
            &b"password"[..],
            b"passwd",
            b"pass",
            b"pwd",
            b"secret",
            b"token",
            b"changeme",
            b"example",
            b"your_password",
        ]
        .contains(&&*lower)
        || [&b"your"[..], b"example", b"placeholder", b"redacted"]
            .iter()
            .any(|word| lower.windows(word.len()).any(|window| window == *word))
}
