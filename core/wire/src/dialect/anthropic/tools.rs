//! Tools, the choice among them, and the tool that stands in for a schema of the output.

use crate::chat::{CacheMark, Format, Request, Tool, ToolChoice, ToolKind};
use crate::dialect::turns::Conversation;
use crate::object::ObjectWriter;
use crate::{DialectId, Json, Loss, Malformed, Restore, TargetHints};

use super::block::{Body, write_cache};
use super::limits::{Limits, Thinking};
use super::{names, schema};

const HERE: DialectId = DialectId::Anthropic;

/// The tool that stands in for a schema of the output.
const ANSWER_TOOL: &str = "json_tool_call";

/// How the wish for a format of output is met.
#[derive(Debug)]
pub(super) enum Shape {
    Free,
    Native(Json),
    /// By a tool with this schema of arguments, in which the answer stands under the key.
    Tool {
        schema: Json,
        key: Option<&'static str>,
        description: Option<String>,
    },
}

impl Shape {
    pub(super) fn of(
        format: Option<&Format>,
        hints: &TargetHints,
        loss: &mut Loss,
    ) -> Result<Self, Malformed> {
        Ok(match format {
            None | Some(Format::Text) => Self::Free,
            Some(Format::JsonObject) => {
                let any = Json::of(&serde_json::json!({"type": "object"}));
                Self::Tool { schema: any, key: None, description: None }
            }
            Some(Format::JsonSchema { schema, description, .. }) => {
                if let Some(enforced) = hints.native_schema.then(|| schema::enforced(schema)).flatten() {
                    if enforced.moved {
                        loss.note("response_format.schema.constraints");
                    }
                    return Ok(Self::Native(schema::described(enforced.schema, description.as_deref())));
                }
                let (schema, key) = schema::arguments(Some(schema), "response_format.schema")?;
                Self::Tool { schema, key, description: description.clone() }
            }
        })
    }
}

/// One tool, ready to be written.
#[derive(Debug)]
pub(super) enum Ready {
    Function {
        name: String,
        description: Option<String>,
        schema: Json,
        strict: bool,
        cache: Option<CacheMark>,
        extra: crate::chat::Extra,
    },
    Raw(Json),
}

impl Ready {
    fn plain(name: &str, description: Option<String>, schema: Json) -> Self {
        let (strict, cache, extra) = (false, None, crate::chat::Extra::default());
        Self::Function { name: name.to_owned(), description, schema, strict, cache, extra }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) ready: Vec<Ready>,
    /// The callers' names of tools whose arguments are wrapped, with the key.
    pub(super) keys: Vec<(String, Option<&'static str>)>,
    /// The answer's tool is among them.
    answer: bool,
    /// They stand only because the history speaks of them.
    history_only: bool,
}

impl Tools {
    pub(super) fn of(
        request: &Request,
        hints: &TargetHints,
        shape: &Shape,
        loss: &mut Loss,
        restore: &mut Restore,
    ) -> Result<Self, Malformed> {
        let mut tools = Self::default();
        for (at, tool) in request.tools.iter().enumerate() {
            let path = format!("tools[{at}]");
            match tool {
                Tool::Function { name, .. } | Tool::Custom { name, .. } if name.is_empty() => {
                    return Err(Malformed::field(format!("{path}.name"), "the name of a tool"));
                }
                Tool::Function { name, description, parameters, strict, cache, extra } => {
                    let (mut schema, key) =
                        schema::arguments(parameters.as_ref(), &format!("{path}.parameters"))?;
                    let mut strict = *strict == Some(true);
                    if strict {
                        if let Some(enforced) = schema::enforced(&schema).filter(|_| hints.native_schema) {
                            if enforced.moved {
                                loss.note(format!("{path}.parameters.constraints"));
                            }
                            schema = enforced.schema;
                        } else {
                            strict = false;
                            loss.note(format!("{path}.strict"));
                        }
                    }
                    loss.note_extra(extra, HERE, &path);
                    tools.keys.push((name.clone(), key));
                    tools.ready.push(Ready::Function {
                        name: names::tool(name, ToolKind::Function, key, restore),
                        description: description.clone().filter(|text| !text.is_empty()),
                        schema,
                        strict,
                        cache: cache.clone(),
                        extra: extra.clone(),
                    });
                }
                Tool::Custom { name, description, format } => {
                    if format.is_some() {
                        loss.note(format!("{path}.format"));
                    }
                    let key = Restore::FREE_TEXT;
                    let text = serde_json::json!({
                        "type": "object",
                        "properties": { key: { "type": "string" } },
                        "required": [key],
                    });
                    let sent = names::tool(name, ToolKind::Custom, Some(key), restore);
                    tools.ready.push(Ready::plain(&sent, description.clone(), Json::of(&text)));
                }
                Tool::Foreign { dialect: HERE, json } => tools.ready.push(Ready::Raw(json.clone())),
                Tool::Foreign { .. } => loss.note(path),
            }
        }
        if let Shape::Tool { schema, key, description } = shape {
            let purpose =
                "Gives the answer to the user: call this tool to answer, with the answer as its arguments.";
            let description = match description {
                Some(description) => format!("{purpose} {description}"),
                None => purpose.to_owned(),
            };
            tools.ready.push(Ready::plain(ANSWER_TOOL, Some(description), schema.clone()));
            tools.answer = true;
            restore.answer(ANSWER_TOOL, *key);
        }
        Ok(tools)
    }

