//! Cloudflare's Vectorize: an index with the metric `cosine`, and an index of its metadata `space` (string), made before the first
//! vector. What is written is found some seconds later.

use gatelet_wire::Malformed;
use http::Method;
use serde_json::{Value, json};

use super::{Found, Said, What, found};

pub(super) fn ask(what: What<'_>) -> Said {
    match what {
        What::Nearest(space, vector) => Said::json(
            Method::POST,
            "/query",
            &json!({
                "vector": vector.own(),
                "topK": 1,
                "returnValues": false,
                "returnMetadata": "indexed",
                "filter": { "space": space.hex() },
            }),
        ),
        What::Put(space, vector, answer) => {
            let vector =
                json!({ "id": answer.hex(), "values": vector.own(), "metadata": { "space": space.hex() } });
            Said {
                method: Method::POST,
                path: "/upsert".to_owned(),
                kind: "application/x-ndjson",
                body: format!("{vector}\n"),
            }
        }
        What::Forget(answer) => Said::json(Method::POST, "/delete_by_ids", &json!({ "ids": [answer.hex()] })),
    }
}

pub(super) fn read(body: &Value) -> Result<Option<Found>, Malformed> {
    let matches = body.pointer("/result/matches").and_then(Value::as_array);
    let matches = matches.ok_or_else(|| Malformed::field("result.matches", "a list"))?;
    let Some(nearest) = matches.first() else { return Ok(None) };
    found(&nearest["id"], &nearest["metadata"]["space"], nearest["score"].as_f64()).map(Some)
}
