//! The words of patterns.

use std::iter::Peekable;
use std::str::Chars;

use super::letters::{large, small};

/// A pattern as it was written.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    One(Set),
    At(Place),
    Row(Vec<Node>),
    /// The first is preferred.
    Either(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        greedy: bool,
    },
}

/// A place between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    Edge,
    NoEdge,
}

impl Place {
    /// Whether it is between these characters; none: the text's end is there.
    pub(super) fn is_between(self, before: Option<char>, next: Option<char>) -> bool {
        let edge = || before.is_some_and(is_word) != next.is_some_and(is_word);
        match self {
            Self::Start => before.is_none(),
            Self::End => next.is_none(),
            Self::Edge => edge(),
            Self::NoEdge => !edge(),
        }
    }
}

impl Node {
    /// The most characters that it takes; none: there is no most.
    pub(super) fn most_letters(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::At(_) => Some(0),
            Self::One(_) => Some(1),
            Self::Row(row) => {
                row.iter().try_fold(0_usize, |sum, node| Some(sum.saturating_add(node.most_letters()?)))
            }
            Self::Either(ways) => {
                ways.iter().try_fold(0, |most: usize, node| Some(most.max(node.most_letters()?)))
            }
            Self::Repeat { node, most, .. } => {
                Some(node.most_letters()?.saturating_mul(usize::try_from((*most)?).ok()?))
            }
        }
    }
}

/// Which characters fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    items: Vec<Item>,
    negated: bool,
    /// Capital and small letters are the same.
    folds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Range(char, char),
    Class(Class, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Digit,
    Word,
    Space,
}

impl Class {
    fn has(self, letter: char) -> bool {
        match self {
            Self::Digit => letter.is_ascii_digit(),
            Self::Word => is_word(letter),
            Self::Space => letter.is_ascii_whitespace() || letter == '\u{a0}' || letter == '\u{2028}',
        }
    }
}

/// Letters, digits and the underscore, of all scripts.
pub(in crate::guard) fn is_word(letter: char) -> bool {
    if letter.is_ascii() { letter.is_ascii_alphanumeric() || letter == '_' } else { letter.is_alphanumeric() }
}

impl Set {
    pub(super) fn has(&self, letter: char) -> bool {
        let has = |letter: char| {
            self.items.iter().any(|item| match item {
                Item::Range(first, last) => (*first..=*last).contains(&letter),
                Item::Class(class, negated) => class.has(letter) != *negated,
            })
        };
        let swapped = |letter: char| has(small(letter)) || has(large(letter));
        (has(letter) || (self.folds && swapped(letter))) != self.negated
    }

    fn one(letter: char, folds: bool) -> Self {
        Self { items: vec![Item::Range(letter, letter)], negated: false, folds }
    }
}

/// How deep groups may stand in one another.
const DEEPEST: usize = 32;
/// How often at most a repetition says.
const MOST_REPEATS: u32 = 1_000;

pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { rest: text.chars().peekable(), folds: false, dot_all: false, depth: 0 };
    let node = parser.either()?;
    match parser.rest.next() {
        None => Ok(node),
        Some(_) => Err("a `)` without its `(`".to_owned()),
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    folds: bool,
    dot_all: bool,
    depth: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Node, String> {
        let mut ways = vec![self.row()?];
        while self.rest.next_if_eq(&'|').is_some() {
            ways.push(self.row()?);
        }
        Ok(match ways.len() {
            1 => ways.remove(0),
            _ => Node::Either(ways),
        })
    }

    fn row(&mut self) -> Result<Node, String> {
        let mut row = Vec::new();
        while let Some(letter) = self.rest.peek().copied() {
            if matches!(letter, '|' | ')') {
                break;
            }
            self.rest.next();
            let node = self.atom(letter)?;
            row.push(self.repeated(node)?);
        }
        Ok(match row.len() {
            0 => Node::Empty,
            1 => row.remove(0),
            _ => Node::Row(row),
        })
    }

    fn atom(&mut self, letter: char) -> Result<Node, String> {
        Ok(match letter {
            '(' => self.group()?,
            '[' => Node::One(self.class()?),
            '.' => {
                let breaks = vec![Item::Range('\n', '\n')];
                let items = if self.dot_all { Vec::new() } else { breaks };
                Node::One(Set { items, negated: true, folds: false })
            }
            '^' => Node::At(Place::Start),
            '$' => Node::At(Place::End),
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err(format!("nothing stands before `{letter}`")),
            '{' => return Err("nothing stands before `{`: write `\\{` for the sign itself".to_owned()),
            letter => Node::One(Set::one(letter, self.folds)),
        })
    }

    fn escape(&mut self) -> Result<Node, String> {
        let Some(letter) = self.rest.next() else { return Err("nothing stands after `\\`".to_owned()) };
        Ok(match letter {
            'b' => Node::At(Place::Edge),
            'B' => Node::At(Place::NoEdge),
            'A' => Node::At(Place::Start),
            'z' | 'Z' => Node::At(Place::End),
            letter => match self.escaped(letter)? {
                Item::Range(first, _) => Node::One(Set::one(first, self.folds)),
                item @ Item::Class(..) => Node::One(Set { items: vec![item], negated: false, folds: false }),
            },
        })
    }

    /// What an escape means in a class, and outside of one but for places.
    fn escaped(&mut self, letter: char) -> Result<Item, String> {
        let sign = |letter| Ok(Item::Range(letter, letter));
        match letter {
            'd' | 'D' => Ok(Item::Class(Class::Digit, letter == 'D')),
            'w' | 'W' => Ok(Item::Class(Class::Word, letter == 'W')),
            's' | 'S' => Ok(Item::Class(Class::Space, letter == 'S')),
            'n' => sign('\n'),
            'r' => sign('\r'),
            't' => sign('\t'),
            'f' => sign('\u{c}'),
            'v' => sign('\u{b}'),
            '0' => sign('\0'),
            'x' | 'u' => sign(self.number(if letter == 'x' { 2 } else { 4 })?),
            'p' | 'P' => Err("`\\p` is not known: write out the letters, or `\\w`".to_owned()),
            '1'..='9' | 'k' => {
                Err("references back are not possible in time that is proportional to the text".to_owned())
            }
            letter if letter.is_ascii_alphabetic() => Err(format!("`\\{letter}` is not known")),
            letter => sign(letter),
        }
    }

    fn number(&mut self, digits: usize) -> Result<char, String> {
        let text: String = if self.rest.next_if_eq(&'{').is_some() {
            self.rest.by_ref().take_while(|letter| *letter != '}').take(8).collect()
        } else {
            self.rest.by_ref().take(digits).collect()
        };
        let code = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
        code.ok_or_else(|| format!("`{text}` is no character's number"))
    }

    fn group(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("groups stand more than {DEEPEST} deep in one another"));
        }
        let before = (self.folds, self.dot_all);
        let mut whole = true;
        if self.rest.next_if_eq(&'?').is_some() {
            whole = self.kind()?;
        }
        if !whole {
            // Flags for what follows, up to the end of the group around.
            self.depth -= 1;
            return Ok(Node::Empty);
        }
        let node = self.either()?;
        if self.rest.next() != Some(')') {
            return Err("a `(` without its `)`".to_owned());
        }
        (self.folds, self.dot_all) = before;
        self.depth -= 1;
        Ok(node)
    }

    /// What stands after `(?`; false: it was flags, and the group is over.
    fn kind(&mut self) -> Result<bool, String> {
        const AROUND: &str = "looking around is not possible in time that is proportional to the text";
        let mut on = true;
        while let Some(letter) = self.rest.next() {
            match letter {
                ':' => return Ok(true),
                ')' => return Ok(false),
                '-' => on = false,
                'i' => self.folds = on,
                's' => self.dot_all = on,
                // Names of groups mean nothing here.
                'P' if self.rest.peek() == Some(&'<') => {}
                '<' => {
                    if matches!(self.rest.peek(), Some('=' | '!')) {
                        return Err(AROUND.to_owned());
                    }
                    let closed = self.rest.by_ref().any(|letter| letter == '>');
                    return if closed { Ok(true) } else { Err("a `(?<` without its `>`".to_owned()) };
                }
                '=' | '!' => return Err(AROUND.to_owned()),
                letter => return Err(format!("`(?{letter}` is not known")),
            }
        }
        Err("a `(` without its `)`".to_owned())
    }

    fn class(&mut self) -> Result<Set, String> {
        const OPEN: &str = "a `[` without its `]`";
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut items = Vec::new();
        loop {
            let letter = self.rest.next().ok_or(OPEN)?;
            let item = match letter {
                ']' if !items.is_empty() => break,
                '[' if self.rest.peek() == Some(&':') => {
                    return Err("`[:…:]` is not known: write out the letters".to_owned());
                }
                '\\' => {
                    let letter = self.rest.next().ok_or(OPEN)?;
                    if letter == 'b' { Item::Range('\u{8}', '\u{8}') } else { self.escaped(letter)? }
                }
                letter => Item::Range(letter, letter),
            };
            let Item::Range(first, _) = item else {
                items.push(item);
                continue;
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']');
            if !is_range {
                items.push(item);
                continue;
            }
            self.rest.next();
            let last = match self.rest.next().ok_or(OPEN)? {
                '\\' => {
                    let letter = self.rest.next().ok_or(OPEN)?;
                    match self.escaped(letter)? {
                        Item::Range(last, _) => last,
                        Item::Class(..) => return Err("a range that ends in a class".to_owned()),
                    }
                }
                letter => letter,
            };
            if last < first {
                return Err(format!("the range `{first}-{last}` runs backwards"));
            }
            items.push(Item::Range(first, last));
        }
        Ok(Set { items, negated, folds: self.folds })
    }

    fn repeated(&mut self, mut node: Node) -> Result<Node, String> {
        loop {
            let (least, most) = match self.rest.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    self.rest.next();
                    let times: String = self.rest.by_ref().take_while(|letter| *letter != '}').collect();
                    node = self.counted(node, &times)?;
                    continue;
                }
                _ => return Ok(node),
            };
            self.rest.next();
            let greedy = self.rest.next_if_eq(&'?').is_none();
            node = Node::Repeat { node: Box::new(node), least, most, greedy };
        }
    }

    fn counted(&mut self, node: Node, times: &str) -> Result<Node, String> {
        let wrong = || format!("`{{{times}}}` is no number of times from 0 to {MOST_REPEATS}");
        let count = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MOST_REPEATS);
        let (least, most) = match times.split_once(',') {
            None => {
                let count = count(times).ok_or_else(wrong)?;
                (count, Some(count))
            }
            Some((least, "")) => (count(least).ok_or_else(wrong)?, None),
            Some((least, most)) => {
                let least = if least.is_empty() { Some(0) } else { count(least) };
                (least.ok_or_else(wrong)?, Some(count(most).ok_or_else(wrong)?))
            }
        };
        if most.is_some_and(|most| most < least) {
            return Err(wrong());
        }
        let greedy = self.rest.next_if_eq(&'?').is_none();
        Ok(Node::Repeat { node: Box::new(node), least, most, greedy })
    }
}
