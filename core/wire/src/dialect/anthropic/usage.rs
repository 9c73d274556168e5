//! Usage: counts that exclude each other, said twice in a stream.

use crate::chat::Extra;
use crate::object::{Object, ObjectWriter};
use crate::{DialectId, Malformed, Usage};

const HERE: DialectId = DialectId::Anthropic;

/// The counts as said so far. A stream says them at its start and, cumulatively, near its end: the last word of each
/// count holds, and a count that is not repeated keeps its first.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    output: u64,
    reasoning: u64,
    web_searches: u64,
}

/// What stands beside the counts.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) service_tier: Option<String>,
    pub(super) extra: Extra,
}

impl Counts {
    pub(super) fn update(&mut self, usage: &Object<'_>) -> Result<Beside, Malformed> {
        const KNOWN: &[&str] = &[
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "cache_creation",
            "output_tokens_details",
            "server_tool_use",
            "service_tier",
        ];
        set(&mut self.input, usage, "input_tokens")?;
        set(&mut self.output, usage, "output_tokens")?;
        set(&mut self.cache_read, usage, "cache_read_input_tokens")?;
        set(&mut self.cache_write, usage, "cache_creation_input_tokens")?;
        if let Some(lifetimes) = usage.object("cache_creation")? {
            set(&mut self.cache_write_5m, &lifetimes, "ephemeral_5m_input_tokens")?;
            set(&mut self.cache_write_1h, &lifetimes, "ephemeral_1h_input_tokens")?;
        }
        if let Some(details) = usage.object("output_tokens_details")? {
            set(&mut self.reasoning, &details, "thinking_tokens")?;
        }
        let mut fields = usage.rest(KNOWN, HERE).fields;
        if let Some(tools) = usage.object("server_tool_use")? {
            set(&mut self.web_searches, &tools, "web_search_requests")?;
            if tools.count("web_fetch_requests")?.is_some_and(|fetches| fetches > 0) {
                fields.extend(usage.json("server_tool_use").map(|json| ("server_tool_use".to_owned(), json)));
            }
        }
        fields.retain(|(_, json)| json.as_str() != "null");
        let fields: Vec<_> = fields.into_iter().map(|(name, json)| (format!("usage.{name}"), json)).collect();
        let extra = Extra { dialect: (!fields.is_empty()).then_some(HERE), fields };
        Ok(Beside { service_tier: usage.string("service_tier")?, extra })
    }

    pub(super) fn usage(&self) -> Usage {
        // The lifetimes may be missing, or say less than the sum: what they leave open lives five minutes.
        let open = self.cache_write.saturating_sub(self.cache_write_5m.saturating_add(self.cache_write_1h));
        Usage {
            input: self.input,
            cache_read: self.cache_read,
            cache_write_5m: self.cache_write_5m.saturating_add(open),
            cache_write_1h: self.cache_write_1h,
            output: self.output,
            reasoning: self.reasoning.min(self.output),
            web_searches: self.web_searches,
            ..Usage::default()
        }
    }
}

fn set(count: &mut u64, object: &Object<'_>, key: &str) -> Result<(), Malformed> {
    if let Some(said) = object.count(key)? {
        *count = said;
    }
    Ok(())
}

/// Writes usage, with what the answer's `extra` keeps for inside it.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage, service_tier: Option<&str>, extra: &Extra) {
    let own: Vec<_> = extra
        .of(HERE)
        .iter()
        .filter_map(|(name, json)| name.strip_prefix("usage.").map(|name| (name, json)))
        .collect();
    // Audio and images have no count of their own here: they are input like any other.
    let input = usage.input.saturating_add(usage.audio_input).saturating_add(usage.image_input);
    object.count("input_tokens", input);
    object.count("cache_creation_input_tokens", usage.cache_write());
    object.count("cache_read_input_tokens", usage.cache_read);
    if usage.cache_write() > 0 {
        object.object("cache_creation", |object| {
            object.count("ephemeral_5m_input_tokens", usage.cache_write_5m);
            object.count(
                "ephemeral_1h_input_tokens",
                usage.cache_write_1h.saturating_add(usage.cache_write_12h),
            );
        });
    }
    object.count("output_tokens", usage.output_total());
    if usage.reasoning > 0 {
        object.object("output_tokens_details", |object| object.count("thinking_tokens", usage.reasoning));
    }
    if usage.web_searches > 0 && !own.iter().any(|(name, _)| *name == "server_tool_use") {
        object.object("server_tool_use", |object| {
            object.count("web_search_requests", usage.web_searches);
            object.count("web_fetch_requests", 0);
        });
    }
    match service_tier {
        Some("default" | "standard") => object.string("service_tier", "standard"),
        Some(tier @ ("priority" | "batch")) => object.string("service_tier", tier),
        // A word that readers of this dialect do not know.
        Some(_) | None => {}
    }
    for (name, json) in own {
        object.json(name, json);
    }
}
