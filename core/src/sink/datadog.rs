//! Datadog: LLM Observability, logs and metrics.
//!
//! <https://docs.datadoghq.com/llm_observability/instrumentation/api>, <https://docs.datadoghq.com/api/latest/logs>,
//! <https://docs.datadoghq.com/api/latest/metrics>

use gatelet_wire::SmallMap;
use serde_json::{Value, json};

use super::otlp::provider;
use super::post::{Batch, Post};
use super::said;
use super::story::{Story, times};
use crate::domain::Timestamp;

/// Metrics come last: what is sent again would be counted again.
pub(super) fn posts(batch: &Batch<'_>, now: Timestamp) -> Vec<Post> {
    let url = &*batch.sink.url;
    // Logs have a host of their own; who names an address (an agent, a proxy) has all behind it.
    let logs_url = match url.strip_prefix("https://api.") {
        Some(site) => format!("https://http-intake.logs.{site}/api/v2/logs"),
        None => format!("{url}/api/v2/logs"),
    };
    if url.contains("/evp_proxy/") {
        return through_agent(batch);
    }
    let mut posts = Vec::new();
    if batch.requests().next().is_some() {
        posts.push(Post::json(format!("{url}/api/intake/llm-obs/v1/trace/spans"), &spans(batch)));
        posts.push(Post::json(logs_url, &logs(batch)));
    }
    if batch.scores().next().is_some() {
        posts.push(Post::json(format!("{url}/api/intake/llm-obs/v2/eval-metric"), &scores(batch)));
    }
    if batch.requests().next().is_some() {
        posts.push(Post::json(format!("{url}/api/v2/series"), &series(batch, now)));
    }
    posts.into_iter().map(|post| post.with("dd-api-key", batch.key().to_owned())).collect()
}

/// An agent of Datadog's passes on what LLM Observability has, in the words of its tracers; logs and metrics it collects by
/// itself.
fn through_agent(batch: &Batch<'_>) -> Vec<Post> {
    let url = &*batch.sink.url;
    let spans: Vec<Value> = batch.requests().map(span).collect();
    let mut posts = Vec::new();
    if !spans.is_empty() {
        let events = json!([{ "_dd.stage": "raw", "_dd.tracer_version": env!("CARGO_PKG_VERSION"), "event_type": "span",
            "ml_app": batch.sink.place, "spans": spans }]);
        let post = Post::json(format!("{url}/api/v2/llmobs"), &events);
        posts.push(post.with("x-datadog-evp-subdomain", "llmobs-intake".to_owned()));
    }
    if batch.scores().next().is_some() {
        let post = Post::json(format!("{url}/api/intake/llm-obs/v2/eval-metric"), &scores(batch));
        posts.push(post.with("x-datadog-evp-subdomain", "api".to_owned()));
    }
    posts
}

fn spans(batch: &Batch<'_>) -> Value {
    let spans: Vec<Value> = batch.requests().map(span).collect();
    let attributes = json!({ "ml_app": batch.sink.place, "tags": ["source:gatelet"], "spans": spans });
    json!({ "data": { "type": "span", "attributes": attributes } })
}

