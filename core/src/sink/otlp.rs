//! OpenTelemetry over HTTP: traces, logs and metrics, by the semantic conventions for generative AI.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto>, <https://github.com/open-telemetry/semantic-conventions-genai>
//!
//! A request is a span of the kind server, with the model's usage and the cost; each call of a provider is a span of the kind
//! client under it, without usage, so that nobody counts it twice.

mod metrics;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::post::{Batch, Post};
use super::proto::Proto;
use super::said;
use super::story::{Story, nanos, times};

const MEDIA: &str = "application/x-protobuf";
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

/// Metrics come last: what is sent again would be counted again.
pub(super) fn posts(batch: &Batch<'_>) -> Vec<Post> {
    let post = |path: &str, body: Proto| Post {
        url: format!("{}{path}", batch.sink.url),
        media: MEDIA,
        headers: bearer(batch),
        body: body.0,
    };
    let mut posts = Vec::new();
    if batch.requests().next().is_some() {
        posts.push(post("/v1/traces", traces(batch, &mut |span, story| request(span, story))));
    }
    posts.push(post("/v1/logs", logs(batch)));
    if batch.requests().next().is_some() {
        posts.push(post("/v1/metrics", metrics::metrics(batch)));
    }
    posts
}

pub(super) fn bearer(batch: &Batch<'_>) -> Vec<(&'static str, String)> {
    let key = batch.key();
    if key.is_empty() { Vec::new() } else { vec![("authorization", format!("Bearer {key}"))] }
}

