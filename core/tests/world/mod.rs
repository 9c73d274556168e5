//! A whole gateway on memory ports, and words for talking to it.
#![expect(unreachable_pub, reason = "a module of test files")]
#![allow(clippy::allow_attributes, dead_code, reason = "each test file uses its own part of it")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_executor::block_on;
use futures_util::{StreamExt, stream};
use gatelet_core::domain::account::Op;
use gatelet_core::domain::{SealingKeys, Secret, ShardId, Timestamp};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::memory::{Handles, OverLedger, ports};
use gatelet_core::port::{Body, Broken, Fault, FaultKind, Ledger, Outcome, Ports, Transaction};
use gatelet_core::registry::Registry;
use gatelet_core::{Gateway, Settings};
use http::{Request, Response};
use serde_json::{Value, json};

pub const ADMIN: &str = "admin-key-of-the-tests";

const CONFIG: &str = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o, passthrough: unpriced }
  up-anthropic: { dialect: anthropic, base: "http://127.0.0.1:1", key: secret-a, passthrough: unpriced }
  up-gemini: { dialect: gemini, base: "http://127.0.0.1:1/v1beta", key: secret-g }
  closed: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o, passthrough: "off" }
  search: { base: "https://search.example/api", key: secret-s, auth: { header: x-key }, headers: { x-mine: "1" }, passthrough: { request: "0.01" } }
  gratis: { base: "https://gratis.example", auth: none, passthrough: free }
  up-cohere: { dialect: cohere, base: "http://127.0.0.1:1/v2", key: secret-c }
  up-ollama: { dialect: ollama, base: "http://127.0.0.1:1", auth: none }
  up-azure: { dialect: openai, base: "http://127.0.0.1:1/openai", path: "/deployments/{model}/chat/completions?api-version=2024-10-21", key: secret-z, auth: { header: api-key } }
  mistral: { key: secret-m }
  openai: { key: secret-p }
  up-bedrock: { dialect: bedrock, base: "https://bedrock-runtime.eu-west-1.amazonaws.com", key: "AKIDEXAMPLE:secret:lent" }
