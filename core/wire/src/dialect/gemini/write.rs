//! Requests: writing what this dialect can say, and noting what it cannot.

use crate::chat::{Format, Request, Tool, ToolChoice, ToolKind};
use crate::dialect::anthropic::schema::arguments;
use crate::dialect::names::sent_name;
use crate::object::{ListWriter, ObjectWriter, object};
use crate::{DialectId, Json, Loss, Malformed, Restore, TargetHints, Written};

use super::compose::Composer;
use super::model::{Generation, Model};
use super::thinking::Thinking;
use super::{config, schema};

const HERE: DialectId = DialectId::Gemini;

/// The most sequences that stop a model.
const MOST_STOPS: usize = 5;

pub(super) fn write(request: &Request, hints: &TargetHints, loss: &mut Loss) -> Result<Written, Malformed> {
    let model = Model::of(if hints.model.is_empty() { &request.model } else { &hints.model });
    loss.note_extra(&request.extra, HERE, "");
    let mut restore = Restore::default();
    let tools = Tools::of(request, model, loss, &mut restore)?;
    let keys = |name: &str| tools.keys.iter().find(|(known, _)| known == name).and_then(|(_, key)| *key);
    let conversation = Composer::new(model, &keys, loss, &mut restore).compose(&request.messages)?;
    let generation = generation(request, hints, model, loss)?;
    let choice = tools.choice(request, hints, loss, &mut restore);
    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        conversation.write(object);
        tools.write(object);
        write_tool_config(object, choice.as_ref(), request);
        if generation.as_str() != "{}" {
            object.json("generationConfig", &generation);
        }
        match request.service_tier.as_deref().map(|tier| (tier, config::tier_word(tier))) {
            Some((_, Some(word))) => object.string("serviceTier", word),
            Some((tier, None)) if tier != "auto" => loss.note("service_tier"),
            Some(_) | None => {}
        }
        for (name, json) in request.extra.of(HERE).iter().filter(|(name, _)| !name.contains('.')) {
            object.json(name, json);
        }
    });
    Ok(Written { body, restore })
}

/// The kept fields that stand inside another.
fn nested<'a>(request: &'a Request, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Json)> {
    let fields = request.extra.of(HERE).iter();
    fields.filter_map(move |(name, json)| {
        name.strip_prefix(prefix).filter(|name| !name.contains('.')).map(|name| (name, json))
    })
}

fn generation(
    request: &Request,
    hints: &TargetHints,
    model: Model,
    loss: &mut Loss,
) -> Result<Json, Malformed> {
    let format = format(request, model, loss)?;
    let thinking = Thinking::of(request, model, loss);
    let mut out = Vec::new();
    object(&mut out, |object| {
        sampling(object, request, hints, loss);
        if let Some(asked) = request.max_output_tokens {
            let most = hints.max_output_tokens.unwrap_or(u64::MAX);
            if asked > most {
                loss.note("max_tokens");
            }
            object.count("maxOutputTokens", asked.min(most));
        }
        if !request.stop.is_empty() {
            if request.stop.len() > MOST_STOPS {
                loss.note("stop");
            }
            object.list("stopSequences", |list| {
                request.stop.iter().take(MOST_STOPS).for_each(|stop| list.string(stop));
            });
        }
        if let Some(choices) = request.choices {
            object.count("candidateCount", u64::from(choices));
        }
        if let Some(logprobs) = request.logprobs {
            object.flag("responseLogprobs", logprobs);
        }
        if let Some(most) = request.top_logprobs {
            object.count("logprobs", most);
        }
        for (key, json) in &format {
            object.json(key, json);
        }
        let own: Vec<_> = nested(request, "generationConfig.thinkingConfig.").collect();
        thinking.write(object, &own);
        for (name, json) in nested(request, "generationConfig.") {
            object.json(name, json);
        }
    });
    Ok(Json::written(&out))
}

fn sampling(object: &mut ObjectWriter<'_>, request: &Request, hints: &TargetHints, loss: &mut Loss) {
    if let Some(temperature) = request.temperature {
        let clamped = temperature.clamp(0.0, 2.0);
        if clamped.total_cmp(&temperature).is_ne() || !hints.sampling {
            loss.note("temperature");
        }
        if hints.sampling {
            object.number("temperature", clamped);
        }
    }
    if let Some(top_p) = request.top_p {
        if hints.sampling { object.number("topP", top_p) } else { loss.note("top_p") }
    }
    if let Some(top_k) = request.top_k {
        if hints.sampling { object.count("topK", top_k) } else { loss.note("top_k") }
    }
    if let Some(seed) = request.seed {
        match i32::try_from(seed) {
            Ok(seed) => object.raw("seed", &seed.to_string()),
            Err(_) => loss.note("seed"),
        }
    }
    for (key, penalty) in
        [("presencePenalty", request.presence_penalty), ("frequencyPenalty", request.frequency_penalty)]
    {
        if let Some(penalty) = penalty {
            object.number(key, penalty);
        }
    }
    if request.user.is_some() {
        loss.note("user");
    }
    if request.parallel_tool_calls == Some(false) {
        loss.note("parallel_tool_calls");
    }
}

