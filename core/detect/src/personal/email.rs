//! Addresses of e-mail: RFC 5321's lengths; letters of any script, quoted local parts left out.

use crate::Kind;
use crate::bytes::{at, before, part};
use crate::walk::Walk;

/// Called at an `@`; looks 64 bytes back, and on through the domain.
pub(crate) fn email(walk: &mut Walk<'_>, at_sign: usize) -> usize {
    let text = walk.text;
    let local =
        |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let mut start = at_sign;
    // What was found before ends there: `user:pass@host` is a URL's.
    let floor = at_sign.saturating_sub(64);
    while start > floor && local(before(text, start)) {
        start -= 1;
    }
    // What is quoted, assigned or bracketed is not the address's.
    while start < at_sign && b".'=/`{|}?&!#$%*^~-+".contains(&at(text, start)) {
        start += 1;
    }
    for split in [b'=', b'/', b'`', b'{', b'|', b'}', b'\'', b'&', b'?'] {
        if let Some(place) = part(text, start, at_sign).iter().rposition(|byte| *byte == split) {
            // `O'Brien@…` keeps its apostrophe.
            if split != b'\'' {
                start += place + 1;
            }
        }
    }
    while start < at_sign && at(text, start) & 0xc0 == 0x80 {
        start += 1;
    }
    if start == at_sign || before(text, at_sign) == b'.' {
        return at_sign + 1;
    }
    let end = domain(text, at_sign + 1);
    if end == at_sign + 1 {
        return at_sign + 1;
    }
    // `git@github.com:owner/name` is a place, not a person.
    let place = at(text, end) == b':' && !b" \r\n\t".contains(&at(text, end + 1)) && at(text, end + 1) != 0;
    if !(place && part(text, start, at_sign) == b"git") {
        walk.find(Kind::Email, "email", start, end, 95);
    }
    end
}

/// Where a domain of at least two labels ends; its beginning if it is none.
pub(crate) fn domain(text: &[u8], start: usize) -> usize {
    let label = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'-';
    let (mut place, mut end, mut labels) = (start, start, 0);
    while place - start < 255 {
        let mut stop = place;
        let mut letters = 0;
        while stop - place < 64 && label(at(text, stop)) {
            // Punctuation and spaces beyond ASCII end it.
            if crate::bytes::sign(part(text, stop, text.len())).is_some() && at(text, stop) >= 0xc0 {
                break;
            }
            letters += usize::from(!at(text, stop).is_ascii_digit() && at(text, stop) != b'-');
            stop += 1;
        }
        while stop > place && before(text, stop) == b'-' {
            stop -= 1;
        }
        if stop == place || at(text, place) == b'-' {
            break;
        }
        labels += 1;
        // The last label is of letters (or an IDN's `xn--`), and of two at least.
        if labels >= 2
            && letters >= 2
            && (letters == stop - place || part(text, place, stop).starts_with(b"xn--"))
        {
            end = stop;
        } else if labels >= 2 && letters == 0 {
            // An address of IPv4 in place of a domain is none of ours.
        }
        if at(text, stop) != b'.' {
            break;
        }
        place = stop + 1;
    }
    end
}
