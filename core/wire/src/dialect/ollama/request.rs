//! Requests from callers.

use super::HERE;
use super::response::{read_calls, read_images};
use crate::chat::{Content, Extra, Format, Message, Part, Reasoning, Request, Role, ToolResult};
use crate::dialect::function;
use crate::json::string;
use crate::object::Object;
use crate::{Json, Malformed};

const KNOWN: &[&str] =
    &["model", "messages", "tools", "format", "options", "think", "logprobs", "top_logprobs", "stream"];
const KNOWN_OPTIONS: &[&str] = &[
    "num_predict",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let whole = Object::read(body)?;
    let mut request = Request {
        model: whole.need("model")?,
        messages: read_messages(&whole)?,
        tools: function::read(&whole, None, HERE)?,
        logprobs: whole.flag("logprobs")?,
        top_logprobs: whole.count("top_logprobs")?,
        reasoning: read_think(&whole)?,
        format: read_format(&whole)?,
        stream: whole.flag("stream")?.unwrap_or(true),
        stream_usage: true,
        extra: whole.rest(KNOWN, HERE),
        ..Request::default()
    };
    request.extra.fields.retain(|(_, json)| json.as_str() != "null");
    if let Some(options) = whole.object("options")? {
        read_options(&options, &mut request)?;
    }
    Ok(request)
}

fn read_options(options: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    // Below zero means: as much as there is room for.
    request.max_output_tokens = options.integer("num_predict")?.and_then(|most| u64::try_from(most).ok());
    request.temperature = options.number("temperature")?;
    request.top_p = options.number("top_p")?;
    // Zero turns it off.
    request.top_k =
        options.integer("top_k")?.and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0);
    request.seed = options.integer("seed")?;
    request.stop = match options.raw("stop").and_then(string) {
        Some(stop) => vec![stop.into_owned()],
        None => options.list_of_strings("stop")?,
    };
    request.presence_penalty = options.number("presence_penalty")?;
    request.frequency_penalty = options.number("frequency_penalty")?;
    let own =
        options.rest(KNOWN_OPTIONS, HERE).fields.into_iter().filter(|(_, json)| json.as_str() != "null");
    request.extra.fields.extend(own.map(|(name, json)| (format!("options.{name}"), json)));
    request.extra.dialect = (!request.extra.fields.is_empty()).then_some(HERE);
    Ok(())
}

/// Calls that wait for their results, by id and name.
#[derive(Default)]
struct Calls {
    waiting: Vec<(String, String)>,
    made: usize,
}

fn read_messages(whole: &Object<'_>) -> Result<Vec<Message>, Malformed> {
    // Without messages, a request only brings the model into memory.
    let items = whole.items("messages")?.ok_or_else(|| Malformed::field("messages", "a list of messages"))?;
    let (mut messages, mut calls, mut results) = (Vec::new(), Calls::default(), false);
    for (nth, raw) in items.into_iter().enumerate() {
        let message = Object::of(raw, format!("messages[{nth}]"))?;
        results = read_message(&message, results, &mut calls, &mut messages)?;
    }
    Ok(messages)
}

/// Reads one message, and says whether it was the result of a tool: those of parallel calls belong into one turn.
fn read_message(
    message: &Object<'_>,
    results: bool,
    calls: &mut Calls,
    messages: &mut Vec<Message>,
) -> Result<bool, Malformed> {
    const KNOWN: &[&str] =
        &["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"];
    let mut parts = Vec::new();
    let role = match message.need("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => {
            let call_id = calls.answered(message)?;
            parts.extend(text_of(message)?);
            parts.extend(read_images(message)?);
            let part = Part::from(Content::ToolResult(ToolResult { call_id, parts, is_error: false }));
            match messages.last_mut().filter(|_| results) {
                Some(last) => last.parts.push(part),
                None => messages.push(Message {
                    role: Role::User,
                    parts: vec![part],
                    name: None,
                    extra: Extra::default(),
                }),
            }
            return Ok(true);
        }
        _ => return Err(Malformed::field(message.path("role"), "system, user, assistant or tool")),
    };
    if let Some(text) = message.string("thinking")?.filter(|text| !text.is_empty()) {
        parts.push(Content::Thinking { text, signature: None }.into());
    }
    let made = read_calls(message, |nth| format!("call_{}", calls.made + nth))?;
    calls.made += made.len();
    calls.waiting.extend(made.iter().map(|call| (call.id.clone(), call.name.clone())));
    // Beside calls or images an empty content says nothing.
    let images = read_images(message)?;
    let said = text_of(message)?.filter(|part| {
        let empty = matches!(&part.content, Content::Text { text, .. } if text.is_empty());
        !empty || (made.is_empty() && images.is_empty())
    });
    parts.extend(said);
    parts.extend(images);
    parts.extend(made.into_iter().map(|call| Part::from(Content::ToolCall(call))));
    let mut extra = message.rest(KNOWN, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    messages.push(Message { role, parts, name: None, extra });
    Ok(false)
}

fn text_of(message: &Object<'_>) -> Result<Option<Part>, Malformed> {
    let text = message.string("content")?;
    Ok(text.map(|text| Content::Text { text, citations: Vec::new() }.into()))
}

impl Calls {
    /// The id of the call that a result answers: by its id, else the first of its tool, else the first of all.
    fn answered(&mut self, message: &Object<'_>) -> Result<String, Malformed> {
        let (id, name) = (message.string("tool_call_id")?, message.string("tool_name")?);
        let by = |wanted: &Option<String>, of: fn(&(String, String)) -> &String| {
            wanted.as_ref().and_then(|wanted| self.waiting.iter().position(|call| of(call) == wanted))
        };
        let at = by(&id, |call| &call.0).or_else(|| by(&name, |call| &call.1));
        let at = at.or_else(|| (id.is_none() && name.is_none() && !self.waiting.is_empty()).then_some(0));
        match at {
            Some(at) => Ok(self.waiting.remove(at).0),
            // Who knows of no such call refuses it.
            None => Ok(id.or(name).unwrap_or_else(|| "call_unknown".to_owned())),
        }
    }
}

/// True, false, or an effort.
fn read_think(whole: &Object<'_>) -> Result<Option<Reasoning>, Malformed> {
    let Some(raw) = whole.raw("think") else { return Ok(None) };
    let effort = |effort: &str| Some(Reasoning { effort: Some(effort.to_owned()), ..Reasoning::default() });
    Ok(match (raw.get(), string(raw)) {
        ("true", _) => Some(Reasoning { adaptive: true, ..Reasoning::default() }),
        ("false", _) => effort("none"),
        (_, Some(word)) => effort(&word),
        (_, None) => return Err(Malformed::field("think", "true, false, low, medium or high")),
    })
}

fn read_format(whole: &Object<'_>) -> Result<Option<Format>, Malformed> {
    let Some(raw) = whole.raw("format") else { return Ok(None) };
    match string(raw).as_deref() {
        Some("") => Ok(None),
        Some("json") => Ok(Some(Format::JsonObject)),
        Some(_) => Err(Malformed::field("format", "json or a schema")),
        None => {
            whole.object("format")?;
            let schema = Json::from(raw);
            Ok(Some(Format::JsonSchema { name: None, description: None, schema, strict: None }))
        }
    }
}
