//! Amazon S3 Vectors: an index with the metric `cosine`, whose metadata `space` can be filtered by.

use gatelet_wire::Malformed;
use http::Method;
use serde_json::{Value, json};

use super::{Found, Said, What, found};

pub(super) fn ask(bucket: &str, index: &str, what: What<'_>) -> Said {
    let mut body = json!({ "vectorBucketName": bucket, "indexName": index });
    let path = match what {
        What::Nearest(space, vector) => {
            body["topK"] = json!(1);
            body["queryVector"] = json!({ "float32": vector.own() });
            body["filter"] = json!({ "space": space.hex() });
            body["returnDistance"] = json!(true);
            body["returnMetadata"] = json!(true);
            "/QueryVectors"
        }
        What::Put(space, vector, answer) => {
            let data = json!({ "float32": vector.own() });
            let metadata = json!({ "space": space.hex() });
            body["vectors"] = json!([{ "key": answer.hex(), "data": data, "metadata": metadata }]);
            "/PutVectors"
        }
        What::Forget(answer) => {
            body["keys"] = json!([answer.hex()]);
            "/DeleteVectors"
        }
    };
    Said::json(Method::POST, path, &body)
}

pub(super) fn read(body: &Value) -> Result<Option<Found>, Malformed> {
    let vectors = body.get("vectors").and_then(Value::as_array);
    let vectors = vectors.ok_or_else(|| Malformed::field("vectors", "a list"))?;
    let Some(nearest) = vectors.first() else { return Ok(None) };
    let cosine = nearest["distance"].as_f64().map(|distance| 1.0 - distance);
    found(&nearest["key"], &nearest["metadata"]["space"], cosine).map(Some)
}
