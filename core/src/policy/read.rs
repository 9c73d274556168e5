//! Reads a tree as what it should be, noting everything that it is not.

use gatelet_wire::sort::sort_by;

use super::node::{CLOSE, Key, Node, OPEN, Value, unshield};
use super::{Host, Problem};
use crate::registry::near_names;

/// Reads nodes and collects what is wrong with them. A reader that gave `None` has noted why.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    host: &'a Host<'a>,
    problems: Vec<Problem>,
}

/// A node and its place.
#[derive(Clone, Debug)]
pub(super) struct At<'n> {
    node: &'n Node,
    pub(super) spot: Spot,
}

/// A place in the document, for what is found wrong later.
#[derive(Clone, Debug, Default)]
pub(super) struct Spot {
    line: usize,
    path: String,
}

/// The fields of a map whose keys are known.
#[derive(Clone, Debug)]
pub(super) struct Fields<'n> {
    fields: Vec<(&'n str, At<'n>)>,
    pub(super) spot: Spot,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&At<'n>> {
        self.fields.iter().find(|(name, _)| *name == key).map(|(_, at)| at)
    }
}

impl<'n> At<'n> {
    pub(super) fn root(node: &'n Node) -> Self {
        Self { node, spot: Spot { line: node.line, path: String::new() } }
    }

    /// True for a word, false for a list or a map.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.node.value, Value::Scalar(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// What stands there, whatever it is, in a form that changes with it alone.
    pub(super) fn written(&self) -> String {
        fn write(node: &Node, out: &mut String) {
            match &node.value {
                Value::Null => out.push('~'),
                Value::Scalar(text) => out.extend([text.len().to_string().as_str(), "=", text]),
                Value::List(list) => list.iter().for_each(|node| {
                    out.push('-');
                    write(node, out);
                }),
                Value::Map(map) => {
                    out.push('{');
                    for (key, node) in map {
                        out.push_str(&key.text);
                        out.push(':');
                        write(node, out);
                    }
                    out.push('}');
                }
            }
        }
        let mut out = String::new();
        write(self.node, &mut out);
        out
    }

    /// A list, or one value in place of a list of one.
    pub(super) fn list(&self) -> Vec<Self> {
        match &self.node.value {
            Value::List(list) => list
                .iter()
                .enumerate()
                .map(|(place, node)| Self {
                    node,
                    spot: Spot { line: node.line, path: format!("{}[{place}]", self.spot.path) },
                })
                .collect(),
            Value::Null => Vec::new(),
            Value::Scalar(_) | Value::Map(_) => vec![self.clone()],
        }
    }

    fn child(&self, key: &'n Key, node: &'n Node) -> Self {
        let plain = key.text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        let name = if plain { key.text.clone() } else { format!("\"{}\"", key.text) };
        let dot = if self.spot.path.is_empty() { "" } else { "." };
        Self { node, spot: Spot { line: key.line, path: format!("{}{dot}{name}", self.spot.path) } }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(host: &'a Host<'a>) -> Self {
        Self { host, problems: Vec::new() }
    }

    pub(super) fn host(&self) -> &'a Host<'a> {
        self.host
    }

    /// What was found wrong, in the document's order.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        sort_by(&mut self.problems, |one, other| one.line.cmp(&other.line));
        self.problems
    }

    pub(super) fn note(&mut self, spot: &Spot, message: impl Into<String>) {
        self.problems.push(Problem { line: spot.line, path: spot.path.clone(), message: message.into() });
    }

