//! What others wrote reads what it is told: Datadog's test agent, the types of Langfuse's SDK, Prometheus's own reader.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::agent::Agent;
use gatelet_tests::host::{Host, Kind};
use gatelet_tests::upstream::{ANY, Dialect, Play, Reply, Upstream};
use gatelet_tests::world::{config, cost, model, question};
use gatelet_tests::{check_eq, sdk};
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_read_what_they_are_told_in_their_own_libraries() -> Result<()> {
    let (agent, upstream) = (Agent::start().await?, Upstream::start().await?);
    upstream.script("said", [Reply::text(["a ", "few"]).usage(41, 7).into()]);
    let failure = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    upstream.script("failed", [Play::json(500, &failure)]);
    upstream.script(ANY, [Play::json(207, &json!({ "successes": [], "errors": [] }))]);
    let place = upstream.base();
    let sinks = format!(
        "content: full\nsinks:\n{}  lf: {{ kind: langfuse, url: \"{place}/files/langfuse\", key: \"pk:sk\", content: true }}\n",
        agent.sinks().replace(" }", ", content: true }")
    );
    let host = Host::start(Kind::Server, &format!("{}{sinks}", config(&upstream))).await?;
    host.tick().await?;
    let key = host.key(json!({ "tags": ["night"] })).await?;
    let mut ids = Vec::new();
    for (dialect, path) in [(Dialect::OpenAi, "/v1/chat/completions"), (Dialect::Anthropic, "/v1/messages")] {
        for (script, streamed) in [("said", false), ("said", true), ("failed", false)] {
            let mut body = question(dialect, &model(dialect, script));
            body["stream"] = json!(streamed);
            let call = host.post(path).key(&key.secret).json(&body);
            let call = call.header("x-gatelet-session", "s-1").header("x-gatelet-customer", "ann");
            let answer = call.whole().await?;
            check_eq!(answer.status == 200, script == "said", "{}", answer.text());
            ids.push(answer.header("x-gatelet-request-id").context("no request id")?.to_owned());
        }
    }
    for (name, value) in [("good", json!(true)), ("style", json!("terse")), ("grade", json!(0.5))] {
        let path = format!("/admin/v1/requests/{}/scores", ids[0]);
        host.admin(Method::POST, &path)
            .json(&json!({ "name": name, "value": value, "comment": "so" }))
            .expect(201)
            .await?;
    }
    let langfuse = || -> Vec<Value> {
        let all = upstream.all_received();
        let mine = all.iter().filter(|(script, _)| script.starts_with("langfuse")).flat_map(|(_, all)| all);
        mine.filter_map(|received| Some(json!({ "langfuse": received.json().ok()? }))).collect()
    };
    let end = Instant::now() + Duration::from_mins(2);
    let (traced, observed) = loop {
        host.tick().await?;
        let (traced, observed) = (agent.traced().await?, agent.observed().await?);
        let scored = langfuse().iter().any(|body| body.to_string().contains("score-create"));
        if ids.iter().all(|id| traced.contains_key(id) && observed.contains_key(id)) && scored {
            break (traced, observed);
        }
        ensure!(Instant::now() < end, "not all is heard of: {} {}", host.log(), agent.log());
        sleep(Duration::from_millis(300)).await;
    };
    for (place, id) in ids.iter().enumerate() {
        let wanted = if place % 3 == 2 { (0, 0, 0) } else { (41, 7, cost(41, 7)) };
        for (whose, all) in [("OpenTelemetry", &traced), ("Datadog", &observed)] {
            let told = &all[id][0];
            check_eq!((told.input, told.output, told.cost), wanted, "{whose}: {id}");
        }
    }
    // The agent has read the rest with OpenTelemetry's own messages, too.
    let (logs, metrics) = (agent.otlp("logs").await?, agent.otlp("metrics").await?);
    for id in &ids {
        ensure!(logs.to_string().contains(id), "no log of {id}: {logs}");
    }
    for name in ["gen_ai.client.token.usage", "gen_ai.client.operation.duration"] {
        ensure!(metrics.to_string().contains(name), "no {name}: {metrics}");
    }
    let metrics = host.admin(Method::GET, "/metrics").whole().await?;
    check_eq!(metrics.status, 200);
    let mut cases = langfuse();
    cases.push(json!({ "prometheus": metrics.text() }));
    let judged = tokio::task::spawn_blocking(move || sdk::judge_receivers("receivers.py", &cases)).await??;
    check_eq!(judged["wrong"], json!([]), "{judged}");
    for (what, least) in
        [("trace-create", 6), ("generation-create", 6), ("score-create", 3), ("family", 5), ("sample", 20)]
    {
        ensure!(judged["counts"][what].as_u64() >= Some(least), "{what}: {judged}");
    }
    Ok(())
}
