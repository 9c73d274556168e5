//! What a request says beside its contents: settings of the generation, tools, and the choice among them.

use crate::chat::{Extra, Format, Reasoning, Request, Tool, ToolChoice};
use crate::object::Object;
use crate::{DialectId, Json, Malformed};

use super::schema;

const HERE: DialectId = DialectId::Gemini;

/// Keeps a field under its path: one with a dot stands inside another.
pub(super) fn keep(extra: &mut Extra, path: &str, json: Option<Json>) {
    if let Some(json) = json.filter(|json| json.as_str() != "null") {
        extra.dialect = Some(HERE);
        extra.fields.push((path.to_owned(), json));
    }
}

pub(super) fn read_generation(body: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    const KNOWN: &[&str] = &[
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "_responseJsonSchema",
        "responseModalities",
        "thinkingConfig",
    ];
    let Some(config) = body.object("generationConfig")? else { return Ok(()) };
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.top_k = whole(&config, "topK")?;
    let choices = whole(&config, "candidateCount")?.map(u32::try_from).transpose();
    request.choices =
        choices.map_err(|_| Malformed::field("generationConfig.candidateCount", "a small whole number"))?;
    request.max_output_tokens = whole(&config, "maxOutputTokens")?;
    request.stop = strings(&config, "stopSequences")?;
    request.seed = match config.raw("seed").map(|raw| crate::json::from_str::<i64>(raw.get())) {
        None => None,
        Some(seed) => Some(seed.map_err(|_| Malformed::field("generationConfig.seed", "a whole number"))?),
    };
    request.presence_penalty = config.number("presencePenalty")?;
    request.frequency_penalty = config.number("frequencyPenalty")?;
    request.logprobs = config.flag("responseLogprobs")?;
    request.top_logprobs = whole(&config, "logprobs")?;
    read_format(&config, request)?;
    if let Some(thinking) = config.object("thinkingConfig")? {
        request.reasoning = Some(read_thinking(&thinking, &mut request.extra)?);
    }
    if strings(&config, "responseModalities")? != ["TEXT"] {
        keep(&mut request.extra, "generationConfig.responseModalities", config.json("responseModalities"));
    }
    for (name, json) in config.rest(KNOWN, HERE).fields {
        keep(&mut request.extra, &format!("generationConfig.{name}"), Some(json));
    }
    Ok(())
}

/// A whole number that some of the vendor's clients write with a fraction of zero.
fn whole(object: &Object<'_>, key: &str) -> Result<Option<u64>, Malformed> {
    let Some(raw) = object.raw(key) else { return Ok(None) };
    let text = raw.get().trim_matches('"');
    let text = text.strip_suffix(".0").unwrap_or(text);
    let number = text.parse().map_err(|_| Malformed::field(object.path(key), "a whole number, zero or more"));
    number.map(Some)
}

