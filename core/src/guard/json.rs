//! JSON on its way past the guards: each of its strings, keys and numbers is a text of its own.

use super::Site;
use super::case::Case;
use super::channel::Channel;

/// JSON text that comes cut anywhere. What stands in strings is read as what it means, and written anew: whatever is
/// put there leaves the JSON what it was.
#[derive(Debug)]
pub(super) struct JsonChannel {
    site: Site,
    place: Place,
    /// A number or a word outside of strings, as far as it came.
    token: String,
    pub(super) changed: bool,
}

#[derive(Debug)]
enum Place {
    Outside,
    Inside(Inside),
}

#[derive(Debug)]
struct Inside {
    channel: Channel,
    /// An escape as far as it came, after its `\`.
    escape: Option<String>,
    /// The first half of a character of two.
    high: Option<u32>,
}

/// Longer than any number that means something.
const LONGEST_TOKEN: usize = 256;

impl JsonChannel {
    pub(super) fn new(site: Site) -> Self {
        Self { site, place: Place::Outside, token: String::new(), changed: false }
    }

    pub(super) fn held(&self) -> usize {
        self.token.len()
            + match &self.place {
                Place::Outside => 0,
                Place::Inside(inside) => inside.channel.held(),
            }
    }

    pub(super) fn push(&mut self, text: &str, case: &mut Case, out: &mut String) {
        let mut rest = text;
        while !rest.is_empty() && case.blocked.is_none() {
            rest = match &mut self.place {
                Place::Outside => self.outside(rest, case, out),
                Place::Inside(inside) => {
                    let (rest, over) = inside.push(rest, case, out);
                    if over {
                        self.changed |= inside.channel.changed;
                        self.place = Place::Outside;
                    }
                    rest
                }
            };
        }
    }

    pub(super) fn finish(&mut self, case: &mut Case, out: &mut String) {
        self.flush(case, out);
        if let Place::Inside(inside) = &mut self.place {
            let mut text = String::new();
            inside.channel.finish(case, &mut text);
            escape(&text, out);
            self.changed |= inside.channel.changed;
        }
    }

    fn outside<'t>(&mut self, text: &'t str, case: &mut Case, out: &mut String) -> &'t str {
        let mut letters = text.chars();
        let Some(letter) = letters.next() else { return text };
        match letter {
            '"' => {
                self.flush(case, out);
                out.push('"');
                let channel = case.channel(self.site);
                self.place = Place::Inside(Inside { channel, escape: None, high: None });
            }
            '{' | '}' | '[' | ']' | ':' | ',' | '\n' | '\r' => {
                self.flush(case, out);
                out.push(letter);
            }
            ' ' | '\t' if self.token.is_empty() => out.push(letter),
            letter => {
                self.token.push(letter);
                if self.token.len() >= LONGEST_TOKEN {
                    self.flush(case, out);
                }
            }
        }
        letters.as_str()
    }

    /// A number, or what is no JSON at all. Of a number in which something was hidden a string is made.
    fn flush(&mut self, case: &mut Case, out: &mut String) {
        if self.token.is_empty() {
            return;
        }
        let token = std::mem::take(&mut self.token);
        let mut channel = case.channel(self.site);
        let mut text = String::new();
        channel.push(&token, case, &mut text);
        if case.blocked.is_none() {
            channel.finish(case, &mut text);
        }
        if channel.changed {
            self.changed = true;
            out.push('"');
            escape(&text, out);
            out.push('"');
        } else if case.blocked.is_none() {
            out.push_str(&token);
        }
    }
}

impl Inside {
    /// Takes what belongs to the string; answers the rest, and whether the string is over.
    fn push<'t>(&mut self, text: &'t str, case: &mut Case, out: &mut String) -> (&'t str, bool) {
        let mut passed = String::new();
        let mut rest = text;
        let mut over = false;
        while !over && let Some(letter) = rest.chars().next() {
            if self.escape.is_some() {
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
                if let Some(meant) = self.escaped(letter) {
                    self.channel.push(meant.encode_utf8(&mut [0; 4]), case, &mut passed);
                }
                continue;
            }
            let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
            let (text, more) = rest.split_at_checked(plain).unwrap_or((rest, ""));
            if !text.is_empty() || more.starts_with('"') {
                self.lone(case, &mut passed);
            }
            if !text.is_empty() {
                self.channel.push(text, case, &mut passed);
            }
            rest = more.get(1..).unwrap_or_default();
            if more.starts_with('\\') {
                self.escape = Some(String::new());
            } else if more.starts_with('"') {
                if case.blocked.is_none() {
                    self.channel.finish(case, &mut passed);
                }
                over = true;
            }
        }
        escape(&passed, out);
        if over && case.blocked.is_none() {
            out.push('"');
        }
        (rest, over)
    }

    /// A first half whose second never came means nothing.
    fn lone(&mut self, case: &mut Case, passed: &mut String) {
        if self.high.take().is_some() {
            self.channel.push("\u{fffd}", case, passed);
        }
    }

    /// One more letter of an escape; what it means when it is whole.
    fn escaped(&mut self, letter: char) -> Option<char> {
        let so_far = self.escape.as_mut()?;
        so_far.push(letter);
        if !so_far.starts_with('u') {
            self.escape = None;
            self.high = None;
            return Some(match letter {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                letter => letter,
            });
        }
        let hexadecimal = letter.is_ascii_hexdigit() || so_far.len() == 1;
        if hexadecimal && so_far.len() < 5 {
            return None;
        }
        let code = so_far.get(1..).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.escape = None;
        let Some(code) = code else { return Some('\u{fffd}') };
        match (self.high.take(), code) {
            (_, 0xd800..=0xdbff) => {
                self.high = Some(code);
                None
            }
            (Some(high), 0xdc00..=0xdfff) => {
                char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (code - 0xdc00)).or(Some('\u{fffd}'))
            }
            (_, code) => Some(char::from_u32(code).unwrap_or('\u{fffd}')),
        }
    }
}

/// Writes text as it stands in a string.
pub(super) fn escape(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter < ' ' => drop(write!(out, "\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
}
