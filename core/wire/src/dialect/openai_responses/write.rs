//! Requests to upstreams.

use std::borrow::Cow;

use super::{HERE, content, thought};
use crate::chat::{
    Content, Extra, Format, Message, Part, Request, Role, Tool, ToolChoice, ToolKind, ToolResult,
};
use crate::dialect::names::sent_name;
use crate::dialect::openai::write::{SHARED, effort_of};
use crate::dialect::{TargetHints, Written};
use crate::object::{ListWriter, Object, ObjectWriter, object};
use crate::{DialectId, Json, Loss, Malformed, Restore, SmallMap};

/// The fields of `extra` that this dialect knows: its own, and those of its vendor's other dialect that it shares.
fn known<'a>(extra: &'a Extra, loss: &mut Loss) -> Vec<&'a (String, Json)> {
    match extra.dialect {
        Some(HERE) => extra.fields.iter().collect(),
        Some(DialectId::Openai) => {
            let (known, other): (Vec<_>, Vec<_>) =
                extra.fields.iter().partition(|(name, _)| SHARED.contains(&name.as_str()));
            for (name, _) in other {
                loss.note(name.clone());
            }
            known
        }
        _ => {
            loss.note_extra(extra, HERE, "");
            Vec::new()
        }
    }
}

pub(super) fn write(request: &Request, target: &TargetHints, loss: &mut Loss) -> Result<Written, Malformed> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Malformed::field("n", "1: this model's API gives one answer"));
    }
    let extra = known(&request.extra, loss);
    let find = |name: &str| extra.iter().find(|(own, _)| own == name).map(|(_, json)| json);
    let mut writer = Writer { loss, restore: Restore::default(), customs: customs(request), target };
    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        object.string("model", if target.model.is_empty() { &request.model } else { &target.model });
        writer.conversation(object, &request.messages);
        writer.tools(object, request);
        writer.sampling(object, request);
        let more = extra.iter().filter_map(|(name, json)| Some((name.strip_prefix("reasoning.")?, json)));
        let shows_thoughts = writer.reasoning(object, request, &more.collect::<Vec<_>>());
        write_text(object, request, find("verbosity"));
        // Nobody here asked the vendor to keep anything.
        match find("store") {
            Some(store) => object.json("store", store),
            None => object.flag("store", false),
        }
        write_include(object, request, find("include"), shows_thoughts);
        if request.stream {
            object.flag("stream", true);
        }
        for (name, json) in &extra {
            if !["store", "include", "verbosity"].contains(&name.as_str()) && !name.starts_with("reasoning.")
            {
                object.json(name, json);
            }
        }
    });
    Ok(Written { body, restore: writer.restore })
}

struct Writer<'a> {
    loss: &'a mut Loss,
    restore: Restore,
    /// The ids of calls of tools that take free text: their results are items of another kind.
    customs: SmallMap<&'a str, ()>,
    target: &'a TargetHints,
}

fn customs(request: &Request) -> SmallMap<&str, ()> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) if call.kind == ToolKind::Custom => Some((call.id.as_str(), ())),
            _ => None,
        })
        .collect()
}

