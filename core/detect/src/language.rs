//! Which language a text is in, whether it is code, and whether it is anything.

use crate::words::{self, Senses};

/// The languages that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    English,
    German,
    French,
    Spanish,
    Italian,
    Portuguese,
    Dutch,
}

impl Language {
    pub const ALL: [Self; 7] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Italian,
        Self::Portuguese,
        Self::Dutch,
    ];

    /// ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Italian => "it",
            Self::Portuguese => "pt",
            Self::Dutch => "nl",
        }
    }
}

/// A language, and how sure it is in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identified {
    pub language: Language,
    pub score: u8,
}

/// What is looked at: a beginning says enough.
const LOOKED_AT: usize = 16 * 1024;

/// The language of a text by its small words; nothing for texts of other scripts, of other languages, or too short to say.
pub fn identify(text: &str) -> Option<Identified> {
    const SENSES: [Senses; 7] =
        [Senses::EN, Senses::DE, Senses::FR, Senses::ES, Senses::IT, Senses::PT, Senses::NL];
    let mut counts = [0_u32; 7];
    let mut all = 0_u32;
    for word in words_of(text) {
        let senses = words::senses(words::hash(word));
        all += 1;
        let languages = SENSES.iter().filter(|sense| senses.meets(**sense)).count();
        for (count, sense) in counts.iter_mut().zip(SENSES) {
            if senses.meets(sense) {
                // A word that several have says less.
                *count += 12 / u32::try_from(languages).unwrap_or(1).max(1);
            }
        }
    }
    let (best, count) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    let second =
        counts.iter().enumerate().filter(|(index, _)| *index != best).map(|(_, count)| *count).max()?;
    // Of a language's running text a third are such words; a tenth is the least.
    if *count < 12 || *count * 10 < all * 12 || *count == second {
        return None;
    }
    let score = 50 + (count - second) * 49 / count.max(&1);
    Some(Identified { language: *Language::ALL.get(best)?, score: u8::try_from(score).unwrap_or(99) })
}

/// Whether most letters of a text are of another script than the languages here, and there are enough of them to say so.
pub fn is_of_another_script(text: &str) -> bool {
    let (mut own, mut other) = (0_u32, 0_u32);
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        // Latin with its extensions.
        if u32::from(letter) < 0x250 { own += 1 } else { other += 1 }
    }
    other >= 8 && other > own
}

fn words_of(text: &str) -> impl Iterator<Item = &[u8]> {
    let bytes = text.as_bytes();
    bytes
        .get(..LOOKED_AT)
        .unwrap_or(bytes)
        .split(|byte| !(byte.is_ascii_alphabetic() || *byte >= 0x80 || *byte == b'\''))
        .filter(|word| !word.is_empty() && word.len() <= words::LONGEST)
}

/// How much of a text is code, in percent: lines that end, begin or are built as those of programs, markup and data are.
pub fn code(text: &str) -> u8 {
    let (mut lines, mut like) = (0_u32, 0_u32);
    for line in text.lines().take(400).map(str::trim) {
        if line.is_empty() {
            continue;
        }
        lines += 1;
        like += u32::from(is_code(line));
    }
    u8::try_from((like * 100).checked_div(lines).unwrap_or(0)).unwrap_or(100)
}

fn is_code(line: &str) -> bool {
    const BEGIN: &[&str] = &[
        "fn ",
        "pub ",
        "let ",
        "const ",
        "var ",
        "def ",
        "class ",
        "import ",
        "from ",
        "return",
        "if (",
        "for (",
        "while (",
        "#include",
        "use ",
        "package ",
        "func ",
        "public ",
        "private ",
        "static ",
        "SELECT ",
        "INSERT ",
        "UPDATE ",
        "CREATE ",
        "</",
        "//",
        "/*",
        "#!",
        "@",
        "$ ",
        "elif ",
        "else:",
        "try:",
        "except",
        "async ",
        "await ",
        "export ",
        "function ",
        "struct ",
        "enum ",
        "impl ",
        "match ",
        "print(",
        "console.",
        "self.",
        "this.",
        "}",
        "]",
        ")",
    ];
    const INSIDE: &[&str] = &[
        "();", "){", ") {", " => ", "->", "::", " == ", " != ", "+=", "&&", "||", "=\"", "</", "\": ", " = ",
        "());",
    ];
    let ends = line.ends_with([';', '{', '}']) || line.ends_with("):") || line.ends_with("/>");
    let begins = BEGIN.iter().any(|begin| line.starts_with(begin));
    let inside = INSIDE.iter().filter(|inside| line.contains(**inside)).count();
    let short = line.len() < 200;
    (ends && short) || (begins && (inside > 0 || ends || line.len() < 60)) || inside >= 2
}

/// How much a text looks like keys that were struck at random, in percent. Meant for Latin letters: others score 0.
pub fn gibberish(text: &str) -> u8 {
    let (mut all, mut strange) = (0_u32, 0_u32);
    for word in words_of(text).filter(|word| word.len() >= 4 && word.is_ascii()) {
        all += 1;
        strange += u32::from(is_strange(word));
    }
    u8::try_from((strange * 100).checked_div(all).unwrap_or(0)).unwrap_or(100)
}

/// Four consonants in a row that no language here has, no vowel at all, or one letter over and over.
fn is_strange(word: &[u8]) -> bool {
    let lower = word.to_ascii_lowercase();
    if word.iter().all(u8::is_ascii_uppercase) {
        return false;
    }
    let vowel = |byte: &u8| b"aeiouy".contains(byte);
    let longest = lower.split(vowel).map(<[u8]>::len).max().unwrap_or(0);
    let same = lower.windows(4).any(|four| four.iter().all(|byte| *byte == four[0]));
    let rows =
        [&b"asdf"[..], b"qwer", b"zxcv", b"hjkl", b"sdfg", b"dfgh", b"fghj", b"ghjk", b"wert", b"uiop"];
    let keys = rows.iter().any(|row| lower.windows(4).any(|four| four == *row)) && lower != b"qwerty";
    !lower.iter().any(vowel) || longest >= 6 || same || keys
}
