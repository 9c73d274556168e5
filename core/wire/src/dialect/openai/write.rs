//! Requests to upstreams.

use std::borrow::Cow;

use super::HERE;
use super::message::{write_cache, write_call, write_part, write_thoughts};
use crate::chat::{
    Content, Extra, Format, Message, Part, Reasoning, Request, Role, Source, Tool, ToolChoice, ToolKind,
    ToolResult,
};
use crate::dialect::names::sent_name;
use crate::dialect::{TargetHints, Written};
use crate::object::{ListWriter, ObjectWriter, object};
use crate::{DialectId, Json, Loss, Restore};

/// The most sequences that stop a model.
const MOST_STOPS: usize = 4;

/// Fields that the vendor's other dialect has under the same names.
pub(in crate::dialect) const SHARED: &[&str] = &[
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "moderation",
    "store",
    "verbosity",
];

/// The fields of `extra` that this dialect knows: its own, and those that its vendor's other dialect shares with it.
fn known<'a>(extra: &'a Extra, loss: &mut Loss) -> Vec<&'a (String, Json)> {
    let shared = extra.dialect == Some(DialectId::OpenaiResponses);
    for name in extra.foreign_to(HERE).filter(|name| !shared || !SHARED.contains(name)) {
        loss.note(name.to_owned());
    }
    let own = |(name, _): &&(String, Json)| {
        extra.dialect == Some(HERE) || shared && SHARED.contains(&name.as_str())
    };
    extra.fields.iter().filter(own).collect()
}

pub(super) fn write(request: &Request, target: &TargetHints, loss: &mut Loss) -> Written {
    let extra = known(&request.extra, loss);
    let mut restore = Restore::default();
    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        object.string("model", if target.model.is_empty() { &request.model } else { &target.model });
        object.list("messages", |list| {
            for message in &request.messages {
                write_message(list, message, target, &mut restore, loss);
            }
        });
        write_tools(object, request, target, &mut restore, loss);
        write_sampling(object, request, target, loss);
        write_reasoning(object, request, loss);
        write_format(object, request);
        if request.stream {
            object.flag("stream", true);
        }
        for (name, json) in extra {
            match name.as_str() {
                "thinking" if request.reasoning.as_ref().is_some_and(|asked| asked.effort.is_some()) => {}
                _ => object.json(name, json),
            }
        }
        if request.stream && request.stream_usage {
            object.object("stream_options", |options| options.flag("include_usage", true));
        }
    });
    Written { body, restore }
}

fn write_message(
    list: &mut ListWriter<'_>,
    message: &Message,
    target: &TargetHints,
    restore: &mut Restore,
    loss: &mut Loss,
) {
    loss.note_extra(&message.extra, HERE, "messages.*");
    for part in &message.parts {
        loss.note_extra(&part.extra, HERE, "messages.*.content.*");
    }
    match message.role {
        Role::System => write_plain(list, "system", message, &message.parts.iter().collect::<Vec<_>>(), loss),
        Role::Developer => {
            write_plain(list, "developer", message, &message.parts.iter().collect::<Vec<_>>(), loss);
        }
        Role::User => write_user(list, message, loss),
        Role::Assistant => write_assistant(list, message, target, restore, loss),
    }
}

/// A user's turn: first what the tools gave, each in a message of its own, then the rest.
fn write_user(list: &mut ListWriter<'_>, message: &Message, loss: &mut Loss) {
    let mut rest: Vec<&Part> = Vec::new();
    let mut any = false;
    for part in &message.parts {
        if let Content::ToolResult(result) = &part.content {
            any = true;
            write_result(list, result, part, &mut rest, loss);
        }
    }
    rest.extend(message.parts.iter().filter(|part| !matches!(part.content, Content::ToolResult(_))));
    if !rest.is_empty() || !any {
        write_plain(list, "user", message, &rest, loss);
    }
}

