//! One request as callers of every dialect send it, and what they read.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use gatelet_wire::chat::{Content, Extra, Message, Part, Request, Response, Role};
use gatelet_wire::dialect::Reading;
use gatelet_wire::fold::fold;
use gatelet_wire::{DialectId, Loss, TargetHints};

use crate::client::{Call, Whole};

/// What somebody says, as a request's part.
pub fn text(text: &str) -> Content {
    Content::Text { text: text.to_owned(), citations: Vec::new() }
}

/// A message of one part.
pub fn say(role: Role, content: Content) -> Message {
    Message { role, parts: vec![Part::from(content)], name: None, extra: Extra::default() }
}

/// A question of one message.
pub fn question(model: &str, asked: &str, stream: bool) -> Request {
    Request {
        model: model.to_owned(),
        messages: vec![say(Role::User, text(asked))],
        max_output_tokens: Some(60),
        stream,
        ..Request::default()
    }
}

/// The request as a caller of this dialect sends it.
pub fn call(host: SocketAddr, dialect: DialectId, key: &str, request: &Request) -> Result<Call> {
    let hints =
        TargetHints { mid_system: true, native_schema: true, ..TargetHints::unknown(&*request.model) };
    let written = dialect.dialect().write_request(request, &hints, &mut Loss::default())?;
    let own = || dialect.dialect().path(&request.model, request.stream).into_owned();
    let path = match dialect {
        DialectId::Openai => "/v1/chat/completions".to_owned(),
        DialectId::Anthropic => "/v1/messages".to_owned(),
        DialectId::OpenaiResponses => "/v1/responses".to_owned(),
        DialectId::Cohere => "/v2/chat".to_owned(),
        DialectId::Ollama => "/api/chat".to_owned(),
        DialectId::Gemini => format!("/v1beta{}", own()),
        DialectId::Bedrock => own(),
    };
    let call = Call::new(host, http::Method::POST, &path).key(key);
    Ok(call.bytes("application/json", written.body))
}

/// What an answer says, whole or as a stream, which has to have its dialect's own end.
pub fn read(dialect: DialectId, answer: &Whole, stream: bool) -> Result<Response> {
    if !stream {
        return Ok(dialect.dialect().read_response(&answer.body, Reading::default())?);
    }
    let dialect = dialect.dialect();
    let mut framer = dialect.conventions().framing.framer();
    let mut decoder = dialect.decoder(Reading::default());
    let mut events = Vec::new();
    framer.push(&answer.body);
    while let Some(frame) = framer.next() {
        decoder.push(&frame?, &mut events)?;
    }
    if let Some(frame) = framer.finish() {
        decoder.push(&frame?, &mut events)?;
    }
    decoder.finish(&mut events).with_context(|| format!("the stream has no end: {}", answer.text()))?;
    Ok(fold(&events))
}