/// The fields that say the form of the output.
fn format(request: &Request, model: Model, loss: &mut Loss) -> Result<Vec<(&'static str, Json)>, Malformed> {
    let media_type = || ("responseMimeType", Json::of(&"application/json"));
    let fields = match &request.format {
        None | Some(Format::Text) => return Ok(Vec::new()),
        Some(Format::JsonObject) => vec![media_type()],
        Some(Format::JsonSchema { schema, description, .. }) => {
            let described =
                crate::dialect::anthropic::schema::described(schema.clone(), description.as_deref());
            if model.generation > Generation::First {
                vec![media_type(), ("responseJsonSchema", described)]
            } else {
                let (own, left_out) = schema::to_own(&described, "response_format")?;
                if left_out {
                    loss.note("response_format.constraints");
                }
                vec![media_type(), ("responseSchema", own)]
            }
        }
    };
    let functions = request.tools.iter().any(|tool| !matches!(tool, Tool::Foreign { .. }));
    if functions && model.generation < Generation::Levels {
        let expected = "no schema or JSON mode beside tools: this model takes one of them";
        return Err(Malformed::field("response_format", expected));
    }
    Ok(fields)
}

/// A function as it will be declared.
#[derive(Debug)]
struct Function {
    name: String,
    description: Option<String>,
    /// The key and the schema under it.
    parameters: Option<(&'static str, Json)>,
    own: Vec<(String, Json)>,
}

#[derive(Debug, Default)]
struct Tools {
    functions: Vec<Function>,
    own: Vec<Json>,
    /// The callers' names of tools whose arguments are wrapped, with the key.
    keys: Vec<(String, Option<&'static str>)>,
    /// Every function wants its arguments to fit its schema.
    strict: bool,
}

impl Tools {
    fn of(
        request: &Request,
        model: Model,
        loss: &mut Loss,
        restore: &mut Restore,
    ) -> Result<Self, Malformed> {
        let mut tools = Self::default();
        let stricts = request.tools.iter().filter_map(|tool| match tool {
            Tool::Function { strict, .. } => Some(*strict == Some(true)),
            Tool::Custom { .. } => Some(false),
            Tool::Foreign { .. } => None,
        });
        let stricts: Vec<bool> = stricts.collect();
        tools.strict = !stricts.is_empty()
            && stricts.iter().all(|strict| *strict)
            && model.generation >= Generation::Budgets
            && matches!(request.tool_choice, None | Some(ToolChoice::Auto));
        for (at, tool) in request.tools.iter().enumerate() {
            let path = format!("tools[{at}]");
            match tool {
                Tool::Function { name, .. } | Tool::Custom { name, .. } if name.is_empty() => {
                    return Err(Malformed::field(format!("{path}.name"), "the name of a tool"));
                }
                Tool::Function { name, description, parameters, strict, cache, extra } => {
                    if *strict == Some(true) && !tools.strict {
                        loss.note(format!("{path}.strict"));
                    }
                    if cache.is_some() {
                        loss.note(format!("{path}.cache_control"));
                    }
                    loss.note_extra(extra, HERE, &path);
                    let (parameters, key) = parameters_of(parameters.as_ref(), &path, model, loss)?;
                    tools.keys.push((name.clone(), key));
                    tools.functions.push(Function {
                        name: sent_name(name, ToolKind::Function, key, restore),
                        description: description.clone().filter(|text| !text.is_empty()),
                        parameters,
                        own: extra.of(HERE).to_vec(),
                    });
                }
                Tool::Custom { name, description, format } => {
                    if format.is_some() {
                        loss.note(format!("{path}.format"));
                    }
                    let key = Restore::FREE_TEXT;
                    let schema = serde_json::json!({
                        "type": "object",
                        "properties": { key: { "type": "string" } },
                        "required": [key],
                    });
                    tools.keys.push((name.clone(), Some(key)));
                    tools.functions.push(Function {
                        name: sent_name(name, ToolKind::Custom, Some(key), restore),
                        description: description.clone(),
                        parameters: Some(("parametersJsonSchema", Json::of(&schema))),
                        own: Vec::new(),
                    });
                }
                Tool::Foreign { dialect: HERE, json } => tools.own.push(json.clone()),
                Tool::Foreign { .. } => loss.note(path),
            }
        }
        if !tools.own.is_empty() && !tools.functions.is_empty() && model.generation < Generation::Levels {
            // Together they are refused.
            loss.note("tools");
            tools.own.clear();
        }
        Ok(tools)
    }

