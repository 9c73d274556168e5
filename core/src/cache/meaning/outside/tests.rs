use std::fmt::Write as _;

use futures_executor::block_on;
use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::cache::Naming;
use crate::domain::Secret;
use crate::port::memory::ports;
use crate::registry::{Credential, Scheme};

fn name(of: &str) -> Name {
    Naming::default().with(of.as_bytes()).finish()
}

fn indexes() -> [Index; 3] {
    let key = |scheme: &Scheme, text: &str| Some(Credential::new(scheme, &Secret::new(text)).unwrap());
    let index = |kind, base: &str, key| Index { kind, base: base.into(), key, private: false };
    [
        index(
            IndexKind::Qdrant { collection: "questions".to_owned() },
            "https://qdrant.example:6333",
            key(&Scheme::Header("api-key".to_owned()), "secret-q"),
        ),
        index(
            IndexKind::Vectorize,
            "https://api.cloudflare.com/client/v4/accounts/a1/vectorize/v2/indexes/questions",
            key(&Scheme::Bearer, "secret-v"),
        ),
        index(
            IndexKind::S3Vectors {
                bucket: "vectors".to_owned(),
                index: "questions".to_owned(),
                region: "eu-west-1".to_owned(),
            },
            "https://s3vectors.eu-west-1.api.aws",
            key(&Scheme::Sigv4("s3vectors".to_owned()), "AKIDEXAMPLE:secret-s"),
        ),
    ]
}

fn reply(status: u16, body: &Value) -> http::Response<crate::port::Body> {
    let body = crate::port::Body::from(body.to_string().into_bytes());
    http::Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

/// All that is sent, as it travels.
#[test]
fn each_index_is_asked_as_its_vendor_documents() {
    let (space, answer) = (name("space"), name("answer"));
    let vector = Vector::of(&[3.0, 4.0]).unwrap();
    let mut all = String::new();
    for index in indexes() {
        for what in
            [What::Nearest(&space, &vector), What::Put(&space, &vector, &answer), What::Forget(&answer)]
        {
            let (ports, handles) = ports();
            handles.upstream.always(|_, _| {
                Ok(reply(200, &json!({ "result": { "points": [], "matches": [] }, "vectors": [] })))
            });
            let found = block_on(ask(&ports, &index, what, Duration::from_secs(1))).unwrap();
            assert_eq!(found, None);
            let asked = handles.upstream.asked().pop().unwrap();
            writeln!(all, "{} {}", asked.method, asked.uri).unwrap();
            for name in ["content-type", "api-key", "authorization", "x-amz-date"] {
                if let Some(value) = asked.headers.get(name) {
                    // What a signature is made of is another test's.
                    let value = value.to_str().unwrap();
                    let value = value.split(" Signature=").next().unwrap();
                    writeln!(all, "{name}: {value}").unwrap();
                }
            }
            writeln!(all, "{}\n", String::from_utf8_lossy(&asked.body.unwrap()).trim_end()).unwrap();
        }
    }
    assert_snapshot!(all);
}

#[test]
fn what_they_find_is_read_and_another_spaces_is_nothing() {
    let (space, answer) = (name("space"), name("answer"));
    let vector = Vector::of(&[3.0, 4.0]).unwrap();
    let found = |index: &Index, body: Value| {
        let (ports, handles) = ports();
        handles.upstream.always(move |_, _| Ok(reply(200, &body)));
        block_on(ask(&ports, index, What::Nearest(&space, &vector), Duration::from_secs(1)))
    };
    let [qdrant, vectorize, s3] = &indexes();
    let bodies = |space: &str, answer: &str| {
        [
            (
                qdrant,
                json!({ "result": { "points": [{
                "id": "b85e8a3e-0000-0000-0000-000000000000", "version": 3, "score": 0.96875,
                "payload": { "space": space, "answer": answer },
            }] }, "status": "ok", "time": 0.001 }),
            ),
            (
                vectorize,
                json!({ "success": true, "errors": [], "messages": [], "result": { "count": 1, "matches": [
                { "id": answer, "score": 0.96875, "metadata": { "space": space } },
            ] } }),
            ),
            (
                s3,
                json!({ "distanceMetric": "cosine", "vectors": [
                { "key": answer, "distance": 0.03125, "metadata": { "space": space } },
            ] }),
            ),
        ]
    };
    for (index, body) in bodies(&space.hex(), &answer.hex()) {
        assert_eq!(found(index, body).unwrap(), Some((answer, 0.96875)), "{:?}", index.kind);
    }
    for (index, body) in bodies(&name("other").hex(), &answer.hex()) {
        assert_eq!(found(index, body).unwrap(), None, "{:?}", index.kind);
    }
    for (index, body) in bodies(&space.hex(), "nobody") {
        assert!(found(index, body).is_err(), "{:?}", index.kind);
    }
    for index in [qdrant, vectorize, s3] {
        assert!(found(index, json!({ "status": { "error": "no such collection" } })).is_err());
    }
}

#[test]
fn an_error_is_none_of_its_answers() {
    let answer = name("answer");
    for index in indexes() {
        let (ports, handles) = ports();
        handles.upstream.always(|_, _| Ok(reply(403, &json!({ "message": "no" }))));
        assert!(block_on(ask(&ports, &index, What::Forget(&answer), Duration::from_secs(1))).is_err());
    }
}