pub(super) fn strings(object: &Object<'_>, key: &str) -> Result<Vec<String>, Malformed> {
    let items = object.items(key)?.unwrap_or_default();
    items
        .into_iter()
        .map(|raw| crate::json::string(raw).map(std::borrow::Cow::into_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| Malformed::field(object.path(key), "a list of strings"))
}

fn read_format(config: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let media_type = config.string("responseMimeType")?;
    let standard = config.json("responseJsonSchema").or_else(|| config.json("_responseJsonSchema"));
    let own = config.json("responseSchema").map(|own| schema::to_standard(&own));
    match (media_type.as_deref(), standard.or(own)) {
        (None | Some("application/json"), Some(schema)) => {
            let (name, description, strict) = (None, None, None);
            request.format = Some(Format::JsonSchema { name, description, schema, strict });
        }
        (Some("application/json"), None) => request.format = Some(Format::JsonObject),
        (None | Some("text/plain"), None) => {}
        (Some(_), schema) => {
            // An enumeration as bare text: no other dialect has that.
            let extra = &mut request.extra;
            keep(extra, "generationConfig.responseMimeType", config.json("responseMimeType"));
            let key =
                if config.raw("responseSchema").is_some() { "responseSchema" } else { "responseJsonSchema" };
            let json = if key == "responseSchema" { config.json(key) } else { schema };
            keep(extra, &format!("generationConfig.{key}"), json);
        }
    }
    Ok(())
}

fn read_thinking(thinking: &Object<'_>, extra: &mut Extra) -> Result<Reasoning, Malformed> {
    const KNOWN: &[&str] = &["includeThoughts", "thinkingBudget", "thinkingLevel"];
    let shown = thinking.flag("includeThoughts")?;
    let mut reasoning = Reasoning {
        display: shown.map(|shown| if shown { "summarized" } else { "omitted" }.to_owned()),
        ..Reasoning::default()
    };
    match thinking.string("thinkingLevel")?.map(|level| level.to_ascii_lowercase()).as_deref() {
        None | Some("thinking_level_unspecified") => {}
        Some(level) => reasoning.effort = Some(level.to_owned()),
    }
    match thinking.number("thinkingBudget")? {
        None => reasoning.adaptive = reasoning.effort.is_none(),
        Some(budget) if budget < 0.0 => reasoning.adaptive = true,
        Some(_) => match whole(thinking, "thinkingBudget")? {
            Some(0) => reasoning.effort = Some("none".to_owned()),
            budget => reasoning.budget_tokens = budget,
        },
    }
    for (name, json) in thinking.rest(KNOWN, HERE).fields {
        keep(extra, &format!("generationConfig.thinkingConfig.{name}"), Some(json));
    }
    Ok(reasoning)
}

pub(super) fn read_tools(body: &Object<'_>) -> Result<Vec<Tool>, Malformed> {
    const KNOWN: &[&str] = &["name", "description", "parameters", "parametersJsonSchema"];
    let mut tools = Vec::new();
    for (at, raw) in body.items_or_one("tools")?.unwrap_or_default().into_iter().enumerate() {
        let tool = Object::of(raw, format!("tools[{at}]"))?.either_case();
        for (nth, raw) in
            tool.items_or_one("functionDeclarations")?.unwrap_or_default().into_iter().enumerate()
        {
            let path = format!("tools[{at}].functionDeclarations[{nth}]");
            let function = Object::of(raw, path)?.either_case();
            let own = || function.json("parameters").map(|own| schema::to_standard(&own));
            tools.push(Tool::Function {
                name: function.name()?,
                description: function.string("description")?,
                parameters: function.json("parametersJsonSchema").or_else(own),
                strict: None,
                cache: None,
                extra: function.rest(KNOWN, HERE),
            });
        }
        // Each of the provider's own tools by itself, as one object may hold several.
        for (name, json) in tool.rest(&["functionDeclarations"], HERE).fields {
            if json.as_str() != "null" {
                let json =
                    Json::written(format!("{{{}:{}}}", Json::of(&name).as_str(), json.as_str()).as_bytes());
                tools.push(Tool::Foreign { dialect: HERE, json });
            }
        }
    }
    Ok(tools)
}

pub(super) fn read_tool_config(body: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(config) = body.object("toolConfig")? else { return Ok(()) };
    for (name, json) in config.rest(&["functionCallingConfig"], HERE).fields {
        keep(&mut request.extra, &format!("toolConfig.{name}"), Some(json));
    }
    let Some(calling) = config.object("functionCallingConfig")? else { return Ok(()) };
    let allowed = strings(&calling, "allowedFunctionNames")?;
    let mode = calling.string("mode")?.map(|mode| mode.to_ascii_uppercase());
    request.tool_choice = match (mode.as_deref(), allowed.as_slice()) {
        (None | Some("MODE_UNSPECIFIED"), []) => None,
        (Some("AUTO"), _) => Some(ToolChoice::Auto),
        (Some("NONE"), _) => Some(ToolChoice::None),
        (Some("ANY"), [name]) => Some(ToolChoice::Named(name.clone())),
        (Some("ANY"), _) => Some(ToolChoice::Required),
        _ => {
            let json = config.json("functionCallingConfig").unwrap_or_else(|| Json::of(&()));
            Some(ToolChoice::Foreign { dialect: HERE, json })
        }
    };
    if mode.as_deref() == Some("ANY") && allowed.len() > 1 {
        let names = calling.json("allowedFunctionNames");
        keep(&mut request.extra, "toolConfig.functionCallingConfig.allowedFunctionNames", names);
    }
    for (name, json) in calling.rest(&["mode", "allowedFunctionNames"], HERE).fields {
        keep(&mut request.extra, &format!("toolConfig.functionCallingConfig.{name}"), Some(json));
    }
    Ok(())
}

/// A tier of service in this dialect's words; none if it has none for it.
pub(super) fn tier_word(tier: &str) -> Option<&'static str> {
    Some(match tier {
        "default" | "standard" | "standard_only" => "standard",
        "flex" => "flex",
        "priority" => "priority",
        _ => return None,
    })
}
