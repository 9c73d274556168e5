//! What a request says, as bytes: two requests that mean the same give the same bytes, in whichever dialect they came.
//!
//! Left out is what changes no answer: whether it is streamed, the end user's name, and marks for the provider's cache.
//! Everything else is written with its length, so that no two requests run into each other. Each function takes its type
//! apart, so that a new field cannot be forgotten.

use crate::chat::{
    Citation, Content, Extra, Format, Message, Part, Reasoning, Request, Role, Source, Tool, ToolCall,
    ToolChoice, ToolKind, ToolResult,
};
use crate::{DialectId, Json};

/// Fields of one dialect that change no answer, and that answers do not repeat.
const SILENT: [&str; 12] = [
    "metadata",
    "litellm_metadata",
    "store",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "stream",
    "stream_options",
    "cache",
    "cache_control",
    "tags",
];

/// Writes what `request` says to `out`. Its model is left out: who asks knows what that name means.
pub fn request(request: &Request, out: &mut dyn FnMut(&[u8])) {
    let mut canon = Canon { out };
    canon.setting(request);
    canon.list(request.messages.iter(), Canon::message);
}

/// Writes all that `request` says but the words of its last `turns`, and answers these: what a question must have in common
/// with another one that it merely resembles, before the other's answer may be given. A turn begins where the user speaks.
///
/// None: what is said there is not text alone, or it is not the user who spoke last.
pub fn around(request: &Request, turns: usize, out: &mut dyn FnMut(&[u8])) -> Option<String> {
    let messages = &request.messages;
    let speaks = |place: usize| messages.get(place).is_some_and(|message| message.role == Role::User);
    speaks(messages.len().checked_sub(1)?).then_some(())?;
    let begins = |place: &usize| speaks(*place) && !place.checked_sub(1).is_some_and(speaks);
    let starts: Vec<usize> = (0..messages.len()).filter(begins).collect();
    let start = starts.get(starts.len().saturating_sub(turns.max(1))).copied()?;
    let mut canon = Canon { out };
    canon.setting(request);
    canon.list(messages.iter().take(start), Canon::message);
    let mut words = String::new();
    for message in messages.iter().skip(start) {
        match message.role {
            Role::System | Role::Developer => {
                canon.tag(0);
                canon.message(message);
            }
            Role::User | Role::Assistant => {
                canon.tag(if message.role == Role::User { 1 } else { 2 });
                say(message, &mut words)?;
            }
        }
    }
    Some(words)
}

/// Adds the words of a message. None: it says something else.
fn say(message: &Message, words: &mut String) -> Option<()> {
    let Message { role: _, parts, name, extra } = message;
    if name.is_some() || !extra.fields.is_empty() {
        return None;
    }
    for Part { content, cache: _, extra } in parts {
        match content {
            Content::Text { text, citations } if citations.is_empty() && extra.fields.is_empty() => {
                if !words.is_empty() {
                    words.push('\n');
                }
                words.push_str(text);
            }
            _ => return None,
        }
    }
    Some(())
}

struct Canon<'a> {
    out: &'a mut dyn FnMut(&[u8]),
}