models:
  converse: { targets: [ { model: "up-bedrock/eu.anthropic.claude-x-v1:0", price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  blind: { targets: [ mistral/devstral-2512 ], retries: 0 }
  seeing: { targets: [ openai/gpt-4o ], retries: 0 }
  blind-then-seeing: { targets: [ mistral/devstral-2512, openai/gpt-4o ], retries: 0 }
  command: { targets: [ { model: up-cohere/command-a, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  llama: { targets: [ { model: "up-ollama/llama3.2:3b", price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  deployed: { targets: [ { model: up-azure/my/gpt, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  small: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000, context: 10 } ], retries: 0 }
  plain: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  claude: { targets: [ { model: up-anthropic/model-a, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  unpriced: { targets: [ { model: up-openai/nobody-knows } ], retries: 0 }
  sturdy:
    targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ]
    retries: 1
    fallbacks: [claude]
  "up-openai/model-q": { targets: [ { model: up-openai/model-q, price: { input: "1", output: "10", per: 1M } } ], retries: 0 }
  "up-anthropic/model-p": { targets: [ { model: up-anthropic/model-p, price: { input: "1", output: "10", per: 1M } } ], retries: 0 }
  vectors: { targets: [ { model: up-openai/vectors-o, price: { input: "1", output: "0", per: 1M } } ], retries: 0 }
  ranker: { targets: [ { model: up-openai/ranker-o, price: { query: "0.002" } } ], retries: 0 }
  harmless: { targets: [ { model: up-openai/harmless-o, price: { input: "0", output: "0" } } ], retries: 0 }
  painter: { targets: [ { model: up-openai/painter-o, price: { input: "5", output: "10", image_output: "40" } } ], retries: 0 }
  voice: { targets: [ { model: up-openai/voice-o, price: { character_input: "15" } } ], retries: 0 }
  singer: { targets: [ { model: up-openai/singer-o, price: { second_output: "0.001" } } ], retries: 0 }
  ear: { targets: [ { model: up-openai/ear-o, price: { second_input: "0.0001" } } ], retries: 2 }
  sharp-ear: { targets: [ { model: up-openai/sharp-ear-o, price: { input: "2", output: "10", audio_input: "6" } } ], retries: 0 }
  old: { targets: [ { model: up-openai/old-o, price: { input: "1", output: "2" } } ], retries: 0 }
  gem: { targets: [ { model: up-gemini/gem-o, price: { input: "1", output: "0" } } ], retries: 0 }
  counted-otherwise: { targets: [ { model: up-openai/pictures-o, price: { picture: "0.04" } } ], retries: 0 }
  roomy: { targets: [ { model: up-anthropic/model-b, price: { input: "1", output: "10", per: 1M }, max_output: 5000 } ], retries: 0 }
  narrow:
    targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ]
    retries: 0
    fallbacks: [roomy]
"#;

/// One model, `plain`, of a provider on port 1.
pub const PLAIN: &str = r#"
providers:
  up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: provider-secret-1 }
models:
  plain: { targets: [ { model: up/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
"#;

pub struct World {
    pub gateway: Gateway,
    pub handles: Handles,
}

impl World {
    pub fn new() -> Self {
        Self::with(|ports| ports)
    }

    /// A world with another document.
    pub fn of(config: &str) -> Self {
        Self::made(config, |ports| ports)
    }

    /// A world with the model [`PLAIN`], which says this; all others who are asked answer with this status. It is not at the
    /// beginning of time.
    pub fn plain(config: &str, says: &'static str, others: u16) -> Self {
        let world = Self::of(&format!("{PLAIN}{config}"));
        world.handles.upstream.always(move |request, _| match request.uri().port_u16() {
            Some(1) => Ok(whole(200, &completion(says, 7, 3))),
            _ => Ok(whole(others, &json!({}))),
        });
        world.handles.clock.advance(Duration::from_hours(480_000));
        world
    }

    /// A world some of whose ports are replaced.
    pub fn with(change: impl FnOnce(Ports) -> Ports) -> Self {
        Self::made(CONFIG, change)
    }

    /// Both.
    pub fn made(config: &str, change: impl FnOnce(Ports) -> Ports) -> Self {
        let (ports, handles) = ports();
        let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
        let policy = Policy::read("gatelet.yaml", config, &host).expect("the tests' policy is right");
        let gateway = Gateway::new(change(ports), Settings::new(Secret::new(ADMIN)), policy);
        Self { gateway, handles }
    }

    /// A world that seals credentials.
    pub fn sealed(keys: &str) -> Self {
        Self::new().again(keys)
    }

    /// Another process over the same store, with other sealing keys.
    pub fn again(&self, keys: &str) -> Self {
        let sealing = SealingKeys::read(keys).unwrap();
        let settings = Settings { sealing, ..Settings::new(Secret::new(ADMIN)) };
        let policy = Policy::clone(&self.gateway.policy());
        let gateway = Gateway::new(self.gateway.ports().clone(), settings, policy);
        Self { gateway, handles: self.handles.clone() }
    }

    /// A world whose ledger does with each operation what `bend` says.
    pub fn bent(bend: fn(&Op) -> Bend) -> Self {
        Self::with(|ports| Ports { ledger: Arc::new(Bent { ledger: ports.ledger.clone(), bend }), ..ports })
    }

    pub fn send(&self, request: Request<Body>) -> Response<Body> {
        // No two come at one moment, so that records stand in the order in which they were asked for.
        self.handles.clock.advance(Duration::from_micros(1));
        block_on(self.gateway.handle(request))
    }

    /// The same while the clock is turned, half a second at a time, to the end of the answer's body; and how long it took.
    pub fn send_in_time(&self, request: Request<Body>) -> (http::response::Parts, Vec<u8>, Duration) {
        use futures_util::future::{Either, select};
        let clock = self.handles.clock.clone();
        let now = || self.gateway.ports().clock.now();
        let began = now();
        let work = async {
            let (head, body) = self.gateway.handle(request).await.into_parts();
            let mut all = Vec::new();
            let mut pieces = body.into_stream();
            while let Some(piece) = pieces.next().await {
                all.extend_from_slice(&piece.expect("our own bodies never break"));
            }
            (head, all)
        };
        let turn = async {
            loop {
                clock.advance(Duration::from_millis(500));
                yield_now().await;
            }
        };
        let (head, body) = match block_on(select(Box::pin(work), Box::pin(turn))) {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => unreachable!("it goes on for ever"),
        };
        (head, body, now().since(began))
    }

    pub fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.call(ADMIN, method, path, body)
    }

    /// As whoever has `key`.
    pub fn call(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://gate{path}"))
            .header("authorization", format!("Bearer {key}"))
            .body(Body::from(body.to_string().into_bytes()))
            .unwrap();
        let response = self.send(request);
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&read(response)).unwrap_or(Value::Null))
    }

    /// Makes a key and answers its id and its text.
    pub fn key(&self, wish: &Value) -> (String, String) {
        let (status, view) = self.admin("POST", "/admin/v1/keys", wish);
        assert_eq!(status, 201, "{view}");
        (view["id"].as_str().unwrap().to_owned(), view["key"].as_str().unwrap().to_owned())
    }

    pub fn usage(&self, id: &str) -> Value {
        let (status, view) = self.admin("GET", &format!("/admin/v1/keys/{id}"), &json!({}));
        assert_eq!(status, 200, "{view}");
        view["usage"].clone()
    }

    /// All records that the archive has after what was deferred has run.
    pub fn records(&self) -> Vec<Value> {
        use std::io::Read;
        block_on(self.handles.defer.run_all());
        block_on(self.gateway.tick()).unwrap();
        let archive = &self.gateway.ports().archive;
        let names = block_on(archive.list("v1/", None, 1_000)).unwrap();
        let mut lines = Vec::new();
        for name in names {
            let packed = block_on(archive.read(&name)).unwrap().unwrap();
            let mut text = String::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
        }
        lines
    }
}

pub fn chat(path: &str, key: &str, body: impl Into<Vec<u8>>) -> Request<Body> {
    Request::builder()
        .method("POST")
        .uri(format!("http://gate{path}"))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Body::from(body.into()))
        .unwrap()
}

pub fn openai(key: &str, body: &Value) -> Request<Body> {
    chat("/v1/chat/completions", key, body.to_string())
}

pub fn anthropic(key: &str, body: &Value) -> Request<Body> {
    chat("/v1/messages", key, body.to_string())
}

pub fn read(response: Response<Body>) -> Vec<u8> {
    match response.into_body() {
        Body::Empty => Vec::new(),
        Body::Full(bytes) => bytes.to_vec(),
        Body::Pieces(pieces) => pieces.concat(),
        Body::Stream(stream) => block_on(stream.fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece.expect("our own bodies never break"));
            all
        })),
    }
}

pub fn read_json(response: Response<Body>) -> Value {
    let bytes = read(response);
    serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&bytes)))
}

pub fn whole(status: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string().into_bytes()))
        .unwrap()
}