impl Writer<'_> {
    fn conversation(&mut self, object: &mut ObjectWriter<'_>, messages: &[Message]) {
        let mut messages = messages;
        if let [first, rest @ ..] = messages
            && !rest.is_empty()
            && let Some(instructions) = instructions(first)
        {
            object.string("instructions", &instructions);
            messages = rest;
        }
        object.list("input", |list| {
            for message in messages {
                self.message(list, message);
            }
        });
    }

    fn message(&mut self, list: &mut ListWriter<'_>, message: &Message) {
        if message.name.is_some() {
            self.loss.note("messages.*.name");
        }
        self.loss.note_extra(&message.extra, HERE, "messages.*");
        for part in &message.parts {
            self.loss.note_extra(&part.extra, HERE, "messages.*.content.*");
            if content::loses_mark(part) {
                self.loss.note("messages.*.content.*.cache_control");
            }
        }
        let all: Vec<&Part> = message.parts.iter().collect();
        match message.role {
            Role::System => self.plain(list, "system", message, &all),
            Role::Developer => self.plain(list, "developer", message, &all),
            Role::User => self.user(list, message),
            Role::Assistant => self.assistant(list, message),
        }
    }

    /// A user's turn: first what the tools gave, then the rest.
    fn user(&mut self, list: &mut ListWriter<'_>, message: &Message) {
        let mut rest = Vec::new();
        let mut any = false;
        for part in &message.parts {
            match &part.content {
                Content::ToolResult(result) => {
                    any = true;
                    self.result(list, result, part);
                }
                Content::Foreign { dialect: HERE, json } if is_item(json) => {
                    any = true;
                    list.json(json);
                }
                _ => rest.push(part),
            }
        }
        if !rest.is_empty() || !any {
            self.plain(list, "user", message, &rest);
        }
    }

    fn result(&mut self, list: &mut ListWriter<'_>, result: &ToolResult, part: &Part) {
        let custom = self.customs.contains_key(result.call_id.as_str());
        list.object(|item| {
            item.string("type", if custom { "custom_tool_call_output" } else { "function_call_output" });
            item.string("call_id", &call_id(&result.call_id));
            // There is no field for a failure, so the model must read it.
            let failed = if result.is_error { "Error: " } else { "" };
            match result.parts.as_slice() {
                [] => item.string("output", failed),
                [Part { content: Content::Text { text, .. }, cache: None, .. }] => {
                    item.string("output", &format!("{failed}{text}"));
                }
                parts => item.list("output", |list| {
                    if result.is_error {
                        list.object(|part| {
                            part.string("type", "input_text");
                            part.string("text", "Error:");
                        });
                    }
                    for part in parts {
                        if !content::write(list, part) {
                            self.loss.note("messages.*.content.*.content");
                        }
                    }
                }),
            }
            item.extra(&part.extra, HERE);
        });
    }

    fn plain(&mut self, list: &mut ListWriter<'_>, role: &str, message: &Message, parts: &[&Part]) {
        list.object(|item| {
            item.string("type", "message");
            item.string("role", role);
            match parts {
                [] => item.string("content", ""),
                [Part { content: Content::Text { text, .. }, cache: None, extra }]
                    if extra.fields.is_empty() =>
                {
                    item.string("content", text);
                }
                parts => item.list("content", |list| {
                    for part in parts {
                        if !content::write(list, part) {
                            self.loss.note("messages.*.content.*");
                        }
                    }
                }),
            }
            item.extra(&message.extra, HERE);
        });
    }

    /// An assistant's turn, item by item. A thought stands directly before what came of it, or is left out: the vendor
    /// refuses one without the other.
    fn assistant(&mut self, list: &mut ListWriter<'_>, message: &Message) {
        let mut thoughts: Vec<(&str, &str, &str)> = Vec::new();
        let mut said: Vec<&Part> = Vec::new();
        for part in &message.parts {
            match &part.content {
                Content::Thinking { .. } | Content::RedactedThinking { .. } => {
                    let (text, proof) = match &part.content {
                        Content::Thinking { text, signature } => (text.as_str(), signature.as_deref()),
                        Content::RedactedThinking { data } => ("", Some(data.as_str())),
                        _ => continue,
                    };
                    write_said(list, &mut thoughts, &mut said);
                    // Another provider's thoughts prove nothing here: they are left out rather than passed off as words.
                    match proof.and_then(thought::own) {
                        Some((id, encrypted)) => thoughts.push((id, text, encrypted)),
                        None => self.loss.note("messages.*.reasoning"),
                    }
                }
                Content::Text { text, .. } if text.is_empty() => {}
                Content::Text { .. } | Content::Refusal { .. } => {
                    // What is said of a message is said at its first part.
                    if !part.extra.fields.is_empty() {
                        write_said(list, &mut thoughts, &mut said);
                    }
                    said.push(part);
                }
                Content::ToolCall(call) => {
                    write_said(list, &mut thoughts, &mut said);
                    write_thoughts(list, &mut thoughts);
                    let name = sent_name(&call.name, call.kind, None, &mut self.restore);
                    list.object(|item| {
                        let (kind, key) = match call.kind {
                            ToolKind::Function => ("function_call", "arguments"),
                            ToolKind::Custom => ("custom_tool_call", "input"),
                        };
                        let blank = call.kind == ToolKind::Function && call.arguments.trim().is_empty();
                        item.string("type", kind);
                        item.string("call_id", &call_id(&call.id));
                        item.string("name", &name);
                        item.string(key, if blank { "{}" } else { &call.arguments });
                        item.extra(&part.extra, HERE);
                    });
                }
                Content::Foreign { dialect: HERE, json } => {
                    write_said(list, &mut thoughts, &mut said);
                    write_thoughts(list, &mut thoughts);
                    list.json(json);
                }
                Content::Image { .. }
                | Content::Audio { .. }
                | Content::Document { .. }
                | Content::ToolResult(_)
                | Content::Foreign { .. } => self.loss.note("messages.*.content.*"),
            }
        }
        write_said(list, &mut thoughts, &mut said);
        if !thoughts.is_empty() {
            self.loss.note("messages.*.reasoning");
        }
    }

    fn tools(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        let known = |tool: &&Tool| match tool {
            Tool::Function { .. } | Tool::Custom { .. } => true,
            Tool::Foreign { dialect, .. } => *dialect == HERE,
        };
        let tools: Vec<&Tool> = request.tools.iter().filter(known).collect();
        if tools.len() < request.tools.len() {
            self.loss.note("tools");
        }
        if tools.is_empty() {
            return; // Choices among no tools are refused.
        }
        object.list("tools", |list| tools.into_iter().for_each(|tool| self.tool(list, tool)));
        if let Some(choice) = &request.tool_choice {
            self.tool_choice(object, choice, request);
        }
        if let Some(parallel) = request.parallel_tool_calls {
            object.flag("parallel_tool_calls", parallel);
        }
    }

    fn tool(&mut self, list: &mut ListWriter<'_>, tool: &Tool) {
        match tool {
            Tool::Function { name, description, parameters, strict, cache, extra } => list.object(|object| {
                self.loss.note_extra(extra, HERE, "tools.*");
                if cache.is_some() {
                    self.loss.note("tools.*.cache_control");
                }
                object.string("type", "function");
                object.string("name", &sent_name(name, ToolKind::Function, None, &mut self.restore));
                if let Some(description) = description {
                    object.string("description", description);
                }
                match parameters {
                    Some(schema) => object.json("parameters", schema),
                    None => object.raw("parameters", r#"{"type":"object","properties":{}}"#),
                }
                // What is left out means `true` here and `false` elsewhere.
                object.flag("strict", strict.unwrap_or(false));
                object.extra(extra, HERE);
            }),
            Tool::Custom { name, description, format } => list.object(|object| {
                object.string("type", "custom");
                object.string("name", &sent_name(name, ToolKind::Custom, None, &mut self.restore));
                if let Some(description) = description {
                    object.string("description", description);
                }
                if let Some(format) = format {
                    object.json("format", &flat_grammar(format));
                }
            }),
            Tool::Foreign { json, .. } => list.json(json),
        }
    }

    fn tool_choice(&mut self, object: &mut ObjectWriter<'_>, choice: &ToolChoice, request: &Request) {
        let forced = matches!(choice, ToolChoice::Required | ToolChoice::Named(_));
        if forced && !self.target.forced_tool {
            self.loss.note("tool_choice");
            object.string("tool_choice", "auto");
            return;
        }
        match choice {
            ToolChoice::Auto => object.string("tool_choice", "auto"),
            ToolChoice::None => object.string("tool_choice", "none"),
            ToolChoice::Required => object.string("tool_choice", "required"),
            ToolChoice::Named(name) => {
                let custom = |tool: &Tool| matches!(tool, Tool::Custom { name: own, .. } if own == name);
                let (word, kind) = if request.tools.iter().any(custom) {
                    ("custom", ToolKind::Custom)
                } else {
                    ("function", ToolKind::Function)
                };
                object.object("tool_choice", |choice| {
                    choice.string("type", word);
                    choice.string("name", &sent_name(name, kind, None, &mut self.restore));
                });
            }
            ToolChoice::Foreign { dialect: HERE, json } => object.json("tool_choice", json),
            ToolChoice::Foreign { .. } => self.loss.note("tool_choice"),
        }
    }

    fn sampling(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        if let Some(asked) = request.max_output_tokens {
            let most = self.target.max_output_tokens.unwrap_or(u64::MAX);
            if asked > most {
                self.loss.note("max_tokens");
            }
            object.count("max_output_tokens", asked.min(most));
        }
        for (key, value) in [("temperature", request.temperature), ("top_p", request.top_p)] {
            match value {
                Some(value) if self.target.sampling => object.number(key, value),
                Some(_) => self.loss.note(key),
                None => {}
            }
        }
        for (key, there) in [
            ("top_k", request.top_k.is_some()),
            ("stop", !request.stop.is_empty()),
            ("seed", request.seed.is_some()),
            ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ] {
            if there {
                self.loss.note(key);
            }
        }
        if let Some(most) = request.top_logprobs {
            object.count("top_logprobs", most);
        }
        if let Some(user) = &request.user {
            object.string("user", user);
        }
        match request.service_tier.as_deref() {
            Some(tier @ ("auto" | "default" | "flex" | "scale" | "priority" | "fast" | "ultrafast")) => {
                object.string("service_tier", tier);
            }
            Some("standard_only" | "standard") => object.string("service_tier", "default"),
            Some(_) => self.loss.note("service_tier"),
            None => {}
        }
    }

    /// Writes the effort, and whether thoughts are shown; true if there may be thoughts.
    fn reasoning(&mut self, object: &mut ObjectWriter<'_>, request: &Request, own: &[(&str, &Json)]) -> bool {
        let Some(asked) = &request.reasoning else {
            if !own.is_empty() {
                object.object("reasoning", |reasoning| {
                    besides(reasoning, own);
                });
            }
            return false;
        };
        let effort = effort_of(asked);
        if effort.is_some() && asked.effort.is_none() {
            self.loss.note("thinking.budget_tokens");
        }
        if effort == Some("none") {
            object.object("reasoning", |reasoning| {
                reasoning.string("effort", "none");
                besides(reasoning, own);
            });
            return false;
        }
        // Who asks for thinking elsewhere is shown it, unless it says otherwise.
        let shown = match asked.display.as_deref() {
            Some("omitted") => false,
            Some(_) => true,
            None => asked.adaptive || asked.budget_tokens.is_some(),
        };
        if effort.is_some() || shown || !own.is_empty() {
            object.object("reasoning", |reasoning| {
                if let Some(effort) = effort {
                    reasoning.string("effort", effort);
                }
                if shown {
                    reasoning.string("summary", "auto");
                }
                besides(reasoning, own);
            });
        }
        !asked.effort_only
    }
}