impl Canon<'_> {
    fn setting(&mut self, request: &Request) {
        let Request {
            model: _,
            messages: _,
            tools,
            tool_choice,
            parallel_tool_calls,
            max_output_tokens,
            temperature,
            top_p,
            top_k,
            stop,
            seed,
            frequency_penalty,
            presence_penalty,
            choices,
            logprobs,
            top_logprobs,
            reasoning,
            format,
            stream: _,
            stream_usage: _,
            user: _,
            service_tier,
            extra,
        } = request;
        self.list(tools.iter(), Self::tool);
        self.maybe(tool_choice.as_ref(), |this, choice| match choice {
            ToolChoice::Auto => this.tag(0),
            ToolChoice::None => this.tag(1),
            ToolChoice::Required => this.tag(2),
            ToolChoice::Named(name) => {
                this.tag(3);
                this.text(name);
            }
            ToolChoice::Foreign { dialect, json } => {
                this.tag(4);
                this.foreign(*dialect, json);
            }
        });
        self.flag(*parallel_tool_calls);
        for count in
            [*max_output_tokens, *top_k, choices.filter(|count| *count > 1).map(u64::from), *top_logprobs]
        {
            self.maybe(count, Self::number);
        }
        for number in [*temperature, *top_p, *frequency_penalty, *presence_penalty] {
            // Nought has two forms, and means one thing.
            self.maybe(number, |this, number| this.number((number + 0.0).to_bits()));
        }
        self.list(stop.iter(), |this, stop| this.text(stop));
        self.maybe(*seed, |this, seed| this.number(seed.cast_unsigned()));
        self.flag(*logprobs);
        self.maybe(reasoning.as_ref(), |this, reasoning| {
            let Reasoning { effort, budget_tokens, adaptive, effort_only, display } = reasoning;
            this.maybe(effort.as_ref(), |this, effort| this.text(effort));
            this.maybe(*budget_tokens, Self::number);
            this.flag(Some(*adaptive));
            this.flag(Some(*effort_only));
            this.maybe(display.as_ref(), |this, display| this.text(display));
        });
        self.maybe(format.as_ref(), |this, format| match format {
            Format::Text => this.tag(0),
            Format::JsonObject => this.tag(1),
            Format::JsonSchema { name, description, schema, strict } => {
                this.tag(2);
                this.maybe(name.as_ref(), |this, name| this.text(name));
                this.maybe(description.as_ref(), |this, description| this.text(description));
                this.json(schema);
                this.flag(*strict);
            }
        });
        self.maybe(service_tier.as_ref(), |this, tier| this.text(tier));
        self.extra(extra);
    }

    fn message(&mut self, message: &Message) {
        let Message { role, parts, name, extra } = message;
        self.tag(match role {
            // Vendors take the one for the other.
            Role::System | Role::Developer => 0,
            Role::User => 1,
            Role::Assistant => 2,
        });
        self.parts(parts);
        self.maybe(name.as_ref(), |this, name| this.text(name));
        self.extra(extra);
    }

    fn parts(&mut self, parts: &[Part]) {
        self.list(parts.iter(), |this, Part { content, cache: _, extra }| {
            this.content(content);
            this.extra(extra);
        });
    }

    fn content(&mut self, content: &Content) {
        match content {
            Content::Text { text, citations } => {
                self.tag(0);
                self.text(text);
                self.list(citations.iter(), Self::citation);
            }
            Content::Image { source, detail } => {
                self.tag(1);
                self.source(source);
                self.maybe(detail.as_ref(), |this, detail| this.text(detail));
            }
            Content::Audio { source, format } => {
                self.tag(2);
                self.source(source);
                self.maybe(format.as_ref(), |this, format| this.text(format));
            }
            Content::Document { source, title, context, citations } => {
                self.tag(3);
                self.source(source);
                for said in [title, context] {
                    self.maybe(said.as_ref(), |this, said| this.text(said));
                }
                self.flag(Some(*citations));
            }
            Content::ToolCall(ToolCall { id, name, arguments, kind }) => {
                self.tag(4);
                for said in [id, name, arguments] {
                    self.text(said);
                }
                self.tag(kind_of(*kind));
            }
            Content::ToolResult(ToolResult { call_id, parts, is_error }) => {
                self.tag(5);
                self.text(call_id);
                self.parts(parts);
                self.flag(Some(*is_error));
            }
            Content::Thinking { text, signature } => {
                self.tag(6);
                self.text(text);
                self.maybe(signature.as_ref(), |this, signature| this.text(signature));
            }
            Content::RedactedThinking { data } => {
                self.tag(7);
                self.text(data);
            }
            Content::Refusal { text } => {
                self.tag(8);
                self.text(text);
            }
            Content::Foreign { dialect, json } => {
                self.tag(9);
                self.foreign(*dialect, json);
            }
        }
    }

    fn citation(&mut self, citation: &Citation) {
        let Citation { url, title, cited_text, start, end, raw: _ } = citation;
        for said in [url, title, cited_text] {
            self.maybe(said.as_ref(), |this, said| this.text(said));
        }
        self.maybe(*start, Self::number);
        self.maybe(*end, Self::number);
    }

    fn source(&mut self, source: &Source) {
        match source {
            Source::Base64 { media_type, data } => {
                self.tag(0);
                self.text(media_type);
                self.text(data);
            }
            Source::Url(url) => {
                self.tag(1);
                self.text(url);
            }
            Source::File(id) => {
                self.tag(2);
                self.text(id);
            }
            Source::Text { media_type, text } => {
                self.tag(3);
                self.text(media_type);
                self.text(text);
            }
        }
    }

    fn tool(&mut self, tool: &Tool) {
        match tool {
            Tool::Function { name, description, parameters, strict, cache: _, extra } => {
                self.tag(0);
                self.text(name);
                self.maybe(description.as_ref(), |this, description| this.text(description));
                self.maybe(parameters.as_ref(), Self::json);
                self.flag(*strict);
                self.extra(extra);
            }
            Tool::Custom { name, description, format } => {
                self.tag(1);
                self.text(name);
                self.maybe(description.as_ref(), |this, description| this.text(description));
                self.maybe(format.as_ref(), Self::json);
            }
            Tool::Foreign { dialect, json } => {
                self.tag(2);
                self.foreign(*dialect, json);
            }
        }
    }

    /// One dialect's own fields: such a request is equal to none of another dialect.
    fn extra(&mut self, extra: &Extra) {
        // Answers of this dialect repeat what was asked, whose it was included.
        let repeats = extra.dialect == Some(DialectId::OpenaiResponses);
        let says = |name: &str| repeats || !SILENT.contains(&name);
        let fields = extra.fields.iter().filter(|(name, _)| says(name));
        let dialect = fields.clone().next().and(extra.dialect);
        self.maybe(dialect, |this, dialect| this.text(dialect.name()));
        self.list(fields, |this, (name, json)| {
            this.text(name);
            this.json(json);
        });
    }

    fn foreign(&mut self, dialect: DialectId, json: &Json) {
        self.text(dialect.name());
        self.json(json);
    }

    /// Space between words means nothing.
    fn json(&mut self, json: &Json) {
        let (mut inside, mut escaped, mut dense) = (false, false, Vec::with_capacity(json.as_str().len()));
        for byte in json.as_str().bytes() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' if !inside => continue,
                b'"' if !escaped => inside = !inside,
                _ => {}
            }
            escaped = inside && byte == b'\\' && !escaped;
            dense.push(byte);
        }
        self.bytes(&dense);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        (self.out)(bytes);
    }

    fn number(&mut self, number: u64) {
        (self.out)(&number.to_le_bytes());
    }

    fn tag(&mut self, tag: u8) {
        (self.out)(&[tag]);
    }

    fn flag(&mut self, flag: Option<bool>) {
        self.tag(flag.map_or(2, u8::from));
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.tag(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// What stands in it one after another, and how many that were.
    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        let mut count = 0;
        for item in items {
            self.tag(1);
            write(self, item);
            count += 1;
        }
        self.tag(0);
        self.number(count);
    }
}

pub(crate) fn kind_of(kind: ToolKind) -> u8 {
    match kind {
        ToolKind::Function => 0,
        ToolKind::Custom => 1,
    }
}
