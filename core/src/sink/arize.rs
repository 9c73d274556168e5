//! Arize and Phoenix: traces of OpenTelemetry with the attributes of `OpenInference`.
//!
//! <https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md>

use serde_json::{Value, json};

use super::langfuse::messages;
use super::otlp::{Attribute, attribute, bearer, traces};
use super::post::{Batch, Post};
use super::proto::Proto;
use super::story::Story;

pub(super) fn posts(batch: &Batch<'_>) -> Vec<Post> {
    if batch.requests().next().is_none() {
        return Vec::new();
    }
    let body = traces(batch, &mut |span, story| request(span, story)).0;
    let url = format!("{}/v1/traces", batch.sink.url);
    vec![Post { url, media: "application/x-protobuf", headers: bearer(batch), body }]
}

fn request(span: &mut Proto, story: &Story) {
    use Attribute::{Float, Number, Text};
    let kind = match story.word("operation").unwrap_or_default() {
        "embedding" => "EMBEDDING",
        "rerank" => "RERANKER",
        _ => "LLM",
    };
    let mut put = |name: &str, value: Attribute<'_>| attribute(span, 9, name, &value);
    put("openinference.span.kind", Text(kind));
    put("llm.model_name", Text(story.served()));
    put("llm.provider", Text(story.provider()));
    put("llm.token_count.prompt", Number(story.input()));
    put("llm.token_count.completion", Number(story.output()));
    put("llm.token_count.total", Number(story.input() + story.output()));
    put("llm.token_count.prompt_details.cache_read", Number(story.tokens("cache_read")));
    put("llm.token_count.prompt_details.cache_write", Number(story.cache_writes()));
    put("llm.token_count.completion_details.reasoning", Number(story.tokens("reasoning")));
    put("llm.cost.total", Float(story.cost()));
    if let Some(session) = story.word("session") {
        put("session.id", Text(session));
    }
    if let Some(customer) = story.word("customer") {
        put("user.id", Text(customer));
    }
    put("metadata", Text(&metadata(story).to_string()));
    let Some(content) = &story.content else { return };
    put("input.value", Text(&content["prompt"].to_string()));
    put("input.mime_type", Text("application/json"));
    put("output.value", Text(&content["answer"].to_string()));
    put("output.mime_type", Text("application/json"));
    for (place, message) in messages(&content["prompt"]).as_array().into_iter().flatten().enumerate() {
        let before = format!("llm.input_messages.{place}.message");
        put(&format!("{before}.role"), Text(message["role"].as_str().unwrap_or("user")));
        let said = message["content"].as_str().map_or_else(|| message["content"].to_string(), str::to_owned);
        put(&format!("{before}.content"), Text(&said));
    }
    put("llm.output_messages.0.message.role", Text("assistant"));
    put(
        "llm.output_messages.0.message.content",
        Text(content["answer"]["text"].as_str().unwrap_or_default()),
    );
}

/// What of a record has no name there.
pub(super) fn metadata(story: &Story) -> Value {
    let mut all = json!({ "gatelet_id": story.id(), "cost": story.line["cost"] });
    for field in
        ["key", "org", "team", "project", "user", "outcome", "fault", "strategy", "overhead_ms", "queue_ms"]
    {
        if !story.line[field].is_null() {
            all[field] = story.line[field].clone();
        }
    }
    all
}