/// A tool's result: text, documents of text among it. Media go to the user's message that follows.
fn write_result<'a>(
    list: &mut ListWriter<'_>,
    result: &'a ToolResult,
    part: &Part,
    rest: &mut Vec<&'a Part>,
    loss: &mut Loss,
) {
    let mut texts = Vec::new();
    for part in &result.parts {
        match &part.content {
            Content::Text { text, .. } => texts.push(Cow::Borrowed(text.as_str())),
            Content::Document { source: Source::Text { text, .. }, title: None, .. } => {
                texts.push(Cow::Borrowed(text));
            }
            Content::Document { source: Source::Text { text, .. }, title: Some(title), .. } => {
                texts.push(Cow::Owned(format!("{title}\n\n{text}")));
            }
            Content::Image { .. } | Content::Audio { .. } | Content::Document { .. } => rest.push(part),
            Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. }
            | Content::Refusal { .. }
            | Content::Foreign { .. } => loss.note("messages.*.content.*.content"),
        }
    }
    let mut text = texts.join("\n\n");
    if result.is_error {
        // There is no field for it, so the model must read it.
        text = format!("Error: {text}");
    }
    list.object(|object| {
        object.string("role", "tool");
        object.string("tool_call_id", &result.call_id);
        object.string("content", &text);
        write_cache(object, part.cache.as_ref());
    });
}

fn write_plain(list: &mut ListWriter<'_>, role: &str, message: &Message, parts: &[&Part], loss: &mut Loss) {
    list.object(|object| {
        object.string("role", role);
        write_content(object, parts, loss);
        if let Some(name) = &message.name {
            object.string("name", name);
        }
        object.extra(&message.extra, HERE);
    });
}

/// One text without marks is a string, anything else a list.
fn write_content(object: &mut ObjectWriter<'_>, parts: &[&Part], loss: &mut Loss) {
    match parts {
        [] => object.string("content", ""),
        [Part { content: Content::Text { text, .. }, cache: None, extra }] if extra.of(HERE).is_empty() => {
            object.string("content", text);
        }
        parts => object.list("content", |list| {
            for part in parts {
                if !write_part(list, part) {
                    loss.note("messages.*.content.*");
                }
            }
        }),
    }
}

fn write_assistant(
    list: &mut ListWriter<'_>,
    message: &Message,
    target: &TargetHints,
    restore: &mut Restore,
    loss: &mut Loss,
) {
    let (mut said, mut calls, mut refusal) = (Vec::new(), Vec::new(), None::<String>);
    let mut thoughts = false;
    for part in &message.parts {
        match &part.content {
            Content::Text { .. } | Content::Foreign { dialect: HERE, .. } => said.push(part),
            Content::Refusal { text } => refusal.get_or_insert_default().push_str(text),
            Content::ToolCall(call) => calls.push(call),
            Content::Thinking { .. } | Content::RedactedThinking { .. } => thoughts = true,
            Content::Image { .. }
            | Content::Audio { .. }
            | Content::Document { .. }
            | Content::ToolResult(_)
            | Content::Foreign { .. } => loss.note("messages.*.content.*"),
        }
    }
    if thoughts && target.reasoning_field.is_none() {
        loss.note("messages.*.reasoning");
    }
    let text_only = said.iter().all(|part| {
        matches!(part.content, Content::Text { .. }) && part.cache.is_none() && part.extra.of(HERE).is_empty()
    });
    list.object(|object| {
        object.string("role", "assistant");
        if said.is_empty() {
            // Nothing but calls or a refusal: null is what every reader takes.
            if calls.is_empty() && refusal.is_none() {
                object.string("content", "");
            } else {
                object.raw("content", "null");
            }
        } else if text_only {
            // Blocks of one answer are pieces of one text.
            let texts = said.iter().filter_map(|part| match &part.content {
                Content::Text { text, .. } => Some(text.as_str()),
                _ => None,
            });
            object.string("content", &texts.collect::<String>());
        } else {
            write_content(object, &said, loss);
        }
        if let Some(refusal) = &refusal {
            object.string("refusal", refusal);
        }
        if let Some(field) = &target.reasoning_field {
            let field = if field == "thinking_blocks" { "reasoning_content" } else { field };
            write_thoughts(object, &message.parts, field);
        }
        if !calls.is_empty() {
            object.list("tool_calls", |list| {
                for call in calls {
                    let name = sent_name(&call.name, call.kind, None, restore);
                    list.object(|object| write_call(object, &call.id, &name, call));
                }
            });
        }
        if let Some(name) = &message.name {
            object.string("name", name);
        }
        object.extra(&message.extra, HERE);
    });
}

