//! `demo/echo`: a model that needs no key and no network, so that the first call works on an aeroplane.
//!
//! It says back what the last user message says, word by word. Commands in that message make it do more:
//! `/tool NAME {…}` calls a tool with those arguments, `/fail 503` answers with that status, `/cut` breaks its stream
//! off in the middle, `/slow` waits 200 ms before each word.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gatelet_wire::chat::{Content, Request, Role};
use gatelet_wire::{DialectId, Json};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::port::{Body, Broken, Clock, Fault, FaultKind, Reach, Upstream};

/// The built-in provider, as an upstream in the `OpenAI` dialect.
pub(crate) struct Demo {
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Demo")
    }
}

/// What the last message asks for.
enum Wish {
    Say { words: Vec<String>, pause: Duration, cut: bool },
    Call { name: String, arguments: String },
    Fail { status: u16 },
}

impl Demo {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

const LONGEST: usize = 64 << 20;

#[async_trait]
impl Upstream for Demo {
    async fn send(&self, request: http::Request<Body>, _reach: Reach) -> Result<Response<Body>, Fault> {
        let (parts, body) = request.into_parts();
        let fault = |context: String| Fault::new(FaultKind::Corrupt, "demo", context);
        let body =
            body.collect(&parts.headers, LONGEST).await.map_err(|problem| fault(problem.to_string()))?;
        let request = DialectId::Openai
            .dialect()
            .read_request(&body)
            .map_err(|malformed| fault(malformed.to_string()))?;
        let text = last_words(&request);
        let created = self.clock.now().seconds();
        let prompt = body.len().div_ceil(4);
        Ok(match wish(&text) {
            Wish::Fail { status } => failure(status),
            Wish::Call { name, arguments } => {
                let call = json!([{ "index": 0, "id": "call_demo", "type": "function",
                    "function": { "name": name, "arguments": arguments } }]);
                let usage = usage(prompt, arguments.len().div_ceil(4));
                if request.stream {
                    let deltas = vec![json!({ "tool_calls": call })];
                    self.stream(&request, created, deltas, "tool_calls", &usage, Duration::ZERO, false)
                } else {
                    let message = json!({ "role": "assistant", "content": null, "tool_calls": call });
                    whole(&request, created, &message, "tool_calls", &usage)
                }
            }
            Wish::Say { mut words, pause, cut } => {
                let most = request.max_output_tokens.and_then(|most| usize::try_from(most).ok());
                let finish = if most.is_some_and(|most| words.len() > most) { "length" } else { "stop" };
                words.truncate(most.unwrap_or(usize::MAX));
                let usage = usage(prompt, words.len());
                if request.stream {
                    let deltas = words.iter().map(|word| json!({ "content": word })).collect();
                    self.stream(&request, created, deltas, finish, &usage, pause, cut)
                } else {
                    let message = json!({ "role": "assistant", "content": words.concat(), "refusal": null });
                    whole(&request, created, &message, finish, &usage)
                }
            }
        })
    }
}

impl Demo {
    #[expect(clippy::too_many_arguments, reason = "one answer, in all its parts")]
    fn stream(
        &self,
        request: &Request,
        created: i64,
        mut deltas: Vec<serde_json::Value>,
        finish: &str,
        usage: &serde_json::Value,
        pause: Duration,
        cut: bool,
    ) -> Response<Body> {
        let chunk = |choices: serde_json::Value, usage: &serde_json::Value| {
            let chunk = json!({ "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": created,
                "model": request.model, "choices": choices, "usage": usage });
            Bytes::from(format!("data: {chunk}\n\n"))
        };
        let choice = |delta: &serde_json::Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        let none = serde_json::Value::Null;
        if cut {
            deltas.truncate(deltas.len().div_ceil(2));
        }
        let mut pieces: Vec<Result<Bytes, Broken>> =
            vec![Ok(chunk(choice(&json!({ "role": "assistant", "content": "" }), None), &none))];
        pieces.extend(deltas.iter().map(|delta| Ok(chunk(choice(delta, None), &none))));
        if cut {
            pieces.push(Err(Broken("cut, as asked".to_owned())));
        } else {
            pieces.push(Ok(chunk(choice(&json!({}), Some(finish)), &none)));
            if request.stream_usage {
                pieces.push(Ok(chunk(json!([]), usage)));
            }
            pieces.push(Ok(Bytes::from_static(b"data: [DONE]\n\n")));
        }
        let clock = self.clock.clone();
        let body = if pause.is_zero() {
            stream::iter(pieces).boxed()
        } else {
            stream::iter(pieces)
                .then(move |piece| {
                    let clock = clock.clone();
                    async move {
                        clock.sleep(pause).await;
                        piece
                    }
                })
                .boxed()
        };
        respond(200, "text/event-stream", Body::Stream(body))
    }
}

fn last_words(request: &Request) -> String {
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    let parts = last.into_iter().flat_map(|message| &message.parts);
    let text = parts.map(|part| match &part.content {
        Content::Text { text, .. } => text.as_str(),
        Content::Image { .. } => "[an image]",
        Content::Audio { .. } => "[a sound]",
        Content::Document { .. } => "[a document]",
        Content::ToolResult(_) => "[a tool's result]",
        Content::ToolCall(_)
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::Refusal { .. }
        | Content::Foreign { .. } => "",
    });
    text.collect::<Vec<_>>().join(" ")
}

fn wish(text: &str) -> Wish {
    let (command, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let say = |text: &str, pause, cut| Wish::Say { words: words(text), pause, cut };
    match command {
        "/tool" => {
            let (name, arguments) = rest.split_once(' ').unwrap_or((rest, "{}"));
            let arguments =
                Json::parse(arguments).map_or_else(|_| "{}".to_owned(), |json| json.as_str().to_owned());
            Wish::Call { name: name.to_owned(), arguments }
        }
        "/fail" => match rest.trim().parse() {
            Ok(status @ 400..=599) => Wish::Fail { status },
            _ => Wish::Fail { status: 500 },
        },
        "/cut" => say(rest, Duration::ZERO, true),
        "/slow" => say(rest, Duration::from_millis(200), false),
        _ => say(text, Duration::ZERO, false),
    }
}

/// Words with the space that follows them.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
}

fn usage(prompt: usize, completion: usize) -> serde_json::Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

fn whole(
    request: &Request,
    created: i64,
    message: &serde_json::Value,
    finish: &str,
    usage: &serde_json::Value,
) -> Response<Body> {
    let body = json!({ "id": "chatcmpl-demo", "object": "chat.completion", "created": created,
        "model": request.model, "usage": usage,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish, "logprobs": null }] });
    respond(200, "application/json", Body::from(body.to_string().into_bytes()))
}

fn failure(status: u16) -> Response<Body> {
    let body = json!({ "error": { "message": "failed, as asked", "type": "demo_error", "param": null,
        "code": "demo_failure" } });
    respond(status, "application/json", Body::from(body.to_string().into_bytes()))
}

fn respond(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
