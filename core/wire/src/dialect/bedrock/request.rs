//! Requests: reading all that a caller may say.

use serde_json::value::RawValue;

use crate::chat::{CacheMark, Extra, Format, Message, Reasoning, Request, Role, Tool, ToolChoice};
use crate::object::Object;
use crate::{Json, Malformed};

use super::HERE;
use super::block::{read_cache_point, read_content, variant};
use super::fields::read_additional;

/// The fields that have a place in the canonical request; the rest is kept for this dialect.
const KNOWN: &[&str] = &[
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "outputConfig",
    "additionalModelRequestFields",
    "serviceTier",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let object = Object::read(body)?;
    let mut request = Request {
        messages: messages(&object)?,
        stream_usage: true,
        extra: object.rest(KNOWN, HERE),
        ..Request::default()
    };
    read_inference(&object, &mut request)?;
    read_tools(&object, &mut request)?;
    if let Some(tier) = object.object("serviceTier")? {
        request.service_tier = Some(tier.need("type")?);
    }
    read_additional(&object, &mut request)?;
    read_output(&object, &mut request)?;
    Ok(request)
}

fn messages(object: &Object<'_>) -> Result<Vec<Message>, Malformed> {
    let mut messages = Vec::new();
    if let Some(items) = object.items("system")?.filter(|items| !items.is_empty()) {
        let parts = read_content(&items, "system")?;
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
        let content = message.items("content")?;
        let content = content.ok_or_else(|| Malformed::field(message.path("content"), "a list of blocks"))?;
        let parts = read_content(&content, &message.path("content"))?;
        messages.push(Message { role, parts, name: None, extra: message.rest(&["role", "content"], HERE) });
    }
    Ok(messages)
}

fn read_inference(object: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(config) = object.object("inferenceConfig")? else { return Ok(()) };
    request.max_output_tokens = config.count("maxTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    let stops = config.items("stopSequences")?.unwrap_or_default();
    request.stop = stops
        .into_iter()
        .map(|raw| crate::json::string(raw).map(std::borrow::Cow::into_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| Malformed::field(config.path("stopSequences"), "a list of strings"))?;
    let rest = config.rest(&["maxTokens", "temperature", "topP", "stopSequences"], HERE);
    keep_all(&mut request.extra, "inferenceConfig", rest);
    Ok(())
}

fn read_tools(object: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(config) = object.object("toolConfig")? else { return Ok(()) };
    for (at, raw) in config.items("tools")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("toolConfig.tools[{at}]");
        let (key, value) = variant(raw, &path)?;
        match key {
            "toolSpec" => request.tools.push(read_spec(value, &format!("{path}.toolSpec"))?),
            "cachePoint" => {
                let mark = read_cache_point(value, &path)?;
                if let Some(place) = request.tools.last_mut().and_then(cache_of) {
                    *place = Some(mark);
                }
            }
            _ => request.tools.push(Tool::Foreign { dialect: HERE, json: Json::from(raw) }),
        }
    }
    if let Some(raw) = config.raw("toolChoice") {
        let (key, value) = variant(raw, "toolConfig.toolChoice")?;
        request.tool_choice = Some(match key {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Required,
            "tool" => ToolChoice::Named(Object::of(value, "toolConfig.toolChoice.tool")?.need("name")?),
            _ => ToolChoice::Foreign { dialect: HERE, json: Json::from(raw) },
        });
    }
    keep_all(&mut request.extra, "toolConfig", config.rest(&["tools", "toolChoice"], HERE));
    Ok(())
}

fn read_spec(raw: &RawValue, path: &str) -> Result<Tool, Malformed> {
    let spec = Object::of(raw, path)?;
    let schema = spec.object("inputSchema")?;
    Ok(Tool::Function {
        name: spec.name()?,
        description: spec.string("description")?,
        parameters: schema.and_then(|schema| schema.json("json")),
        strict: spec.flag("strict")?,
        cache: None,
        extra: spec.rest(&["name", "description", "inputSchema", "strict"], HERE),
    })
}

fn cache_of(tool: &mut Tool) -> Option<&mut Option<CacheMark>> {
    match tool {
        Tool::Function { cache, .. } => Some(cache),
        Tool::Custom { .. } | Tool::Foreign { .. } => None,
    }
}

fn read_output(object: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(config) = object.object("outputConfig")? else { return Ok(()) };
    if let Some(effort) = config.string("effort")? {
        match &mut request.reasoning {
            // Disabled, or said twice: the effort still guides the answer, here and nowhere else.
            Some(reasoning) if reasoning.effort.is_some() => {
                keep(&mut request.extra, "outputConfig.effort", Some(Json::of(&effort)));
            }
            Some(reasoning) => reasoning.effort = Some(effort),
            none => {
                *none = Some(Reasoning { effort: Some(effort), effort_only: true, ..Reasoning::default() });
            }
        }
    }
    let mut known = vec!["effort"];
    if let Some(format) = config.object("textFormat")?
        && format.need("type")? == "json_schema"
    {
        let structure = format.object("structure")?;
        let schema = structure.map(|structure| structure.object("jsonSchema")).transpose()?.flatten();
        let expected = || Malformed::field("outputConfig.textFormat.structure.jsonSchema", "an object");
        let schema = schema.ok_or_else(expected)?;
        let text = schema.need("schema")?;
        crate::json::text(text.as_bytes())?;
        let json = Json::parse(&text)
            .map_err(|_| Malformed::field(schema.path("schema"), "a JSON schema, as a string"))?;
        request.format = Some(Format::JsonSchema {
            name: schema.string("name")?,
            description: schema.string("description")?,
            schema: json,
            strict: None,
        });
        known.push("textFormat");
    }
    keep_all(&mut request.extra, "outputConfig", config.rest(&known, HERE));
    Ok(())
}

/// The models' own fields that generate nothing beyond the cap and call nobody.
const HARMLESS: &[&str] = &[
    "thinking",
    "reasoning_config",
    "reasoningConfig",
    "reasoning_effort",
    "output_config",
    "top_k",
    "topK",
    "anthropic_beta",
];

/// A tool that the provider runs by itself, or a model's own field that nobody here knows: it may lift the cap.
pub(super) fn unbounded(fields: &crate::Fields<'_>) -> Option<String> {
    let inner = |key: &str| crate::Fields::of(fields.present(key)?, key).ok();
    if let Some(config) = inner("toolConfig")
        && let Some(tools) = config.present("tools")
        && let Ok(tools) = crate::json::from_str::<Vec<&RawValue>>(tools.get())
    {
        let own = |tool: &&RawValue| {
            crate::Fields::of(tool, "").is_ok_and(|tool| tool.present("systemTool").is_some())
        };
        if let Some(at) = tools.iter().position(own) {
            return Some(format!("toolConfig.tools[{at}]"));
        }
    }
    let additional = inner("additionalModelRequestFields")?;
    let unknown = additional.iter().map(|(name, _)| name).find(|name| !HARMLESS.contains(name))?;
    Some(format!("additionalModelRequestFields.{unknown}"))
}

/// Keeps a field under its path: one with a dot stands inside another.
pub(super) fn keep(extra: &mut Extra, path: &str, json: Option<Json>) {
    if let Some(json) = json {
        extra.dialect = Some(HERE);
        extra.fields.push((path.to_owned(), json));
    }
}

/// Keeps fields that stand inside the one at `path`.
pub(super) fn keep_all(extra: &mut Extra, path: &str, rest: Extra) {
    for (name, json) in rest.fields {
        keep(extra, &format!("{path}.{name}"), Some(json));
    }
}
