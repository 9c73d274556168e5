//! Letters as they are meant: what is hidden by other scripts, by signs without width, by digits for letters.

/// What a character is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// A letter or digit, in small ASCII.
    Ascii(u8),
    /// A letter beyond ASCII that stays what it is.
    Letter(char),
    /// Nothing: it has no width, or is an accent.
    Nothing,
    /// It separates words.
    Gap,
}

/// Letters of other scripts that look like ours, and what they look like.
const ALIKE: &[(char, u8)] = &[
    ('а', b'a'),
    ('в', b'b'),
    ('с', b'c'),
    ('ԁ', b'd'),
    ('е', b'e'),
    ('һ', b'h'),
    ('і', b'i'),
    ('ј', b'j'),
    ('к', b'k'),
    ('ӏ', b'l'),
    ('м', b'm'),
    ('н', b'h'),
    ('о', b'o'),
    ('р', b'p'),
    ('ԛ', b'q'),
    ('ѕ', b's'),
    ('т', b't'),
    ('у', b'y'),
    ('ѵ', b'v'),
    ('ԝ', b'w'),
    ('х', b'x'),
    ('α', b'a'),
    ('β', b'b'),
    ('ε', b'e'),
    ('η', b'n'),
    ('ι', b'i'),
    ('κ', b'k'),
    ('ν', b'v'),
    ('ο', b'o'),
    ('ρ', b'p'),
    ('τ', b't'),
    ('υ', b'u'),
    ('χ', b'x'),
    ('ɑ', b'a'),
    ('ɡ', b'g'),
    ('ı', b'i'),
    ('ł', b'l'),
    ('ø', b'o'),
    ('đ', b'd'),
    ('ħ', b'h'),
    ('ŧ', b't'),
    ('օ', b'o'),
    ('ս', b'u'),
    ('ո', b'n'),
    ('հ', b'h'),
];

/// What Latin letters with accents are without them: U+00C0 to U+017F.
const PLAIN: &[u8; 192] =
    b"aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.yaaaaaaccccccccdd..eeeeeeeeeegggg\
gggghh..iiiiiiiii...jjkk.llllll....nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzzs";

/// Reads a character. `latin` says whether the word so far is of ASCII letters, in which look-alikes are read as what they look like.
pub(crate) fn read(letter: char, latin: bool) -> Read {
    if letter.is_ascii() {
        let byte = u8::try_from(letter).unwrap_or(b' ');
        return match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'\'' => Read::Ascii(byte),
            b'A'..=b'Z' => Read::Ascii(byte | 32),
            _ => Read::Gap,
        };
    }
    let code = u32::from(letter);
    let ascii = |byte: u32| u8::try_from(byte).map_or(Read::Gap, |byte| read(char::from(byte), latin));
    match code {
        0xad
        | 0x300..=0x36f
        | 0x200b..=0x200f
        | 0x2060..=0x2064
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0xe0000..=0xe001f
        | 0xe007f
        | 0xe0100..=0xe01ef => Read::Nothing,
        // The tags, in which a whole text can be hidden.
        0xe0020..=0xe007e => ascii(code - 0xe0000),
        0x2018 | 0x2019 => Read::Ascii(b'\''),
        0xc0..=0x17f => match PLAIN.get((code - 0xc0) as usize) {
            Some(b'.' | b' ') | None => Read::Letter(small(letter)),
            Some(plain) => Read::Ascii(*plain),
        },
        // Circled, full width, and the alphabets of mathematics: bold, italic, script, double-struck, sans, mono.
        0x24b6..=0x24cf => ascii(code - 0x24b6 + 97),
        0x24d0..=0x24e9 => ascii(code - 0x24d0 + 97),
        0xff01..=0xff5e => ascii(code - 0xff01 + 33),
        0x1d400..=0x1d6a3 => {
            let place = (code - 0x1d400) % 52;
            ascii(if place < 26 { place + 97 } else { place - 26 + 97 })
        }
        0x1d7ce..=0x1d7ff => ascii((code - 0x1d7ce) % 10 + 48),
        0x1f130..=0x1f149 => ascii(code - 0x1f130 + 97),
        0x1f150..=0x1f169 => ascii(code - 0x1f150 + 97),
        0x1f170..=0x1f189 => ascii(code - 0x1f170 + 97),
        0x1f1e6..=0x1f1ff => ascii(code - 0x1f1e6 + 97),
        0xa0..=0xbf
        | 0x2000..=0x206f
        | 0x2190..=0x245f
        | 0x2500..=0x2bff
        | 0x3000..=0x303f
        | 0x1f000..=0x1ffff => Read::Gap,
        _ => {
            let letter = small(letter);
            match ALIKE.iter().find(|(alike, _)| latin && *alike == letter) {
                Some((_, byte)) => Read::Ascii(*byte),
                None => Read::Letter(letter),
            }
        }
    }
}

/// Small letters of Cyrillic, Greek and Latin without the standard library's tables.
fn small(letter: char) -> char {
    let code = u32::from(letter);
    let small = match code {
        0xc0..=0xde | 0x391..=0x3a9 | 0x410..=0x42f => code + 32,
        0x400..=0x40f => code + 80,
        0x100..=0x17f if code & 1 == 0 => code + 1,
        other => other,
    };
    char::from_u32(small).unwrap_or(letter)
}

/// The letter that a digit or a sign stands for among letters.
pub(crate) fn leet(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        b'8' => b'b',
        b'9' => b'g',
        other => other,
    }
}
