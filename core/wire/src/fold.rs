//! Streams and whole answers are two forms of one thing.
//!
//! [`Fold`] gathers events into a [`Response`], for logs, caches and callers that asked for no stream; [`unfold`] turns
//! a whole answer into the events of a stream. Law: folding what was unfolded gives the same answer, for every answer
//! whose choices each carry something and whose parts carry no cache marks (an answer has none).

use crate::chat::{Choice, Content, Extra, Part, Response, Stop, ToolCall};
use crate::event::{Delta, Event, PartKind};
use crate::{Json, UpstreamError, Usage};

/// Gathers the events of one stream. Total: events that break the grammar are left out, never a panic.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    response: Response,
    error: Option<UpstreamError>,
    ended: bool,
}

impl Fold {
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Start { id, model, created } => {
                id.clone_into(&mut self.response.id);
                model.clone_into(&mut self.response.model);
                self.response.created = *created;
            }
            Event::PartStart { choice, part, kind, extra } => {
                let Some(parts) = self.choice(*choice).map(|choice| &mut choice.parts) else { return };
                if usize::try_from(*part).is_ok_and(|part| part == parts.len()) {
                    parts.push(Part { content: opened(kind), cache: None, extra: extra.clone() });
                }
            }
            Event::Delta { choice, part, delta } => {
                let parts = self.choice(*choice).map(|choice| &mut choice.parts);
                let index = usize::try_from(*part).unwrap_or(usize::MAX);
                if let Some(part) = parts.and_then(|parts| parts.get_mut(index)) {
                    extend(&mut part.content, delta);
                }
            }
            Event::Stop { choice, stop } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.stop = Some(stop.clone());
                }
            }
            Event::Usage(usage) => self.response.usage = *usage,
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    self.response.service_tier.clone_from(service_tier);
                }
                merge(&mut self.response.extra, extra);
            }
            Event::Logprobs { choice, json } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.logprobs = Some(match choice.logprobs.take() {
                        Some(before) => joined(&before, json),
                        None => json.clone(),
                    });
                }
            }
            Event::Error(error) => self.error = Some(error.clone()),
            Event::End => self.ended = true,
            Event::PartStop { .. } | Event::Foreign { .. } | Event::Ping => {}
        }
    }

    /// The usage so far: what to charge when a stream breaks off.
    pub fn usage(&self) -> &Usage {
        &self.response.usage
    }

    /// The error that ended the stream, if one did.
    pub fn error(&self) -> Option<&UpstreamError> {
        self.error.as_ref()
    }

    /// Whether the upstream said its end.
    pub fn is_complete(&self) -> bool {
        self.ended
    }

    /// The answer, as far as it came.
    pub fn finish(self) -> Response {
        self.response
    }

    /// No dialect gives more than 128 choices; an index beyond that is no choice but an attack on memory.
    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        let index = usize::try_from(index).ok().filter(|index| *index < 128)?;
        let choices = &mut self.response.choices;
        if choices.len() <= index {
            choices.resize_with(index + 1, Choice::default);
        }
        choices.get_mut(index)
    }
}

/// Folds a whole stream.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Response {
    let mut fold = Fold::default();
    for event in events {
        fold.push(event);
    }
    fold.finish()
}

/// A whole answer as the events of a stream, each part in one delta.
pub fn unfold(response: &Response) -> Vec<Event> {
    let mut events = vec![Event::Start {
        id: response.id.clone(),
        model: response.model.clone(),
        created: response.created,
    }];
    if response.service_tier.is_some() || !response.extra.fields.is_empty() {
        events
            .push(Event::Meta { service_tier: response.service_tier.clone(), extra: response.extra.clone() });
    }
    for (index, choice) in (0_u32..).zip(&response.choices) {
        // Before the text that they belong to: some dialects say them at its end.
        if let Some(json) = choice.logprobs.clone() {
            events.push(Event::Logprobs { choice: index, json });
        }
        for (part, content) in (0_u32..).zip(&choice.parts) {
            unfold_part(index, part, content, &mut events);
        }
    }
    events.push(Event::Usage(response.usage));
    for (index, choice) in (0_u32..).zip(&response.choices) {
        if let Some(stop) = choice.stop.clone() {
            events.push(Event::Stop { choice: index, stop });
        }
    }
    events.push(Event::End);
    events
}

