//! Secrets: keys and tokens of services ([`table`]), private keys, JSON web tokens, and what is assigned to a word for a secret.

mod assigned;
mod table;

use crate::bytes::{at, part, run};
use crate::check::{crc32_base62, entropy};
use crate::walk::{Walk, Word};
use crate::{Kind, Kinds};

/// What a token is made of behind its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    Alnum,
    Upper,
    Hex,
    HexAny,
    Word,
    Url,
    Url64,
    Base64,
    Dotted,
    Path,
    Dollar,
    Flutter,
    Asana,
}

impl Letters {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            Self::HexAny => byte.is_ascii_hexdigit(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Url | Self::Flutter => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
            Self::Url64 => byte.is_ascii_alphanumeric() || b"_-=".contains(&byte),
            Self::Base64 => byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte),
            Self::Dotted => byte.is_ascii_alphanumeric() || b"_-.".contains(&byte),
            Self::Path => byte.is_ascii_alphanumeric() || b"_-/".contains(&byte),
            Self::Dollar => byte.is_ascii_alphanumeric() || byte == b'$',
            Self::Asana => byte.is_ascii_digit() || byte == b'/' || byte == b':' || byte.is_ascii_lowercase(),
        }
    }
}

/// A service's token.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The finding's label.
    pub name: &'static str,
    pub prefix: &'static str,
    /// Who describes it.
    pub source: &'static str,
    letters: Letters,
    least: usize,
    most: usize,
}

const fn row(
    name: &'static str,
    prefix: &'static str,
    letters: Letters,
    least: usize,
    most: usize,
    source: &'static str,
) -> Format {
    Format { name, prefix, source, letters, least, most }
}

/// All formats that are known.
pub fn formats() -> &'static [Format] {
    table::FORMATS
}

/// Where the rows of each first byte begin; those of byte `b` are `FIRST[b]..FIRST[b + 1]`.
const FIRST: [u16; 257] = {
    let mut first = [0; 257];
    let (mut row, mut byte) = (0, 0);
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "there are less than a thousand rows")]
        {
            first[byte] = row as u16;
        }
        while row < table::FORMATS.len() && table::FORMATS[row].prefix.as_bytes()[0] as usize == byte {
            row += 1;
        }
        byte += 1;
    }
    assert!(row == table::FORMATS.len(), "rows stand in the order of their first byte");
    #[expect(clippy::cast_possible_truncation, reason = "there are less than a thousand rows")]
    {
        first[256] = row as u16;
    }
    first
};

/// For each first byte the second ones that rows have, a bit each by their last six bits; all of them where one has no second.
const SECOND: [u64; 256] = {
    let mut second = [0; 256];
    let mut row = 0;
    while row < table::FORMATS.len() {
        let prefix = table::FORMATS[row].prefix.as_bytes();
        second[prefix[0] as usize] |= if prefix.len() > 1 { 1 << (prefix[1] & 63) } else { u64::MAX };
        row += 1;
    }
    second
};

/// Called at a word that nothing precedes. Returns where to go on if it is a secret.
pub(crate) fn token(walk: &mut Walk<'_>, word: &Word) -> Option<usize> {
    if !walk.wanted.meets(Kinds::SECRETS) {
        return None;
    }
    let text = walk.text;
    let rest = part(text, word.start, text.len());
    let first = usize::from(*rest.first()?);
    let second = rest.get(1).copied().unwrap_or(0);
    let any = SECOND[first] >> (second & 63) & 1 == 1;
    let rows = usize::from(FIRST[first])..usize::from(FIRST[first + 1]);
    for row in table::FORMATS.get(rows).filter(|_| any).unwrap_or_default() {
        let prefix = row.prefix.as_bytes();
        if prefix.get(1).is_some_and(|byte| *byte != second) || !rest.starts_with(prefix) {
            continue;
        }
        if let Some((end, score)) = row.judge(text, word.start + prefix.len()) {
            walk.find(Kind::Secret, row.name, word.start, end, score);
            return walk.past(Kind::Secret, end);
        }
    }
    if rest.starts_with(b"eyJ")
        && let Some(end) = jwt(text, word.start)
    {
        walk.find(Kind::Jwt, "jwt", word.start, end, 95);
        return walk.past(Kind::Jwt, end);
    }
    other(walk, word).or_else(|| assigned::assigned(walk, word))
}

impl Format {
    fn judge(&self, text: &[u8], start: usize) -> Option<(usize, u8)> {
        let mut end = run(text, start, self.most + 1, |byte| self.letters.has(byte));
        // A sentence's full stop, a path's end.
        while end - start > self.least && matches!(at(text, end - 1), b'.' | b'/') {
            end -= 1;
        }
        let length = end - start;
        if length < self.least || length > self.most {
            return None;
        }
        let body = part(text, start, end);
        if self.name.starts_with("github-") && length == 36 || self.name == "npm-token" {
            let (body, check) = body.split_at(30);
            return Some((end, if crc32_base62(body, check) { 99 } else { 60 })).filter(|_| drawn(body));
        }
        // Twenty letters of base64 have no digit once in thirty times: behind a long prefix they need none.
        let unordered = || entropy(body) >= 390 && !body.windows(8).any(run_of_order);
        (drawn(body) || (self.prefix.len() > 4 && unordered())).then_some((end, 95))
    }
}

