//! `ClickHouse`, over HTTP: a row a request, as `infra/clickhouse.sql` has its table.
//!
//! <https://clickhouse.com/docs/interfaces/http>

use serde_json::{Value, json};

use super::post::{Batch, Post};
use super::story::{Story, times};

pub(super) fn posts(batch: &Batch<'_>) -> Vec<Post> {
    let mut body = Vec::new();
    for story in batch.requests() {
        body.extend_from_slice(row(story).to_string().as_bytes());
        body.push(b'\n');
    }
    if body.is_empty() {
        return Vec::new();
    }
    // The table takes out what is there twice, by its key; this, what is sent twice at once.
    let token = batch.stories.iter().map(Story::id).collect::<Vec<_>>();
    let token = format!("{}-{}-{}", token.first().unwrap_or(&""), token.last().unwrap_or(&""), token.len());
    let url = format!(
        "{}/?query=INSERT%20INTO%20{}%20FORMAT%20JSONEachRow&insert_deduplication_token={token}",
        batch.sink.url, batch.sink.place
    );
    let mut post = Post { url, media: "application/x-ndjson", headers: Vec::new(), body };
    if let Some((user, password)) = batch.key().split_once(':') {
        post = post.with("x-clickhouse-user", user.to_owned()).with("x-clickhouse-key", password.to_owned());
    }
    vec![post]
}

fn row(story: &Story) -> Value {
    let (begin, _) = times(&story.line);
    let text = |field: &str| story.word(field).unwrap_or_default();
    let content = story.content.as_ref().map(ToString::to_string);
    json!({
        "at": format!("{}.{:06}", begin / 1_000_000_000, begin / 1_000 % 1_000_000),
        "id": story.id(), "trace_id": story.trace_text(),
        "org": text("org"), "team": text("team"), "project": text("project"), "user": text("user"),
        "key": text("key"), "customer": text("customer"), "session": text("session"),
        "tags": story.line["tags"].as_array().cloned().unwrap_or_default(),
        "operation": text("operation"), "dialect": text("dialect"), "model": text("model"),
        "provider": story.provider(), "served": story.served(),
        "stream": story.line["stream"], "outcome": text("outcome"), "status": story.line["status"],
        "fault": text("fault"), "finish": text("finish"), "attempts": story.line["attempts"],
        "input": story.input(), "cache_read": story.tokens("cache_read"), "cache_write": story.cache_writes(),
        "output": story.output(), "reasoning": story.tokens("reasoning"),
        "cost": text("cost"),
        "total_ms": story.number("total_ms"), "first_content_ms": story.line["first_content_ms"],
        "queue_ms": story.number("queue_ms"), "upstream_ms": story.number("upstream_ms"),
        "overhead_ms": story.number("overhead_ms"),
        "record": story.line.to_string(), "calls": Value::from(story.attempts.clone()).to_string(),
        "content": content.unwrap_or_default(),
    })
}
