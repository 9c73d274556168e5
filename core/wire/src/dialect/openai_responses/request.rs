//! Requests from callers.

use serde_json::value::RawValue;

use super::item::{self, Item, Turns};
use super::{HERE, content, thought};
use crate::chat::{Extra, Format, Message, Reasoning, Request, Role, Tool, ToolChoice};
use crate::json::string;
use crate::object::{Object, is_string};
use crate::{Json, Malformed};

const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "text",
    "stream",
    "stream_options",
    "user",
    "service_tier",
    "include",
    "truncation",
    "top_logprobs",
    // The gateway's own business.
    "store",
    "background",
    "background_options",
    "previous_response_id",
    "conversation",
    "prompt",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let whole = Object::read(body)?;
    for (field, expected) in [
        ("previous_response_id", "nothing: only the vendor that made it can go on from it"),
        ("conversation", "nothing: only the vendor that keeps it can go on from it"),
        ("prompt", "nothing: only the vendor that keeps it knows what it says"),
    ] {
        if whole.raw(field).is_some() {
            return Err(Malformed::field(field, expected));
        }
    }
    let (tools, tool_choice) = read_tools(&whole)?;
    let mut extra = read_extra(&whole)?;
    let (format, verbosity) = read_text(&whole)?;
    if let Some(verbosity) = verbosity {
        extra.dialect = Some(HERE);
        extra.fields.push(("verbosity".to_owned(), verbosity));
    }
    Ok(Request {
        model: whole.need("model")?,
        messages: read_messages(&whole)?,
        tools,
        tool_choice,
        parallel_tool_calls: whole.flag("parallel_tool_calls")?,
        max_output_tokens: whole.count("max_output_tokens")?,
        temperature: whole.number("temperature")?,
        top_p: whole.number("top_p")?,
        logprobs: asks_for_logprobs(&whole)?.then_some(true),
        top_logprobs: whole.count("top_logprobs")?.filter(|most| *most > 0),
        reasoning: read_reasoning(&whole)?,
        format,
        stream: whole.flag("stream")?.unwrap_or(false),
        stream_usage: true,
        user: whole.string("user")?,
        service_tier: whole.string("service_tier")?,
        extra,
        ..Request::default()
    })
}

/// Fields of this dialect's own. What asks for nothing, or for what is done anyway, is none of them.
fn read_extra(whole: &Object<'_>) -> Result<Extra, Malformed> {
    let mut extra = whole.rest(KNOWN, HERE);
    if let Some(truncation) = whole.string("truncation")?.filter(|word| word != "disabled") {
        extra.fields.push(("truncation".to_owned(), Json::of(&truncation)));
    }
    // Thoughts come with their proofs in any case.
    let asked = whole.items("include")?.unwrap_or_default();
    let known = ["\"reasoning.encrypted_content\"", LOGPROBS];
    let more: Vec<&RawValue> = asked.into_iter().filter(|raw| !known.contains(&raw.get())).collect();
    if !more.is_empty() {
        extra.fields.push(("include".to_owned(), Json::of(&more)));
    }
    // Of reasoning no other dialect says more than how much, and whether it is shown.
    let reasoning =
        whole.object("reasoning")?.map(|asked| asked.rest(&["effort", "summary", "generate_summary"], HERE));
    let rest = reasoning.into_iter().flat_map(|rest| rest.fields);
    extra.fields.extend(rest.map(|(name, json)| (format!("reasoning.{name}"), json)));
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    if extra.fields.is_empty() {
        return Ok(Extra::default());
    }
    extra.dialect = Some(HERE);
    Ok(extra)
}

/// As it stands in `include`.
const LOGPROBS: &str = "\"message.output_text.logprobs\"";

fn asks_for_logprobs(whole: &Object<'_>) -> Result<bool, Malformed> {
    let asked = whole.items("include")?.unwrap_or_default();
    Ok(asked.iter().any(|raw| raw.get() == LOGPROBS)
        || whole.count("top_logprobs")?.is_some_and(|most| most > 0))
}

fn read_messages(whole: &Object<'_>) -> Result<Vec<Message>, Malformed> {
    let mut turns = Turns::default();
    let message = |role, text: String| Message {
        role,
        parts: vec![content::text_of(text)],
        name: None,
        extra: Extra::default(),
    };
    match whole.raw("instructions") {
        Some(raw) if is_string(raw) => {
            if let Some(text) = whole.string("instructions")?.filter(|text| !text.is_empty()) {
                turns.done.push(message(Role::System, text));
            }
        }
        Some(_) => read_items(whole, "instructions", &mut turns)?,
        None => {}
    }
    match whole.raw("input") {
        Some(raw) if is_string(raw) => {
            turns.done.push(message(Role::User, whole.need("input")?));
        }
        Some(_) => read_items(whole, "input", &mut turns)?,
        None => return Err(Malformed::field("input", "text or a list of items")),
    }
    Ok(turns.done)
}

fn read_items(whole: &Object<'_>, key: &str, turns: &mut Turns) -> Result<(), Malformed> {
    for (nth, raw) in whole.items(key)?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("{key}[{nth}]");
        if item::reference(raw).is_some() {
            return Err(Malformed::field(path, "an item, not a reference to one that is not kept here"));
        }
        let kind = Object::of(raw, path.as_str())?.string("type")?;
        if kind.as_deref() == Some("compaction") {
            let item = Object::of(raw, path.as_str())?;
            if let Some(text) = item.string("encrypted_content")?.as_deref().and_then(thought::summary) {
                let parts = vec![content::text_of(text)];
                turns.push(Item::Message(Message {
                    role: Role::Developer,
                    parts,
                    name: None,
                    extra: Extra::default(),
                }));
                continue;
            }
            let expected = "a history that can be read: only the vendor that compacted it can read this one";
            return Err(Malformed::field(path, expected));
        }
        turns.push(item::read(raw, path)?);
    }
    Ok(())
}

