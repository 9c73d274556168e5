//! Requests to upstreams.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::HERE;
use super::response::object_of;
use crate::chat::{
    CacheMark, Content, Extra, Format, Message, Part, Request, Role, Source, Tool, ToolChoice, ToolResult,
};
use crate::dialect::arguments::wrapped;
use crate::dialect::function;
use crate::dialect::names::sent_name;
use crate::dialect::{TargetHints, Written};
use crate::object::{ListWriter, ObjectWriter, object};
use crate::source::decoded;
use crate::{Json, Loss, Malformed, Restore};

struct Writing<'a> {
    loss: &'a mut Loss,
    restore: Restore,
    /// The names of the tools that were called, by the call's id.
    called: BTreeMap<&'a str, String>,
}

/// What a message says: all its text, and its images.
#[derive(Default)]
struct Said<'a> {
    text: Vec<Cow<'a, str>>,
    images: Vec<&'a str>,
}

pub(super) fn write(request: &Request, target: &TargetHints, loss: &mut Loss) -> Result<Written, Malformed> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Malformed::field("n", "1: this model's API gives one answer a call"));
    }
    loss.note_extra(&request.extra, HERE, "");
    let mut writing = Writing { loss, restore: Restore::default(), called: BTreeMap::new() };
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        object.string("model", if target.model.is_empty() { &request.model } else { &target.model });
        object.list("messages", |list| {
            let messages = request.messages.iter().enumerate();
            failed =
                messages.into_iter().find_map(|(nth, message)| writing.message(list, nth, message).err());
        });
        writing.tools(object, request);
        writing.format(object, request);
        writing.think(object, request);
        writing.options(object, request, target);
        if let Some(logprobs) = request.logprobs {
            object.flag("logprobs", logprobs);
        }
        if let Some(most) = request.top_logprobs {
            object.count("top_logprobs", most);
        }
        writing.unsaid(request);
        // Left out, it would mean a stream.
        object.flag("stream", request.stream);
        for (name, json) in request.extra.of(HERE).iter().filter(|(name, _)| !name.starts_with("options.")) {
            object.json(name, json);
        }
    });
    match failed {
        Some(failed) => Err(failed),
        None => Ok(Written { body, restore: writing.restore }),
    }
}

impl<'a> Writing<'a> {
    fn message(
        &mut self,
        list: &mut ListWriter<'_>,
        nth: usize,
        message: &'a Message,
    ) -> Result<(), Malformed> {
        let path = format!("messages[{nth}]");
        if message.name.is_some() {
            self.loss.note(format!("{path}.name"));
        }
        self.loss.note_extra(&message.extra, HERE, &path);
        for part in &message.parts {
            self.note_part(&part.extra, part.cache.as_ref(), &path);
        }
        match message.role {
            Role::System | Role::Developer => self.plain(list, "system", message, &path),
            Role::User => self.user(list, message, &path),
            Role::Assistant => self.assistant(list, message, &path),
        }
    }

    fn note_part(&mut self, extra: &Extra, cache: Option<&CacheMark>, path: &str) {
        self.loss.note_extra(extra, HERE, &format!("{path}.content"));
        if cache.is_some() {
            self.loss.note("cache_control");
        }
    }

    fn plain(
        &mut self,
        list: &mut ListWriter<'_>,
        role: &str,
        message: &'a Message,
        path: &str,
    ) -> Result<(), Malformed> {
        let said = self.said(&message.parts, path)?;
        list.object(|object| {
            object.string("role", role);
            said.write(object);
            object.extra(&message.extra, HERE);
        });
        Ok(())
    }

    /// A user's turn: first what the tools gave, each in a message of its own, then the rest.
    fn user(&mut self, list: &mut ListWriter<'_>, message: &'a Message, path: &str) -> Result<(), Malformed> {
        let results = || {
            message.parts.iter().filter_map(|part| match &part.content {
                Content::ToolResult(result) => Some(result),
                _ => None,
            })
        };
        for result in results() {
            self.result(list, result, path)?;
        }
        let answers = results().count();
        if answers > 0 && answers == message.parts.len() {
            return Ok(());
        }
        self.plain(list, "user", message, path)
    }

