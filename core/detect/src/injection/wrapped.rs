//! What is wrapped: base64, rot13, text that is written backwards, and letters with spaces between.

use super::classify::Signs;
use crate::secret::base64;

/// A text that was unwrapped: what it says, how it was wrapped, and where.
type Unwrapped = (String, &'static str, usize, usize);

/// What is looked at in one text; a longer wrapping is judged by its beginning.
const MOST: usize = 16 * 1024;

/// Shorter runs of base64 hold no order.
const SHORTEST: usize = 24;

/// The texts inside of a text. Their lengths together are bounded.
pub(super) fn unwrap(text: &str, signs: &Signs) -> Vec<Unwrapped> {
    let mut found = Vec::new();
    pieces(text, &mut found);
    if let Some(wrapped) = whole(text, signs) {
        let part = head(text, MOST);
        let read: String = match wrapped {
            "rot13" => part.chars().map(rot13).collect(),
            "reversed" => part.chars().rev().collect(),
            _ => spaced(part),
        };
        found.push((read, wrapped, 0, text.len()));
    }
    found
}

fn head(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Runs of base64 that say something in ASCII.
fn pieces(text: &str, found: &mut Vec<Unwrapped>) {
    let bytes = text.as_bytes();
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/_-".contains(byte);
    let (mut place, mut spent) = (0, 0);
    while place < bytes.len() && spent < MOST {
        // Of most places the next letters are not enough: the last that is none says how far to go on.
        let next = bytes.get(place..place + SHORTEST).unwrap_or_default();
        if let Some(gap) = next.iter().rposition(|byte| !letter(byte)) {
            place += gap + 1;
            continue;
        }
        let length = bytes.get(place..).unwrap_or_default().iter().take_while(|byte| letter(byte)).count();
        if length >= SHORTEST {
            let run = bytes.get(place..place + length.min(MOST)).unwrap_or_default();
            // Words in small letters are not base64; nor are numbers.
            let upper = run.iter().take(64).filter(|byte| byte.is_ascii_uppercase()).count();
            if upper >= 4 {
                let said = base64(run);
                spent += said.len();
                let readable = said.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n')).count();
                let spaces = said.contains(&b' ');
                if readable * 20 >= said.len() * 19 && spaces {
                    found.push((
                        String::from_utf8_lossy(&said).into_owned(),
                        "base64",
                        place,
                        place + length,
                    ));
                }
            }
        }
        place += length.max(1);
    }
}

/// How a text is wrapped whole, by words that occur in it.
fn whole(text: &str, signs: &Signs) -> Option<&'static str> {
    if signs.rotated >= 2 {
        Some("rot13")
    } else if signs.reversed >= 2 {
        Some("reversed")
    } else if signs.singles >= 16 && signs.singles * 3 > (text.len() / 2).saturating_sub(signs.singles) {
        Some("spaced")
    } else {
        None
    }
}

fn rot13(letter: char) -> char {
    let turn = |first: u8| char::from(first + (u8::try_from(letter).unwrap_or(first) - first + 13) % 26);
    match letter {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        other => other,
    }
}

/// `i g n o r e   a l l`: single spaces (dots, hyphens) go, wider gaps stay.
fn spaced(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut gap = 0;
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            if gap > 1 {
                read.push(' ');
            }
            read.push(letter);
            gap = 0;
        } else {
            gap += 1;
        }
    }
    read
}
