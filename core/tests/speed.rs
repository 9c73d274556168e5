//! What a failover costs: `cargo test --release -p gatelet-core --test speed -- --ignored --nocapture`. It is the best of many batches, so
//! that what else the machine does is not in it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test says what it expects, and this one what it saw"
)]

mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;
use world::{World, completion, openai, whole};

/// The least time of one of `count` runs, over batches.
fn best(count: u32, mut run: impl FnMut()) -> Duration {
    const BATCHES: usize = 200;
    let batch = |_| {
        let began = Instant::now();
        (0..count).for_each(|_| run());
        began.elapsed() / count
    };
    (0..BATCHES).map(batch).min().unwrap()
}

/// What a target that fails at once costs its caller beside its own time.
#[test]
#[ignore = "a measurement"]
fn a_failover() {
    let world = World::of(
        r#"
providers:
  bad: { dialect: openai, base: "http://bad.example/v1", key: secret-1 }
  good: { dialect: openai, base: "http://good.example/v1", key: secret-2 }
models:
  direct: { targets: [good/m], retries: 0 }
  over: { targets: [bad/m, good/m], retries: 0 }
# It stays in, so that each request meets it.
health: { faults: 1000 }
"#,
    );
    world.handles.upstream.always(|request, _| {
        Ok(if request.uri().host() == Some("bad.example") {
            whole(503, &json!({ "error": { "message": "later", "type": "server_error" } }))
        } else {
            whole(200, &completion("hi", 5, 1))
        })
    });
    let (_, key) = world.key(&json!({}));
    let ask = |model: &str| {
        let body =
            json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }] });
        let response = world.send(openai(&key, &body));
        assert_eq!(response.status(), 200);
        // The window in which half of all calls fail is short.
        world.handles.clock.advance(Duration::from_secs(40));
        black_box(world::read(response));
    };
    let (direct, over) = (best(20, || ask("direct")), best(20, || ask("over")));
    let more = over.saturating_sub(direct);
    println!(
        "a request: {:.1} µs; with a failover: {:.1} µs more",
        direct.as_secs_f64() * 1e6,
        more.as_secs_f64() * 1e6
    );
    assert!(cfg!(debug_assertions) || more <= Duration::from_millis(1), "{more:?}");
}