/// What else of reasoning this dialect alone can say.
fn besides(reasoning: &mut ObjectWriter<'_>, own: &[(&str, &Json)]) {
    for (name, json) in own {
        reasoning.json(name, json);
    }
}

/// The leading words of the system, where they are nothing but words.
fn instructions(message: &Message) -> Option<String> {
    if message.role != Role::System || message.name.is_some() || !message.extra.fields.is_empty() {
        return None;
    }
    let texts = message.parts.iter().map(|part| match part {
        Part { content: Content::Text { text, .. }, cache: None, extra } if extra.fields.is_empty() => {
            Some(text.as_str())
        }
        _ => None,
    });
    texts.collect::<Option<Vec<_>>>().map(|texts| texts.join("\n\n"))
}

/// Writes the words that were gathered as one message, behind the thoughts that led to them.
fn write_said(list: &mut ListWriter<'_>, thoughts: &mut Vec<(&str, &str, &str)>, said: &mut Vec<&Part>) {
    if said.is_empty() {
        return;
    }
    write_thoughts(list, thoughts);
    let plain = said.iter().map(|part| match &part.content {
        Content::Text { text, citations } if citations.is_empty() => Some(text.as_str()),
        _ => None,
    });
    let plain = plain.collect::<Option<String>>();
    list.object(|item| {
        item.string("type", "message");
        item.string("role", "assistant");
        if let Some(text) = plain {
            // Parts of one answer are pieces of one text.
            item.string("content", &text);
            return said.iter().for_each(|part| item.extra(&part.extra, HERE));
        }
        // What is said in parts must have been an answer, with an id and an end.
        item.string("id", "msg_0");
        item.string("status", "completed");
        item.list("content", |list| {
            for part in said.iter() {
                list.object(|object| match &part.content {
                    Content::Refusal { text } => {
                        object.string("type", "refusal");
                        object.string("refusal", text);
                    }
                    Content::Text { text, citations } => {
                        object.string("type", "output_text");
                        object.string("text", text);
                        object.list("annotations", |list| {
                            citations
                                .iter()
                                .filter_map(content::annotation)
                                .for_each(|json| list.json(&json));
                        });
                    }
                    _ => {}
                });
            }
        });
        for part in said.iter() {
            item.extra(&part.extra, HERE);
        }
    });
    said.clear();
}

