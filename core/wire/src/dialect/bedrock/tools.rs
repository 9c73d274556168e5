//! Tools, the choice among them, and the tool that stands in for a schema of the output.

use crate::chat::{CacheMark, Content, Extra, Format, Request, Tool, ToolChoice, ToolKind};
use crate::dialect::anthropic::schema;
use crate::dialect::names::sent_name;
use crate::object::ObjectWriter;
use crate::{Json, Loss, Malformed, Restore, TargetHints};

use super::HERE;
use super::family::{Family, Forced};
use super::inline::inlined;
use super::turn::{Conversation, write_cache_point};

/// The tool that stands in for a schema of the output.
const ANSWER_TOOL: &str = "json_tool_call";

/// How the wish for a format of output is met.
#[derive(Debug)]
pub(super) enum Shape {
    Free,
    Native {
        schema: Json,
        name: Option<String>,
        description: Option<String>,
    },
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
        family: Family,
        loss: &mut Loss,
    ) -> Result<Self, Malformed> {
        const PATH: &str = "response_format.schema";
        let (schema, name, description) = match format {
            None | Some(Format::Text) => return Ok(Self::Free),
            Some(Format::JsonObject) => {
                let any = Json::of(&serde_json::json!({"type": "object"}));
                return Ok(Self::Tool { schema: any, key: None, description: None });
            }
            Some(Format::JsonSchema { schema, name, description, .. }) => (schema, name, description),
        };
        if hints.native_schema {
            let native = if family == Family::Claude {
                schema::enforced(schema).map(|enforced| (enforced.schema, enforced.moved))
            } else {
                let (arguments, key) = schema::arguments(Some(schema), PATH)?;
                key.is_none().then(|| inlined(&arguments, PATH)).transpose()?.map(|schema| (schema, false))
            };
            if let Some((schema, moved)) = native {
                if moved {
                    loss.note("response_format.schema.constraints");
                }
                return Ok(Self::Native { schema, name: name.clone(), description: description.clone() });
            }
        }
        let (schema, key) = schema::arguments(Some(schema), PATH)?;
        let schema = if family.takes_references() { schema } else { inlined(&schema, PATH)? };
        Ok(Self::Tool { schema, key, description: description.clone() })
    }
}

/// One tool, ready to be written.
#[derive(Debug)]
enum Ready {
    Spec {
        name: String,
        description: String,
        schema: Json,
        strict: bool,
        cache: Option<CacheMark>,
        extra: Extra,
    },
    Raw(Json),
}

