//! The texts of a conversation, one after the other, wherever they stand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatelet_wire::chat::{Choice, Content, Message, Part, Request, Response, Role, Source, Tool, ToolKind};
use gatelet_wire::{Json, Operation};
use serde_json::Value;

use super::Site;

/// A text in its place.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) site: Site,
    /// Of whom it is; texts of one speaker that follow one another may be one text that was cut.
    pub(super) speaker: u32,
    place: Place<'a>,
    /// What proves that it is unchanged, or repeats it: it goes when the text is changed.
    proof: Proof<'a>,
}

#[derive(Debug)]
enum Place<'a> {
    Text(&'a mut String),
    /// JSON as text.
    Json(&'a mut String),
    Value(&'a mut Json),
    /// Text in base64.
    Base64(&'a mut String),
    Tree(&'a mut Value),
}

#[derive(Debug)]
enum Proof<'a> {
    None,
    Signature(&'a mut Option<String>),
    Raw(&'a mut Option<(gatelet_wire::DialectId, Json)>),
}

impl Slot<'_> {
    pub(super) fn is_json(&self) -> bool {
        matches!(self.place, Place::Json(_) | Place::Value(_))
    }

    pub(super) fn read(&self) -> String {
        match &self.place {
            Place::Text(text) | Place::Json(text) => (**text).clone(),
            Place::Value(json) => json.as_str().to_owned(),
            Place::Base64(text) => decoded(text).unwrap_or_default(),
            Place::Tree(value) => value.as_str().unwrap_or_default().to_owned(),
        }
    }

    /// Puts another text there, and says what stands in the body and what is to stand there.
    pub(super) fn replace(&mut self, text: String) -> (String, String) {
        let before = self.raw();
        self.write(text);
        (before, self.raw())
    }

    fn raw(&self) -> String {
        match &self.place {
            Place::Base64(text) => (**text).clone(),
            Place::Text(_) | Place::Json(_) | Place::Value(_) | Place::Tree(_) => self.read(),
        }
    }

    /// Puts another text there. What is no JSON, where JSON stands, is left out.
    pub(super) fn write(&mut self, text: String) {
        match &mut self.place {
            Place::Text(place) | Place::Json(place) => **place = text,
            Place::Value(place) => {
                if let Ok(json) = Json::parse(&text) {
                    **place = json;
                }
            }
            Place::Base64(place) => **place = STANDARD.encode(text),
            Place::Tree(place) => **place = Value::String(text),
        }
        match &mut self.proof {
            Proof::None => {}
            Proof::Signature(signature) => **signature = None,
            Proof::Raw(raw) => **raw = None,
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

/// The texts that were found, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Slots<'a> {
    pub(super) places: Vec<Slot<'a>>,
    pub(super) unread: Vec<(&'static str, Site)>,
    speaker: u32,
    /// The answer's text is JSON.
    json: bool,
}

impl<'a> Slots<'a> {
    /// Of a request: what was said last stands last.
    pub(super) fn of_request(request: &'a mut Request) -> Self {
        let mut slots = Self::default();
        let mut before = None;
        for Message { role, parts, name, .. } in &mut request.messages {
            if before != Some(*role) {
                slots.speaker += 1;
            }
            before = Some(*role);
            if let Some(name) = name {
                slots.lone(Site::Input, name);
            }
            let site = match role {
                Role::System | Role::Developer => Site::Instructions,
                Role::User | Role::Assistant => Site::Input,
            };
            slots.parts(parts, site, *role == Role::Assistant);
        }
        for tool in &mut request.tools {
            match tool {
                Tool::Function { description, parameters, .. } => {
                    slots.maybe(description);
                    if let Some(parameters) = parameters {
                        slots.add(Site::Input, Place::Value(parameters));
                    }
                }
                Tool::Custom { description, .. } => slots.maybe(description),
                Tool::Foreign { json, .. } => slots.add(Site::Input, Place::Value(json)),
            }
        }
        if let Some(user) = &mut request.user {
            slots.lone(Site::Input, user);
        }
        for (_, json) in &mut request.extra.fields {
            slots.add(Site::Input, Place::Value(json));
        }
        slots
    }

    /// Of an answer; `json`: its text is JSON, as was asked for.
    pub(super) fn of_response(response: &'a mut Response, json: bool) -> Self {
        let mut slots = Self { json, ..Self::default() };
        for Choice { parts, .. } in &mut response.choices {
            slots.speaker += 1;
            slots.parts(parts, Site::Output, false);
        }
        slots
    }

    fn add(&mut self, site: Site, place: Place<'a>) {
        self.places.push(Slot { site, speaker: 0, place, proof: Proof::None });
    }

    fn text(&mut self, site: Site, text: &'a mut String) {
        let speaker = self.speaker;
        let place = if self.json && site == Site::Output { Place::Json(text) } else { Place::Text(text) };
        self.places.push(Slot { site, speaker, place, proof: Proof::None });
    }

    /// A text that nothing joins.
    fn lone(&mut self, site: Site, text: &'a mut String) {
        self.add(site, Place::Text(text));
    }

    fn maybe(&mut self, text: &'a mut Option<String>) {
        if let Some(text) = text {
            self.lone(Site::Input, text);
        }
    }

    fn parts(&mut self, parts: &'a mut [Part], site: Site, said: bool) {
        for Part { content, .. } in parts {
            self.content(content, site, said);
        }
    }

    fn content(&mut self, content: &'a mut Content, site: Site, said: bool) {
        match content {
            Content::Text { text, citations } => {
                self.text(site, text);
                for citation in citations {
                    for text in [&mut citation.cited_text, &mut citation.title].into_iter().flatten() {
                        self.lone(site, text);
                    }
                    if citation.raw.is_some() {
                        // Its own form repeats the text.
                        if let Some(slot) = self.places.last_mut() {
                            slot.proof = Proof::Raw(&mut citation.raw);
                        }
                    }
                }
            }
            Content::Refusal { text } => self.text(site, text),
            Content::Thinking { text, signature } => {
                self.lone(site, text);
                // What the caller sends back was its provider's: it is made what it was, and its proof holds.
                if !said && let Some(slot) = self.places.last_mut() {
                    slot.proof = Proof::Signature(signature);
                }
            }
            Content::ToolCall(call) => {
                let place = match call.kind {
                    ToolKind::Function => Place::Json(&mut call.arguments),
                    ToolKind::Custom => Place::Text(&mut call.arguments),
                };
                self.add(Site::ToolArguments, place);
            }
            Content::ToolResult(result) => self.parts(&mut result.parts, Site::ToolResults, said),
            Content::Foreign { json, .. } => self.add(site, Place::Value(json)),
            Content::Image { .. } => self.unread.push(("image", site)),
            Content::Audio { .. } => self.unread.push(("audio", site)),
            Content::Document { source, title, context, .. } => {
                let site =
                    if matches!(site, Site::Input | Site::Instructions) { Site::Document } else { site };
                for text in [title, context].into_iter().flatten() {
                    self.lone(site, text);
                }
                match source {
                    Source::Text { text, .. } => self.lone(site, text),
                    Source::Base64 { media_type, data }
                        if media_type.starts_with("text/") && decoded(data).is_some() =>
                    {
                        self.add(site, Place::Base64(data));
                    }
                    Source::Base64 { .. } | Source::Url(_) | Source::File(_) => {
                        self.unread.push(("document", site));
                    }
                }
            }
            // Only its provider can read it, and has written it.
            Content::RedactedThinking { .. } => {}
        }
    }
}

/// The texts of a request that is no conversation, as its fields have them.
#[derive(Debug)]
pub struct PlainTexts {
    body: Value,
    fields: &'static [&'static str],
}

/// The fields that hold the text of an operation's request; none: there is nothing that guards can read there.
pub fn plain_fields(operation: Operation) -> Option<&'static [&'static str]> {
    match operation {
        Operation::Completion => Some(&["prompt", "suffix"]),
        Operation::Embedding => Some(&["input", "texts", "inputs", "content", "requests"]),
        Operation::Rerank => Some(&["query", "documents"]),
        Operation::Moderation => Some(&["input"]),
        Operation::Image => Some(&["prompt", "negative_prompt"]),
        Operation::Speech => Some(&["input", "instructions"]),
        Operation::Chat
        | Operation::ImageEdit
        | Operation::Transcription
        | Operation::Translation
        | Operation::TokenCount
        | Operation::Native => None,
    }
}

impl PlainTexts {
    /// None: the body is no JSON.
    pub fn read(body: &[u8], fields: &'static [&'static str]) -> Option<Self> {
        let body = gatelet_wire::json::from_str(std::str::from_utf8(body).ok()?).ok()?;
        Some(Self { body, fields })
    }

    pub fn write(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }

    pub(super) fn slots(&mut self) -> Slots<'_> {
        let mut slots = Slots { speaker: 1, ..Slots::default() };
        let Value::Object(fields) = &mut self.body else { return slots };
        for (name, value) in fields {
            if self.fields.contains(&name.as_str()) {
                slots.tree(value);
            }
        }
        slots
    }
}

impl<'a> Slots<'a> {
    fn tree(&mut self, value: &'a mut Value) {
        match value {
            Value::String(_) => {
                self.speaker += 1;
                let speaker = self.speaker;
                self.places.push(Slot {
                    site: Site::Input,
                    speaker,
                    place: Place::Tree(value),
                    proof: Proof::None,
                });
            }
            Value::Array(items) => {
                // Tokens in place of words.
                if items.iter().any(Value::is_number) {
                    self.unread.push(("tokens", Site::Input));
                }
                for item in items {
                    self.tree(item);
                }
            }
            Value::Object(fields) => {
                if fields.contains_key("image_url") || fields.contains_key("inlineData") {
                    self.unread.push(("image", Site::Input));
                    return;
                }
                fields.values_mut().for_each(|value| self.tree(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