    fn write(&self, object: &mut ObjectWriter<'_>) {
        if self.functions.is_empty() && self.own.is_empty() {
            return;
        }
        object.list("tools", |list| {
            if !self.functions.is_empty() {
                list.object(|tool| {
                    tool.list("functionDeclarations", |list| {
                        self.functions.iter().for_each(|function| function.write(list));
                    });
                });
            }
            self.own.iter().for_each(|json| list.json(json));
        });
    }

    fn choice(
        &self,
        request: &Request,
        hints: &TargetHints,
        loss: &mut Loss,
        restore: &mut Restore,
    ) -> Option<Choice> {
        if self.functions.is_empty() {
            if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
                loss.note("tool_choice");
            }
            return None;
        }
        let plain = |mode| Some(Choice { mode, names: Vec::new() });
        match &request.tool_choice {
            None | Some(ToolChoice::Auto) if self.strict => plain("VALIDATED"),
            // One in its own words is written with what else was kept.
            None | Some(ToolChoice::Foreign { dialect: HERE, .. }) => None,
            Some(ToolChoice::Auto) => plain("AUTO"),
            Some(ToolChoice::None) => plain("NONE"),
            Some(ToolChoice::Required | ToolChoice::Named(_)) if !hints.forced_tool => {
                loss.note("tool_choice");
                plain("AUTO")
            }
            Some(ToolChoice::Required) => plain("ANY"),
            Some(ToolChoice::Named(name)) => {
                let key = self.keys.iter().find(|(known, _)| known == name).and_then(|(_, key)| *key);
                let custom = |tool: &Tool| matches!(tool, Tool::Custom { name: own, .. } if own == name);
                let custom = request.tools.iter().any(custom);
                let kind = if custom { ToolKind::Custom } else { ToolKind::Function };
                Some(Choice { mode: "ANY", names: vec![sent_name(name, kind, key, restore)] })
            }
            Some(ToolChoice::Foreign { .. }) => {
                loss.note("tool_choice");
                plain("AUTO")
            }
        }
    }
}

#[derive(Debug)]
struct Choice {
    mode: &'static str,
    names: Vec<String>,
}

fn write_tool_config(object: &mut ObjectWriter<'_>, choice: Option<&Choice>, request: &Request) {
    let own: Vec<_> = nested(request, "toolConfig.").collect();
    let calling: Vec<_> = nested(request, "toolConfig.functionCallingConfig.").collect();
    let raw = match &request.tool_choice {
        Some(ToolChoice::Foreign { dialect: HERE, json }) => Some(json),
        _ => None,
    };
    if choice.is_none() && own.is_empty() && calling.is_empty() && raw.is_none() {
        return;
    }
    object.object("toolConfig", |config| {
        if let Some(raw) = raw {
            config.json("functionCallingConfig", raw);
        } else if choice.is_some() || !calling.is_empty() {
            config.object("functionCallingConfig", |object| {
                if let Some(choice) = choice {
                    object.string("mode", choice.mode);
                    if !choice.names.is_empty() {
                        object.list("allowedFunctionNames", |list| {
                            choice.names.iter().for_each(|name| list.string(name));
                        });
                    }
                }
                for (name, json) in &calling {
                    object.json(name, json);
                }
            });
        }
        for (name, json) in &own {
            config.json(name, json);
        }
    });
}

impl Function {
    fn write(&self, list: &mut ListWriter<'_>) {
        list.object(|object| {
            object.string("name", &self.name);
            if let Some(description) = &self.description {
                object.string("description", description);
            }
            if let Some((key, schema)) = &self.parameters {
                object.json(key, schema);
            }
            for (name, json) in &self.own {
                object.json(name, json);
            }
        });
    }
}

/// A key and the schema under it.
type Parameters = Option<(&'static str, Json)>;

/// A function's parameters; where their root is no object, the key under which they are wrapped.
fn parameters_of(
    said: Option<&Json>,
    path: &str,
    model: Model,
    loss: &mut Loss,
) -> Result<(Parameters, Option<&'static str>), Malformed> {
    let Some(said) = said else { return Ok((None, None)) };
    let path = format!("{path}.parameters");
    let (standard, key) = arguments(Some(said), &path)?;
    if model.generation > Generation::First {
        return Ok((Some(("parametersJsonSchema", standard)), key));
    }
    let (own, left_out) = schema::to_own(&standard, &path)?;
    if left_out {
        loss.note(format!("{path}.constraints"));
    }
    // An object without properties is refused; no parameters are not.
    let properties =
        own.to_value().get("properties").and_then(|all| all.as_object().map(|all| !all.is_empty()));
    let parameters = (properties == Some(true)).then_some(("parameters", own));
    Ok((parameters, key))
}