fn span(story: &Story) -> Value {
    let (begin, end) = times(&story.line);
    let kind = if story.word("operation") == Some("embedding") { "embedding" } else { "llm" };
    let mut meta = json!({
        "kind": kind,
        "model_name": story.served(),
        "model_provider": provider(story.provider()),
        "metadata": { "gatelet_id": story.id(), "model": story.line["model"], "attempts": story.line["attempts"],
            "finish": story.line["finish"], "outcome": story.line["outcome"], "cost_usd": story.line["cost"] },
    });
    if let Some(content) = &story.content {
        meta["input"] = json!({ "messages": said::texts(&said::asked(&content["prompt"])) });
        meta["output"] = json!({ "messages": said::texts(&said::answered(&content["answer"], story)) });
    }
    if !story.done() {
        meta["error"] = json!({ "type": story.line["outcome"], "message": story.line["outcome"] });
    }
    let mut metrics = json!({
        "input_tokens": story.input(), "output_tokens": story.output(), "total_tokens": story.input() + story.output(),
        "cache_read_input_tokens": story.tokens("cache_read"), "cache_write_input_tokens": story.cache_writes(),
        "reasoning_output_tokens": story.tokens("reasoning"),
        // As Datadog counts.
        "total_cost": story.nano_dollars(),
    });
    if let Some(first) = story.line["first_content_ms"].as_f64() {
        metrics["time_to_first_token"] = json!(first / 1_000.0);
    }
    json!({
        "trace_id": story.trace_text(), "span_id": story.span(0).to_string(),
        "parent_id": story.parent().map_or_else(|| "undefined".to_owned(), |parent| parent.to_string()),
        "session_id": story.word("session").unwrap_or_default(),
        "name": story.word("operation").unwrap_or_default(),
        "start_ns": begin, "duration": end - begin,
        "status": if story.done() { "ok" } else { "error" },
        "tags": tags(story), "meta": meta, "metrics": metrics,
    })
}

/// What requests are kept apart by: nothing that a caller makes up.
fn tags(story: &Story) -> Vec<String> {
    let mut tags = vec![format!("provider:{}", story.provider()), format!("model:{}", story.served())];
    for field in ["org", "team", "project", "outcome"] {
        tags.extend(story.word(field).map(|value| format!("{field}:{value}")));
    }
    tags
}

fn logs(batch: &Batch<'_>) -> Value {
    let line = |story: &Story| {
        json!({
            "ddsource": "gatelet", "service": batch.sink.place, "ddtags": tags(story).join(","),
            "status": if story.done() { "info" } else { "warn" },
            "message": story.line.to_string(),
            "date": times(&story.line).0 / 1_000_000,
            "dd": { "trace_id": story.trace_text(), "span_id": story.span(0).to_string() },
            "gatelet": { "id": story.id(), "cost": story.cost(), "total_ms": story.number("total_ms") },
        })
    };
    batch.requests().map(line).collect()
}

/// Counts of this batch, by their tags.
fn series(batch: &Batch<'_>, now: Timestamp) -> Value {
    const COUNT: u8 = 1;
    let mut sums: SmallMap<(&str, Vec<String>), f64> = SmallMap::new();
    for story in batch.requests() {
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request are few")]
        let counts = [
            ("gatelet.requests", 1.0),
            ("gatelet.errors", f64::from(u8::from(!story.done()))),
            ("gatelet.cost", story.cost()),
            ("gatelet.tokens.input", story.input() as f64),
            ("gatelet.tokens.output", story.output() as f64),
        ];
        for (name, count) in counts {
            *sums.entry((name, tags(story))).or_default() += count;
        }
    }
    let series = sums.into_iter().map(|((metric, tags), value)| {
        json!({ "metric": metric, "type": COUNT, "tags": tags, "points": [{ "timestamp": now.seconds(), "value": value }] })
    });
    json!({ "series": series.collect::<Vec<_>>() })
}

fn scores(batch: &Batch<'_>) -> Value {
    let score = |story: &Story| {
        let (kind, name) = match story.line["value"] {
            Value::Bool(_) => ("boolean", "boolean_value"),
            Value::String(_) => ("categorical", "categorical_value"),
            _ => ("score", "score_value"),
        };
        let mut metric = json!({
            "join_on": { "span": { "trace_id": story.trace_text(), "span_id": story.span(0).to_string() } },
            "ml_app": batch.sink.place, "timestamp_ms": times(&story.line).0 / 1_000_000,
            "metric_type": kind, "label": story.line["name"],
        });
        metric[name] = story.line["value"].clone();
        metric
    };
    let metrics: Vec<Value> = batch.scores().map(score).collect();
    json!({ "data": { "type": "evaluation_metric", "attributes": { "metrics": metrics } } })
}