/// The tools, and the choice among them. `allowed_tools` means that the others may not be called: they are not shown.
fn read_tools(whole: &Object<'_>) -> Result<(Vec<Tool>, Option<ToolChoice>), Malformed> {
    let mut tools = Vec::new();
    for (nth, raw) in whole.items("tools")?.unwrap_or_default().into_iter().enumerate() {
        tools.push(read_tool(raw, format!("tools[{nth}]"))?);
    }
    let Some(raw) = whole.raw("tool_choice") else { return Ok((tools, None)) };
    if let Some(word) = string(raw) {
        let choice = match word.as_ref() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => return Err(Malformed::field("tool_choice", "none, auto, required or an object")),
        };
        return Ok((tools, Some(choice)));
    }
    let choice = Object::of(raw, "tool_choice")?;
    let choice = match choice.need("type")?.as_str() {
        "function" | "custom" => ToolChoice::Named(choice.need("name")?),
        "allowed_tools" => {
            let mut allowed = Vec::new();
            for (nth, raw) in choice.items("tools")?.unwrap_or_default().into_iter().enumerate() {
                let tool = Object::of(raw, format!("tool_choice.tools[{nth}]"))?;
                allowed.push((tool.string("type")?.unwrap_or_default(), tool.string("name")?));
            }
            tools.retain(|tool| allowed.iter().any(|(kind, name)| is_tool(tool, kind, name.as_deref())));
            match choice.string("mode")?.as_deref() {
                Some("required") => ToolChoice::Required,
                _ => ToolChoice::Auto,
            }
        }
        _ => ToolChoice::Foreign { dialect: HERE, json: Json::from(raw) },
    };
    Ok((tools, Some(choice)))
}

fn is_tool(tool: &Tool, kind: &str, named: Option<&str>) -> bool {
    match tool {
        Tool::Function { name, .. } => kind == "function" && named == Some(name),
        Tool::Custom { name, .. } => kind == "custom" && named == Some(name),
        Tool::Foreign { json, .. } => {
            let own = |key: &str| {
                Object::of(json.as_ref(), "tools[]").ok().and_then(|tool| tool.string(key).ok().flatten())
            };
            own("type").as_deref() == Some(kind)
                && named
                    .is_none_or(|name| [own("name"), own("server_label")].contains(&Some(name.to_owned())))
        }
    }
}

fn read_tool(raw: &RawValue, path: String) -> Result<Tool, Malformed> {
    const KNOWN: &[&str] = &["type", "name", "description", "parameters", "strict"];
    let tool = Object::of(raw, path)?;
    match tool.string("type")?.as_deref().unwrap_or("function") {
        "function" => {
            let mut extra = tool.rest(KNOWN, HERE);
            extra.fields.retain(|(_, json)| json.as_str() != "null");
            if extra.fields.is_empty() {
                extra = Extra::default();
            }
            Ok(Tool::Function {
                name: tool.name()?,
                description: tool.string("description")?,
                parameters: tool.object("parameters")?.and_then(|_| tool.json("parameters")),
                strict: tool.flag("strict")?,
                cache: None,
                extra,
            })
        }
        "custom" => Ok(Tool::Custom {
            name: tool.name()?,
            description: tool.string("description")?,
            format: tool.raw("format").map(grammar),
        }),
        _ => Ok(Tool::Foreign { dialect: HERE, json: Json::from(raw) }),
    }
}

/// The format of a custom tool in the canonical form, which has a grammar in an object of its own.
fn grammar(raw: &RawValue) -> Json {
    let read = || {
        let format = Object::of(raw, "format").ok()?;
        if format.string("type").ok()?.as_deref() != Some("grammar") {
            return None;
        }
        let (definition, syntax) = (format.json("definition")?, format.json("syntax")?);
        Some(super::shape::json(|object| {
            object.string("type", "grammar");
            object.object("grammar", |grammar| {
                grammar.json("definition", &definition);
                grammar.json("syntax", &syntax);
            });
        }))
    };
    read().unwrap_or_else(|| Json::from(raw))
}

fn read_reasoning(whole: &Object<'_>) -> Result<Option<Reasoning>, Malformed> {
    let Some(reasoning) = whole.object("reasoning")? else { return Ok(None) };
    let summary = reasoning.string("summary")?.or(reasoning.string("generate_summary")?);
    let effort = reasoning.string("effort")?;
    // To be shown thoughts that one did not ask for is no wish for them.
    Ok(effort.map(|effort| Reasoning {
        effort: Some(effort),
        display: summary.map(|_| "summarized".to_owned()),
        ..Reasoning::default()
    }))
}

/// The format, and how many words it is to take.
fn read_text(whole: &Object<'_>) -> Result<(Option<Format>, Option<Json>), Malformed> {
    let Some(text) = whole.object("text")? else { return Ok((None, None)) };
    let verbosity = text.json("verbosity");
    let Some(format) = text.object("format")? else { return Ok((None, verbosity)) };
    let read = match format.need("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => Format::JsonSchema {
            name: format.string("name")?,
            description: format.string("description")?,
            schema: format.json("schema").unwrap_or_else(|| Json::of(&serde_json::json!({}))),
            strict: format.flag("strict")?,
        },
        _ => return Err(Malformed::field(format.path("type"), "text, json_object or json_schema")),
    };
    Ok((Some(read), verbosity))
}
