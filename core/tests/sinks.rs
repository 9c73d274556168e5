//! Records come to the tools that people use: at least once, in their words, without holding anybody up.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::{Body, Fault, FaultKind, Reach};
use gatelet_core::registry::Registry;
use gatelet_wire::sigv4::keyed_hash;
use http::Response;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use serde_json::{Value, json};
use world::{World, completion, openai, whole};

const BASE: &str = r#"
providers:
  up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: provider-secret-1 }
  other: { dialect: openai, base: "http://127.0.0.1:2/v1", key: provider-secret-2 }
models:
  plain: { targets: [ { model: up/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  sturdy:
    targets: [ { model: other/model-x, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ]
    retries: 0
    fallbacks: [plain]
sinks:
"#;

/// What came to one host: path, headers, body.
type Came = (String, http::HeaderMap, Vec<u8>);

/// What hosts answer next, in turn: a status, and a body or the seconds of `retry-after`.
type Answers = Arc<Mutex<BTreeMap<String, Vec<(u16, &'static str)>>>>;

/// A world whose provider answers, and whose sinks answer with what `answers` has for their hosts, in turn; then 200.
struct Receivers {
    world: World,
    answers: Answers,
}

fn receivers(sinks: &str) -> Receivers {
    let world = World::of(&format!("{BASE}{sinks}"));
    let answers: Answers = Arc::default();
    let scripted = answers.clone();
    world.handles.upstream.always(move |request, reach| {
        if request.uri().port_u16() == Some(1) {
            return Ok(whole(200, &completion("hi", 7, 3)));
        }
        if request.uri().port_u16() == Some(2) {
            return Ok(whole(503, &json!({ "error": { "message": "no", "type": "server_error" } })));
        }
        assert_eq!(reach, Reach::Public, "{}", request.uri());
        let host = request.uri().host().unwrap().to_owned();
        let (status, body) = match scripted.lock().unwrap().get_mut(&host) {
            Some(list) if !list.is_empty() => list.remove(0),
            _ => (200, ""),
        };
        if status == 0 {
            return Err(Fault::new(FaultKind::Unavailable, "upstream.send", "down"));
        }
        let answer = Response::builder().status(status).header("location", "https://evil.example/");
        let answer = if body.parse::<u64>().is_ok() { answer.header("retry-after", body) } else { answer };
        Ok(answer.body(Body::from(body.as_bytes().to_vec())).unwrap())
    });
    // So that nothing is at the beginning of time.
    world.handles.clock.advance(Duration::from_hours(480_000));
    Receivers { world, answers }
}

impl Receivers {
    fn answer(&self, host: &str, answers: &[(u16, &'static str)]) {
        self.answers.lock().unwrap().insert(host.to_owned(), answers.to_vec());
    }

    fn ask(&self, key: &str, model: &str, times: usize) -> Vec<String> {
        let body =
            json!({ "model": model, "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
        let ask = |_| {
            let response = self.world.send(openai(key, &body));
            assert_eq!(response.status(), 200);
            response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned()
        };
        (0..times).map(ask).collect()
    }

    fn tick(&self) -> usize {
        block_on(self.world.handles.defer.run_all());
        block_on(self.world.gateway.tick()).unwrap().passed_on
    }

    fn later(&self, seconds: u64) -> usize {
        self.world.handles.clock.advance(Duration::from_secs(seconds));
        self.tick()
    }

    fn came(&self, host: &str) -> Vec<Came> {
        let asked = self.world.handles.upstream.asked();
        let mine = asked.into_iter().filter(|asked| asked.uri.host() == Some(host));
        mine.map(|asked| {
            let path = asked.uri.path_and_query().unwrap().to_string();
            (path, asked.headers, asked.body.unwrap().to_vec())
        })
        .collect()
    }

    /// The ids of the records that a webhook was sent, in order.
    fn heard(&self, host: &str) -> Vec<String> {
        let came = self.came(host);
        let bodies = came.iter().map(|(_, _, body)| serde_json::from_slice::<Value>(body).unwrap());
        bodies
            .flat_map(|body| body["records"].as_array().unwrap().clone())
            .map(|record| record["record"]["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

const HOOK: &str = r#"  hook: { kind: webhook, url: "https://hook.example/in", key: signing-secret }"#;

#[test]
fn a_webhook_hears_of_each_request_once_and_can_tell_who_speaks() {
    let world = receivers(HOOK);
    let (_, key) = world.world.key(&json!({ "team": null }));
    assert_eq!(world.tick(), 0, "what was before is not told");
    let mut ids = world.ask(&key, "sturdy", 3);
    assert_eq!(world.tick(), 3);
    ids.extend(world.ask(&key, "plain", 2));
    assert_eq!(world.later(1), 2);
    assert_eq!(world.later(1), 0);
    assert_eq!(world.heard("hook.example"), ids);
    let (path, headers, body) = world.came("hook.example").remove(0);
    assert_eq!(path, "/in");
    let signature = headers["x-gatelet-signature"].to_str().unwrap();
    let moment = signature.strip_prefix("t=").unwrap().split(',').next().unwrap();
    let body = String::from_utf8(body).unwrap();
    let hash = keyed_hash(b"signing-secret", &format!("{moment}.{body}"));
    assert_eq!(signature, format!("t={moment},v1={hash}"));
    let record = &serde_json::from_str::<Value>(&body).unwrap()["records"][0];
    assert_eq!(record["attempts"][0]["outcome"], "upstream_overloaded");
    assert_eq!(record["attempts"][0]["fault"], "provider");
    assert_eq!(record["attempts"][1]["why"], "fallback");
    assert_eq!(record["record"]["target"], "up/model-o");
}

#[test]
fn who_archives_waits_for_no_sink_and_one_that_was_never_told_misses_nothing() {
    let world = receivers(HOOK);
    let (_, key) = world.world.key(&json!({}));
    let ids = world.ask(&key, "plain", 2);
    block_on(world.world.handles.defer.run_all());
    assert_eq!(block_on(world.world.gateway.archive()).unwrap(), 2);
    assert!(world.came("hook.example").is_empty());
    // Whoever archived may be dead by now.
    assert_eq!(block_on(world.world.gateway.tell()).unwrap().passed_on, 2);
    assert_eq!(world.heard("hook.example"), ids);
}

#[test]
fn a_sink_that_is_down_is_tried_later_and_holds_up_nobody_else() {
    let world = receivers(&format!("{HOOK}\n  other: {{ kind: webhook, url: \"https://other.example\" }}"));
    let (_, key) = world.world.key(&json!({}));
    world.tick();
    let ids = world.ask(&key, "plain", 2);
    // Down, slow to be ready, and somewhere else: whom nobody sent there is not followed there.
    world.answer("hook.example", &[(0, ""), (503, ""), (302, ""), (429, "600")]);
    assert_eq!(world.tick(), 2, "the other one has heard it");
    for seconds in [1, 1, 4, 8] {
        assert_eq!(world.later(seconds), 0);
    }
    assert_eq!(world.came("hook.example").len(), 4, "not before its time");
    assert!(world.came("evil.example").is_empty());
    assert_eq!(world.later(500), 0);
    assert_eq!(world.came("hook.example").len(), 4, "it has said when");
    let (status, ready) = ready(&world);
    assert_eq!((status, &ready["sinks"]), (200, &json!({ "hook": "down", "other": "ok" })), "{ready}");
    assert_eq!(world.later(200), 2);
    assert_eq!(world.heard("other.example"), ids);
    assert_eq!(world.heard("hook.example")[8..], ids[..]);
    world.world.handles.clock.advance(Duration::from_secs(10));
    assert_eq!(self::ready(&world).1["sinks"]["hook"], "ok");
}

fn ready(world: &Receivers) -> (u16, Value) {
    world.world.call("", "GET", "/health/ready", &json!({}))
}

#[test]
fn what_is_too_large_is_parted_and_what_nobody_takes_is_buried_with_its_reason() {
    let world = receivers(HOOK);
    let (_, key) = world.world.key(&json!({}));
    world.tick();
    let ids = world.ask(&key, "plain", 4);
    // Four are too many, two are too many, one is too much; the others are not.
    world.answer("hook.example", &[(413, ""), (413, ""), (413, "")]);
    assert_eq!(world.tick(), 3);
    let heard = world.heard("hook.example");
    assert_eq!(heard[7..], ids[1..]);
    let dead = buried(&world);
    assert_eq!((&dead[0]["sink"], &dead[0]["why"]), (&json!("hook"), &json!("it is too large")));
    assert_eq!(dead[2]["id"], ids[0]);
    // What is called wrong is tried some more times before that.
    let ids = world.ask(&key, "plain", 1);
    world.answer("hook.example", &[(400, ""), (422, ""), (400, ""), (400, ""), (400, "")]);
    let told: usize = (0..10).map(|_| world.later(60)).sum();
    assert_eq!(told, 0);
    let dead = buried(&world);
    assert!(dead.iter().any(|line| line["id"] == ids[0]), "{dead:?}");
    // And what it does not take for three days.
    let ids = world.ask(&key, "plain", 1);
    world.answer("hook.example", &[(401, ""); 200]);
    for _ in 0..80 {
        world.later(3_600);
    }
    assert!(buried(&world).iter().any(|line| line["id"] == ids[0]));
    // The configuration is put right.
    world.answer("hook.example", &[]);
    world.ask(&key, "plain", 1);
    assert_eq!(world.later(3_600), 1);
}

/// All lines of dead letters.
fn buried(world: &Receivers) -> Vec<Value> {
    use std::io::Read;
    let archive = &world.world.gateway.ports().archive;
    let names = block_on(archive.list("dead/v1/main/hook/", None, 100)).unwrap();
    let mut lines = Vec::new();
    for name in names {
        let packed = block_on(archive.read(&name)).unwrap().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    lines
}

#[test]
fn a_sink_has_what_is_its_own_and_a_share_of_it() {
    let world = receivers(
        "  team: { kind: webhook, url: \"https://team.example\", of: team/search }\n  \
         some: { kind: webhook, url: \"https://some.example\", sample: 25% }",
    );
    let (status, _) = world.world.admin("POST", "/admin/v1/teams", &json!({ "id": "search" }));
    assert_eq!(status, 201);
    let (_, mine) = world.world.key(&json!({ "team": "search" }));
    let (_, other) = world.world.key(&json!({}));
    world.tick();
    let ids = world.ask(&mine, "plain", 100);
    world.ask(&other, "plain", 100);
    world.tick();
    assert_eq!(world.heard("team.example"), ids);
    let some: BTreeSet<String> = world.heard("some.example").into_iter().collect();
    assert!((20..=85).contains(&some.len()), "{}", some.len());
}

fn text(pairs: &[KeyValue], name: &str) -> Option<String> {
    let pair = pairs.iter().find(|pair| pair.key == name)?;
    match pair.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[test]
fn opentelemetry_reads_what_it_is_told() {
    let world =
        receivers(r#"  otel: { kind: otlp, url: "https://otel.example", key: otel-token, place: gate }"#);
    let (_, key) = world.world.key(&json!({ "tags": ["nightly"] }));
    world.tick();
    let body =
        json!({ "model": "sturdy", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    let mut request = openai(&key, &body);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.headers_mut().insert("traceparent", traceparent.parse().unwrap());
    request.headers_mut().insert("tracestate", "rojo=00f067aa0ba902b7".parse().unwrap());
    let secret = format!("sk-proj-{}", "0a1b2c3d".repeat(6));
    let baggage = format!("region=eu%20west;p=1,token={secret}");
    request.headers_mut().insert("baggage", baggage.parse().unwrap());
    let id = world.world.send(request).headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    world.tick();
    // The provider has heard of the trace too, under the span of the attempt.
    let asked = world.world.handles.upstream.asked();
    let sent = &asked.iter().find(|asked| asked.uri.port_u16() == Some(1)).unwrap().headers;
    let said = sent["traceparent"].to_str().unwrap();
    // The provider is of the house.
    assert_eq!(sent["tracestate"], "rojo=00f067aa0ba902b7");
    assert_eq!(sent["baggage"], "region=eu%20west;p=1");
    let came = world.came("otel.example");
    let paths: Vec<&str> = came.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths, ["/v1/traces", "/v1/logs", "/v1/metrics"]);
    assert_eq!(came[0].1["authorization"], "Bearer otel-token");
    assert_eq!(came[0].1["content-type"], "application/x-protobuf");
    let traces = ExportTraceServiceRequest::decode(&came[0].2[..]).unwrap();
    let resource = &traces.resource_spans[0];
    assert_eq!(text(&resource.resource.as_ref().unwrap().attributes, "service.name").unwrap(), "gate");
    let spans = &resource.scope_spans[0].spans;
    assert_eq!(spans.len(), 3, "the request and two attempts");
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    for span in spans {
        assert_eq!(hex(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 1 << 60);
    }
    assert_eq!(hex(&spans[0].parent_span_id), "00f067aa0ba902b7");
    assert_eq!(
        (spans[1].parent_span_id.clone(), spans[0].kind, spans[1].kind),
        (spans[0].span_id.clone(), 2, 3)
    );
    assert_eq!(said, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", hex(&spans[2].span_id)));
    assert_eq!(spans[1].status.as_ref().unwrap().code, 2);
    assert!(spans.iter().take(1).all(|span| span.trace_state == "rojo=00f067aa0ba902b7"));
    let of = |name| text(&spans[0].attributes, name);
    assert_eq!((of("baggage.region").unwrap(), of("baggage.token")), ("eu west".to_owned(), None));
    assert_eq!(of("gen_ai.operation.name").unwrap(), "chat");
    assert_eq!(of("gen_ai.usage.input_tokens").unwrap(), "7");
    assert_eq!(of("gen_ai.usage.output_tokens").unwrap(), "3");
    assert_eq!(of("gatelet.cost").unwrap(), "0.000037");
    assert_eq!(of("gatelet.id").unwrap(), id);
    assert!(of("gen_ai.response.finish_reasons").unwrap().contains("stop"));
    assert!(of("gatelet.tag.nightly").is_some());
    assert_eq!(text(&spans[1].attributes, "error.type").unwrap(), "upstream_overloaded");
    assert!(text(&spans[2].attributes, "gen_ai.usage.input_tokens").is_none(), "it is counted once");
    let logs = ExportLogsServiceRequest::decode(&came[1].2[..]).unwrap();
    let log = &logs.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((&log.trace_id, &log.span_id), (&spans[0].trace_id, &spans[0].span_id));
    let metrics = ExportMetricsServiceRequest::decode(&came[2].2[..]).unwrap();
    let metrics = &metrics.resource_metrics[0].scope_metrics[0].metrics;
    let named =
        |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.as_ref().unwrap();
    let Data::Histogram(tokens) = named("gen_ai.client.token.usage") else { panic!("no histogram") };
    assert_eq!(tokens.aggregation_temporality, 1);
    let input = tokens
        .data_points
        .iter()
        .find(|point| text(&point.attributes, "gen_ai.token.type").as_deref() == Some("input"));
    let input = input.unwrap();
    assert_eq!((input.count, input.sum), (1, Some(7.0)));
    assert_eq!((input.bucket_counts.iter().sum::<u64>(), input.explicit_bounds.len()), (1, 14));
    assert_eq!(input.bucket_counts.len(), 15);
    let Data::Sum(cost) = named("gatelet.cost") else { panic!("no sum") };
    assert!(cost.is_monotonic && cost.data_points.len() == 1);
}

const ALL: &str = r#"
  dd: { kind: datadog, site: datadoghq.example, key: planted-dd-key }
  lf: { kind: langfuse, url: "https://langfuse.example", key: "pk-1:planted-sk" }
  px: { kind: arize, url: "https://phoenix.example", key: planted-px, headers: { space_id: planted-space } }
  sp: { kind: splunk, url: "https://splunk.example", key: planted-hec }
  el: { kind: elastic, url: "https://elastic.example", key: planted-el, place: logs-gatelet }
  ch: { kind: clickhouse, url: "https://click.example", key: "user:planted-ch", place: gate.records }
  hk: { kind: webhook, url: "https://hook.example", key: planted-hook }
  ot: { kind: otlp, url: "https://otel.example", key: planted-ot }
  so: { kind: stdout }
  sy: { kind: syslog }
"#;

#[test]
fn each_tool_is_told_in_its_words() {
    let world = receivers(ALL);
    let (_, key) = world.world.key(&json!({ "alias": "mine" }));
    world.tick();
    world.answer("langfuse.example", &[(207, r#"{"successes":[],"errors":[]}"#)]);
    world.answer("elastic.example", &[(200, r#"{"errors":true,"items":[{"create":{"status":409}}]}"#)]);
    let id = world.ask(&key, "plain", 1).remove(0);
    assert_eq!(world.tick(), 10);
    let read = |host: &str, place: usize| -> (String, Value) {
        let came = world.came(host);
        (came[place].0.clone(), serde_json::from_slice(&came[place].2).unwrap())
    };
    let (path, spans) = read("api.datadoghq.example", 0);
    assert_eq!(path, "/api/intake/llm-obs/v1/trace/spans");
    let span = &spans["data"]["attributes"]["spans"][0];
    assert_eq!((&span["metrics"]["total_tokens"], &span["status"]), (&json!(10), &json!("ok")));
    assert_eq!(span["metrics"]["total_cost"], 37_000);
    assert_eq!(span["trace_id"].as_str().unwrap().len(), 32);
    let (path, series) = read("api.datadoghq.example", 1);
    assert_eq!(path, "/api/v2/series");
    assert_eq!(series["series"].as_array().unwrap().len(), 5);
    assert_eq!(read("http-intake.logs.datadoghq.example", 0).1[0]["gatelet"]["id"], id);
    let (path, events) = read("langfuse.example", 0);
    assert_eq!(path, "/api/public/ingestion");
    let generation = &events["batch"][1];
    assert_eq!(generation["type"], "generation-create");
    assert_eq!(generation["body"]["usageDetails"]["total"], 10);
    assert_eq!(generation["body"]["traceId"], span["trace_id"], "one trace everywhere");
    let came = world.came("splunk.example");
    assert_eq!(came[0].1["authorization"], "Splunk planted-hec");
    assert_eq!(serde_json::from_slice::<Value>(&came[0].2).unwrap()["event"]["record"]["id"], id);
    let came = world.came("elastic.example");
    let lines: Vec<Value> = came[0]
        .2
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines[0], json!({ "create": { "_index": "logs-gatelet", "_id": id } }));
    assert_eq!(came[0].1["authorization"], "ApiKey planted-el");
    let came = world.came("click.example");
    assert!(
        came[0].0.starts_with("/?query=INSERT%20INTO%20gate.records%20FORMAT%20JSONEachRow"),
        "{}",
        came[0].0
    );
    assert_eq!(came[0].1["x-clickhouse-key"], "planted-ch");
    assert_eq!(serde_json::from_slice::<Value>(&came[0].2).unwrap()["cost"], "0.000037");
    let came = world.came("phoenix.example");
    let traces = ExportTraceServiceRequest::decode(&came[0].2[..]).unwrap();
    let span = &traces.resource_spans[0].scope_spans[0].spans[0];
    assert!(text(&span.attributes, "openinference.span.kind").unwrap().contains("LLM"));
    assert_eq!(text(&span.attributes, "llm.token_count.total").unwrap(), "10");
    assert_eq!(came[0].1["space_id"], "planted-space");
    let said = world.world.handles.log.lines();
    assert!(said.iter().any(|line| line.starts_with("<14>1 ") && line.contains(&id)), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with('{') && line.contains(&id)));
}

/// Two hundred secrets where callers put them, and where admins do: none comes out anywhere.
#[test]
fn no_secret_comes_out() {
    let world = receivers(ALL);
    let (_, key) = world.world.key(&json!({}));
    world.tick();
    let mut planted = vec!["provider-secret-1".to_owned(), "provider-secret-2".to_owned(), key.clone()];
    let names = [
        "cookie",
        "x-secret",
        "x-forwarded-authorization",
        "proxy-authorization",
        "tracestate",
        "baggage",
        "user-agent",
    ];
    for number in 0..200 {
        let secret = format!("sk-planted-{number:03}-{}", "x".repeat(20));
        let model = if number % 3 == 0 { "sturdy" } else { "plain" };
        let body = json!({ "model": model, "max_tokens": 3, "user": "somebody",
            "messages": [{ "role": "user", "content": format!("my key is {secret}") }] });
        let mut request = openai(&key, &body);
        if number % 4 == 1 {
            let uri = format!("http://gate/v1/chat/completions?token={secret}");
            *request.uri_mut() = uri.parse().unwrap();
        }
        if number % 10 == 9 {
            // A stranger's key is no record at all.
            request.headers_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
        }
        let name = http::HeaderName::from_static(names[number % names.len()]);
        request.headers_mut().insert(name, secret.parse().unwrap());
        world.world.send(request);
        planted.push(secret);
    }
    for host in ["splunk.example", "hook.example"] {
        world.answer(host, &[(413, ""), (400, ""), (500, "")]);
    }
    world.tick();
    for _ in 0..20 {
        world.later(60);
    }
    let mut outputs: Vec<(String, Vec<u8>)> = Vec::new();
    for asked in world.world.handles.upstream.asked() {
        if asked.uri.port_u16().is_none() {
            outputs.push((asked.uri.to_string(), asked.body.unwrap().to_vec()));
            let headers = asked.headers.iter().filter(|(name, _)| !is_credential(name.as_str()));
            outputs.push((
                asked.uri.to_string(),
                format!("{} {:?}", asked.uri, headers.collect::<Vec<_>>()).into_bytes(),
            ));
        }
    }
    assert!(outputs.len() > 30, "{}", outputs.len());
    outputs.push(("log".to_owned(), world.world.handles.log.lines().join("\n").into_bytes()));
    let archive = &world.world.gateway.ports().archive;
    for name in block_on(archive.list("", None, 1_000)).unwrap() {
        use std::io::Read;
        let packed = block_on(archive.read(&name)).unwrap().unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        outputs.push((name, bytes));
    }
    for secret in planted.iter().map(String::as_str).chain(["planted-"]) {
        for (place, bytes) in &outputs {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {place}");
        }
    }
    // Debug shows none either.
    let shown = format!("{:?}", world.world.gateway.policy().sinks());
    assert!(!shown.contains("planted") && !shown.contains("example"), "{shown}");
}

/// Headers in which a sink's own credential stands, as it must.
fn is_credential(name: &str) -> bool {
    ["authorization", "dd-api-key", "x-clickhouse-key", "space_id"].contains(&name)
}

#[test]
fn when_the_last_sink_goes_what_it_had_not_heard_of_is_forgotten() {
    let world = receivers(HOOK);
    let (_, key) = world.world.key(&json!({}));
    world.tick();
    world.answer("hook.example", &[(0, "")]);
    world.ask(&key, "plain", 2);
    assert_eq!(world.tick(), 0, "it is down");
    let kept = || {
        let store = &world.world.gateway.ports().store;
        ["books/feed/main/head", "books/feed/main/00000000", "books/sinks/main"]
            .map(|name| block_on(store.get(name)).unwrap().is_some())
    };
    assert_eq!(kept(), [true; 3]);
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    let without = Policy::read("gatelet.yaml", BASE.trim_end().trim_end_matches("sinks:"), &host).unwrap();
    world.world.gateway.replace_policy(without);
    world.ask(&key, "plain", 1);
    world.later(60);
    assert_eq!(kept(), [false; 3]);
    assert_eq!(world.came("hook.example").len(), 1, "it is asked no more");
}
