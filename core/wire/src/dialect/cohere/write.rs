//! Requests to upstreams.

use super::message::write_call;
use super::{HERE, document};
use crate::chat::{Content, Format, Message, Part, Request, Role, Tool, ToolChoice, ToolResult};
use crate::dialect::arguments::wrapped;
use crate::dialect::function;
use crate::dialect::names::sent_name;
use crate::dialect::{TargetHints, Written};
use crate::object::{ListWriter, ObjectWriter, object};
use crate::{Json, Loss, Malformed, Restore};

/// The most sequences that stop a model.
const MOST_STOPS: usize = 5;
/// The most tokens to choose among.
const MOST_K: u64 = 500;

/// What is written besides the body.
struct Writing<'a> {
    loss: &'a mut Loss,
    restore: Restore,
    /// Documents of the whole request.
    documents: Vec<Json>,
    /// Some document may be cited.
    cites: bool,
}

pub(super) fn write(request: &Request, target: &TargetHints, loss: &mut Loss) -> Result<Written, Malformed> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Malformed::field("n", "1: this model's API gives one answer a call"));
    }
    let mut writing = Writing { loss, restore: Restore::default(), documents: Vec::new(), cites: false };
    writing.loss.note_extra(&request.extra, HERE, "");
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        object.string("model", if target.model.is_empty() { &request.model } else { &target.model });
        object.list("messages", |list| {
            failed = request
                .messages
                .iter()
                .enumerate()
                .find_map(|(nth, message)| writing.message(list, nth, message).err());
        });
        writing.documents(object);
        writing.tools(object, request, target);
        writing.sampling(object, request, target);
        writing.thinking(object, request);
        writing.format(object, request);
        writing.unsaid(request);
        // Its own default differs by path and client.
        object.flag("stream", request.stream);
        object.extra(&request.extra, HERE);
    });
    match failed {
        Some(failed) => Err(failed),
        None => Ok(Written { body, restore: writing.restore }),
    }
}

