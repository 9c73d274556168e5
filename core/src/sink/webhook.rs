//! Anybody: the records themselves as JSON, signed as alerts are.

use gatelet_wire::sigv4::keyed_hash;
use serde_json::{Value, json};

use super::post::{Batch, Post};
use super::story::Story;
use crate::domain::Timestamp;

/// `{"records": [{"record": …, "attempts": [ … ], "content": …}]}`, in which a score is a record too.
pub(super) fn posts(batch: &Batch<'_>, now: Timestamp) -> Vec<Post> {
    let records: Vec<Value> = batch.stories.iter().map(record).collect();
    let first = batch.stories.first().map(Story::id).unwrap_or_default();
    let last = batch.stories.last().map(Story::id).unwrap_or_default();
    let id = format!("{first}-{last}-{}", records.len());
    let mut post = Post::json(batch.sink.url.to_string(), &json!({ "records": records }));
    if batch.key.is_some() {
        let (moment, body) = (now.seconds(), String::from_utf8_lossy(&post.body));
        let signature = keyed_hash(batch.key().as_bytes(), &format!("{moment}.{body}"));
        post = post.with("x-gatelet-signature", format!("t={moment},v1={signature}"));
    }
    // Whoever is told twice knows it by this.
    vec![post.with("idempotency-key", id)]
}

pub(super) fn record(story: &Story) -> Value {
    let mut record = json!({ "record": story.line, "attempts": story.attempts });
    if let Some(content) = &story.content {
        record["content"] = content.clone();
    }
    record
}
