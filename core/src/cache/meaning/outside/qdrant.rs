//! Qdrant: a collection with the distance `Cosine`, and an index of its payload `space` (keyword) for speed.

use gatelet_wire::Malformed;
use http::Method;
use serde_json::{Value, json};

use super::{Found, Said, What, found};
use crate::cache::Name;

pub(super) fn ask(collection: &str, what: What<'_>) -> Said {
    let points = format!("/collections/{collection}/points");
    match what {
        What::Nearest(space, vector) => Said::json(
            Method::POST,
            format!("{points}/query"),
            &json!({
                "query": vector.own(),
                "filter": { "must": [{ "key": "space", "match": { "value": space.hex() } }] },
                "limit": 1,
                "with_payload": ["space", "answer"],
            }),
        ),
        What::Put(space, vector, answer) => {
            let payload = json!({ "space": space.hex(), "answer": answer.hex() });
            let point = json!({ "id": id(answer), "vector": vector.own(), "payload": payload });
            Said::json(Method::PUT, points, &json!({ "points": [point] }))
        }
        What::Forget(answer) => {
            Said::json(Method::POST, format!("{points}/delete"), &json!({ "points": [id(answer)] }))
        }
    }
}

/// Points are named by UUIDs.
fn id(answer: &Name) -> String {
    let hex = answer.hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

pub(super) fn read(body: &Value) -> Result<Option<Found>, Malformed> {
    let points = body.pointer("/result/points").and_then(Value::as_array);
    let points = points.ok_or_else(|| Malformed::field("result.points", "a list"))?;
    let Some(point) = points.first() else { return Ok(None) };
    let payload = &point["payload"];
    found(&payload["answer"], &payload["space"], point["score"].as_f64()).map(Some)
}