    /// A map with no other keys than `known`. Keys in `later` have a meaning that this version does not carry out: they
    /// are refused rather than ignored.
    pub(super) fn fields<'n>(&mut self, at: &At<'n>, known: &[&str], later: &[&str]) -> Option<Fields<'n>> {
        let mut fields = Vec::new();
        for (key, child) in self.entries(at)? {
            if known.contains(&key) {
                fields.push((key, child));
            } else if later.contains(&key) {
                let message =
                    format!("`{key}` is not carried out by this version, so it is refused: remove it");
                self.note(&child.spot, message);
            } else {
                self.note(&child.spot, unknown("key", key, known));
            }
        }
        Some(Fields { fields, spot: at.spot.clone() })
    }

    /// A map with keys of the admin's own.
    pub(super) fn entries<'n>(&mut self, at: &At<'n>) -> Option<Vec<(&'n str, At<'n>)>> {
        match &at.node.value {
            Value::Map(map) => {
                Some(map.iter().map(|(key, node)| (&*key.text, at.child(key, node))).collect())
            }
            Value::Null => Some(Vec::new()),
            Value::Scalar(_) | Value::List(_) => {
                self.unexpected(at, "keys and values");
                None
            }
        }
    }

    /// A word, its variables filled in.
    pub(super) fn text(&mut self, at: &At<'_>, expected: &str) -> Option<String> {
        let Value::Scalar(text) = &at.node.value else {
            self.unexpected(at, expected);
            return None;
        };
        match fill(text, self.host.variable) {
            Ok(text) => Some(text),
            Err(message) => {
                self.note(&at.spot, message);
                None
            }
        }
    }

    /// A word as it was written: in patterns, `$` and braces are their own.
    pub(super) fn verbatim(&mut self, at: &At<'_>) -> Option<String> {
        let Value::Scalar(text) = &at.node.value else {
            self.unexpected(at, "a regular expression");
            return None;
        };
        Some(unshield(text))
    }

    /// A word that `read` understands.
    pub(super) fn parsed<T>(
        &mut self,
        at: &At<'_>,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(at, expected)?;
        let value = read(&text);
        if value.is_none() {
            self.unexpected(at, expected);
        }
        value
    }

    /// The node as JSON: words that are numbers, `true` or `false` are such.
    pub(super) fn json(&mut self, at: &At<'_>) -> Option<serde_json::Value> {
        Some(match &at.node.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar(_) => {
                let text = self.text(at, "a value")?;
                match gatelet_wire::json::from_str(&text) {
                    Ok(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => value,
                    _ => serde_json::Value::String(text),
                }
            }
            Value::List(_) => at.list().iter().map(|at| self.json(at)).collect::<Option<_>>()?,
            Value::Map(_) => {
                let entries = self.entries(at)?;
                let pairs = entries.iter().map(|(key, at)| Some(((*key).to_owned(), self.json(at)?)));
                serde_json::Value::Object(pairs.collect::<Option<_>>()?)
            }
        })
    }

    /// What is shown is what was written, never what a variable holds.
    pub(super) fn unexpected(&mut self, at: &At<'_>, expected: &str) {
        let found = match &at.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar(text) => {
                let text = unshield(text);
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                format!("`{short}{dots}`")
            }
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "keys and values".to_owned(),
        };
        self.note(&at.spot, format!("expected {expected}, found {found}"));
    }
}

/// "unknown key `prvoiders`: did you mean `providers`?"
pub(super) fn unknown<'k>(what: &str, name: &str, known: impl IntoIterator<Item = &'k &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().copied().collect();
    match near_names(name, known.iter().copied()).first() {
        Some(near) => format!("unknown {what} `{name}`: did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`: expected one of {}", known.join(", ")),
    }
}

/// Puts the host's values for `${VARIABLE}` and `${VARIABLE:-default}`.
fn fill(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (inside, after) = after.split_once(CLOSE).unwrap_or((after, ""));
        filled.push_str(before.strip_suffix('$').unwrap_or(before));
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("expected the name of a variable in `${{{inside}}}`"));
        }
        let value = variable(name).filter(|value| !value.is_empty() || default.is_none());
        let Some(value) = value.or_else(|| default.map(str::to_owned)) else {
            return Err(format!("the variable {name} is not set: set it, or write `${{{name}:-default}}`"));
        };
        filled.push_str(&value);
        rest = after;
    }
    if rest.contains("${") {
        return Err("expected a `}` after `${`".to_owned());
    }
    filled.push_str(rest);
    Ok(filled)
}
