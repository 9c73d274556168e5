//! Requests: reading all that a caller may say.

use crate::chat::{Extra, Format, Message, Reasoning, Request, Role, Tool, ToolChoice};
use crate::object::Object;
use crate::{DialectId, Json, Malformed};

use super::block::{read_cache, read_content};

const HERE: DialectId = DialectId::Anthropic;

/// The fields that have a place in the canonical request; the rest is kept for this dialect.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
    "stream",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let object = Object::read(body)?;
    let mut request = Request {
        model: object.need("model")?,
        messages: messages(&object)?,
        tools: tools(&object)?,
        max_output_tokens: object.count("max_tokens")?,
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.count("top_k")?,
        stop: strings(&object, "stop_sequences")?,
        service_tier: object.string("service_tier")?,
        stream: object.flag("stream")?.unwrap_or_default(),
        stream_usage: true,
        extra: object.rest(KNOWN, HERE),
        ..Request::default()
    };
    read_tool_choice(&object, &mut request)?;
    let thinking = read_thinking(&object, &mut request.extra)?;
    read_output_config(&object, thinking, &mut request)?;
    read_metadata(&object, &mut request)?;
    Ok(request)
}

fn messages(object: &Object<'_>) -> Result<Vec<Message>, Malformed> {
    let mut messages = Vec::new();
    if let Some(system) = object.raw("system") {
        let parts = read_content(system, "system")?;
        messages.push(Message { role: Role::System, parts, name: None, extra: Extra::default() });
    }
    let items =
        object.items("messages")?.ok_or_else(|| Malformed::field("messages", "a list of messages"))?;
    for (at, raw) in items.into_iter().enumerate() {
        let message = Object::of(raw, format!("messages[{at}]"))?;
        let role = match message.need("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(Malformed::field(message.path("role"), "user, assistant or system")),
        };
        let content = message.raw("content");
        let content = content
            .ok_or_else(|| Malformed::field(message.path("content"), "a string or a list of blocks"))?;
        let parts = read_content(content, &message.path("content"))?;
        messages.push(Message { role, parts, name: None, extra: message.rest(&["role", "content"], HERE) });
    }
    Ok(messages)
}

fn tools(object: &Object<'_>) -> Result<Vec<Tool>, Malformed> {
    const KNOWN: &[&str] = &["type", "name", "description", "input_schema", "strict", "cache_control"];
    let mut tools = Vec::new();
    for (at, raw) in object.items("tools")?.unwrap_or_default().into_iter().enumerate() {
        let tool = Object::of(raw, format!("tools[{at}]"))?;
        tools.push(match tool.string("type")?.as_deref() {
            None | Some("custom") => Tool::Function {
                name: tool.name()?,
                description: tool.string("description")?,
                parameters: tool.json("input_schema"),
                strict: tool.flag("strict")?,
                cache: read_cache(&tool)?,
                extra: tool.rest(KNOWN, HERE),
            },
            Some(_) => Tool::Foreign { dialect: HERE, json: raw.into() },
        });
    }
    Ok(tools)
}

fn strings(object: &Object<'_>, key: &str) -> Result<Vec<String>, Malformed> {
    let items = object.items(key)?.unwrap_or_default();
    items
        .into_iter()
        .map(|raw| crate::json::string(raw).map(std::borrow::Cow::into_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| Malformed::field(object.path(key), "a list of strings"))
}

fn read_tool_choice(object: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(choice) = object.object("tool_choice")? else { return Ok(()) };
    request.parallel_tool_calls = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    request.tool_choice = Some(match choice.need("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.need("name")?),
        _ => {
            let json = object.json("tool_choice").unwrap_or_else(|| Json::of(&()));
            ToolChoice::Foreign { dialect: HERE, json }
        }
    });
    Ok(())
}

/// What `thinking` means; a mode that only this dialect knows goes into `extra`.
fn read_thinking(object: &Object<'_>, extra: &mut Extra) -> Result<Option<Reasoning>, Malformed> {
    let Some(thinking) = object.object("thinking")? else { return Ok(None) };
    let mut reasoning = Reasoning { display: thinking.string("display")?, ..Reasoning::default() };
    match thinking.need("type")?.as_str() {
        "enabled" => {
            let budget = thinking.count("budget_tokens")?;
            let budget =
                budget.ok_or_else(|| Malformed::field("thinking.budget_tokens", "a whole number"))?;
            reasoning.budget_tokens = Some(budget);
        }
        "adaptive" => reasoning.adaptive = true,
        "disabled" => reasoning.effort = Some("none".to_owned()),
        _ => {
            keep(extra, "thinking", object.json("thinking"));
            return Ok(None);
        }
    }
    Ok(Some(reasoning))
}

fn read_output_config(
    object: &Object<'_>,
    thinking: Option<Reasoning>,
    request: &mut Request,
) -> Result<(), Malformed> {
    request.reasoning = thinking;
    let Some(config) = object.object("output_config")? else { return Ok(()) };
    if let Some(effort) = config.string("effort")? {
        match &mut request.reasoning {
            // Disabled: the effort still guides the answer, here and nowhere else.
            Some(reasoning) if reasoning.effort.is_some() => {
                keep(&mut request.extra, "output_config.effort", Some(Json::of(&effort)));
            }
            Some(reasoning) => reasoning.effort = Some(effort),
            none => {
                *none = Some(Reasoning { effort: Some(effort), effort_only: true, ..Reasoning::default() });
            }
        }
    }
    if let Some(format) = config.object("format")? {
        match (format.need("type")?.as_str(), format.json("schema")) {
            ("json_schema", Some(schema)) => {
                let (name, description, strict) = (None, None, None);
                request.format = Some(Format::JsonSchema { name, description, schema, strict });
            }
            ("json_schema", None) => {
                return Err(Malformed::field("output_config.format.schema", "a JSON schema"));
            }
            _ => keep(&mut request.extra, "output_config.format", config.json("format")),
        }
    }
    for (name, json) in config.rest(&["effort", "format"], HERE).fields {
        keep(&mut request.extra, &format!("output_config.{name}"), Some(json));
    }
    Ok(())
}

fn read_metadata(object: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(metadata) = object.object("metadata")? else { return Ok(()) };
    request.user = metadata.string("user_id")?;
    for (name, json) in metadata.rest(&["user_id"], HERE).fields {
        keep(&mut request.extra, &format!("metadata.{name}"), Some(json));
    }
    Ok(())
}

/// Keeps a field under its path: one with a dot stands inside another.
fn keep(extra: &mut Extra, path: &str, json: Option<Json>) {
    if let Some(json) = json {
        extra.dialect = Some(HERE);
        extra.fields.push((path.to_owned(), json));
    }
}
