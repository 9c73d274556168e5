//! What is assigned to a word for a secret: `api_key = "…"`, `"password": "…"`, `AWS_SECRET_ACCESS_KEY=…`.

use super::{drawn, run_of_order};
use crate::Kind;
use crate::bytes::{at, part, run};
use crate::check::entropy;
use crate::personal::network::placeholder;
use crate::walk::{Walk, Word};

/// Parts of identifiers that name a secret, in small letters.
const NAMES: &[&[u8]] = &[
    b"secret",
    b"passw",
    b"passphrase",
    b"pwd",
    b"token",
    b"apikey",
    b"api_key",
    b"access_key",
    b"accesskey",
    b"private_key",
    b"account_key",
    b"accountkey",
    b"auth_key",
    b"credential",
    b"encryption_key",
    b"signing_key",
    b"client_key",
    b"sharedkey",
    b"contrase",
    b"senha",
    b"passwort",
    b"kennwort",
    b"wachtwoord",
    b"mot_de_passe",
    b"sharedaccesskey",
];

/// Called at a word. Cheap where no `=` or `:` follows it.
pub(super) fn assigned(walk: &mut Walk<'_>, word: &Word) -> Option<usize> {
    let text = walk.text;
    let assigns = match at(text, word.end) {
        b'=' | b':' | b'"' | b'\'' => true,
        b' ' => matches!(at(text, word.end + 1), b'=' | b':' | b' '),
        _ => false,
    };
    if !assigns || !matches!(word.len(), 3..=64) || word.beyond > 8 {
        return None;
    }
    let (sign, quoted) = sign(text, word.end)?;
    let name = part(text, word.start, word.end).to_ascii_lowercase();
    // `api-key`: its first half stands before the hyphen.
    let hyphened = name == b"key" && {
        let before = part(text, word.start.saturating_sub(4), word.start).to_ascii_lowercase();
        [&b"api-"[..], b"ess-", b"api "].iter().any(|end| before.ends_with(end))
    };
    if !hyphened && !NAMES.iter().any(|part| name.windows(part.len()).any(|window| window == *part)) {
        return None;
    }
    let mut start = run(text, sign, 2, |byte| byte == b' ');
    let quote = at(text, start);
    let in_quotes = matches!(quote, b'"' | b'\'' | b'`');
    let end = if in_quotes {
        start += 1;
        run(text, start, 512, |byte| byte != quote && !b"\r\n".contains(&byte))
    } else {
        run(text, start, 512, |byte| byte.is_ascii_graphic() && !b"\"'`,;<>()[]{}|".contains(&byte))
    };
    let _ = quoted;
    if in_quotes && at(text, end) != quote {
        return None;
    }
    let value = part(text, start, end);
    let password =
        name.windows(4).any(|window| window == b"pass" || window == b"wort") || name.ends_with(b"pwd");
    let score = judge(value, in_quotes, password)?;
    walk.find(Kind::Entropy, if password { "password" } else { "assigned-secret" }, start, end, score);
    walk.past(Kind::Entropy, end)
}

/// Where the value begins behind `=`, `:`, `=>` or `:=`, a closing quote before it allowed.
fn sign(text: &[u8], end: usize) -> Option<(usize, bool)> {
    let mut place = end;
    let quoted = matches!(at(text, place), b'"' | b'\'');
    place += usize::from(quoted);
    place = run(text, place, 2, |byte| byte == b' ');
    match (at(text, place), at(text, place + 1)) {
        (b'=', b'=') | (b':', b':') => None,
        (b'=', b'>') | (b':', b'=') => Some((place + 2, quoted)),
        (b'=' | b':', _) => Some((place + 1, quoted)),
        _ => None,
    }
}

fn judge(value: &[u8], in_quotes: bool, password: bool) -> Option<u8> {
    if placeholder(value)
        || value.iter().any(|byte| *byte >= 0x80 || *byte == b' ')
        || value.starts_with(b"http")
    {
        return None;
    }
    let count = |class: fn(&u8) -> bool| value.iter().filter(|byte| class(byte)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let (upper, lower) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    // Names of things in programs: `config.token`, `get_token`, `TOKEN_NAME`, versions, paths.
    let sign_count = value.len() - digits - letters;
    if digits == 0 || letters == 0 || value.windows(8).any(run_of_order) {
        return None;
    }
    if value.len() >= 16 && drawn(value) && entropy(value) >= 320 {
        let hex = value.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        let mixed = (upper > 0 && lower > 0) || hex || digits * 6 >= value.len();
        let path = value.contains(&b'/') && value.contains(&b'.');
        return (mixed && !path && digits >= 2).then_some(if in_quotes { 75 } else { 65 });
    }
    let strong = usize::from(upper > 0) + usize::from(lower > 0) + usize::from(sign_count > 0) >= 2;
    (password && value.len() >= 8 && strong && entropy(value) >= 250).then_some(if in_quotes {
        70
    } else {
        60
    })
}