impl Writing<'_> {
    fn message(&mut self, list: &mut ListWriter<'_>, nth: usize, message: &Message) -> Result<(), Malformed> {
        let path = format!("messages[{nth}]");
        if message.name.is_some() {
            self.loss.note(format!("{path}.name"));
        }
        self.loss.note_extra(&message.extra, HERE, &path);
        for part in &message.parts {
            self.loss.note_extra(&part.extra, HERE, &format!("{path}.content"));
            if part.cache.is_some() {
                self.loss.note("cache_control");
            }
        }
        match message.role {
            Role::System | Role::Developer => self.plain(list, "system", message, &path),
            Role::User => self.user(list, message, &path),
            Role::Assistant => self.assistant(list, message, &path),
        }
    }

    /// A user's turn: first what the tools gave, each in a message of its own, then the rest.
    fn user(&mut self, list: &mut ListWriter<'_>, message: &Message, path: &str) -> Result<(), Malformed> {
        let mut rest: Vec<&Part> = Vec::new();
        let mut said_elsewhere = false;
        for (at, part) in message.parts.iter().enumerate() {
            let part_path = format!("{path}.content[{at}]");
            match &part.content {
                Content::ToolResult(result) => {
                    said_elsewhere = true;
                    self.result(list, result, &mut rest, &part_path)?;
                }
                Content::Document { citations, .. } => {
                    said_elsewhere = true;
                    self.cites |= citations;
                    self.documents.push(of_document(part, &part_path)?);
                }
                _ => {}
            }
        }
        let elsewhere =
            |part: &&Part| !matches!(part.content, Content::ToolResult(_) | Content::Document { .. });
        rest.extend(message.parts.iter().filter(elsewhere));
        if rest.is_empty() && said_elsewhere {
            return Ok(());
        }
        self.content_message(list, "user", message, &rest, path)
    }

    fn plain(
        &mut self,
        list: &mut ListWriter<'_>,
        role: &str,
        message: &Message,
        path: &str,
    ) -> Result<(), Malformed> {
        // A system's message is text.
        let texts: Vec<&Part> =
            message.parts.iter().filter(|part| matches!(part.content, Content::Text { .. })).collect();
        if texts.len() < message.parts.len() {
            self.loss.note(format!("{path}.content"));
        }
        self.content_message(list, role, message, &texts, path)
    }

    fn content_message(
        &mut self,
        list: &mut ListWriter<'_>,
        role: &str,
        message: &Message,
        parts: &[&Part],
        path: &str,
    ) -> Result<(), Malformed> {
        let mut outcome = Ok(());
        list.object(|object| {
            object.string("role", role);
            match parts {
                [] => object.string("content", ""),
                [Part { content: Content::Text { text, .. }, extra, .. }] if extra.of(HERE).is_empty() => {
                    object.string("content", text);
                }
                parts => object.list("content", |list| {
                    outcome = parts.iter().try_for_each(|part| self.part(list, part, path));
                }),
            }
            object.extra(&message.extra, HERE);
        });
        outcome
    }

    /// A part of a user's or a system's message.
    fn part(&mut self, list: &mut ListWriter<'_>, part: &Part, path: &str) -> Result<(), Malformed> {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => list.object(|object| {
                object.string("type", "text");
                object.string("text", text);
                object.extra(&part.extra, HERE);
            }),
            Content::Image { source, detail } => {
                let url = source.to_url();
                let url = url.ok_or_else(|| {
                    Malformed::field(format!("{path}.content"), "images by URL or sent along, not by id")
                })?;
                list.object(|object| {
                    object.string("type", "image_url");
                    object.object("image_url", |image| {
                        image.string("url", &url);
                        if let Some(detail) = detail {
                            image.string("detail", detail);
                        }
                    });
                    object.extra(&part.extra, HERE);
                });
            }
            Content::Foreign { dialect: HERE, json } => list.json(json),
            Content::Audio { .. } => {
                let expected = "text, images and documents: this model's API takes no audio";
                return Err(Malformed::field(format!("{path}.content"), expected));
            }
            Content::Document { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. }
            | Content::Foreign { .. } => self.loss.note(format!("{path}.content")),
        }
        Ok(())
    }

    /// A tool's result: text and documents. Images go to the user's message that follows.
    fn result<'a>(
        &mut self,
        list: &mut ListWriter<'_>,
        result: &'a ToolResult,
        rest: &mut Vec<&'a Part>,
        path: &str,
    ) -> Result<(), Malformed> {
        let mut items = Vec::new();
        for part in &result.parts {
            self.loss.note_extra(&part.extra, HERE, &format!("{path}.content"));
            match &part.content {
                Content::Text { text, .. } => items.push(Item::Text(text)),
                Content::Document { citations, .. } => {
                    self.cites |= citations;
                    items.push(Item::Document(of_document(part, path)?));
                }
                Content::Image { .. } | Content::Audio { .. } => rest.push(part),
                Content::ToolCall(_)
                | Content::ToolResult(_)
                | Content::Thinking { .. }
                | Content::RedactedThinking { .. }
                | Content::Refusal { .. }
                | Content::Foreign { .. } => self.loss.note(format!("{path}.content")),
            }
        }
        list.object(|object| {
            object.string("role", "tool");
            object.string("tool_call_id", &result.call_id);
            // There is no field for an error, so the model must read it.
            let prefix = if result.is_error { "Error: " } else { "" };
            match items.as_slice() {
                [] => object.string("content", prefix),
                [Item::Text(text)] => object.string("content", &format!("{prefix}{text}")),
                items => object.list("content", |list| {
                    if result.is_error {
                        Item::Text("Error:").write(list);
                    }
                    for item in items {
                        item.write(list);
                    }
                }),
            }
        });
        Ok(())
    }

    fn assistant(
        &mut self,
        list: &mut ListWriter<'_>,
        message: &Message,
        path: &str,
    ) -> Result<(), Malformed> {
        let (mut said, mut calls, mut thoughts, mut citations) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.content {
                Content::Text { text, citations: cited } => {
                    let index = u64::try_from(said.len()).unwrap_or(0);
                    citations.extend(
                        cited.iter().filter_map(|cited| document::citation(cited, index, Some(text))),
                    );
                    said.push(part);
                }
                Content::Refusal { .. } => said.push(part),
                Content::ToolCall(call) => calls.push(call),
                Content::Thinking { text, signature } => {
                    if signature.is_some() {
                        self.loss.note(format!("{path}.content.signature"));
                    }
                    thoughts.push(text.as_str());
                }
                Content::Foreign { dialect: HERE, json } => citations.push(json.clone()),
                Content::Image { .. }
                | Content::Audio { .. }
                | Content::Document { .. }
                | Content::RedactedThinking { .. }
                | Content::ToolResult(_)
                | Content::Foreign { .. } => self.loss.note(format!("{path}.content")),
            }
        }
        thoughts.retain(|thought| !thought.is_empty());
        // Thoughts before calls are their plan, which every model takes; others have a place for those that think.
        let (plan, thoughts) = if calls.is_empty() { (Vec::new(), thoughts) } else { (thoughts, Vec::new()) };
        let mut outcome = Ok(());
        list.object(|object| {
            object.string("role", "assistant");
            if thoughts.is_empty() && said.is_empty() {
                if calls.is_empty() {
                    object.string("content", "");
                }
            } else if let ([], [Part { content: Content::Text { text, .. }, .. }]) =
                (thoughts.as_slice(), said.as_slice())
            {
                object.string("content", text);
            } else {
                object.list("content", |list| {
                    for thought in thoughts {
                        list.object(|object| {
                            object.string("type", "thinking");
                            object.string("thinking", thought);
                        });
                    }
                    outcome = said.iter().try_for_each(|part| self.part(list, part, path));
                });
            }
            if !plan.is_empty() {
                object.string("tool_plan", &plan.join("\n\n"));
            }
            if !calls.is_empty() {
                object.list("tool_calls", |list| {
                    for call in calls {
                        let key = function::key_of(call.kind);
                        let name = sent_name(&call.name, call.kind, key, &mut self.restore);
                        let arguments = match key {
                            Some(key) => wrapped(&call.arguments, key).as_str().to_owned(),
                            None => call.arguments.clone(),
                        };
                        list.object(|object| write_call(object, &call.id, &name, &arguments));
                    }
                });
            }
            if !citations.is_empty() {
                object.list("citations", |list| citations.iter().for_each(|citation| list.json(citation)));
            }
            object.extra(&message.extra, HERE);
        });
        outcome
    }

    fn documents(&mut self, object: &mut ObjectWriter<'_>) {
        if self.documents.is_empty() {
            return;
        }
        object.list("documents", |list| self.documents.iter().for_each(|document| list.json(document)));
        if !self.cites {
            // Its answers cite unless they are told not to.
            object.object("citation_options", |options| options.string("mode", "OFF"));
        }
    }

    fn tools(&mut self, object: &mut ObjectWriter<'_>, request: &Request, target: &TargetHints) {
        let named = match &request.tool_choice {
            Some(ToolChoice::Named(name)) if target.forced_tool => Some(name),
            _ => None,
        };
        let chosen = |name: &String| named.is_none_or(|named| named == name);
        let tools: Vec<&Tool> = request
            .tools
            .iter()
            .filter(|tool| match tool {
                Tool::Function { name, .. } | Tool::Custom { name, .. } => chosen(name),
                Tool::Foreign { .. } => false,
            })
            .collect();
        if request.tools.iter().any(|tool| matches!(tool, Tool::Foreign { .. })) {
            self.loss.note("tools");
        }
        if tools.is_empty() {
            return;
        }
        object.list("tools", |list| {
            for tool in &tools {
                function::write(list, tool, HERE, self.loss, &mut self.restore);
            }
        });
        let is_strict = |tool: &&Tool| matches!(tool, Tool::Function { strict: Some(true), .. });
        if tools.iter().all(&is_strict) {
            object.flag("strict_tools", true);
        } else if tools.iter().any(is_strict) {
            // There is one word for all of them.
            self.loss.note("tools.*.strict");
        }
        match &request.tool_choice {
            None | Some(ToolChoice::Auto) => {}
            Some(ToolChoice::None) => object.string("tool_choice", "NONE"),
            Some(ToolChoice::Required | ToolChoice::Named(_)) if target.forced_tool => {
                object.string("tool_choice", "REQUIRED");
            }
            Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Foreign { .. }) => {
                self.loss.note("tool_choice");
            }
        }
        if request.parallel_tool_calls == Some(false) {
            self.loss.note("parallel_tool_calls");
        }
    }

    fn sampling(&mut self, object: &mut ObjectWriter<'_>, request: &Request, target: &TargetHints) {
        if let Some(asked) = request.max_output_tokens {
            let most = target.max_output_tokens.unwrap_or(u64::MAX);
            if asked > most {
                self.loss.note("max_tokens");
            }
            object.count("max_tokens", asked.min(most));
        }
        let ranges = [
            ("temperature", "temperature", request.temperature, 0.0, f64::MAX),
            ("top_p", "p", request.top_p, 0.01, 0.99),
            ("frequency_penalty", "frequency_penalty", request.frequency_penalty, 0.0, 1.0),
            ("presence_penalty", "presence_penalty", request.presence_penalty, 0.0, 1.0),
        ];
        for (name, key, value, least, most) in ranges {
            let Some(value) = value else { continue };
            let sampling = matches!(key, "temperature" | "p");
            if sampling && !target.sampling {
                self.loss.note(name);
                continue;
            }
            if !(least..=most).contains(&value) {
                self.loss.note(name);
            }
            object.number(key, value.clamp(least, most));
        }
        if let Some(top_k) = request.top_k {
            if top_k > MOST_K || !target.sampling {
                self.loss.note("top_k");
            }
            if target.sampling {
                object.count("k", top_k.min(MOST_K));
            }
        }
        if request.stop.len() > MOST_STOPS {
            self.loss.note("stop");
        }
        if !request.stop.is_empty() {
            object.list("stop_sequences", |list| {
                request.stop.iter().take(MOST_STOPS).for_each(|stop| list.string(stop));
            });
        }
        if let Some(seed) = request.seed {
            object.raw("seed", &seed.to_string());
        }
        if let Some(logprobs) = request.logprobs {
            object.flag("logprobs", logprobs);
        }
    }

    fn thinking(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        let Some(asked) = &request.reasoning else { return };
        if asked.effort_only {
            self.loss.note("effort");
            return;
        }
        let (enabled, budget) = match (asked.effort.as_deref(), asked.budget_tokens) {
            (Some("none"), _) | (None, Some(0)) => (false, None),
            (_, Some(budget)) => (true, Some(budget)),
            (Some("minimal" | "low"), None) => (true, Some(1024)),
            (Some("medium"), None) => (true, Some(2048)),
            // As much as it likes, as the model does where nobody asks.
            (_, None) => (true, None),
        };
        object.object("thinking", |thinking| {
            thinking.string("type", if enabled { "enabled" } else { "disabled" });
            if let Some(budget) = budget {
                thinking.count("token_budget", budget);
            }
        });
    }

    fn format(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        let Some(format) = &request.format else { return };
        object.object("response_format", |object| match format {
            Format::Text => object.string("type", "text"),
            Format::JsonObject => object.string("type", "json_object"),
            Format::JsonSchema { description, schema, .. } => {
                if description.is_some() {
                    self.loss.note("response_format.description");
                }
                object.string("type", "json_object");
                object.json("json_schema", schema);
            }
        });
    }

    /// Notes what has no word here.
    fn unsaid(&mut self, request: &Request) {
        for (name, said) in [
            ("top_logprobs", request.top_logprobs.is_some()),
            ("user", request.user.is_some()),
            ("service_tier", request.service_tier.is_some()),
        ] {
            if said {
                self.loss.note(name);
            }
        }
    }
}

/// A piece of a tool's result.
enum Item<'a> {
    Text(&'a str),
    Document(Json),
}

impl Item<'_> {
    fn write(&self, list: &mut ListWriter<'_>) {
        list.object(|object| match self {
            Item::Text(text) => {
                object.string("type", "text");
                object.string("text", text);
            }
            Item::Document(json) => {
                object.string("type", "document");
                object.json("document", json);
            }
        });
    }
}

fn of_document(part: &Part, path: &str) -> Result<Json, Malformed> {
    document::of(part).ok_or_else(|| {
        Malformed::field(path.to_owned(), "a document of text: this model's API takes no other ones")
    })
}
