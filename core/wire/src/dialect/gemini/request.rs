//! Requests: reading all that a caller may say.

use crate::chat::{Content, Extra, Message, Request, Role};
use crate::object::{Object, is_string};
use crate::{DialectId, Malformed};

use super::calls::Ids;
use super::{config, part};

const HERE: DialectId = DialectId::Gemini;

/// The fields that have a place in the canonical request; the rest is kept for this dialect.
const KNOWN: &[&str] =
    &["model", "contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "serviceTier"];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let object = Object::read(body)?.either_case();
    let mut request = Request {
        messages: messages(&object)?,
        tools: config::read_tools(&object)?,
        service_tier: object.string("serviceTier")?.map(|tier| tier.to_ascii_lowercase()),
        stream_usage: true,
        ..Request::default()
    };
    request.service_tier = request.service_tier.filter(|tier| tier != "unspecified");
    for (name, json) in object.rest(KNOWN, HERE).fields {
        config::keep(&mut request.extra, &name, Some(json));
    }
    config::read_generation(&object, &mut request)?;
    config::read_tool_config(&object, &mut request)?;
    Ok(request)
}

fn messages(body: &Object<'_>) -> Result<Vec<Message>, Malformed> {
    let message = |role, parts| Message { role, parts, name: None, extra: Extra::default() };
    let mut messages = Vec::new();
    let mut ids = Ids::default();
    if let Some(raw) = body.raw("systemInstruction") {
        let mut parts = Vec::new();
        if is_string(raw) {
            let text = body.need("systemInstruction")?;
            parts.push(Content::Text { text, citations: Vec::new() }.into());
        } else {
            let content = Object::of(raw, "systemInstruction")?.either_case();
            read_parts(&content, &mut ids, &mut parts)?;
        }
        if !parts.is_empty() {
            messages.push(message(Role::System, parts));
        }
    }
    let contents =
        body.items_or_one("contents")?.ok_or_else(|| Malformed::field("contents", "a list of contents"))?;
    for (at, raw) in contents.into_iter().enumerate() {
        let content = Object::of(raw, format!("contents[{at}]"))?.either_case();
        let role = match content.string("role")?.as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) => return Err(Malformed::field(content.path("role"), "user or model")),
        };
        let goes_on = messages.last().is_some_and(|last| last.role == Role::Assistant);
        if role == Role::Assistant && !goes_on {
            ids.close();
        }
        let mut parts = Vec::new();
        read_parts(&content, &mut ids, &mut parts)?;
        messages.push(message(role, parts));
    }
    Ok(messages)
}

fn read_parts(
    content: &Object<'_>,
    ids: &mut Ids,
    out: &mut Vec<crate::chat::Part>,
) -> Result<(), Malformed> {
    for (at, raw) in content.items_or_one("parts")?.unwrap_or_default().into_iter().enumerate() {
        part::read(raw, &format!("{}[{at}]", content.path("parts")), ids, out)?;
    }
    Ok(())
}