/// A stream of pieces; `Err` breaks the connection there.
pub fn sse(pieces: Vec<Result<String, Broken>>) -> Response<Body> {
    let pieces = stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from)));
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::Stream(pieces.boxed()))
        .unwrap()
}

/// A stream that says `pieces` and then nothing, without ever ending.
pub fn endless(pieces: Vec<String>) -> Response<Body> {
    let pieces =
        stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece)))).chain(stream::pending());
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::Stream(pieces.boxed()))
        .unwrap()
}

pub fn completion(text: &str, input: u64, output: u64) -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "model-o",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output } })
}

pub fn message(text: &str, input: u64, output: u64) -> Value {
    json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "model-a",
        "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": input, "output_tokens": output } })
}

/// The events of an Anthropic stream, one piece each.
pub fn message_events(text: &str, input: u64, output: u64) -> Vec<String> {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    vec![
        event(
            "message_start",
            json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message",
            "role": "assistant", "model": "model-a", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": { "input_tokens": input, "output_tokens": 1 } } }),
        ),
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 0,
            "content_block": { "type": "text", "text": "" } }),
        ),
        event(
            "content_block_delta",
            json!({ "type": "content_block_delta", "index": 0,
            "delta": { "type": "text_delta", "text": text } }),
        ),
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 0 })),
        event(
            "message_delta",
            json!({ "type": "message_delta",
            "delta": { "stop_reason": "end_turn", "stop_sequence": null }, "usage": { "output_tokens": output } }),
        ),
        event("message_stop", json!({ "type": "message_stop" })),
    ]
}

/// The chunks of an `OpenAI` stream, one piece each.
pub fn completion_chunks(text: &str, usage: Option<(u64, u64)>) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "model-o",
            "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let choice =
        |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let mut pieces = vec![
        chunk(choice(json!({ "role": "assistant", "content": "" }), Value::Null), Value::Null),
        chunk(choice(json!({ "content": text }), Value::Null), Value::Null),
        chunk(choice(json!({}), json!("stop")), Value::Null),
    ];
    if let Some((input, output)) = usage {
        let usage =
            json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
        pieces.push(chunk(json!([]), usage));
    }
    pieces.push("data: [DONE]\n\n".to_owned());
    pieces
}

pub fn ok(pieces: Vec<String>) -> Vec<Result<String, Broken>> {
    pieces.into_iter().map(Ok).collect()
}

/// What a bent ledger does with an operation.
pub enum Bend {
    Straight,
    /// It says nothing until it is asked once more.
    Late,
    /// It is done, and the answer is lost.
    Lost,
    /// It is not done, nor will it be.
    Broken,
}

struct Bent {
    ledger: Arc<dyn Ledger>,
    bend: fn(&Op) -> Bend,
}

#[async_trait]
impl OverLedger for Bent {
    fn under(&self) -> &dyn Ledger {
        &*self.ledger
    }
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let bend = (self.bend)(&transaction.op);
        if matches!(bend, Bend::Late) {
            yield_now().await;
        }
        if matches!(bend, Bend::Broken) {
            return Err(Fault::new(FaultKind::Corrupt, "ledger.transact", "the account cannot be read"));
        }
        let outcome = self.ledger.transact(shard, transaction, now).await;
        match bend {
            Bend::Broken | Bend::Straight | Bend::Late => outcome,
            Bend::Lost => Err(Fault::new(FaultKind::Unavailable, "ledger.transact", "the answer was lost")),
        }
    }
}

/// Lets others go first, once.
pub async fn yield_now() {
    let mut yielded = false;
    futures_util::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
