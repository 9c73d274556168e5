//! A document as a tree, every node with its line. YAML and JSON alike: the second is a part of the first.
//!
//! Invariant: work and memory are bounded by the text. Aliases, tags and further documents are refused, depth is
//! limited.

use gatelet_wire::sort::sort_by;
use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::Problem;

/// The largest document that is read, in bytes.
const LARGEST: usize = 1 << 20;
const DEEPEST: usize = 24;

/// A value and the line on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Variables still have [`OPEN`] and [`CLOSE`] for braces.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the document; no key stands twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Stand for the braces of `${VARIABLE}` while YAML is parsed, to which braces mean something else inside `{ … }`. From
/// the private use area, which the text itself may not use.
pub(super) const OPEN: char = '\u{e000}';
pub(super) const CLOSE: char = '\u{e001}';

/// Reads the one document of a text.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let at = |line, message: &str| Problem { line, path: String::new(), message: message.to_owned() };
    if text.len() > LARGEST {
        return Err(at(1, "expected a document of at most 1 MiB"));
    }
    if let Some(place) = text.find([OPEN, CLOSE]) {
        let line = text.get(..place).unwrap_or("").matches('\n').count() + 1;
        return Err(at(line, "expected no characters of the private use area"));
    }
    let text = shield(text);
    let options = granit_parser::options! { flow_nesting_limit: DEEPEST, block_nesting_limit: DEEPEST };
    let mut events = Events { parser: Parser::new_from_str_with_options(&text, options), line: 1 };
    loop {
        match events.next()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node { line: 1, value: Value::Null }),
            event => {
                let node = events.node(event, 0)?;
                return events.end().map(|()| node);
            }
        }
    }
}

/// A text as the admin wrote it.
pub(super) fn unshield(text: &str) -> String {
    text.replace(OPEN, "{").replace(CLOSE, "}")
}

/// Puts [`OPEN`] and [`CLOSE`] for the braces of every `${VARIABLE}` and `${VARIABLE:-default}` without quotes inside.
fn shield(text: &str) -> String {
    let mut shielded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        shielded.push_str(before);
        let inside = after.split(['}', '{', '"', '\'', '\n']).next().unwrap_or("");
        rest = after;
        if after.get(inside.len()..).is_some_and(|tail| tail.starts_with('}')) {
            shielded.push('$');
            shielded.push(OPEN);
            shielded.push_str(inside);
            shielded.push(CLOSE);
            rest = after.get(inside.len() + 1..).unwrap_or("");
        } else {
            shielded.push_str("${");
        }
    }
    shielded.push_str(rest);
    shielded
}

struct Events<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    /// Of the event that was read last.
    line: usize,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<Event<'a>, Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = begin(&span);
                Ok(event)
            }
            Some(Err(error)) => {
                self.line = error.marker().line();
                Err(self.problem(&unshield(&error.info())))
            }
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, Problem> {
        if depth > DEEPEST {
            return Err(self.problem("expected at most 24 levels"));
        }
        if event.is_alias() {
            return Err(self.problem("aliases are not read: write the value again"));
        }
        if event.tag().is_some() {
            return Err(self.problem("tags are not read: leave it out"));
        }
        let line = self.line;
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null") => Value::Null,
            Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => return Err(self.problem("expected a value")),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::List(list)),
                event => list.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        loop {
            let event = match self.next()? {
                Event::MappingEnd => return once_each(map).map(Value::Map),
                event => event,
            };
            let line = self.line;
            let Event::Scalar(text, ..) = event else {
                return Err(self.problem("expected a plain word as a key"));
            };
            if text.contains(OPEN) {
                return Err(self.problem("variables are read in values only, not in keys"));
            }
            let key = Key { line, text: text.into_owned() };
            let event = self.next()?;
            map.push((key, self.node(event, depth + 1)?));
        }
    }

    /// Nothing but the end may follow the document.
    fn end(&mut self) -> Result<(), Problem> {
        loop {
            match self.next()? {
                Event::StreamEnd => return Ok(()),
                Event::DocumentEnd => {}
                _ => return Err(self.problem("expected one document")),
            }
        }
    }

    fn problem(&self, message: &str) -> Problem {
        Problem { line: self.line, path: String::new(), message: message.to_owned() }
    }
}

/// No key may be there twice.
fn once_each(map: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Problem> {
    let mut keys: Vec<&Key> = map.iter().map(|(key, _)| key).collect();
    sort_by(&mut keys, |one, other| one.text.cmp(&other.text));
    let again = keys.array_windows().filter(|[one, other]| one.text == other.text);
    match again.min_by_key(|[_, again]| again.line) {
        None => Ok(map),
        Some([first, again]) => {
            let message = format!("`{}` is there twice: first in line {}", again.text, first.line);
            Err(Problem { line: again.line, path: String::new(), message })
        }
    }
}

fn begin(span: &Span) -> usize {
    span.start.line()
}