    /// A history that speaks of tools needs some: where the caller sends none now, they are named after their calls.
    pub(super) fn complete(&mut self, conversation: &Conversation<Body>) {
        if !self.ready.is_empty() {
            return;
        }
        self.history_only = true;
        for name in conversation.called() {
            let any = Json::of(&serde_json::json!({"type": "object", "properties": {}}));
            self.ready.push(Ready::plain(name, None, any));
        }
    }

    pub(super) fn choice(
        &self,
        request: &Request,
        hints: &TargetHints,
        limits: &Limits,
        shape: &Shape,
        loss: &mut Loss,
        restore: &mut Restore,
    ) -> Option<Choice> {
        if self.ready.is_empty() {
            if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
                loss.note("tool_choice");
            }
            return None;
        }
        let serial = request.parallel_tool_calls == Some(false);
        let alone = self.ready.len() == usize::from(self.answer);
        let mut kind = match (&request.tool_choice, shape) {
            _ if self.history_only => ChoiceKind::None,
            (Some(ToolChoice::None) | None, Shape::Tool { .. }) if alone || request.tool_choice.is_some() => {
                ChoiceKind::Tool(ANSWER_TOOL.to_owned())
            }
            (Some(ToolChoice::Auto), Shape::Tool { .. }) if alone => ChoiceKind::Tool(ANSWER_TOOL.to_owned()),
            (Some(ToolChoice::Auto | ToolChoice::Required) | None, Shape::Tool { .. })
            | (Some(ToolChoice::Required), _) => ChoiceKind::Any,
            (Some(ToolChoice::Auto), _) => ChoiceKind::Auto,
            (Some(ToolChoice::None), _) => ChoiceKind::None,
            (Some(ToolChoice::Named(name)), _) => {
                let key = self.keys.iter().find(|(known, _)| known == name).and_then(|(_, key)| *key);
                ChoiceKind::Tool(names::tool(name, ToolKind::Function, key, restore))
            }
            (Some(ToolChoice::Foreign { dialect: HERE, json }), _) => ChoiceKind::Raw(json.clone()),
            (Some(ToolChoice::Foreign { .. }), _) => {
                loss.note("tool_choice");
                ChoiceKind::Auto
            }
            (None, _) if serial => ChoiceKind::Auto,
            (None, _) => return None,
        };
        let forced = matches!(kind, ChoiceKind::Any | ChoiceKind::Tool(_));
        if forced && (!hints.forced_tool || matches!(limits.thinking, Thinking::Enabled { .. })) {
            // The answer's tool may then be left uncalled: its description asks for the call all the same.
            loss.note("tool_choice");
            kind = ChoiceKind::Auto;
        }
        Some(Choice { kind, serial })
    }

    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        if self.ready.is_empty() {
            return;
        }
        object.list("tools", |list| {
            for tool in &self.ready {
                match tool {
                    Ready::Raw(json) => list.json(json),
                    Ready::Function { name, description, schema, strict, cache, extra } => {
                        list.object(|object| {
                            object.string("name", name);
                            if let Some(description) = description {
                                object.string("description", description);
                            }
                            object.json("input_schema", schema);
                            if *strict {
                                object.flag("strict", true);
                            }
                            object.extra(extra, HERE);
                            write_cache(object, cache.as_ref());
                        });
                    }
                }
            }
        });
    }
}

#[derive(Debug)]
pub(super) struct Choice {
    kind: ChoiceKind,
    serial: bool,
}

#[derive(Debug)]
enum ChoiceKind {
    Auto,
    Any,
    None,
    Tool(String),
    Raw(Json),
}

impl Choice {
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        let (kind, name) = match &self.kind {
            ChoiceKind::Raw(json) => return object.json("tool_choice", json),
            ChoiceKind::Auto => ("auto", None),
            ChoiceKind::Any => ("any", None),
            ChoiceKind::None => ("none", None),
            ChoiceKind::Tool(name) => ("tool", Some(name)),
        };
        object.object("tool_choice", |object| {
            object.string("type", kind);
            if let Some(name) = name {
                object.string("name", name);
            }
            if self.serial && kind != "none" {
                object.flag("disable_parallel_tool_use", true);
            }
        });
    }
}
