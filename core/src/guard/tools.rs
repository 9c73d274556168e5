//! Which tools a model may call, and with what.

use serde_json::Value;

use super::case::Case;
use super::note::Direction;
use super::pattern::Pattern;
use super::scan::{Kind, Scanner as _};
use super::{Action, Check};

/// Rules in their order: the first that fits says what becomes of a call.
#[derive(Clone, Debug)]
pub struct ToolRules {
    pub rules: Vec<ToolRule>,
    /// Of calls that no rule fits.
    pub otherwise: Permit,
}

#[derive(Clone, Debug)]
pub struct ToolRule {
    /// Names; `*` stands for anything.
    pub tools: Vec<String>,
    /// Fields of the arguments by their path (`file.path`), and what each must match somewhere; an empty path is all of
    /// them as text.
    pub arguments: Vec<(String, Pattern)>,
    pub permit: Permit,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Permit {
    Allow,
    /// The guard's mode says what follows: `block` ends the answer, `mask` takes the call out.
    Deny,
    /// The call is taken out, and the caller is asked.
    Ask,
    /// Fields of the arguments that are set.
    Rewrite(Vec<(String, Value)>),
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Goes,
    /// With these arguments.
    Other(String),
    /// Words stand in its place.
    Out(String),
    Blocks,
}

impl ToolRules {
    /// None: that depends on the arguments, which are not there yet.
    fn permit(&self, name: &str, arguments: Option<&str>) -> Option<&Permit> {
        let tree = arguments.map(|text| gatelet_wire::json::from_str::<Value>(text).ok());
        for rule in self.rules.iter().filter(|rule| rule.tools.iter().any(|tool| fits(tool, name))) {
            if rule.arguments.is_empty() {
                return Some(&rule.permit);
            }
            let (text, tree) = (arguments?, tree.as_ref()?);
            let matches = |(path, pattern): &(String, Pattern)| match tree {
                Some(tree) if !path.is_empty() => {
                    let at = path.split('.').try_fold(tree, |value, key| value.get(key));
                    at.is_some_and(|value| match value {
                        Value::String(text) => is_in(pattern, text),
                        other => is_in(pattern, &other.to_string()),
                    })
                }
                // What is no JSON is looked through whole, so that nothing is hidden by breaking it.
                Some(_) | None => is_in(pattern, text),
            };
            if rule.arguments.iter().all(matches) {
                return Some(&rule.permit);
            }
        }
        Some(&self.otherwise)
    }
}

fn is_in(pattern: &Pattern, text: &str) -> bool {
    let mut machine = pattern.machine();
    let mut found = Vec::new();
    machine.push(text, &mut found);
    machine.finish(&mut found);
    !found.is_empty()
}

/// Whether a name is one of those that a pattern with stars means. Capital and small letters are the same.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        let Some(at) = name.find(part) else { return false };
        name = name.get(at + part.len()..).unwrap_or_default();
    }
    true
}

impl Case {
    /// Whether there are rules for calls.
    pub(super) fn has_tool_rules(&self) -> bool {
        self.guards.iter().any(|guard| matches!(guard.check, Check::Tools(_)))
    }

    /// What becomes of a call of `name`; none: its arguments must be known first.
    pub(super) fn permit(&mut self, name: &str, arguments: Option<&str>) -> Option<Fate> {
        if self.direction == Direction::In {
            return Some(Fate::Goes);
        }
        let mut fate = Fate::Goes;
        for nth in 0..self.guards.len() {
            let Some(guard) = self.guards.get(nth).cloned() else { break };
            let Check::Tools(rules) = &guard.check else { continue };
            let changed = match &fate {
                Fate::Other(arguments) => Some(arguments.clone()),
                Fate::Goes | Fate::Out(_) | Fate::Blocks => None,
            };
            let permit = rules.permit(name, changed.as_deref().or(arguments))?;
            let kind: Kind = match permit {
                Permit::Allow => continue,
                Permit::Deny => "denied_tool".into(),
                Permit::Ask => "tool_to_approve".into(),
                Permit::Rewrite(_) => "rewritten_tool".into(),
            };
            // Only what is denied ends an answer.
            let rules_out = *permit == Permit::Deny || !guard.changes();
            let action = if rules_out { self.found(nth, &kind) } else { self.took(nth, &kind) };
            match (action, permit) {
                (Action::Flag | Action::Shadow, _) | (_, Permit::Allow) => {}
                (Action::Block, _) => return Some(Fate::Blocks),
                (Action::Mask, Permit::Deny) => {
                    let words = guard.message.as_deref().map(str::to_owned);
                    let own = || format!("[The tool `{name}` may not be called here: `{}`.]", guard.name);
                    return Some(Fate::Out(words.unwrap_or_else(own)));
                }
                (Action::Mask, Permit::Ask) => {
                    let with = arguments.unwrap_or_default();
                    return Some(Fate::Out(format!(
                        "[The tool `{name}` needs your approval before it is called with {with}]"
                    )));
                }
                (Action::Mask, Permit::Rewrite(fields)) => {
                    let text = changed.as_deref().or(arguments)?;
                    let mut tree =
                        gatelet_wire::json::from_str(text).unwrap_or(Value::Object(serde_json::Map::new()));
                    for (path, value) in fields {
                        set(&mut tree, path, value);
                    }
                    fate = Fate::Other(tree.to_string());
                }
            }
        }
        Some(fate)
    }

    /// As [`Case::found`], of what is replaced whatever the guard's mode.
    fn took(&mut self, nth: usize, kind: &Kind) -> Action {
        if let Some(note) = self.note(nth) {
            note.outcome = note.outcome.max(super::Outcome::Masked);
            match note.found.iter_mut().find(|(known, _)| known == kind) {
                Some((_, count)) => *count += 1,
                None => note.found.push((kind.clone(), 1)),
            }
        }
        Action::Mask
    }
}

fn set(tree: &mut Value, path: &str, value: &Value) {
    let mut at = tree;
    for key in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(fields) = at else { return };
        at = fields.entry(key).or_insert(Value::Null);
    }
    at.clone_from(value);
}
