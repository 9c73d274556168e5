//! Marks for providers' caches: who gets them, in which lane, and what is charged for what they bring about.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use gatelet_core::policy::{Host, Policy};
use gatelet_core::registry::Registry;
use serde_json::{Value, json};
use world::{World, anthropic, message, openai, read_json, whole};

const CONFIG: &str = r#"
providers:
  claude: { dialect: anthropic, base: "http://claude.example", key: secret-1 }
  gpt: { dialect: openai, base: "http://gpt.example/v1", key: secret-2 }
models:
  marked:
    targets: [ { model: claude/m, price: { input: "1", output: "10", cache_read: "0.1", cache_write_5m: "1.25" } } ]
    cache_marks: 50
    retries: 0
  plain: { targets: [ claude/m ], retries: 0 }
"#;

fn world() -> World {
    let world = World::of(CONFIG);
    world.handles.upstream.always(|_, _| {
        let mut answer = message("hi", 5, 10);
        answer["usage"]["cache_read_input_tokens"] = json!(1_000);
        answer["usage"]["cache_creation_input_tokens"] = json!(200);
        Ok(whole(200, &answer))
    });
    world
}

fn sent(world: &World) -> Value {
    let asked = world.handles.upstream.asked();
    serde_json::from_slice(asked.last().unwrap().body.as_deref().unwrap()).unwrap()
}

const RULES: &str = "Be brief. Be kind. Be right. Be brief. Be kind. Be right. Be brief. Be kind. Be right. Be brief. Be kind. \
                     Be right. Be brief. Be kind. Be right. Be brief. Be kind. Be right. Be brief. Be kind. Be right. Be brief.";

fn said(words: &str) -> Value {
    json!({ "model": "marked", "max_tokens": 10, "system": words, "messages": [{ "role": "user", "content": "hi" }] })
}

#[test]
fn a_long_prompt_is_marked_in_its_own_dialect_and_in_translation() {
    let mark = json!({ "type": "ephemeral" });
    let world = world();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let translated = json!({ "model": "marked", "max_tokens": 10,
        "messages": [{ "role": "system", "content": RULES }, { "role": "user", "content": "hi" }] });
    for (request, lane) in
        [(anthropic(&key, &said(RULES)), "edited"), (openai(&key, &translated), "translated")]
    {
        let response = world.send(request);
        assert_eq!(response.status(), 200);
        read_json(response);
        let sent = sent(&world);
        let system = sent["system"].as_array().unwrap();
        assert_eq!((&system[0]["text"], &system[0]["cache_control"]), (&json!(RULES), &mark), "{sent}");
        assert_eq!(sent["messages"][0]["content"][0]["cache_control"], mark, "{sent}");
        assert_eq!(sent["model"], "m");
        let records = world.records();
        let attempt = records.iter().rfind(|record| record["kind"] == "attempt").unwrap();
        assert_eq!(attempt["lane"], lane, "{attempt}");
        let request = records.iter().rfind(|record| record["kind"] == "request").unwrap();
        // 5 at 1, 1,000 at 0.1, 200 at 1.25 and 10 at 10 dollars for a million.
        assert_eq!(
            (&request["cost"], &request["usage"]["cache_read"]),
            (&json!("0.000455"), &json!(1_000)),
            "{request}"
        );
        assert_eq!(
            (&request["cost_parts"]["cache_read"], &request["cost_parts"]["cache_write"]),
            (&json!("0.0001"), &json!("0.00025"))
        );
    }
    assert_eq!(world.usage(&id)["budget"][0]["spent"], "0.00091");
}

#[test]
fn what_is_short_or_marked_by_its_caller_or_not_to_be_marked_keeps_its_bytes() {
    let world = world();
    let (_, key) = world.key(&json!({}));
    let mut own = said(RULES);
    own["system"] = json!([{ "type": "text", "text": RULES }, { "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } }]);
    let mut plain = said(RULES);
    plain["model"] = json!("plain");
    for mut body in [said("Be brief."), own, plain] {
        assert_eq!(world.send(anthropic(&key, &body)).status(), 200);
        body["model"] = json!("m");
        assert_eq!(sent(&world), body);
        let records = world.records();
        assert_eq!(records.iter().rfind(|record| record["kind"] == "attempt").unwrap()["lane"], "verbatim");
    }
}

#[test]
fn marks_want_a_dialect_that_has_them() {
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    for (wrong, said) in [
        (CONFIG.replace("cache_marks: 50", "cache_marks: some"), "true, false, or a whole number of tokens"),
        (CONFIG.replace("model: claude/m, price", "model: gpt/m, price"), "beside `cache_marks`"),
    ] {
        let problems = Policy::read("gatelet.yaml", &wrong, &host).unwrap_err().to_string();
        assert!(problems.contains("models.marked") && problems.contains(said), "{problems}");
    }
}
