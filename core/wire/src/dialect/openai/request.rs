//! Requests from callers.

use serde_json::value::RawValue;

use super::HERE;
use super::message::{read_cache, read_calls, read_content, read_thoughts};
use crate::chat::{
    Content, Extra, Format, Message, Part, Reasoning, Request, Role, Tool, ToolChoice, ToolResult,
};
use crate::json::string;
use crate::object::Object;
use crate::{Json, Malformed};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "response_format",
    "stream",
    "stream_options",
    "user",
    "service_tier",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let whole = Object::read(body)?;
    let mut messages = Messages::default();
    let items = whole.items("messages")?.ok_or_else(|| Malformed::field("messages", "a list of messages"))?;
    for (nth, raw) in items.into_iter().enumerate() {
        messages.read(&Object::of(raw, format!("messages[{nth}]"))?)?;
    }
    let mut extra = whole.rest(KNOWN, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    let stream_usage = match whole.object("stream_options")? {
        Some(options) => options.flag("include_usage")?.unwrap_or(false),
        None => false,
    };
    Ok(Request {
        model: whole.need("model")?,
        messages: messages.done,
        tools: read_tools(&whole)?,
        tool_choice: read_tool_choice(&whole)?,
        parallel_tool_calls: whole.flag("parallel_tool_calls")?,
        max_output_tokens: whole.count("max_completion_tokens")?.max(whole.count("max_tokens")?),
        temperature: whole.number("temperature")?,
        top_p: whole.number("top_p")?,
        top_k: whole.count("top_k")?,
        stop: read_stop(&whole)?,
        seed: read_seed(&whole)?,
        frequency_penalty: whole.number("frequency_penalty")?,
        presence_penalty: whole.number("presence_penalty")?,
        choices: read_choices(&whole)?,
        logprobs: whole.flag("logprobs")?,
        top_logprobs: whole.count("top_logprobs")?,
        reasoning: read_reasoning(&whole, &mut extra)?,
        format: read_format(&whole)?,
        stream: whole.flag("stream")?.unwrap_or(false),
        stream_usage,
        user: whole.string("user")?,
        service_tier: whole.string("service_tier")?,
        extra,
    })
}

#[derive(Default)]
struct Messages {
    done: Vec<Message>,
    /// Calls of the way of before, which have no ids: numbered, and the result goes to the last one.
    old_calls: usize,
    /// The last message is results of tools, so that the next result joins it.
    results: bool,
}

const KNOWN_OF_MESSAGES: &[&str] = &[
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
    "cache_control",
    "prompt_cache_breakpoint",
];

impl Messages {
    fn read(&mut self, message: &Object<'_>) -> Result<(), Malformed> {
        let role = message.need("role")?;
        let results = matches!(role.as_str(), "tool" | "function");
        match role.as_str() {
            "system" => self.push(Role::System, read_parts(message)?, message)?,
            "developer" => self.push(Role::Developer, read_parts(message)?, message)?,
            "user" => self.push(Role::User, read_parts(message)?, message)?,
            "assistant" => {
                let parts = self.read_assistant(message)?;
                self.push(Role::Assistant, parts, message)?;
            }
            "tool" => {
                let call_id = message.need("tool_call_id")?;
                self.result(call_id, message)?;
            }
            "function" => {
                let call_id = old_call_id(self.old_calls);
                self.result(call_id, message)?;
            }
            _ => {
                let expected = "system, developer, user, assistant or tool";
                return Err(Malformed::field(message.path("role"), expected));
            }
        }
        self.results = results;
        Ok(())
    }

    fn push(&mut self, role: Role, mut parts: Vec<Part>, message: &Object<'_>) -> Result<(), Malformed> {
        // A mark on the message means its last part.
        if let (Some(mark), Some(last)) = (read_cache(message)?, parts.last_mut()) {
            last.cache.get_or_insert(mark);
        }
        let mut extra = message.rest(KNOWN_OF_MESSAGES, HERE);
        extra.fields.retain(|(_, json)| json.as_str() != "null");
        let extra = if extra.fields.is_empty() { Extra::default() } else { extra };
        self.done.push(Message { role, parts, name: message.string("name")?, extra });
        Ok(())
    }

