//! Answers that are held to a schema, once all of them is said: what a caller reads must be JSON, and of that form.

use std::sync::Arc;

use gatelet_wire::SmallMap;
use gatelet_wire::chat::{Content, Format, Request, Response};
use gatelet_wire::event::{Delta, Event, PartKind};
use serde_json::json;

use super::Check;
use super::case::Case;
use super::note::Outcome;
use super::schema::{Schema, parsed};

/// What answers are held to.
#[derive(Clone, Debug)]
pub enum Shape {
    /// What the request itself asks for; nothing where it asks for none.
    Asked,
    Own(Arc<Schema>),
}

/// The form that a request asks for.
#[derive(Clone, Debug, Default)]
pub(super) enum Form {
    #[default]
    Any,
    Schema(Arc<Schema>),
    /// A schema that cannot be judged.
    Unknown,
}

/// Longer answers are not judged, so that nothing grows without bounds.
const LONGEST: usize = 1 << 20;

impl Case {
    /// Takes note of the form that a request asks its answer to have.
    pub fn expects(&mut self, request: &Request) {
        if self.shapes().next().is_none() {
            return;
        }
        let schema = match &request.format {
            None | Some(Format::Text) => return,
            Some(Format::JsonObject) => Some(json!({ "type": "object" })),
            Some(Format::JsonSchema { schema, .. }) => parsed(schema.as_str()),
        };
        let schema = schema.and_then(|schema| Schema::read(schema).ok());
        self.form = schema.map_or(Form::Unknown, |schema| Form::Schema(Arc::new(schema)));
    }

    /// The guards that hold answers to a form, with their places.
    fn shapes(&self) -> impl Iterator<Item = (usize, &Shape)> {
        self.guards.iter().enumerate().filter_map(|(nth, guard)| match &guard.check {
            Check::Shape(shape) => Some((nth, shape)),
            Check::Texts(_) | Check::Tools(_) | Check::External(_) | Check::Topics(_) => None,
        })
    }

    /// Judges a whole answer, as its caller reads it.
    pub fn shaped(&mut self, response: &Response) {
        if self.shapes().next().is_none() {
            return;
        }
        for choice in &response.choices {
            let mut said = Said::default();
            for part in &choice.parts {
                match &part.content {
                    Content::Text { text, .. } => said.text(text),
                    Content::ToolCall(_) | Content::Refusal { .. } => said.unfinished = true,
                    Content::Thinking { .. }
                    | Content::RedactedThinking { .. }
                    | Content::ToolResult(_)
                    | Content::Image { .. }
                    | Content::Audio { .. }
                    | Content::Document { .. }
                    | Content::Foreign { .. } => {}
                }
            }
            self.said(&said);
        }
    }

    fn said(&mut self, said: &Said) {
        // A model that calls a tool has not answered yet, and one that refuses says so.
        if said.unfinished || self.blocked.is_some() {
            return;
        }
        let judging: Vec<(usize, Form)> = self
            .shapes()
            .map(|(nth, shape)| match shape {
                Shape::Asked => (nth, self.form.clone()),
                Shape::Own(schema) => (nth, Form::Schema(schema.clone())),
            })
            .collect();
        let value = (said.text.len() <= LONGEST).then(|| parsed(&said.text));
        for (nth, form) in judging {
            let schema = match form {
                Form::Any => continue,
                Form::Schema(schema) => Some(schema),
                Form::Unknown => None,
            };
            match (schema, &value) {
                (Some(_), Some(None)) => drop(self.found(nth, &"no-json".into())),
                (Some(schema), Some(Some(value))) => match schema.fits(value) {
                    Some(true) => {}
                    Some(false) => drop(self.found(nth, &"schema".into())),
                    None => self.failed(nth, "schema", Outcome::Unread),
                },
                (Some(_), None) => self.failed(nth, "length", Outcome::Unread),
                (None, _) => self.failed(nth, "schema", Outcome::Unread),
            }
        }
    }
}

/// What one choice has said.
#[derive(Debug, Default)]
struct Said {
    text: String,
    unfinished: bool,
}

impl Said {
    fn text(&mut self, text: &str) {
        if self.text.len() <= LONGEST {
            self.text.push_str(text);
        }
    }
}

/// The answers of a stream as far as they have left.
#[derive(Debug)]
pub(super) struct Shapes(SmallMap<u32, Said>);

impl Shapes {
    /// None: no guard wants it.
    pub(super) fn of(case: &Case) -> Option<Self> {
        case.shapes().next().is_some().then(|| Self(SmallMap::new()))
    }

    /// Looks at what leaves. Where an answer that ends here is blocked for its form, its end is taken back: answers which.
    pub(super) fn pass(&mut self, from: usize, out: &mut Vec<Event>, case: &mut Case) -> Option<u32> {
        for at in from..out.len() {
            match out.get(at) {
                Some(Event::Delta { choice, delta: Delta::Text(text), .. }) => {
                    self.0.entry(*choice).or_default().text(text);
                }
                Some(
                    Event::PartStart { choice, kind: PartKind::ToolCall { .. } | PartKind::Refusal, .. }
                    | Event::Delta { choice, delta: Delta::Refusal(_), .. },
                ) => self.0.entry(*choice).or_default().unfinished = true,
                Some(Event::Stop { choice, .. }) => {
                    let choice = *choice;
                    case.said(&self.0.remove(&choice).unwrap_or_default());
                    if case.blocked.is_some() {
                        out.truncate(at);
                        return Some(choice);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
