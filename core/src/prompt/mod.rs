//! Prompts: messages that admins write once, with places for what differs, and with what a request means that does not say
//! otherwise. A request names one, and what the gateway judges, sends and keeps is what it reads with its values.
//!
//! A prompt is written in the words of `OpenAI`'s chat, and is said in those of its caller. A value never changes what a
//! request is: it is put into a text that has been read already, so it makes no message, no role and no place of its own.

mod binder;
mod join;
mod variable;

#[cfg(test)]
mod tests;

use gatelet_wire::chat::{Content, Extra, Message, Role};
use gatelet_wire::dialect::TargetHints;
use gatelet_wire::{DialectId, Loss, Malformed, SmallMap};
use serde_json::{Map, Value};

pub use binder::{Binder, Edition, LATEST, Listed, Prompts, discard, write};
pub use join::{NOBODY, join};
use variable::Variable;

/// What is wrong with a prompt or with what a request gives it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub param: String,
    pub problem: String,
}

fn wrong(param: impl Into<String>, problem: impl Into<String>) -> Wrong {
    Wrong { param: param.into(), problem: problem.into() }
}

/// One version of a prompt, which can be said.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// As it was written.
    said: Map<String, Value>,
    /// What stands in its messages, by name.
    variables: SmallMap<String, Variable>,
}

/// What a prompt is made of.
pub const FIELDS: [&str; 5] = ["description", "model", "messages", "parameters", "variables"];
/// The longest prompt, in bytes of JSON.
pub const LONGEST: usize = 64 << 10;
const MOST_MESSAGES: usize = 100;
const MOST_VARIABLES: usize = 64;
/// What is the request's own to say, or said elsewhere in the prompt.
const NOT_PARAMETERS: [&str; 8] =
    ["model", "messages", "stream", "stream_options", "n", "user", "cache", "store"];

impl Prompt {
    /// Reads what an admin wrote.
    ///
    /// # Errors
    /// It is no prompt: an unknown field, a message that no model could read, a place that no variable fills, a variable
    /// without a place.
    pub fn read(said: Map<String, Value>) -> Result<Self, Wrong> {
        if let Some(name) = said.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(wrong(name, format!("expected one of {}", FIELDS.join(", "))));
        }
        if Value::from(said.clone()).to_string().len() > LONGEST {
            return Err(wrong("messages", format!("expected a prompt of at most {LONGEST} bytes")));
        }
        let text = |name: &str, most: usize| match said.get(name) {
            None => Ok(()),
            Some(Value::String(text)) if (1..=most).contains(&text.chars().count()) => Ok(()),
            Some(_) => Err(wrong(name, format!("expected a text of 1 to {most} characters"))),
        };
        text("description", 1_000)?;
        text("model", 256)?;
        let messages = said.get("messages").and_then(Value::as_array);
        let messages = messages.filter(|list| (1..=MOST_MESSAGES).contains(&list.len()));
        let messages = messages
            .ok_or_else(|| wrong("messages", format!("expected a list of 1 to {MOST_MESSAGES} messages")))?;
        let variables = variables(said.get("variables"))?;
        let mut used = Vec::new();
        for (nth, message) in messages.iter().enumerate() {
            let mut message = message.clone();
            each_text(&mut message, &mut |text| {
                let pieces = pieces(text).map_err(|problem| wrong(format!("messages[{nth}]"), problem))?;
                used.extend(pieces.iter().filter_map(|piece| match piece {
                    Piece::Place(name) => Some((*name).to_owned()),
                    Piece::Text(_) => None,
                }));
                Ok(())
            })?;
        }
        if let Some(name) = used.iter().find(|name| !variables.contains_key(*name)) {
            return Err(wrong(
                "variables",
                format!("`{{{{{name}}}}}` stands in a message, and there is no such variable"),
            ));
        }
        if let Some(name) = variables.keys().find(|name| !used.contains(name)) {
            return Err(wrong(format!("variables.{name}"), "it stands in no message"));
        }
        let prompt = Self { said, variables };
        let body = prompt.body(prompt.messages().to_vec())?;
        DialectId::Openai.dialect().read_request(&body).map_err(|malformed| match malformed {
            Malformed::Field { path, expected } => wrong(path, format!("expected {expected}")),
            other => wrong("messages", other.to_string()),
        })?;
        Ok(prompt)
    }

    /// As it was written.
    pub fn said(&self) -> &Map<String, Value> {
        &self.said
    }

    /// The model of requests that name none.
    pub fn model(&self) -> Option<&str> {
        self.said.get("model").and_then(Value::as_str)
    }

    fn messages(&self) -> &[Value] {
        self.said.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// What it says with these values, as a body in a dialect, without a model. `most`: the bytes that it may have.
    ///
    /// # Errors
    /// A value that is missing, too many or of the wrong type; or the dialect has no words for it.
    pub fn say(
        &self,
        values: &Map<String, Value>,
        dialect: DialectId,
        most: usize,
        loss: &mut Loss,
    ) -> Result<Vec<u8>, Wrong> {
        let body = self.body(self.filled(values, most)?)?;
        if dialect == DialectId::Openai {
            return Ok(body);
        }
        let unsaid = |malformed: Malformed| {
            wrong("prompt_id", format!("in your dialect it cannot be said: {malformed}"))
        };
        let mut request = DialectId::Openai.dialect().read_request(&body).map_err(unsaid)?;
        // Some dialects have no conversation without a turn, and would be given one that nobody said.
        let silent =
            request.messages.iter().all(|message| matches!(message.role, Role::System | Role::Developer));
        if silent {
            let text = Content::Text { text: ".".to_owned(), citations: Vec::new() };
            let parts = vec![text.into()];
            request.messages.push(Message { role: Role::User, parts, name: None, extra: Extra::default() });
        }
        let hints = TargetHints { native_schema: true, ..TargetHints::unknown("") };
        let written = dialect.dialect().write_request(&request, &hints, loss).map_err(unsaid)?;
        if silent { join::without_last_turn(&written.body).map_err(unsaid) } else { Ok(written.body) }
    }

    /// In the words of `OpenAI`'s chat, which want a model's name.
    fn body(&self, messages: Vec<Value>) -> Result<Vec<u8>, Wrong> {
        let mut body = Map::new();
        body.insert("model".to_owned(), join::NOBODY.into());
        body.insert("messages".to_owned(), messages.into());
        match self.said.get("parameters") {
            None => {}
            Some(Value::Object(parameters)) => {
                if let Some(name) = parameters.keys().find(|name| NOT_PARAMETERS.contains(&name.as_str())) {
                    return Err(wrong(format!("parameters.{name}"), "this is not for a prompt to say"));
                }
                body.extend(parameters.clone());
            }
            Some(_) => return Err(wrong("parameters", "expected an object")),
        }
        Ok(Value::from(body).to_string().into_bytes())
    }

    /// Its messages with values in their places.
    fn filled(&self, values: &Map<String, Value>, most: usize) -> Result<Vec<Value>, Wrong> {
        let param = |name: &str| format!("prompt_variables.{name}");
        if let Some(name) = values.keys().find(|name| !self.variables.contains_key(*name)) {
            let known: Vec<&str> = self.variables.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let short: String = name.chars().take(64).collect();
            return Err(wrong(param(&short), format!("the prompt has no such variable: it has {known}")));
        }
        let mut texts = SmallMap::new();
        for (name, variable) in &self.variables {
            let text = match values.get(name).filter(|value| !value.is_null()) {
                Some(value) => variable.text(value),
                None => {
                    variable.default().ok_or_else(|| format!("the prompt needs it: {}", variable.expected()))
                }
            };
            texts.insert(name.as_str(), text.map_err(|problem| wrong(param(name), problem))?);
        }
        let mut left = most;
        let mut messages = self.messages().to_vec();
        for message in &mut messages {
            each_text(message, &mut |text| {
                // Places were judged when the prompt was read.
                let filled: String = pieces(text)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => text,
                        Piece::Place(name) => texts.get(name).map(String::as_str).unwrap_or_default(),
                    })
                    .collect();
                left = left.checked_sub(filled.len()).ok_or_else(|| {
                    wrong(
                        "prompt_variables",
                        format!("with these values the prompt is longer than {most} bytes"),
                    )
                })?;
                *text = filled;
                Ok(())
            })?;
        }
        Ok(messages)
    }
}