    fn result(
        &mut self,
        list: &mut ListWriter<'_>,
        result: &'a ToolResult,
        path: &str,
    ) -> Result<(), Malformed> {
        for part in &result.parts {
            self.note_part(&part.extra, part.cache.as_ref(), path);
        }
        let mut said = self.said(&result.parts, path)?;
        if result.is_error {
            // There is no field for it, so the model must read it.
            said.text = vec![Cow::Owned(format!("Error: {}", said.text.join("\n\n")))];
        }
        let name = self.called.get(result.call_id.as_str());
        list.object(|object| {
            object.string("role", "tool");
            said.write(object);
            if let Some(name) = name {
                object.string("tool_name", name);
            }
            object.string("tool_call_id", &result.call_id);
        });
        Ok(())
    }

    /// The text and the images of what no assistant says.
    fn said(&mut self, parts: &'a [Part], path: &str) -> Result<Said<'a>, Malformed> {
        let mut said = Said::default();
        let refuse = |at: usize, expected: &'static str| {
            Err(Malformed::field(format!("{path}.content[{at}]"), expected))
        };
        for (at, part) in parts.iter().enumerate() {
            match &part.content {
                Content::Text { text, .. } | Content::Refusal { text } => said.text.push(Cow::Borrowed(text)),
                Content::Image { source: Source::Base64 { data, .. }, detail } => {
                    if detail.is_some() {
                        self.loss.note(format!("{path}.content.detail"));
                    }
                    said.images.push(data);
                }
                Content::Image { .. } => {
                    return refuse(at, "an image that is sent along: this model's API takes no addresses");
                }
                Content::Document { source, title, context, .. } => {
                    let Some(text) = document(source) else {
                        return refuse(at, "a document of text: this model's API takes no other ones");
                    };
                    let heads =
                        [title, context].into_iter().flatten().map(|head| Cow::Borrowed(head.as_str()));
                    said.text.extend(heads.chain([text]));
                }
                Content::Audio { .. } => {
                    return refuse(at, "text, images and documents: this model's API takes no audio");
                }
                Content::ToolResult(_) => {}
                Content::ToolCall(_)
                | Content::Thinking { .. }
                | Content::RedactedThinking { .. }
                | Content::Foreign { .. } => self.loss.note(format!("{path}.content")),
            }
        }
        Ok(said)
    }

    fn assistant(
        &mut self,
        list: &mut ListWriter<'_>,
        message: &'a Message,
        path: &str,
    ) -> Result<(), Malformed> {
        let (mut text, mut thoughts, mut calls) = (String::new(), Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.content {
                // Blocks of one answer are pieces of one text.
                Content::Text { text: more, citations } => {
                    if !citations.is_empty() {
                        self.loss.note(format!("{path}.content.citations"));
                    }
                    text.push_str(more);
                }
                Content::Refusal { text: more } => text.push_str(more),
                Content::ToolCall(call) => {
                    let key = function::key_of(call.kind);
                    let name = sent_name(&call.name, call.kind, key, &mut self.restore);
                    self.called.insert(&call.id, name.clone());
                    let arguments = match key {
                        Some(key) => Some(wrapped(&call.arguments, key)),
                        None => object_of(&call.arguments),
                    };
                    let arguments = arguments.ok_or_else(|| {
                        Malformed::field(format!("{path}.tool_calls[].function.arguments"), "a JSON object")
                    })?;
                    calls.push((&call.id, name, arguments));
                }
                Content::Thinking { text, signature } => {
                    if signature.is_some() {
                        self.loss.note(format!("{path}.content.signature"));
                    }
                    thoughts.push(text.as_str());
                }
                Content::Image { .. }
                | Content::Audio { .. }
                | Content::Document { .. }
                | Content::RedactedThinking { .. }
                | Content::ToolResult(_)
                | Content::Foreign { .. } => self.loss.note(format!("{path}.content")),
            }
        }
        thoughts.retain(|thought| !thought.is_empty());
        list.object(|object| {
            object.string("role", "assistant");
            object.string("content", &text);
            if !thoughts.is_empty() {
                object.string("thinking", &thoughts.join("\n\n"));
            }
            if !calls.is_empty() {
                object.list("tool_calls", |list| {
                    for (index, (id, name, arguments)) in (0..).zip(&calls) {
                        list.object(|call| {
                            call.string("id", id);
                            call.object("function", |function| {
                                function.count("index", index);
                                function.string("name", name);
                                function.json("arguments", arguments);
                            });
                        });
                    }
                });
            }
            object.extra(&message.extra, HERE);
        });
        Ok(())
    }