fn unfold_part(choice: u32, part: u32, from: &Part, events: &mut Vec<Event>) {
    let (kind, deltas) = taken_apart(&from.content);
    events.push(Event::PartStart { choice, part, kind, extra: from.extra.clone() });
    events.extend(deltas.into_iter().map(|delta| Event::Delta { choice, part, delta }));
    events.push(Event::PartStop { choice, part });
}

pub(crate) fn taken_apart(content: &Content) -> (PartKind, Vec<Delta>) {
    let said = |text: &String, delta: fn(String) -> Delta| (!text.is_empty()).then(|| delta(text.clone()));
    match content {
        Content::Text { text, citations } => {
            let citations = citations.iter().map(|citation| Delta::Citation(Box::new(citation.clone())));
            (PartKind::Text, said(text, Delta::Text).into_iter().chain(citations).collect())
        }
        Content::Thinking { text, signature } => {
            let signature = signature.clone().map(Delta::Signature);
            (PartKind::Thinking, said(text, Delta::Thinking).into_iter().chain(signature).collect())
        }
        Content::ToolCall(call) => {
            let kind = PartKind::ToolCall { id: call.id.clone(), name: call.name.clone(), kind: call.kind };
            (kind, said(&call.arguments, Delta::Arguments).into_iter().collect())
        }
        Content::Refusal { text } => (PartKind::Refusal, said(text, Delta::Refusal).into_iter().collect()),
        Content::RedactedThinking { data } => (PartKind::RedactedThinking { data: data.clone() }, Vec::new()),
        Content::Foreign { dialect, json } => {
            (PartKind::Foreign { dialect: *dialect, json: json.clone() }, Vec::new())
        }
        Content::Image { .. } | Content::Audio { .. } | Content::Document { .. } | Content::ToolResult(_) => {
            (PartKind::Whole(Box::new(content.clone())), Vec::new())
        }
    }
}

fn opened(kind: &PartKind) -> Content {
    match kind {
        PartKind::Text => Content::Text { text: String::new(), citations: Vec::new() },
        PartKind::Thinking => Content::Thinking { text: String::new(), signature: None },
        PartKind::RedactedThinking { data } => Content::RedactedThinking { data: data.clone() },
        PartKind::ToolCall { id, name, kind } => Content::ToolCall(ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            kind: *kind,
        }),
        PartKind::Refusal => Content::Refusal { text: String::new() },
        PartKind::Whole(content) => Content::clone(content),
        PartKind::Foreign { dialect, json } => Content::Foreign { dialect: *dialect, json: json.clone() },
    }
}

fn extend(content: &mut Content, delta: &Delta) {
    match (content, delta) {
        (Content::Text { text, .. }, Delta::Text(more))
        | (Content::Thinking { text, .. }, Delta::Thinking(more))
        | (Content::Refusal { text }, Delta::Refusal(more)) => text.push_str(more),
        (Content::Text { citations, .. }, Delta::Citation(citation)) => {
            citations.push((**citation).clone());
        }
        (Content::Thinking { signature, .. }, Delta::Signature(more)) => {
            signature.get_or_insert_default().push_str(more);
        }
        (Content::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        _breach_of_grammar => {}
    }
}

/// Later fields replace earlier ones of the same name; another dialect's replace all.
fn merge(into: &mut Extra, more: &Extra) {
    if more.fields.is_empty() {
        return;
    }
    if into.dialect != more.dialect {
        *into = more.clone();
        return;
    }
    for (name, json) in &more.fields {
        match into.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => *value = json.clone(),
            None => into.fields.push((name.clone(), json.clone())),
        }
    }
}

/// Two logprobs objects as one: lists of the same name are joined, other values replaced.
fn joined(before: &Json, after: &Json) -> Json {
    use serde_json::Value;
    let (Value::Object(mut whole), Value::Object(more)) = (before.to_value(), after.to_value()) else {
        return after.clone();
    };
    for (name, value) in more {
        match (whole.get_mut(&name), value) {
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
            (_, value) => {
                whole.insert(name, value);
            }
        }
    }
    Json::of(&whole)
}

/// The stop that a choice means: calls of tools that end a turn are the reason why it ended, whatever was said.
pub fn settled_stop(stop: Stop, calls: bool) -> Stop {
    match stop {
        Stop::EndTurn if calls => Stop::ToolUse,
        Stop::EndTurn
        | Stop::Sequence(_)
        | Stop::MaxTokens
        | Stop::ContextWindow
        | Stop::ToolUse
        | Stop::Refusal
        | Stop::Pause
        | Stop::Other(_) => stop,
    }
}