    fn read_assistant(&mut self, message: &Object<'_>) -> Result<Vec<Part>, Malformed> {
        let mut parts = read_thoughts(message)?;
        let mut calls = read_calls(message)?;
        let content = read_parts(message)?;
        // Beside calls an empty content says nothing: some clients send "" there and some null.
        let empty = |part: &Part| matches!(&part.content, Content::Text { text, .. } if text.is_empty());
        parts.extend(content.into_iter().filter(|part| calls.is_empty() || !empty(part)));
        if let Some(text) = message.string("refusal")?.filter(|text| !text.is_empty()) {
            parts.push(Content::Refusal { text }.into());
        }
        if message.raw("tool_calls").is_none()
            && let Some(call) = calls.first_mut()
        {
            self.old_calls += 1;
            call.id = old_call_id(self.old_calls);
        }
        if let Some(nth) = calls.iter().position(|call| call.id.is_empty()) {
            return Err(Malformed::field(message.path(&format!("tool_calls[{nth}].id")), "a string"));
        }
        parts.extend(calls.into_iter().map(|call| Part::from(Content::ToolCall(call))));
        Ok(parts)
    }

    /// A tool's result. Those of parallel calls come one by one and belong into one turn.
    fn result(&mut self, call_id: String, message: &Object<'_>) -> Result<(), Malformed> {
        let parts = read_parts(message)?;
        let result = Content::ToolResult(ToolResult { call_id, parts, is_error: false });
        let part = Part { content: result, cache: read_cache(message)?, extra: Extra::default() };
        match self.done.last_mut().filter(|_| self.results) {
            Some(last) => last.parts.push(part),
            None => self.done.push(Message {
                role: Role::User,
                parts: vec![part],
                name: None,
                extra: Extra::default(),
            }),
        }
        Ok(())
    }
}

fn old_call_id(nth: usize) -> String {
    format!("call_function_{nth}")
}

fn read_parts(message: &Object<'_>) -> Result<Vec<Part>, Malformed> {
    message.raw("content").map_or(Ok(Vec::new()), |raw| read_content(raw, &message.path("content")))
}

fn read_tools(whole: &Object<'_>) -> Result<Vec<Tool>, Malformed> {
    let mut tools = Vec::new();
    for (nth, raw) in whole.items("tools")?.unwrap_or_default().into_iter().enumerate() {
        tools.push(read_tool(raw, format!("tools[{nth}]"))?);
    }
    for (nth, raw) in whole.items("functions")?.unwrap_or_default().into_iter().enumerate() {
        tools.push(read_function(&Object::of(raw, format!("functions[{nth}]"))?, None)?);
    }
    Ok(tools)
}

fn read_tool(raw: &RawValue, path: String) -> Result<Tool, Malformed> {
    let tool = Object::of(raw, path)?;
    match tool.string("type")?.as_deref().unwrap_or("function") {
        "function" => {
            let function = tool.object("function")?;
            let function =
                function.ok_or_else(|| Malformed::field(tool.path("function"), "an object with a name"))?;
            read_function(&function, Some(&tool))
        }
        "custom" => {
            let custom = tool.object("custom")?;
            let custom =
                custom.ok_or_else(|| Malformed::field(tool.path("custom"), "an object with a name"))?;
            Ok(Tool::Custom {
                name: custom.need("name")?,
                description: custom.string("description")?,
                format: custom.json("format"),
            })
        }
        _ => Ok(Tool::Foreign { dialect: HERE, json: Json::from(raw) }),
    }
}

fn read_function(function: &Object<'_>, tool: Option<&Object<'_>>) -> Result<Tool, Malformed> {
    const KNOWN: &[&str] = &["name", "description", "parameters", "strict", "cache_control"];
    let name = function.name()?;
    let cache = tool.map(read_cache).transpose()?.flatten();
    Ok(Tool::Function {
        name,
        description: function.string("description")?,
        parameters: function.object("parameters")?.and_then(|_| function.json("parameters")),
        strict: function.flag("strict")?,
        cache: cache.or(read_cache(function)?),
        extra: function.rest(KNOWN, HERE),
    })
}

