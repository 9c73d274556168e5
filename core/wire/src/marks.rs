//! Marks up to which a provider is to cache a prompt, put where callers put none.
//!
//! Anthropic's words have a field in what is marked, Bedrock's a block after it; both read tools, system and messages in this order, and
//! take four marks. The last tool, the system prompt and the last two of the user's turns are marked: so a conversation that goes on
//! reads what its last turn has written. What ends sooner than a cache begins is not marked.

use serde_json::value::RawValue;

use crate::json::from_str;
use crate::{DialectId, Fields, Json};

/// Where a dialect has its marks.
#[derive(Clone, Copy)]
enum Way {
    /// `"cache_control"` in the block.
    Field,
    /// `{"cachePoint": …}` after the block.
    Block,
}

/// Whether callers and gateways mark what is to be cached: other dialects' providers find it by themselves.
pub fn wanted(dialect: DialectId) -> bool {
    Way::of(dialect).is_some()
}

/// The fields of a request in the words of `dialect`, with marks in them. None, where somebody has marked it already, or where nothing
/// is as long as `least` tokens, a token taken for four bytes.
pub fn placed(dialect: DialectId, fields: &Fields<'_>, least: u64) -> Vec<(&'static str, Json)> {
    let Some(way) = Way::of(dialect) else { return Vec::new() };
    let own = fields.iter().any(|(name, raw)| name == way.word() || raw.get().contains(way.quoted()));
    if own {
        return Vec::new();
    }
    let mut placing = Placing { way, least, read: 0, fields: Vec::new() };
    match way {
        Way::Field => placing.list("tools", fields.present("tools")),
        Way::Block => placing.tools(fields.present("toolConfig")),
    }
    placing.system(fields.present("system"));
    placing.messages(fields.present("messages"));
    placing.fields
}

impl Way {
    fn of(dialect: DialectId) -> Option<Self> {
        match dialect {
            DialectId::Anthropic => Some(Self::Field),
            DialectId::Bedrock => Some(Self::Block),
            DialectId::Openai
            | DialectId::OpenaiResponses
            | DialectId::Gemini
            | DialectId::Cohere
            | DialectId::Ollama => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Field => "cache_control",
            Self::Block => "cachePoint",
        }
    }

    /// As it stands in JSON; inside of a text its quotes would be escaped.
    fn quoted(self) -> &'static str {
        match self {
            Self::Field => "\"cache_control\"",
            Self::Block => "\"cachePoint\"",
        }
    }

    /// A list of blocks with a mark at its end; none: its last block takes none.
    fn mark(self, whole: &str) -> Option<String> {
        let open = whole.trim_end().strip_suffix(']')?.trim_end();
        match self {
            Self::Block if open.ends_with('}') => {
                Some(format!("{open},{{\"cachePoint\":{{\"type\":\"default\"}}}}]"))
            }
            Self::Block => None,
            Self::Field => {
                let blocks: Vec<&RawValue> = from_str(whole).ok()?;
                let last = Fields::of(blocks.last()?, "").ok()?;
                let is = |name: &str, value: &str| last.get(name).is_some_and(|raw| raw.get() == value);
                // Reasoning and what is empty cannot be marked.
                let bare =
                    is("text", "\"\"") || is("type", "\"thinking\"") || is("type", "\"redacted_thinking\"");
                let open = open.strip_suffix('}').filter(|_| !bare && !last.is_empty())?;
                Some(format!("{open},\"cache_control\":{{\"type\":\"ephemeral\"}}}}]"))
            }
        }
    }

    /// The same of a text alone, as JSON.
    fn mark_text(self, text: &str) -> Option<String> {
        match self {
            Self::Field if text.len() > 2 && text.starts_with('"') => Some(format!(
                "[{{\"type\":\"text\",\"text\":{text},\"cache_control\":{{\"type\":\"ephemeral\"}}}}]"
            )),
            Self::Field | Self::Block => None,
        }
    }
}

struct Placing {
    way: Way,
    least: u64,
    /// Bytes so far.
    read: u64,
    fields: Vec<(&'static str, Json)>,
}

impl Placing {
    const BYTES_A_TOKEN: u64 = 4;

    fn reaches(&self) -> bool {
        self.read / Self::BYTES_A_TOKEN >= self.least
    }

    fn put(&mut self, name: &'static str, marked: Option<String>) {
        if let Some(json) = marked.and_then(|text| Json::parse(&text).ok()) {
            self.fields.push((name, json));
        }
    }

    fn list(&mut self, name: &'static str, raw: Option<&RawValue>) {
        let Some(raw) = raw else { return };
        self.read += raw.get().len() as u64;
        if self.reaches() {
            let marked = self.marked(raw);
            self.put(name, marked);
        }
    }

    fn marked(&self, raw: &RawValue) -> Option<String> {
        let text = raw.get();
        if text.starts_with('[') { self.way.mark(text) } else { self.way.mark_text(text) }
    }

    fn tools(&mut self, config: Option<&RawValue>) {
        let Some(config) = config.and_then(|raw| Fields::of(raw, "toolConfig").ok()) else { return };
        let Some(tools) = config.present("tools") else { return };
        self.read += tools.get().len() as u64;
        if self.reaches()
            && let Some(marked) = self.marked(tools)
        {
            let config = config.splice(&[("tools", &marked)]);
            self.put("toolConfig", String::from_utf8(config).ok());
        }
    }

    fn system(&mut self, raw: Option<&RawValue>) {
        self.list("system", raw);
    }

    /// The last two turns of the user.
    fn messages(&mut self, raw: Option<&RawValue>) {
        const TURNS: usize = 2;
        let Some(raw) = raw else { return };
        let Ok(messages) = from_str::<Vec<&RawValue>>(raw.get()) else { return };
        // Up to and including each.
        let mut ends = Vec::with_capacity(messages.len());
        for message in &messages {
            self.read += message.get().len() as u64;
            ends.push(self.reaches());
        }
        let mut turns = 0;
        let mut marked: Vec<(usize, String)> = Vec::new();
        for (place, message) in messages.iter().enumerate().rev() {
            if turns == TURNS || !ends.get(place).is_some_and(|reaches| *reaches) {
                break;
            }
            let Ok(fields) = Fields::of(message, "messages") else { continue };
            if fields.get("role").is_none_or(|role| role.get() != "\"user\"") {
                continue;
            }
            turns += 1;
            let content = fields.present("content").and_then(|content| self.marked(content));
            let message = content.map(|content| fields.splice(&[("content", &content)]));
            if let Some(text) = message.and_then(|message| String::from_utf8(message).ok()) {
                marked.push((place, text));
            }
        }
        if marked.is_empty() {
            return;
        }
        let mut out = String::with_capacity(raw.get().len() + 200);
        for (place, message) in messages.iter().enumerate() {
            out.push(if place == 0 { '[' } else { ',' });
            let own = marked.iter().find(|(known, _)| *known == place);
            out.push_str(own.map_or(message.get(), |(_, text)| text));
        }
        out.push(']');
        self.put("messages", Some(out));
    }
}

#[cfg(test)]
#[path = "marks_tests.rs"]
mod tests;