fn write_thoughts(list: &mut ListWriter<'_>, thoughts: &mut Vec<(&str, &str, &str)>) {
    for (id, text, encrypted) in thoughts.drain(..) {
        list.object(|item| thought::fill(item, id, text, Some(encrypted)));
    }
}

/// The longest id of a call.
const MOST_CALL_ID: usize = 64;

/// A call's id as the vendor takes it; the same id always becomes the same.
fn call_id(id: &str) -> Cow<'_, str> {
    if id.len() <= MOST_CALL_ID {
        return Cow::Borrowed(id);
    }
    // FNV-1a: stable over versions, and collisions among a few ids are no matter of attack.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).take(MOST_CALL_ID - 17).collect();
    Cow::Owned(format!("{plain}_{hash:016x}"))
}

/// Whether JSON that only this dialect knows is an item, and not a part of a message.
fn is_item(json: &Json) -> bool {
    let kind = Object::of(json.as_ref(), "").ok().and_then(|item| item.string("type").ok().flatten());
    kind.is_some_and(|kind| !kind.starts_with("input_"))
}

/// The format of a custom tool, whose grammar stands in no object of its own here.
fn flat_grammar(format: &Json) -> Json {
    let read = || {
        let grammar = Object::of(format.as_ref(), "format").ok()?.object("grammar").ok()??;
        let (definition, syntax) = (grammar.json("definition")?, grammar.json("syntax")?);
        Some(super::shape::json(|object| {
            object.string("type", "grammar");
            object.json("definition", &definition);
            object.json("syntax", &syntax);
        }))
    };
    read().unwrap_or_else(|| format.clone())
}