/// Whether it looks drawn by lot: not a word that is repeated, not an identifier that somebody wrote.
fn drawn(body: &[u8]) -> bool {
    let digits = body.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = body.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let floor = if body.len() >= 30 { 300 } else { 250 };
    // Of twenty letters and digits at least one is a digit, nearly always.
    entropy(body) >= floor
        && letters > 0
        && (digits > 0 || body.len() < 20)
        && !body.windows(8).any(run_of_order)
}

/// `12345678`, `abcdefgh`, `xxxxxxxx`: eight that step alike.
fn run_of_order(window: &[u8]) -> bool {
    let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
    let first = step(&window[..2]);
    (first <= 1) && window.windows(2).all(|pair| step(pair) == first)
}

/// Formats that have no prefix: Telegram's bots, Discord's, Mailchimp's.
fn other(walk: &mut Walk<'_>, word: &Word) -> Option<usize> {
    let text = walk.text;
    let sign = at(text, word.end);
    let end = match (sign, word.len()) {
        // `123456789:AA…`, 35 letters.
        (b':', 8..=10) if word.digits == word.len() && at(text, word.end + 1) == b'A' => {
            let end = run(text, word.end + 1, 36, |byte| Letters::Url.has(byte));
            (end - word.end - 1 == 35 && drawn(part(text, word.end + 1, end)))
                .then_some((end, "telegram-bot-token"))
        }
        (b'.', 24..=28) if matches!(at(text, word.start), b'M' | b'N' | b'O') => {
            let middle = run(text, word.end + 1, 7, |byte| Letters::Url.has(byte));
            let end = run(text, middle + 1, 40, |byte| Letters::Url.has(byte));
            let fits = middle - word.end - 1 == 6
                && at(text, middle) == b'.'
                && (27..=38).contains(&(end - middle - 1));
            (fits && drawn(part(text, word.start, end))).then_some((end, "discord-bot-token"))
        }
        (b'-', 32) if part(text, word.end, word.end + 3) == b"-us" => {
            let end = run(text, word.end + 3, 3, |byte| byte.is_ascii_digit());
            let body = part(text, word.start, word.end);
            (end > word.end + 3 && body.iter().all(|byte| Letters::Hex.has(*byte)) && drawn(body))
                .then_some((end, "mailchimp-key"))
        }
        _ => None,
    };
    let (end, label) = end?;
    walk.find(Kind::Secret, label, word.start, end, 92);
    walk.past(Kind::Secret, end)
}

/// RFC 7519 in its compact form: three parts, the first an object of JSON with `alg`.
fn jwt(text: &[u8], start: usize) -> Option<usize> {
    let url = |byte: u8| Letters::Url.has(byte);
    let first = run(text, start, 2048, url);
    let second = run(text, first + 1, 8192, url);
    if at(text, first) != b'.' || at(text, second) != b'.' || second - first < 8 {
        return None;
    }
    let third = run(text, second + 1, 2048, url);
    let header = base64(part(text, start, first));
    let spoken = header.starts_with(b"{") && header.windows(5).any(|window| window == b"\"alg\"");
    spoken.then_some(third)
}

/// What base64 of either alphabet says, up to the first byte that is none of its letters.
pub(crate) fn base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 255) as u8);
        }
    }
    bytes
}

/// Called at `--`: `-----BEGIN … PRIVATE KEY-----` to its end, or as far as it reaches.
pub(crate) fn block(walk: &mut Walk<'_>, start: usize) -> usize {
    let text = walk.text;
    let dashes = run(text, start, usize::MAX, |byte| byte == b'-');
    if dashes - start < 4 || !walk.wanted.has(Kind::PrivateKey) || part(text, dashes, dashes + 5) != b"BEGIN"
    {
        return dashes;
    }
    let title =
        run(text, dashes, 64, |byte| byte.is_ascii_uppercase() || byte == b' ' || byte.is_ascii_digit());
    let name = part(text, dashes, title);
    if !name.windows(11).any(|window| window == b"PRIVATE KEY") || at(text, title) != b'-' {
        return title;
    }
    let body = run(text, title, 8, |byte| byte == b'-');
    // To the next dashes in a row; headers (`Proc-Type: 4,ENCRYPTED`) have single ones.
    let mut end = body;
    let limit = (body + 16_384).min(text.len());
    while end < limit && part(text, end, end + 4) != b"----" {
        end += 1;
    }
    // A mention in a sentence or a program has no key behind it.
    let letters =
        part(text, body, end.min(body + 256)).iter().filter(|byte| Letters::Base64.has(**byte)).count();
    if letters < 40 || !drawn(part(text, body, end.min(body + 256))) {
        return body;
    }
    if part(text, end, end + 4) == b"----" {
        let end_dashes = run(text, end, 8, |byte| byte == b'-');
        if part(text, end_dashes, end_dashes + 3) == b"END" {
            end = run(text, end_dashes, 72, |byte| {
                byte.is_ascii_uppercase() || byte == b' ' || byte.is_ascii_digit()
            });
            end = run(text, end, 8, |byte| byte == b'-');
        }
    }
    while end > body && (at(text, end) & 0xc0 == 0x80) {
        end -= 1;
    }
    walk.find(Kind::PrivateKey, "private-key", start, end, 98);
    end
}