impl Ready {
    fn plain(name: &str, description: &str, schema: Json) -> Self {
        Self::Spec {
            name: name.to_owned(),
            description: description.to_owned(),
            schema,
            strict: false,
            cache: None,
            extra: Extra::default(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tools {
    ready: Vec<Ready>,
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
        family: Family,
        shape: &Shape,
        loss: &mut Loss,
        restore: &mut Restore,
    ) -> Result<Self, Malformed> {
        let mut tools = Self::default();
        // There is no word for "none of them": they are left out, which means the same.
        let unwanted = request.tool_choice == Some(ToolChoice::None) && !speaks_of_tools(request);
        let wanted = if unwanted { &[][..] } else { &request.tools };
        for (at, tool) in wanted.iter().enumerate() {
            let path = format!("tools[{at}]");
            match tool {
                Tool::Function { name, .. } | Tool::Custom { name, .. } if name.is_empty() => {
                    return Err(Malformed::field(format!("{path}.name"), "the name of a tool"));
                }
                Tool::Function { name, description, parameters, strict, cache, extra } => {
                    let place = format!("{path}.parameters");
                    let (mut schema, key) = schema::arguments(parameters.as_ref(), &place)?;
                    let mut strict = *strict == Some(true);
                    if strict {
                        let enforced = schema::enforced(&schema)
                            .filter(|_| hints.native_schema && family == Family::Claude);
                        if let Some(enforced) = enforced {
                            if enforced.moved {
                                loss.note(format!("{place}.constraints"));
                            }
                            schema = enforced.schema;
                        } else {
                            strict = false;
                            loss.note(format!("{path}.strict"));
                        }
                    }
                    if !family.takes_references() {
                        schema = inlined(&schema, &place)?;
                    }
                    loss.note_extra(extra, HERE, &path);
                    tools.keys.push((name.clone(), key));
                    let name = sent_name(name, ToolKind::Function, key, restore);
                    let description = described(description.as_deref(), &name);
                    let (cache, extra) = (cache.clone(), extra.clone());
                    tools.ready.push(Ready::Spec { name, description, schema, strict, cache, extra });
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
                    let sent = sent_name(name, ToolKind::Custom, Some(key), restore);
                    let description = described(description.as_deref(), &sent);
                    tools.ready.push(Ready::plain(&sent, &description, Json::of(&text)));
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
            tools.ready.push(Ready::plain(ANSWER_TOOL, &description, schema.clone()));
            tools.answer = true;
            restore.answer(ANSWER_TOOL, *key);
        }
        Ok(tools)
    }

    /// A history that speaks of tools needs some: where the caller sends none now, they are named after their calls.
    pub(super) fn complete(&mut self, conversation: &Conversation, loss: &mut Loss) {
        if !self.ready.is_empty() {
            return;
        }
        for name in conversation.called() {
            let any = Json::of(&serde_json::json!({"type": "object", "properties": {}}));
            self.ready.push(Ready::plain(name, name, any));
            // Nothing keeps the model from calling it.
            loss.note("tools");
        }
        self.history_only = !self.ready.is_empty();
    }

    /// Every mark of the tools, in their order.
    pub(super) fn marks(&mut self) -> impl Iterator<Item = &mut Option<CacheMark>> {
        self.ready.iter_mut().filter_map(|tool| match tool {
            Ready::Spec { cache, .. } => Some(cache),
            Ready::Raw(_) => None,
        })
    }

    /// What is said of the choice, given how far the model can be forced.
    pub(super) fn choice(
        &self,
        request: &Request,
        shape: &Shape,
        forced: Forced,
        loss: &mut Loss,
        restore: &mut Restore,
    ) -> Option<Choice> {
        if request.parallel_tool_calls == Some(false) && !self.ready.is_empty() {
            loss.note("parallel_tool_calls");
        }
        if self.ready.is_empty() || self.history_only {
            if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
                loss.note("tool_choice");
            }
            return None;
        }
        let alone = self.ready.len() == usize::from(self.answer);
        let named = |name: &str, restore: &mut Restore| {
            let key = self.keys.iter().find(|(known, _)| known == name).and_then(|(_, key)| *key);
            Choice::Tool(sent_name(name, ToolKind::Function, key, restore))
        };
        let choice = match (&request.tool_choice, shape) {
            (Some(ToolChoice::Named(name)), _) => named(name, restore),
            (Some(ToolChoice::None), Shape::Tool { .. }) => Choice::Tool(ANSWER_TOOL.to_owned()),
            (_, Shape::Tool { .. }) if alone => Choice::Tool(ANSWER_TOOL.to_owned()),
            (Some(ToolChoice::Auto | ToolChoice::Required) | None, Shape::Tool { .. })
            | (Some(ToolChoice::Required), _) => Choice::Any,
            (Some(ToolChoice::Auto), _) => Choice::Auto,
            (Some(ToolChoice::Foreign { dialect: HERE, json }), _) => Choice::Raw(json.clone()),
            (Some(ToolChoice::None | ToolChoice::Foreign { .. }), _) => {
                loss.note("tool_choice");
                return None;
            }
            (None, _) => return None,
        };
        Some(match choice {
            Choice::Any | Choice::Tool(_) if forced == Forced::Nothing => {
                // The answer's tool may then be left uncalled: its description asks for the call all the same.
                loss.note("tool_choice");
                Choice::Auto
            }
            Choice::Tool(_) if forced == Forced::Any => {
                if self.ready.len() > 1 {
                    loss.note("tool_choice");
                }
                Choice::Any
            }
            choice => choice,
        })
    }

    pub(super) fn write(&self, object: &mut ObjectWriter<'_>, choice: Option<&Choice>, request: &Request) {
        if self.ready.is_empty() {
            return;
        }
        object.object("toolConfig", |object| {
            object.list("tools", |list| {
                for tool in &self.ready {
                    match tool {
                        Ready::Raw(json) => list.json(json),
                        Ready::Spec { name, description, schema, strict, cache, extra } => {
                            list.object(|object| {
                                object.object("toolSpec", |object| {
                                    object.string("name", name);
                                    object.string("description", description);
                                    object.object("inputSchema", |object| object.json("json", schema));
                                    if *strict {
                                        object.flag("strict", true);
                                    }
                                    object.extra(extra, HERE);
                                });
                            });
                            if let Some(mark) = cache {
                                write_cache_point(list, mark);
                            }
                        }
                    }
                }
            });
            if let Some(choice) = choice {
                choice.write(object);
            }
            for (name, json) in super::write::nested(request, "toolConfig.") {
                object.json(name, json);
            }
        });
    }
}

fn speaks_of_tools(request: &Request) -> bool {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.into_iter().any(|part| matches!(part.content, Content::ToolCall(_) | Content::ToolResult(_)))
}

/// A description that is not empty.
fn described(description: Option<&str>, name: &str) -> String {
    description.filter(|text| !text.trim().is_empty()).unwrap_or(name).to_owned()
}

#[derive(Debug)]
pub(super) enum Choice {
    Auto,
    Any,
    Tool(String),
    Raw(Json),
}

impl Choice {
    fn write(&self, object: &mut ObjectWriter<'_>) {
        match self {
            Self::Raw(json) => object.json("toolChoice", json),
            Self::Auto => object.object("toolChoice", |object| object.object("auto", |_| {})),
            Self::Any => object.object("toolChoice", |object| object.object("any", |_| {})),
            Self::Tool(name) => object.object("toolChoice", |object| {
                object.object("tool", |object| object.string("name", name));
            }),
        }
    }
}
