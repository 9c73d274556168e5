//! A conversation made short: the model itself says what it must remember.

use std::sync::Arc;

use gatelet_wire::chat::Content;
use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, Fields, Json};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{asking, object, whole};
use crate::domain::{RequestId, Timestamp};
use crate::pipeline;
use crate::port::Body;
use crate::refusal::{Refusal, UpstreamFailure};
use crate::responses::{Asked, Conversation, SUMMARY, Shelf, summary_of};
use crate::shared::Core;

pub(super) async fn compact(
    core: &Arc<Core>,
    id: RequestId,
    now: Timestamp,
    shelf: &Shelf,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let body = whole(core, &parts.headers, body).await?;
    let spoken = {
        let fields = Fields::read(&body)?;
        let asked = Asked::read(&fields)?;
        let mut items = Conversation::read(&fields, &asked, shelf, now).await?.items;
        if items.is_empty() {
            return Err(Refusal::Invalid {
                param: "input".to_owned(),
                problem: "expected the items of a conversation".to_owned(),
            });
        }
        items.push(Json::of(&json!({ "type": "message", "role": "user", "content": SUMMARY })));
        let input = Json::of(&items);
        let mut request = vec![
            ("input", input.as_str()),
            ("previous_response_id", "null"),
            ("store", "false"),
            ("stream", "false"),
        ];
        request.retain(|(name, _)| *name != "previous_response_id" || asked.previous.is_some());
        fields.splice(&request)
    };
    let stem = id.as_str().trim_start_matches("req_").to_owned();
    let response = pipeline::serve(core, id, now, asking(), parts, Body::from(spoken)).await?;
    let (head, body) = response.into_parts();
    let failed =
        || Refusal::UpstreamFailed { target: "the summary".to_owned(), failure: UpstreamFailure::Malformed };
    let Body::Full(bytes) = body else { return Err(failed()) };
    let told = DialectId::OpenaiResponses.dialect().read_response(&bytes, Reading::default());
    let told = told.map_err(|_| failed())?;
    let text: String = told
        .choices
        .iter()
        .flat_map(|choice| &choice.parts)
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if text.is_empty() {
        return Err(failed());
    }
    let usage = gatelet_wire::json::read::<Value>(&bytes).ok().and_then(|value| value.get("usage").cloned());
    let compacted = json!({
        "id": format!("resp_{stem}"),
        "object": "response.compaction",
        "created_at": now.seconds(),
        "output": [summary_of(&text, &stem)],
        "usage": usage,
    });
    let mut response = object(StatusCode::OK, compacted.to_string());
    for (name, value) in head.headers {
        if let Some(name) = name.filter(|name| name.as_str().starts_with("x-")) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
