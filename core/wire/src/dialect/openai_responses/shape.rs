//! The object of an answer: what stands around its output.

use crate::chat::Extra;
use crate::dialect::openai::write::tier;
use crate::object::{ObjectWriter, object};
use crate::{Fields, Json, Usage};

use super::{HERE, usage};

/// What an answer repeats of its request, and what it says where the request said nothing.
const ECHOED: &[(&str, &str)] = &[
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("store", "true"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The fields of the request that its answers repeat.
pub(super) fn echo(body: &[u8]) -> Vec<(String, Json)> {
    let Ok(fields) = Fields::read(body) else { return Vec::new() };
    let repeated = |(name, _): &&(&str, &str)| *name != "background";
    ECHOED
        .iter()
        .filter(repeated)
        .filter_map(|(name, _)| fields.present(name).map(|raw| ((*name).to_owned(), Json::from(raw))))
        .collect()
}

/// The facts of one answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) service_tier: Option<String>,
    pub(super) echo: Vec<(String, Json)>,
    pub(super) extra: Extra,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Queued,
    InProgress,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Queued => super::QUEUED,
            Self::InProgress => super::IN_PROGRESS,
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

impl Head {
    /// Writes the whole object; `output` is the inside of its list.
    pub(super) fn write(&self, out: &mut Vec<u8>, status: Status, output: &[u8], counts: Option<&Usage>) {
        object(out, |object| {
            object.string("id", &self.id);
            object.string("object", "response");
            object.count("created_at", self.created);
            object.string("status", status.word());
            object.raw("error", "null");
            match status {
                Status::Incomplete(reason) => {
                    object.object("incomplete_details", |details| details.string("reason", reason));
                }
                Status::Queued | Status::InProgress | Status::Completed => {
                    object.raw("incomplete_details", "null");
                }
            }
            object.string("model", &self.model);
            object.bytes("output", |out| {
                out.push(b'[');
                out.extend_from_slice(output);
                out.push(b']');
            });
            for (name, default) in ECHOED {
                match self.echo.iter().find(|(known, _)| known == name) {
                    Some((_, json)) => object.json(name, json),
                    None => object.raw(name, default),
                }
            }
            object.string("service_tier", tier(self.service_tier.as_deref()).unwrap_or("default"));
            for (name, json) in self.extra.of(HERE) {
                if !ECHOED.iter().any(|(echoed, _)| echoed == name) {
                    object.json(name, json);
                }
            }
            match counts {
                Some(counts) => {
                    object.object("usage", |object| usage::write(object, counts));
                    usage::write_tools(object, counts);
                }
                None => object.raw("usage", "null"),
            }
        });
    }
}

/// An object as JSON.
pub(super) fn json(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Json {
    let mut out = Vec::with_capacity(128);
    object(&mut out, fill);
    std::str::from_utf8(&out).ok().and_then(|text| Json::parse(text).ok()).unwrap_or_else(|| Json::of(&()))
}