fn write_tools(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    target: &TargetHints,
    restore: &mut Restore,
    loss: &mut Loss,
) {
    let known = |tool: &&Tool| match tool {
        Tool::Function { .. } | Tool::Custom { .. } => true,
        Tool::Foreign { dialect, .. } => *dialect == HERE,
    };
    let tools: Vec<&Tool> = request.tools.iter().filter(known).collect();
    if tools.len() < request.tools.len() {
        loss.note("tools");
    }
    if tools.is_empty() {
        // Choices among no tools are refused.
        return;
    }
    object.list("tools", |list| {
        for tool in tools {
            write_tool(list, tool, restore, loss);
        }
    });
    if let Some(choice) = &request.tool_choice {
        write_tool_choice(object, choice, request, target, restore, loss);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        object.flag("parallel_tool_calls", parallel);
    }
}

fn write_tool(list: &mut ListWriter<'_>, tool: &Tool, restore: &mut Restore, loss: &mut Loss) {
    match tool {
        Tool::Function { name, description, parameters, strict, cache, extra } => list.object(|object| {
            loss.note_extra(extra, HERE, "tools.*");
            object.string("type", "function");
            object.object("function", |function| {
                function.string("name", &sent_name(name, ToolKind::Function, None, restore));
                if let Some(description) = description {
                    function.string("description", description);
                }
                match parameters {
                    Some(schema) => function.json("parameters", schema),
                    None => function.raw("parameters", r#"{"type":"object","properties":{}}"#),
                }
                if let Some(strict) = strict {
                    function.flag("strict", *strict);
                }
                function.extra(extra, HERE);
            });
            write_cache(object, cache.as_ref());
        }),
        Tool::Custom { name, description, format } => list.object(|object| {
            object.string("type", "custom");
            object.object("custom", |custom| {
                custom.string("name", &sent_name(name, ToolKind::Custom, None, restore));
                if let Some(description) = description {
                    custom.string("description", description);
                }
                if let Some(format) = format {
                    custom.json("format", format);
                }
            });
        }),
        Tool::Foreign { json, .. } => list.json(json),
    }
}

fn write_tool_choice(
    object: &mut ObjectWriter<'_>,
    choice: &ToolChoice,
    request: &Request,
    target: &TargetHints,
    restore: &mut Restore,
    loss: &mut Loss,
) {
    let forced = matches!(choice, ToolChoice::Required | ToolChoice::Named(_));
    if forced && !target.forced_tool {
        loss.note("tool_choice");
        object.string("tool_choice", "auto");
        return;
    }
    match choice {
        ToolChoice::Auto => object.string("tool_choice", "auto"),
        ToolChoice::None => object.string("tool_choice", "none"),
        ToolChoice::Required => object.string("tool_choice", "required"),
        ToolChoice::Named(name) => {
            let custom = request
                .tools
                .iter()
                .any(|tool| matches!(tool, Tool::Custom { name: own, .. } if own == name));
            let (word, kind) =
                if custom { ("custom", ToolKind::Custom) } else { ("function", ToolKind::Function) };
            object.object("tool_choice", |choice| {
                choice.string("type", word);
                choice.object(word, |named| named.string("name", &sent_name(name, kind, None, restore)));
            });
        }
        ToolChoice::Foreign { dialect: HERE, json } => object.json("tool_choice", json),
        ToolChoice::Foreign { .. } => loss.note("tool_choice"),
    }
}

fn write_sampling(object: &mut ObjectWriter<'_>, request: &Request, target: &TargetHints, loss: &mut Loss) {
    if let Some(asked) = request.max_output_tokens {
        let most = target.max_output_tokens.unwrap_or(u64::MAX);
        if asked > most {
            loss.note("max_tokens");
        }
        object.count("max_completion_tokens", asked.min(most));
    }
    for (key, value) in [("temperature", request.temperature), ("top_p", request.top_p)] {
        match value {
            Some(value) if target.sampling => object.number(key, value),
            Some(_) => loss.note(key),
            None => {}
        }
    }
    if request.top_k.is_some() {
        loss.note("top_k");
    }
    if request.stop.len() > MOST_STOPS {
        loss.note("stop");
    }
    if !request.stop.is_empty() {
        object.list("stop", |list| request.stop.iter().take(MOST_STOPS).for_each(|stop| list.string(stop)));
    }
    if let Some(seed) = request.seed {
        object.raw("seed", &seed.to_string());
    }
    for (key, value) in
        [("frequency_penalty", request.frequency_penalty), ("presence_penalty", request.presence_penalty)]
    {
        if let Some(value) = value {
            object.number(key, value);
        }
    }
    if let Some(choices) = request.choices {
        object.count("n", u64::from(choices));
    }
    if let Some(logprobs) = request.logprobs {
        object.flag("logprobs", logprobs);
    }
    if let Some(most) = request.top_logprobs {
        object.count("top_logprobs", most);
    }
    if let Some(user) = &request.user {
        object.string("user", user);
    }
    match request.service_tier.as_deref() {
        Some(tier @ ("auto" | "default" | "flex" | "scale" | "priority" | "fast")) => {
            object.string("service_tier", tier);
        }
        Some("standard_only" | "standard") => object.string("service_tier", "default"),
        Some(_) => loss.note("service_tier"),
        None => {}
    }
}

fn write_reasoning(object: &mut ObjectWriter<'_>, request: &Request, loss: &mut Loss) {
    let Some(asked) = &request.reasoning else { return };
    if let Some(effort) = effort_of(asked) {
        if asked.effort.is_none() {
            loss.note("thinking.budget_tokens");
        }
        object.string("reasoning_effort", effort);
    }
}

/// The effort that a budget comes nearest to, by the same table as in the other direction. A model that decides by
/// itself needs no word.
pub(in crate::dialect) fn effort_of(asked: &Reasoning) -> Option<&str> {
    match (asked.effort.as_deref(), asked.budget_tokens) {
        (Some(effort), _) => Some(effort),
        (None, None) => None,
        (None, Some(0)) => Some("none"),
        (None, Some(1..=1024)) => Some("low"),
        (None, Some(1025..=2048)) => Some("medium"),
        (None, Some(_)) => Some("high"),
    }
}

fn write_format(object: &mut ObjectWriter<'_>, request: &Request) {
    let Some(format) = &request.format else { return };
    object.object("response_format", |object| match format {
        Format::Text => object.string("type", "text"),
        Format::JsonObject => object.string("type", "json_object"),
        Format::JsonSchema { name, description, schema, strict } => {
            object.string("type", "json_schema");
            object.object("json_schema", |said| {
                said.string("name", name.as_deref().unwrap_or("answer"));
                if let Some(description) = description {
                    said.string("description", description);
                }
                said.json("schema", schema);
                if let Some(strict) = strict {
                    said.flag("strict", *strict);
                }
            });
        }
    });
}

/// The tier in this vendor's words, if it has one for it.
pub(in crate::dialect) fn tier(said: Option<&str>) -> Option<&str> {
    const WORDS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    match said {
        Some("standard") => Some("default"),
        tier => tier.filter(|tier| WORDS.contains(tier)),
    }
}