fn variables(said: Option<&Value>) -> Result<SmallMap<String, Variable>, Wrong> {
    let said = match said {
        None => return Ok(SmallMap::new()),
        Some(Value::Object(said)) if said.len() <= MOST_VARIABLES => said,
        Some(_) => {
            return Err(wrong(
                "variables",
                format!("expected at most {MOST_VARIABLES} variables by their names"),
            ));
        }
    };
    let mut variables = SmallMap::new();
    for (name, said) in said {
        let path = format!("variables.{name}");
        if !is_name(name) {
            return Err(wrong(path, "expected a name of 1 to 64 letters, digits and `_`, no digit first"));
        }
        variables.insert(name.clone(), Variable::read(said, &path)?);
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// Visits the texts of a message's content: all strings below `content`, which are what a model reads or where it is.
fn each_text(
    message: &mut Value,
    visit: &mut dyn FnMut(&mut String) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    fn below(
        value: &mut Value,
        visit: &mut dyn FnMut(&mut String) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        match value {
            Value::String(text) => visit(text),
            Value::Array(list) => list.iter_mut().try_for_each(|item| below(item, visit)),
            // What a part is stands fast.
            Value::Object(fields) => fields
                .iter_mut()
                .filter(|(name, _)| *name != "type")
                .try_for_each(|(_, value)| below(value, visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
    message.get_mut("content").map_or(Ok(()), |content| below(content, visit))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// `{{name}}`
    Place(&'a str),
}

/// A text and the places in it. `\{{` stands for two braces; there is no other word of this language.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    const OPEN: &str = "{{";
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        if let Some(before) = before.strip_suffix('\\') {
            pieces.extend([Piece::Text(before), Piece::Text(OPEN)]);
            rest = after;
            continue;
        }
        let (name, after) = after
            .split_once("}}")
            .map(|(name, after)| (name.trim(), after))
            .filter(|(name, _)| is_name(name))
            .ok_or("expected a variable's name and `}}` after `{{`; two braces themselves are `\\{{`")?;
        pieces.extend([Piece::Text(before), Piece::Place(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// What a prompt may be, for the description of the interface.
#[cfg(feature = "schema")]
pub fn schema() -> Value {
    use serde_json::json;
    let roles = ["system", "developer", "user", "assistant", "tool", "function"];
    let message = json!({ "type": "object", "required": ["role"], "properties": { "role": { "enum": roles } },
        "description": "As in OpenAI's chat; `{{name}}` in its content is a place." });
    json!({
        "description": { "type": "string", "minLength": 1, "maxLength": 1_000 },
        "model": { "type": "string", "minLength": 1, "maxLength": 256,
            "description": "The model of requests that name none." },
        "messages": { "type": "array", "minItems": 1, "maxItems": MOST_MESSAGES, "items": message },
        "parameters": { "type": "object", "description": "What a request means that does not say otherwise, in the words \
            of OpenAI's chat: temperature, max_tokens, response_format, tools …" },
        "variables": { "type": "object", "maxProperties": MOST_VARIABLES, "additionalProperties": variable::schema(),
            "description": "What stands in places of the messages, by name." },
    })
}
