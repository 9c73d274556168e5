//! Requests from callers.

use super::message::{read_assistant, read_content};
use super::{HERE, document};
use crate::chat::{Content, Extra, Format, Message, Part, Reasoning, Request, Role, ToolChoice, ToolResult};
use crate::dialect::function;
use crate::object::Object;
use crate::{Json, Malformed};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "strict_tools",
    "tool_choice",
    "documents",
    "citation_options",
    "response_format",
    "max_tokens",
    "temperature",
    "p",
    "k",
    "stop_sequences",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "thinking",
    "stream",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let whole = Object::read(body)?;
    let mut extra = whole.rest(KNOWN, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    let mut request = Request {
        model: whole.need("model")?,
        tools: function::read(&whole, whole.flag("strict_tools")?.filter(|strict| *strict), HERE)?,
        tool_choice: read_tool_choice(&whole)?,
        max_output_tokens: whole.count("max_tokens")?,
        temperature: whole.number("temperature")?,
        top_p: whole.number("p")?,
        // Zero turns it off.
        top_k: whole.count("k")?.filter(|count| *count > 0),
        stop: whole.list_of_strings("stop_sequences")?,
        seed: whole.integer("seed")?,
        frequency_penalty: whole.number("frequency_penalty")?,
        presence_penalty: whole.number("presence_penalty")?,
        logprobs: whole.flag("logprobs")?,
        reasoning: read_thinking(&whole)?,
        format: read_format(&whole)?,
        stream: whole.flag("stream")?.unwrap_or(false),
        stream_usage: true,
        extra,
        ..Request::default()
    };
    let cites = read_citation_options(&whole, &mut request.extra)?;
    let items = whole.items("messages")?.ok_or_else(|| Malformed::field("messages", "a list of messages"))?;
    let mut results = false;
    for (nth, raw) in items.into_iter().enumerate() {
        let message = Object::of(raw, format!("messages[{nth}]"))?;
        results = read_message(&message, results, cites, &mut request.messages)?;
    }
    let documents = whole.items("documents")?.unwrap_or_default().into_iter().enumerate();
    let documents: Vec<Part> = documents
        .map(|(nth, raw)| document::read(raw, &format!("documents[{nth}]"), cites))
        .collect::<Result<_, _>>()?;
    place(documents, &mut request.messages);
    Ok(request)
}

/// Reads one message, and says whether it was the result of a tool: those of parallel calls belong into one turn.
fn read_message(
    message: &Object<'_>,
    results: bool,
    cites: bool,
    messages: &mut Vec<Message>,
) -> Result<bool, Malformed> {
    const KNOWN: &[&str] = &["role", "content", "tool_calls", "tool_plan", "citations", "tool_call_id"];
    let content = |cites| {
        message
            .raw("content")
            .map_or(Ok(Vec::new()), |raw| read_content(raw, &message.path("content"), cites))
    };
    let (role, parts) = match message.need("role")?.as_str() {
        "system" => (Role::System, content(false)?),
        "user" => (Role::User, content(cites)?),
        "assistant" => (Role::Assistant, read_assistant(message)?),
        "tool" => {
            let call_id = message.need("tool_call_id")?;
            let result = ToolResult { call_id, parts: content(cites)?, is_error: false };
            let part = Content::ToolResult(result).into();
            if let Some(last) = messages.last_mut().filter(|_| results) {
                last.parts.push(part);
                return Ok(true);
            }
            messages.push(Message {
                role: Role::User,
                parts: vec![part],
                name: None,
                extra: Extra::default(),
            });
            return Ok(true);
        }
        _ => return Err(Malformed::field(message.path("role"), "system, user, assistant or tool")),
    };
    messages.push(Message { role, parts, name: None, extra: message.rest(KNOWN, HERE) });
    Ok(false)
}

/// Puts the documents before the words of the last user, or into a turn of their own where no user has spoken.
fn place(mut documents: Vec<Part>, messages: &mut Vec<Message>) {
    if documents.is_empty() {
        return;
    }
    let asks = |message: &&mut Message| {
        message.role == Role::User
            && !message.parts.iter().any(|part| matches!(part.content, Content::ToolResult(_)))
    };
    match messages.iter_mut().rfind(asks) {
        Some(message) => {
            documents.append(&mut message.parts);
            message.parts = documents;
        }
        None => {
            messages.push(Message {
                role: Role::User,
                parts: documents,
                name: None,
                extra: Extra::default(),
            });
        }
    }
}

/// Whether answers may cite. How they are to do it is kept for this dialect.
fn read_citation_options(whole: &Object<'_>, extra: &mut Extra) -> Result<bool, Malformed> {
    let Some(options) = whole.object("citation_options")? else { return Ok(true) };
    let mode = options.string("mode")?.unwrap_or_default();
    let off = mode.eq_ignore_ascii_case("off") || mode.eq_ignore_ascii_case("disabled");
    let said_by_documents = off || mode.eq_ignore_ascii_case("enabled");
    if let Some(json) = whole.json("citation_options").filter(|_| !said_by_documents) {
        extra.dialect = Some(HERE);
        extra.fields.push(("citation_options".to_owned(), json));
    }
    Ok(!off)
}

fn read_tool_choice(whole: &Object<'_>) -> Result<Option<ToolChoice>, Malformed> {
    match whole.string("tool_choice")?.as_deref() {
        None => Ok(None),
        Some("REQUIRED") => Ok(Some(ToolChoice::Required)),
        Some("NONE") => Ok(Some(ToolChoice::None)),
        Some(_) => Err(Malformed::field("tool_choice", "REQUIRED or NONE")),
    }
}

fn read_thinking(whole: &Object<'_>) -> Result<Option<Reasoning>, Malformed> {
    let Some(thinking) = whole.object("thinking")? else { return Ok(None) };
    if thinking.need("type")? == "disabled" {
        return Ok(Some(Reasoning { effort: Some("none".to_owned()), ..Reasoning::default() }));
    }
    let budget_tokens = thinking.count("token_budget")?;
    Ok(Some(Reasoning { budget_tokens, adaptive: budget_tokens.is_none(), ..Reasoning::default() }))
}

fn read_format(whole: &Object<'_>) -> Result<Option<Format>, Malformed> {
    let Some(format) = whole.object("response_format")? else { return Ok(None) };
    let schema: Option<Json> = match format.object("json_schema")? {
        Some(_) => format.json("json_schema"),
        // The older word.
        None => format.object("schema")?.and_then(|_| format.json("schema")),
    };
    match (format.need("type")?.as_str(), schema) {
        ("text", _) => Ok(Some(Format::Text)),
        ("json_object", None) => Ok(Some(Format::JsonObject)),
        ("json_object", Some(schema)) => {
            Ok(Some(Format::JsonSchema { name: None, description: None, schema, strict: None }))
        }
        _ => Err(Malformed::field(format.path("type"), "text or json_object")),
    }
}
