//! Splunk's HTTP Event Collector: <https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector>

use serde_json::json;

use super::post::{Batch, Post};
use super::story::times;
use super::webhook::record;

/// One event a request, one after the other.
pub(super) fn posts(batch: &Batch<'_>) -> Vec<Post> {
    let mut body = Vec::new();
    for story in batch.stories {
        let (begin, _) = times(&story.line);
        let event = json!({
            "time": format!("{}.{:06}", begin / 1_000_000_000, begin / 1_000 % 1_000_000),
            "source": "gatelet",
            "sourcetype": "gatelet:record",
            "event": record(story),
            "fields": { "request_id": story.id(), "trace_id": story.trace_text() },
        });
        body.extend_from_slice(event.to_string().as_bytes());
        body.push(b'\n');
    }
    let url = format!("{}/services/collector/event", batch.sink.url);
    let post = Post { url, media: "application/json", headers: Vec::new(), body };
    vec![post.with("authorization", format!("Splunk {}", batch.key()))]
}
