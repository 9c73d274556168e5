//! Items, and the turns of a conversation that they make up.

use serde_json::value::RawValue;

use super::{HERE, content, thought};
use crate::chat::{Content, Extra, Message, Part, Role, Source, ToolCall, ToolKind, ToolResult};
use crate::json::string;
use crate::object::{Object, is_string};
use crate::source::standard_base64;
use crate::{Fields, Json, Malformed};

/// What one item is.
pub(super) enum Item {
    Message(Message),
    /// A piece of the assistant's turn.
    Said(Vec<Part>),
    /// What a tool gave.
    Result(Part),
}

/// Reads one item of a request's input or of an answer's output.
pub(super) fn read(raw: &RawValue, path: String) -> Result<Item, Malformed> {
    let item = Object::of(raw, path)?;
    let kind = item.string("type")?;
    Ok(match kind.as_deref() {
        Some("message") => message(&item)?,
        None if item.raw("role").is_some() => message(&item)?,
        Some("function_call") => Item::Said(vec![call(&item, "arguments", ToolKind::Function)?]),
        Some("custom_tool_call") => Item::Said(vec![call(&item, "input", ToolKind::Custom)?]),
        Some("function_call_output" | "custom_tool_call_output") => Item::Result(result(&item)?),
        Some("reasoning") => Item::Said(vec![thought::read(&item, raw)?.into()]),
        Some("image_generation_call") if item.raw("result").is_some() => {
            Item::Said(vec![image(&item)?.into()])
        }
        Some(kind) => {
            let foreign: Part = Content::Foreign { dialect: HERE, json: Json::from(raw) }.into();
            let by_caller =
                kind.ends_with("_output") || matches!(kind, "mcp_approval_response" | "compaction_trigger");
            if by_caller { Item::Result(foreign) } else { Item::Said(vec![foreign]) }
        }
        None => return Err(Malformed::field(item.path("type"), "the kind of the item")),
    })
}

const KNOWN_OF_MESSAGES: &[&str] = &["type", "id", "role", "content", "status"];

fn message(item: &Object<'_>) -> Result<Item, Malformed> {
    let content = item.raw("content");
    let content = content.ok_or_else(|| Malformed::field(item.path("content"), "text or a list of parts"))?;
    let mut parts = content::read(content, &item.path("content"))?;
    let role = match item.need("role")?.as_str() {
        "user" => Role::User,
        "system" => Role::System,
        "developer" => Role::Developer,
        "assistant" => Role::Assistant,
        _ => return Err(Malformed::field(item.path("role"), "user, system, developer or assistant")),
    };
    let extra = rest(item, KNOWN_OF_MESSAGES);
    if role == Role::Assistant {
        // What is said of the message is said of its first part: in the canonical form it stands in a turn with others.
        if let Some(first) = parts.first_mut().filter(|_| !extra.fields.is_empty()) {
            first.extra.dialect = Some(HERE);
            first.extra.fields.extend(extra.fields);
        }
        return Ok(Item::Said(parts));
    }
    Ok(Item::Message(Message { role, parts, name: None, extra }))
}

fn call(item: &Object<'_>, key: &str, kind: ToolKind) -> Result<Part, Malformed> {
    const KNOWN: &[&str] = &["type", "id", "call_id", "name", "arguments", "input", "status"];
    let arguments = match item.raw(key) {
        None => String::new(),
        // A string; an object at servers that take the schema at its word.
        Some(raw) => string(raw).map_or_else(|| raw.get().to_owned(), std::borrow::Cow::into_owned),
    };
    let blank = kind == ToolKind::Function && arguments.trim().is_empty();
    let call = ToolCall {
        id: match item.string("call_id")? {
            Some(id) => id,
            None => item.need("id")?,
        },
        name: item.need("name")?,
        arguments: if blank { "{}".to_owned() } else { arguments },
        kind,
    };
    Ok(Part { content: Content::ToolCall(call), cache: None, extra: rest(item, KNOWN) })
}

fn result(item: &Object<'_>) -> Result<Part, Malformed> {
    const KNOWN: &[&str] = &["type", "id", "call_id", "output", "status"];
    let path = item.path("output");
    let parts = match item.raw("output") {
        None => Vec::new(),
        Some(raw) if is_string(raw) || raw.get().starts_with('[') => content::read(raw, &path)?,
        // Some clients send the value itself.
        Some(raw) => vec![content::text_of(raw.get().to_owned())],
    };
    let result = ToolResult { call_id: item.need("call_id")?, parts, is_error: false };
    Ok(Part { content: Content::ToolResult(result), cache: None, extra: rest(item, KNOWN) })
}

/// An image that the model made.
pub(super) fn image(item: &Object<'_>) -> Result<Content, Malformed> {
    let format = item.string("output_format")?;
    let media_type = format!("image/{}", format.as_deref().unwrap_or("png"));
    let data = standard_base64(&item.need("result")?);
    let data = data.ok_or_else(|| Malformed::field(item.path("result"), "base64"))?;
    Ok(Content::Image { source: Source::Base64 { media_type, data }, detail: None })
}

fn rest(item: &Object<'_>, known: &[&str]) -> Extra {
    let mut extra = item.rest(known, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    if extra.fields.is_empty() { Extra::default() } else { extra }
}

/// The id that `item` refers to, if it is a reference to an item of an earlier answer.
pub fn reference(item: &RawValue) -> Option<String> {
    let fields = Fields::of(item, "input[]").ok()?;
    let id = || fields.present("id").and_then(string).map(String::from);
    match fields.present("type").and_then(string).as_deref() {
        Some("item_reference") => id(),
        None if fields.present("role").is_none() => id(),
        _ => None,
    }
}

/// Puts items into turns.
#[derive(Default)]
pub(super) struct Turns {
    pub(super) done: Vec<Message>,
    /// The last turn is results of tools, so that the next result joins it.
    results: bool,
}

impl Turns {
    pub(super) fn push(&mut self, item: Item) {
        let result = matches!(item, Item::Result(_));
        let (role, parts) = match item {
            Item::Message(message) => {
                self.done.push(message);
                self.results = false;
                return;
            }
            Item::Said(parts) => (Role::Assistant, parts),
            Item::Result(part) => (Role::User, vec![part]),
        };
        let joins = |last: &&mut Message| if result { self.results } else { last.role == Role::Assistant };
        match self.done.last_mut().filter(joins) {
            Some(last) => last.parts.extend(parts),
            None => self.done.push(Message { role, parts, name: None, extra: Extra::default() }),
        }
        self.results = result;
    }
}
