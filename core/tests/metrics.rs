//! `/metrics` is what Prometheus reads, for those who may read it, and tells what reports tell.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_executor::block_on;
use gatelet_core::port::Body;
use http::Request;
use serde_json::{Value, json};
use world::{ADMIN, World, openai, read};

const HOOK: &str = "sinks: { hook: { kind: webhook, url: \"https://hook.example/in\" } }\n";

fn world(config: &str) -> World {
    World::plain(&format!("{HOOK}{config}"), "hi", 503)
}

fn ask(world: &World, key: &str, model: &str) {
    let body =
        json!({ "model": model, "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    read(world.send(openai(key, &body)));
}

fn archive(world: &World) {
    block_on(world.handles.defer.run_all());
    for _ in 0..8 {
        world.handles.clock.advance(Duration::from_mins(5));
        block_on(world.gateway.tick()).unwrap();
    }
}

fn scrape(world: &World, key: Option<&str>) -> (u16, String) {
    let mut request = Request::get("http://gate/metrics");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let response = world.send(request.body(Body::Empty).unwrap());
    let status = response.status().as_u16();
    (status, String::from_utf8(read(response)).unwrap())
}

/// Samples by their names with labels; what the format asks for is judged on the way.
fn samples(text: &str) -> BTreeMap<String, String> {
    let (mut kinds, mut all) = (BTreeMap::new(), BTreeMap::new());
    let mut family = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.'), "{line}");
            assert!(!kinds.contains_key(name), "{name} comes twice");
            family = name;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            // What `promtool check metrics` asks for.
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            kinds.insert(name, kind);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let of = of.filter(|of| kinds.get(of) == Some(&"histogram")).unwrap_or(name);
            assert_eq!(of, family, "{line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
            assert!(all.insert(series.to_owned(), value.to_owned()).is_none(), "{series} comes twice");
        }
    }
    all
}

#[test]
fn what_is_told_is_what_reports_say_and_reads_as_the_format_asks() {
    let world = world("");
    archive(&world);
    let (_, key) = world.key(&json!({}));
    (0..3).for_each(|_| ask(&world, &key, "plain"));
    ask(&world, &key, "nothing");
    archive(&world);
    let (status, text) = scrape(&world, Some(ADMIN));
    assert_eq!(status, 200, "{text}");
    let all = samples(&text);
    let of = "{provider=\"up\",model=\"model-o\"}";
    for (name, value) in [
        ("gatelet_requests_total", "3"),
        ("gatelet_failures_total", "0"),
        ("gatelet_attempts_total", "3"),
        ("gatelet_cost_usd_total", "0.000111"),
        ("gatelet_first_content_seconds_count", "3"),
    ] {
        assert_eq!(all[&format!("{name}{of}")], value, "{name}");
    }
    assert_eq!(all["gatelet_tokens_total{provider=\"up\",model=\"model-o\",kind=\"input\"}"], "21");
    assert_eq!(
        all["gatelet_first_content_seconds_bucket{provider=\"up\",model=\"model-o\",le=\"+Inf\"}"],
        "3"
    );
    assert_eq!(all["gatelet_refusals_total{provider=\"none\",model=\"none\"}"], "1");
    assert_eq!(all["gatelet_sink_up{sink=\"hook\"}"], "0");
    let (_, report) = world.admin("GET", "/admin/v1/spend", &json!({}));
    assert_eq!((&report["total"]["requests"], &report["total"]["answered"]), (&json!(4), &json!(3)));
}

#[test]
fn who_may_not_see_what_is_spent_of_all_reads_nothing_unless_it_is_open() {
    let world = world("");
    let (_, inference) = world.key(&json!({}));
    let (_, made) = world.admin("POST", "/admin/v1/keys", &json!({ "kind": "read_only", "role": "auditor" }));
    let auditor = made["key"].as_str().unwrap();
    world.admin("POST", "/admin/v1/orgs", &json!({ "id": "acme" }));
    let wish = json!({ "kind": "management", "role": "org_admin", "org": "acme" });
    let (status, made) = world.admin("POST", "/admin/v1/keys", &wish);
    assert_eq!(status, 201, "{made}");
    let bounded = made["key"].as_str().unwrap();
    for (key, status) in [
        (None, 401),
        (Some(&*inference), 403),
        (Some(bounded), 403),
        (Some(auditor), 200),
        (Some(ADMIN), 200),
    ] {
        assert_eq!(scrape(&world, key).0, status, "{key:?}");
    }
    let world = self::world("metrics: { open: true, by: [team, provider] }");
    assert_eq!(scrape(&world, None).0, 200);
}

#[test]
fn labels_are_left_out_before_there_are_too_many_series() {
    let world = world("metrics: { by: [provider, key] }");
    archive(&world);
    for _ in 0..1_010 {
        let (_, key) = world.key(&json!({}));
        ask(&world, &key, "plain");
        block_on(world.handles.defer.run_all());
    }
    archive(&world);
    let all = samples(&scrape(&world, Some(ADMIN)).1);
    assert_eq!(all["gatelet_labels_left_out"], "1");
    assert_eq!(all["gatelet_requests_total{provider=\"up\"}"], "1010");
}

/// Dashboards and rules ask for nothing that is not told.
#[test]
fn dashboards_and_rules_name_metrics_that_there_are() {
    let world = world("");
    archive(&world);
    let (_, key) = world.key(&json!({}));
    ask(&world, &key, "plain");
    archive(&world);
    let told: BTreeSet<String> = samples(&scrape(&world, Some(ADMIN)).1)
        .into_keys()
        .map(|series| series.split('{').next().unwrap().to_owned())
        .collect();
    let dashboard = include_str!("../../infra/grafana/gatelet.json");
    let parsed: Value = serde_json::from_str(dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() >= 10);
    for text in [dashboard, include_str!("../../infra/prometheus/rules.yaml")] {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let mut asked = 0;
        for name in text.split(ends).filter(|name| name.starts_with("gatelet_")) {
            assert!(told.contains(name), "{name} is not among {told:?}");
            asked += 1;
        }
        assert!(asked > 5);
    }
}