    fn tools(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        // Without a choice among tools, not to show them is the one way to have none called.
        let none = matches!(request.tool_choice, Some(ToolChoice::None));
        let tools: Vec<&Tool> =
            request.tools.iter().filter(|tool| !none && !matches!(tool, Tool::Foreign { .. })).collect();
        if request.tools.iter().any(|tool| matches!(tool, Tool::Foreign { .. })) {
            self.loss.note("tools");
        }
        match &request.tool_choice {
            None | Some(ToolChoice::Auto | ToolChoice::None) => {}
            Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Foreign { .. }) => {
                self.loss.note("tool_choice");
            }
        }
        if request.parallel_tool_calls == Some(false) {
            self.loss.note("parallel_tool_calls");
        }
        if tools.is_empty() {
            return;
        }
        if tools.iter().any(|tool| matches!(tool, Tool::Function { strict: Some(true), .. })) {
            self.loss.note("tools.*.strict");
        }
        object.list("tools", |list| {
            for tool in &tools {
                function::write(list, tool, HERE, self.loss, &mut self.restore);
            }
        });
    }

    fn format(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        match &request.format {
            None | Some(Format::Text) => {}
            Some(Format::JsonObject) => object.string("format", "json"),
            Some(Format::JsonSchema { description, schema, .. }) => {
                if description.is_some() {
                    self.loss.note("response_format.description");
                }
                object.json("format", schema);
            }
        }
    }

    fn think(&mut self, object: &mut ObjectWriter<'_>, request: &Request) {
        let Some(asked) = &request.reasoning else { return };
        if asked.effort_only {
            self.loss.note("effort");
            return;
        }
        if asked.budget_tokens.is_some_and(|budget| budget > 0) {
            self.loss.note("thinking.budget_tokens");
        }
        match (asked.effort.as_deref(), asked.budget_tokens) {
            (Some("none"), _) | (None, Some(0)) => object.flag("think", false),
            (Some("minimal" | "low"), _) => object.string("think", "low"),
            (Some("medium"), _) => object.string("think", "medium"),
            (Some("high" | "xhigh"), _) => object.string("think", "high"),
            (Some(effort), _) => object.string("think", effort),
            (None, _) => object.flag("think", true),
        }
    }

    fn options(&mut self, object: &mut ObjectWriter<'_>, request: &Request, target: &TargetHints) {
        let mut fields = Vec::new();
        if let Some(asked) = request.max_output_tokens {
            let most = target.max_output_tokens.unwrap_or(u64::MAX);
            if asked > most {
                self.loss.note("max_tokens");
            }
            fields.push(("num_predict", Json::of(&asked.min(most))));
        }
        let sampling = [("temperature", request.temperature), ("top_p", request.top_p)];
        for (name, value) in sampling {
            match value {
                Some(value) if target.sampling => fields.push((name, Json::of(&value))),
                Some(_) => self.loss.note(name),
                None => {}
            }
        }
        if let Some(top_k) = request.top_k {
            fields.push(("top_k", Json::of(&top_k)));
        }
        if let Some(seed) = request.seed {
            fields.push(("seed", Json::of(&seed)));
        }
        if !request.stop.is_empty() {
            fields.push(("stop", Json::of(&request.stop)));
        }
        let penalties = [
            ("presence_penalty", request.presence_penalty),
            ("frequency_penalty", request.frequency_penalty),
        ];
        for (name, value) in penalties {
            fields.extend(value.map(|value| (name, Json::of(&value))));
        }
        let own = request.extra.of(HERE).iter();
        let own = own.filter_map(|(name, json)| Some((name.strip_prefix("options.")?, json.clone())));
        fields.extend(own);
        if !fields.is_empty() {
            object.object("options", |options| {
                for (name, json) in &fields {
                    options.json(name, json);
                }
            });
        }
    }

    /// Notes what has no word here.
    fn unsaid(&mut self, request: &Request) {
        for (name, said) in
            [("user", request.user.is_some()), ("service_tier", request.service_tier.is_some())]
        {
            if said {
                self.loss.note(name);
            }
        }
    }
}

impl Said<'_> {
    fn write(&self, object: &mut ObjectWriter<'_>) {
        object.string("content", &self.text.join("\n\n"));
        if !self.images.is_empty() {
            object.list("images", |list| self.images.iter().for_each(|data| list.string(data)));
        }
    }
}

/// The text of a document; none where it is something else.
fn document(source: &Source) -> Option<Cow<'_, str>> {
    match source {
        Source::Text { text, .. } => Some(Cow::Borrowed(text)),
        Source::Base64 { media_type, data }
            if media_type.starts_with("text/") || media_type == "application/json" =>
        {
            String::from_utf8(decoded(data)?).ok().map(Cow::Owned)
        }
        Source::Base64 { .. } | Source::Url(_) | Source::File(_) => None,
    }
}
