//! The function in its sandboxes: what only Lambda does to a host.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatelet_core::port::{Archive as _, Expect, Store as _};
use gatelet_lambda::{Aws, Bucket, Table};
use gatelet_tests::client::{Call, Whole};
use gatelet_tests::host::ADMIN_KEY;
use gatelet_tests::host::cloud::NAME;
use gatelet_tests::host::lambda::Lambda;
use gatelet_tokio::{HttpUpstream, Settings, SystemChance};
use http::Method;
use serde_json::{Value, json};

async fn key(lambda: &Lambda) -> String {
    let made = Call::new(lambda.address(), Method::POST, "/admin/v1/keys")
        .key(ADMIN_KEY)
        .json(&json!({"limits": {}}))
        .expect(201)
        .await
        .unwrap();
    made["key"].as_str().unwrap().to_owned()
}

async fn chat(lambda: &Lambda, key: &str, model: &str) -> Whole {
    Call::new(lambda.address(), Method::POST, "/v1/chat/completions")
        .key(key)
        .json(&json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hello"}]}))
        .whole()
        .await
        .unwrap()
}

fn aws(lambda: &Lambda) -> Aws {
    let environment = lambda.cloud().environment();
    let variable =
        |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Aws::from_environment(variable, Arc::new(HttpUpstream::new(&Settings::default()).unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_archives_and_sandboxes_leave_in_order_or_are_replaced() {
    let lambda = Lambda::start("").await.unwrap();
    let key = key(&lambda).await;
    let answer = chat(&lambda, &key, "demo/echo").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("hello") && answer.text().contains("[DONE]"), "{}", answer.text());

    lambda.tick().await.unwrap();
    let bucket = Bucket::new(&aws(&lambda), NAME);
    assert_eq!(bucket.list("v1/", None, 10).await.unwrap().len(), 1, "records of one hour are one object");

    let sandboxes = lambda.api().sandboxes();
    for sandbox in &sandboxes {
        eprintln!("cold start: {:?}", sandbox.cold_start);
    }
    assert_eq!(lambda.api().retire().await, sandboxes.len(), "{}", lambda.log());
    assert_eq!(chat(&lambda, &key, "demo/echo").await.status, 200);
    assert_eq!(lambda.api().kill().await, 1);
    assert_eq!(chat(&lambda, &key, "demo/echo").await.status, 200);
    assert_eq!(lambda.api().complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_document_holds_within_a_second_and_a_wrong_one_changes_nothing() {
    let lambda = Lambda::start("").await.unwrap();
    let key = key(&lambda).await;
    assert_eq!(chat(&lambda, &key, "mine").await.status, 404);
    let table = Table::new(&aws(&lambda), NAME, &SystemChance);
    let push = async |text: &'static str| {
        table.put("config", text.into(), Expect::Anything).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    push("models: { mine: demo/echo }").await;
    let answer = chat(&lambda, &key, "mine").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    push("modells: { mine: demo/echo }").await;
    assert_eq!(chat(&lambda, &key, "mine").await.status, 200);
    assert!(lambda.log().contains("modells"), "the log does not say what is wrong: {}", lambda.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_services_are_down_every_call_is_refused_in_its_dialect_and_in_time() {
    let lambda = Lambda::start("").await.unwrap();
    let key = key(&lambda).await;
    assert_eq!(chat(&lambda, &key, "demo/echo").await.status, 200);
    lambda.cloud().go_down();
    // First a sandbox that has a policy, then ones that never saw the store.
    for _ in 0..2 {
        refuses_everybody(&lambda, &key).await;
        lambda.api().kill().await;
    }
    assert_eq!(lambda.api().complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_catalogue_in_the_bucket_goes_before_the_executables_own() {
    let config =
        r#"{"providers":{"openai":{"key":"k"}},"models":{"new":"openai/of-tomorrow","old":"openai/gpt-4o"}}"#;
    let lambda = Lambda::start_with(config, &[("GATELET_CATALOGUE", "catalogue")]).await.unwrap();
    let key = key(&lambda).await;
    let context = async |model: &str| {
        let path = format!("/v1/models/{model}");
        let shown = Call::new(lambda.address(), Method::GET, &path).key(&key).expect(200).await.unwrap();
        shown["context_window"].as_u64()
    };
    // As long as there is none, the executable's own holds, and the log says so.
    assert_eq!((context("new").await, context("old").await), (None, Some(128_000)));
    assert!(lambda.log().contains("the bucket has no catalogue"), "{}", lambda.log());
    let entry = gatelet_catalogue::text::entry("of-tomorrow chat context=777000 | input 1 output 2").unwrap();
    let bytes = gatelet_catalogue::pack(&BTreeMap::from([("openai".to_owned(), vec![entry])]));
    Bucket::new(&aws(&lambda), NAME).write("catalogue", bytes.into()).await.unwrap();
    lambda.api().kill().await;
    // What it does not know, the executable's own may.
    assert_eq!((context("new").await, context("old").await), (Some(777_000), Some(128_000)));
}

async fn refuses_everybody(lambda: &Lambda, key: &str) {
    let message = Call::new(lambda.address(), Method::POST, "/v1/messages").key(key).json(
        &json!({"model": "demo/echo", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}),
    );
    let get = |path| Call::new(lambda.address(), Method::GET, path).key(ADMIN_KEY);
    let begun = Instant::now();
    let answer = chat(lambda, key, "demo/echo").await;
    let answers = [answer, message.whole().await.unwrap(), get("/admin/v1/keys").whole().await.unwrap()];
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, 503, "{}", answer.text());
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        match at {
            1 => assert_eq!(body["type"], "error", "{body}"),
            2 => assert_eq!(body["code"], "gateway_unavailable", "{body}"),
            _ => assert_eq!(body["error"]["code"], "gateway_unavailable", "{body}"),
        }
    }
    assert_eq!(get("/health/ready").whole().await.unwrap().status, 503);
    let live = get("/health/live").whole().await.unwrap();
    assert_eq!(live.status, 200, "the function itself is well: {}", live.text());
    // A fifth of this on a machine that does nothing else.
    assert!(begun.elapsed() < Duration::from_secs(90), "callers waited {:?}", begun.elapsed());
}
