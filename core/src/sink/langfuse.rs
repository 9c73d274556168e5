//! Langfuse, by its interface for ingestion: a trace and a generation a request, and scores.
//!
//! <https://api.reference.langfuse.com/#tag/ingestion>

use serde_json::{Value, json};

use super::arize::metadata;
use super::post::{Batch, Post, Refused, basic};
use super::story::{Story, nanos, shown, times};

pub(super) fn posts(batch: &Batch<'_>) -> Vec<Post> {
    let mut events = Vec::new();
    for story in batch.requests() {
        let at = shown(times(&story.line).0);
        events.push(json!({ "id": format!("{}-trace", story.id()), "type": "trace-create", "timestamp": at, "body": trace(story, &at) }));
        events.push(json!({ "id": format!("{}-generation", story.id()), "type": "generation-create", "timestamp": at, "body": generation(story) }));
    }
    for story in batch.scores() {
        let at = story.word("at").unwrap_or_default();
        let id = story.word("score").unwrap_or_default();
        let value = match &story.line["value"] {
            Value::Bool(yes) => json!(u8::from(*yes)),
            other => other.clone(),
        };
        let kind = match story.line["value"] {
            Value::Bool(_) => "BOOLEAN",
            Value::String(_) => "CATEGORICAL",
            _ => "NUMERIC",
        };
        events.push(json!({ "id": format!("{id}-event"), "type": "score-create", "timestamp": at, "body": {
            "id": id, "traceId": story.trace_text(), "name": story.line["name"], "value": value, "dataType": kind,
            "comment": story.line["comment"],
        } }));
    }
    let post = Post::json(format!("{}/api/public/ingestion", batch.sink.url), &json!({ "batch": events }));
    vec![post.with("authorization", basic(batch.key()))]
}

fn trace(story: &Story, at: &str) -> Value {
    let mut trace = json!({
        "id": story.trace_text(), "timestamp": at, "name": format!("{} {}", story.word("operation").unwrap_or_default(), story.word("model").unwrap_or_default()),
        "userId": story.line["customer"], "sessionId": story.line["session"], "metadata": metadata(story),
        "tags": story.line["tags"].as_array().cloned().unwrap_or_default(),
    });
    content(&mut trace, story);
    trace
}

fn generation(story: &Story) -> Value {
    let (begin, end) = times(&story.line);
    let first = story.line["first_content_ms"].as_f64().map(|first| shown(begin + nanos(first)));
    let mut generation = json!({
        "id": format!("{:016x}", story.span(0)), "traceId": story.trace_text(), "name": story.word("operation"),
        "startTime": shown(begin), "endTime": shown(end), "completionStartTime": first,
        "model": story.served(), "metadata": metadata(story),
        "level": if story.done() { "DEFAULT" } else { "ERROR" },
        "statusMessage": if story.done() { Value::Null } else { story.line["outcome"].clone() },
        "usageDetails": {
            "input": story.tokens("input") + story.tokens("audio_input") + story.tokens("image_input"),
            "input_cached_tokens": story.tokens("cache_read"), "input_cache_creation": story.cache_writes(),
            "output": story.output() - story.tokens("reasoning").min(story.output()),
            "output_reasoning_tokens": story.tokens("reasoning"),
            "total": story.input() + story.output(),
        },
        "costDetails": { "total": story.cost() },
    });
    content(&mut generation, story);
    generation
}

fn content(of: &mut Value, story: &Story) {
    if let Some(content) = &story.content {
        of["input"] = messages(&content["prompt"]);
        of["output"] = content["answer"].clone();
    }
}

/// What was said to the model, where a request names it; else the whole request.
pub(super) fn messages(prompt: &Value) -> Value {
    let found = ["messages", "input", "contents", "prompt"].iter().find(|name| !prompt[**name].is_null());
    found.map_or_else(|| prompt.clone(), |name| prompt[*name].clone())
}

/// Events are judged one by one (207); one that is there already is fine.
pub(super) fn judge(body: &[u8]) -> Result<(), Refused> {
    let Ok(answer) = gatelet_wire::json::read::<Value>(body) else { return Ok(()) };
    let errors = answer["errors"].as_array().into_iter().flatten();
    match errors.filter_map(|error| error["status"].as_u64()).max() {
        None => Ok(()),
        Some(status @ (429 | 500..)) => {
            Err(Refused::Later(None, format!("it answered {status} for an event")))
        }
        Some(status) => Err(Refused::Unfit(format!("it answered {status} for an event"))),
    }
}
