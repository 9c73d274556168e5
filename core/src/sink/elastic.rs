//! Elasticsearch and `OpenSearch`, by their bulk interface: a document a request, under the request's own id.
//!
//! <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>

use serde_json::{Value, json};

use super::post::{Batch, Post, Refused, basic};
use super::webhook::record;

pub(super) fn posts(batch: &Batch<'_>) -> Vec<Post> {
    let mut body = String::new();
    for story in batch.stories {
        // Told twice, it is there once.
        let id = story.word("score").unwrap_or(story.id());
        let mut document = record(story);
        document["@timestamp"] = story.line["at"].clone();
        document["trace"] = json!({ "id": story.trace_text() });
        body.push_str(&json!({ "create": { "_index": batch.sink.place, "_id": id } }).to_string());
        body.push('\n');
        body.push_str(&document.to_string());
        body.push('\n');
    }
    let url = format!("{}/_bulk", batch.sink.url);
    let post = Post { url, media: "application/x-ndjson", headers: Vec::new(), body: body.into_bytes() };
    let key = batch.key();
    vec![match key {
        "" => post,
        key if key.contains(':') => post.with("authorization", basic(key)),
        key => post.with("authorization", format!("ApiKey {key}")),
    }]
}

/// A document that is there already (409) was told before.
pub(super) fn judge(body: &[u8]) -> Result<(), Refused> {
    let Ok(answer) = gatelet_wire::json::read::<Value>(body) else { return Ok(()) };
    if answer["errors"] != true {
        return Ok(());
    }
    let items = answer["items"].as_array().into_iter().flatten();
    let statuses = items.filter_map(|item| item["create"]["status"].as_u64());
    let worst = statuses.filter(|status| *status >= 400 && *status != 409).max();
    match worst {
        None => Ok(()),
        Some(status @ (429 | 500..)) => {
            Err(Refused::Later(None, format!("it answered {status} for a document")))
        }
        Some(status) => Err(Refused::Unfit(format!("it answered {status} for a document"))),
    }
}