fn write_text(object: &mut ObjectWriter<'_>, request: &Request, verbosity: Option<&Json>) {
    if request.format.is_none() && verbosity.is_none() {
        return;
    }
    object.object("text", |text| {
        if let Some(format) = &request.format {
            text.object("format", |object| match format {
                Format::Text => object.string("type", "text"),
                Format::JsonObject => object.string("type", "json_object"),
                Format::JsonSchema { name, description, schema, strict } => {
                    object.string("type", "json_schema");
                    object.string("name", name.as_deref().unwrap_or("answer"));
                    if let Some(description) = description {
                        object.string("description", description);
                    }
                    object.json("schema", schema);
                    if let Some(strict) = strict {
                        object.flag("strict", *strict);
                    }
                }
            });
        }
        if let Some(verbosity) = verbosity {
            text.json("verbosity", verbosity);
        }
    });
}

/// What is to come with the answer: proofs of thoughts, since the vendor keeps none; and what was asked for.
fn write_include(object: &mut ObjectWriter<'_>, request: &Request, own: Option<&Json>, thoughts: bool) {
    let mut include: Vec<Cow<'_, str>> = Vec::new();
    if thoughts {
        include.push(Cow::Borrowed("reasoning.encrypted_content"));
    }
    if request.logprobs == Some(true) {
        include.push(Cow::Borrowed("message.output_text.logprobs"));
    }
    let more: Vec<String> =
        own.and_then(|json| crate::json::from_str(json.as_str()).ok()).unwrap_or_default();
    include.extend(more.into_iter().map(Cow::Owned));
    if !include.is_empty() {
        object.list("include", |list| include.iter().for_each(|word| list.string(word)));
    }
}