fn read_tool_choice(whole: &Object<'_>) -> Result<Option<ToolChoice>, Malformed> {
    let Some((raw, key)) =
        ["tool_choice", "function_call"].into_iter().find_map(|key| whole.raw(key).map(|raw| (raw, key)))
    else {
        return Ok(None);
    };
    if let Some(word) = string(raw) {
        return match word.as_ref() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(Malformed::field(key, "none, auto, required or an object")),
        };
    }
    let choice = Object::of(raw, key)?;
    for kind in ["function", "custom"] {
        if let Some(named) = choice.object(kind)? {
            return Ok(Some(ToolChoice::Named(named.need("name")?)));
        }
    }
    if key == "function_call" {
        return Ok(Some(ToolChoice::Named(choice.need("name")?)));
    }
    Ok(Some(ToolChoice::Foreign { dialect: HERE, json: Json::from(raw) }))
}

fn read_stop(whole: &Object<'_>) -> Result<Vec<String>, Malformed> {
    let Some(raw) = whole.raw("stop") else { return Ok(Vec::new()) };
    if let Some(stop) = string(raw) {
        return Ok(vec![stop.into_owned()]);
    }
    crate::json::from_str(raw.get()).map_err(|_| Malformed::field("stop", "a string or a list of strings"))
}

fn read_seed(whole: &Object<'_>) -> Result<Option<i64>, Malformed> {
    let Some(raw) = whole.raw("seed") else { return Ok(None) };
    raw.get().parse().map(Some).map_err(|_| Malformed::field("seed", "a whole number"))
}

fn read_choices(whole: &Object<'_>) -> Result<Option<u32>, Malformed> {
    let Some(count) = whole.count("n")? else { return Ok(None) };
    let count = u32::try_from(count).ok().filter(|count| (1..=128).contains(count));
    count.map(Some).ok_or_else(|| Malformed::field("n", "a whole number from 1 to 128"))
}

/// Reasoning is asked for by `reasoning_effort`, by `OpenRouter`'s `reasoning`, or by the richer `thinking`, which is
/// also kept as it was said.
fn read_reasoning(whole: &Object<'_>, extra: &mut Extra) -> Result<Option<Reasoning>, Malformed> {
    let mut asked = Reasoning { effort: whole.string("reasoning_effort")?, ..Reasoning::default() };
    if let Some(reasoning) = whole.object("reasoning")? {
        asked.effort = asked.effort.or(reasoning.string("effort")?);
        asked.budget_tokens = reasoning.count("max_tokens")?;
        match reasoning.flag("enabled")? {
            Some(false) => asked.effort = Some("none".to_owned()),
            // As much as is usual, where nobody says how much.
            Some(true) if asked.effort.is_none() && asked.budget_tokens.is_none() => {
                asked.effort = Some("medium".to_owned());
            }
            _ => {}
        }
        if reasoning.flag("exclude")? == Some(true) {
            asked.display = Some("omitted".to_owned());
        }
    }
    if let Some(thinking) = whole.object("thinking")? {
        match thinking.string("type")?.as_deref() {
            Some("disabled") => asked.effort = asked.effort.or_else(|| Some("none".to_owned())),
            Some("adaptive" | "auto") => asked.adaptive = true,
            _ => {}
        }
        asked.budget_tokens = asked.budget_tokens.or(thinking.count("budget_tokens")?);
        asked.display = asked.display.or(thinking.string("display")?);
        let Some(json) = whole.json("thinking") else { return Ok(None) };
        extra.dialect = Some(HERE);
        extra.fields.push(("thinking".to_owned(), json));
    }
    Ok((asked != Reasoning::default()).then_some(asked))
}

fn read_format(whole: &Object<'_>) -> Result<Option<Format>, Malformed> {
    let Some(format) = whole.object("response_format")? else { return Ok(None) };
    match format.need("type")?.as_str() {
        "text" => Ok(Some(Format::Text)),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let said = format.object("json_schema")?;
            let said =
                said.ok_or_else(|| Malformed::field(format.path("json_schema"), "an object with a schema"))?;
            let any = || Json::of(&serde_json::json!({}));
            Ok(Some(Format::JsonSchema {
                name: said.string("name")?,
                description: said.string("description")?,
                schema: said.json("schema").unwrap_or_else(any),
                strict: said.flag("strict")?,
            }))
        }
        _ => Err(Malformed::field(format.path("type"), "text, json_object or json_schema")),
    }
}