/// What an attribute is.
#[derive(Clone, Debug)]
pub(super) enum Attribute<'a> {
    Text(&'a str),
    Number(u64),
    Float(f64),
    Flag(bool),
    /// A list of one text.
    One(&'a str),
}

pub(super) fn attribute(out: &mut Proto, field: u32, name: &str, value: &Attribute<'_>) {
    out.message(field, &mut |pair| {
        pair.text(1, name).message(2, &mut |any| {
            match value {
                Attribute::Text(text) => any.text(1, text),
                Attribute::Flag(flag) => any.number(2, u64::from(*flag)),
                Attribute::Number(number) => any.number(3, *number),
                Attribute::Float(float) => any.double(4, *float),
                Attribute::One(text) => any.message(5, &mut |list| {
                    list.message(1, &mut |any| {
                        any.text(1, text);
                    });
                }),
            };
        });
    });
}

/// The resource that all of it is of, and the scope.
pub(super) fn frame(out: &mut Proto, place: &str, fill: &mut dyn FnMut(&mut Proto)) {
    out.message(1, &mut |of_resource| {
        of_resource.message(1, &mut |resource| {
            attribute(resource, 1, "service.name", &Attribute::Text(place));
            attribute(resource, 1, "service.version", &Attribute::Text(env!("CARGO_PKG_VERSION")));
        });
        of_resource.message(2, &mut |of_scope| {
            of_scope.message(1, &mut |scope| {
                scope.text(1, "gatelet").text(2, env!("CARGO_PKG_VERSION"));
            });
            fill(of_scope);
        });
    });
}

/// Spans of all requests; `request` fills those of the requests, each after what all spans have.
pub(super) fn traces(batch: &Batch<'_>, request: &mut dyn FnMut(&mut Proto, &Story)) -> Proto {
    let mut out = Proto::default();
    frame(&mut out, &batch.sink.place, &mut |spans| {
        for story in batch.requests() {
            let name = format!("{} {}", operation(story), story.word("model").unwrap_or_default());
            spans.message(2, &mut |span| {
                begin(span, story, 0, story.parent(), &name, SERVER, &story.line);
                request(span, story);
                if !story.done() && story.line["status"].as_u64().is_some_and(|status| status >= 500) {
                    failed(span, story.word("outcome").unwrap_or_default());
                }
            });
            for attempt in &story.attempts {
                spans.message(2, &mut |span| call(span, story, attempt));
            }
        }
    });
    out
}

fn begin(
    span: &mut Proto,
    story: &Story,
    attempt: u32,
    parent: Option<u64>,
    name: &str,
    kind: u64,
    line: &Value,
) {
    let (begin, end) = times(line);
    span.bytes(1, &story.trace_id().to_be_bytes()).bytes(2, &story.span(attempt).to_be_bytes());
    if let Some(state) = story.word("trace_state") {
        span.text(3, state);
    }
    if let Some(parent) = parent {
        span.bytes(4, &parent.to_be_bytes());
    }
    span.text(5, name).number(6, kind).fixed(7, begin).fixed(8, end);
}

fn failed(span: &mut Proto, why: &str) {
    span.message(15, &mut |status| {
        status.text(2, why).number(3, ERROR);
    });
}

/// A request's attributes.
fn request(span: &mut Proto, story: &Story) {
    use Attribute::{Flag, Float, Number, One, Text};
    let mut put = |name: &str, value: Attribute<'_>| attribute(span, 9, name, &value);
    put("gen_ai.operation.name", Text(operation(story)));
    put("gen_ai.provider.name", Text(provider(story.provider())));
    put("gen_ai.request.model", Text(story.word("model").unwrap_or_default()));
    put("gen_ai.request.stream", Flag(story.line["stream"] == true));
    put("gen_ai.response.model", Text(story.served()));
    if let Some(finish) = story.word("finish") {
        put("gen_ai.response.finish_reasons", One(finish));
    }
    put("gen_ai.usage.input_tokens", Number(story.input()));
    put("gen_ai.usage.output_tokens", Number(story.output()));
    put("gen_ai.usage.cache_read.input_tokens", Number(story.tokens("cache_read")));
    put("gen_ai.usage.cache_creation.input_tokens", Number(story.cache_writes()));
    put("gen_ai.usage.reasoning.output_tokens", Number(story.tokens("reasoning")));
    if let Some(first) = story.line["first_content_ms"].as_f64() {
        put("gen_ai.response.time_to_first_chunk", Float(first / 1_000.0));
    }
    if let Some(session) = story.word("session") {
        put("gen_ai.conversation.id", Text(session));
    }
    put("http.response.status_code", Number(story.line["status"].as_u64().unwrap_or(0)));
    if !story.done() {
        put("error.type", Text(story.word("outcome").unwrap_or_default()));
    }
    for field in
        ["id", "key", "alias", "org", "team", "project", "user", "customer", "cost", "outcome", "fault"]
    {
        if let Some(value) = story.word(field) {
            put(&format!("gatelet.{field}"), Text(value));
        }
    }
    for tag in story.line["tags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        put(&format!("gatelet.tag.{tag}"), Flag(true));
    }
    for member in story.line["baggage"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some((name, value)) = member.split(';').next().unwrap_or_default().split_once('=') {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            put(&format!("baggage.{}", name.trim()), Text(&value));
        }
    }
    for field in ["total_ms", "queue_ms", "upstream_ms", "overhead_ms"] {
        if let Some(value) = story.line[field].as_f64() {
            put(&format!("gatelet.{field}"), Float(value));
        }
    }
    if let Some(content) = &story.content {
        put("gen_ai.input.messages", Text(&said::asked(&content["prompt"]).to_string()));
        put("gen_ai.output.messages", Text(&said::answered(&content["answer"], story).to_string()));
    }
}

/// A provider's call.
fn call(span: &mut Proto, story: &Story, attempt: &Value) {
    use Attribute::{Number, Text};
    let number = attempt["attempt"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(1);
    let target = attempt["target"].as_str().unwrap_or_default();
    let (of, model) = target.split_once('/').unwrap_or((target, ""));
    let outcome = attempt["outcome"].as_str().unwrap_or_default();
    let name = format!("{} {model}", operation(story));
    begin(span, story, number, Some(story.span(0)), &name, CLIENT, attempt);
    let mut put = |name: &str, value: Attribute<'_>| attribute(span, 9, name, &value);
    put("gen_ai.operation.name", Text(operation(story)));
    put("gen_ai.provider.name", Text(provider(of)));
    put("gen_ai.request.model", Text(model));
    put("gatelet.lane", Text(attempt["lane"].as_str().unwrap_or_default()));
    if let Some(why) = attempt["why"].as_str() {
        put("gatelet.why", Text(why));
    }
    if let Some(status) = attempt["status"].as_u64() {
        put("http.response.status_code", Number(status));
    }
    if outcome != "answered" {
        put("error.type", Text(outcome));
        failed(span, outcome);
    }
}

/// A line each, joined to its span: the record as JSON; a score as what it says.
fn logs(batch: &Batch<'_>) -> Proto {
    const INFO: u64 = 9;
    const WARN: u64 = 13;
    let mut out = Proto::default();
    frame(&mut out, &batch.sink.place, &mut |records| {
        for story in batch.stories {
            let (begin, end) = times(&story.line);
            let fine = story.done() || story.is_score();
            records.message(2, &mut |record| {
                record.fixed(1, if story.is_score() { begin } else { end });
                record.number(2, if fine { INFO } else { WARN }).text(3, if fine { "INFO" } else { "WARN" });
                record.message(5, &mut |body| {
                    body.text(1, &story.line.to_string());
                });
                attribute(record, 6, "gatelet.id", &Attribute::Text(story.id()));
                record.bytes(9, &story.trace_id().to_be_bytes()).bytes(10, &story.span(0).to_be_bytes());
                record.fixed(11, end);
                record
                    .text(12, if story.is_score() { "gen_ai.evaluation.result" } else { "gatelet.request" });
            });
        }
    });
    out
}

/// The conventions' word for what was asked for.
pub(super) fn operation(story: &Story) -> &str {
    match story.word("operation").unwrap_or_default() {
        "completion" => "text_completion",
        "embedding" => "embeddings",
        other => other,
    }
}

/// The conventions' word for a provider; others keep the registry's.
pub(super) fn provider(id: &str) -> &str {
    match id {
        "bedrock" | "bedrock-mantle" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        other => other,
    }
}

/// How long it took, in seconds.
pub(super) fn seconds(millis: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of less than months")]
    let nanos = nanos(millis) as f64;
    nanos / 1e9
}
