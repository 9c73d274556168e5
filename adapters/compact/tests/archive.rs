//! Each host's archive as Parquet, read by `DuckDB`, which knows nothing of us.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::client::Call;
use gatelet_tests::host::{ADMIN_KEY, Host, Key, Kind};
use gatelet_tests::upstream::{Dialect, Play, Reply, Upstream};
use gatelet_tests::world::{Books, config, model, nanos, question};
use gatelet_tests::{check_eq, sdk};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_archive_is_the_same_as_parquet() -> Result<()> {
    compacted(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workers_archive_is_the_same_as_parquet() -> Result<()> {
    compacted(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lambdas_archive_is_the_same_as_parquet() -> Result<()> {
    compacted(Kind::Lambda).await
}

fn ask(host: &Host, key: &Key, script: &str, stream: bool) -> Call {
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["stream"] = stream.into();
    host.post("/v1/chat/completions").key(&key.secret).json(&body)
}

fn compact(url: &str, into: &Path, days: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatelet-compact"))
        .args(["--url", url, "--into"])
        .arg(into)
        .args(days)
        .env("GATELET_ADMIN_KEY", ADMIN_KEY)
        .output()
        .expect("it starts")
}

async fn compacted(kind: Kind) -> Result<()> {
    const REQUESTS: u64 = 12;
    let upstream = Upstream::start().await?;
    upstream.script("said", [Reply::text(["a ", "few"]).usage(41, 7).into()]);
    let failure = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    upstream.script("failed", [Play::json(500, &failure)]);
    let host = Host::start(kind, &config(&upstream)).await?;
    let key = host.key(json!({ "tags": ["night"], "limits": { "budget": ["1 USD / day"] } })).await?;
    let mut first = None;
    for number in 0..REQUESTS {
        let script = if number % 4 == 3 { "failed" } else { "said" };
        let answer = ask(&host, &key, script, number % 2 == 0).whole().await?;
        ensure!(answer.status == 200 || script == "failed", "{}", answer.text());
        first = first.or(answer.header("x-gatelet-request-id").map(ToOwned::to_owned));
    }
    let first = first.context("no id")?;
    let spent = Books::of(&host.show(&key).await?)?.spent;
    host.tick().await?;
    let score = json!({ "name": "helpful", "value": 0.5 });
    host.admin(http::Method::POST, &format!("/admin/v1/requests/{first}/scores"))
        .json(&score)
        .expect(201)
        .await?;
    host.tick().await?;

    let records: Vec<Value> = host
        .archive()
        .await?
        .iter()
        .map(gatelet_tests::host::Object::records)
        .collect::<Result<Vec<_>>>()?
        .concat();
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).collect::<Vec<_>>();
    check_eq!((of("request").len() as u64, of("score").len()), (REQUESTS, 1));
    // The day may change on the way.
    let day = |record: &Value| record["at"].as_str().and_then(|at| at.get(..10)).unwrap().to_owned();
    let mut days: Vec<String> = records.iter().map(day).collect();
    days.sort();
    let span = ["--from", &days[0], "--to", &days[days.len() - 1]];
    let folder = tempfile::tempdir()?;
    let url = format!("http://{}", host.address());
    // Twice, since what is compacted again is the same.
    for _ in 0..2 {
        let into = folder.path().to_owned();
        let (url, span) = (url.clone(), span.map(ToOwned::to_owned));
        let done =
            tokio::task::spawn_blocking(move || compact(&url, &into, &span.each_ref().map(String::as_str)));
        let done = done.await?;
        ensure!(done.status.success(), "{done:?}");
    }
    let place = folder.path().to_str().context("no text")?.to_owned();
    let seen = tokio::task::spawn_blocking(move || sdk::judge("parquet_sums.py", &[&place], &[])).await??;
    check_eq!(seen["requests"], json!(REQUESTS), "{seen}");
    check_eq!(seen["attempts"], json!(of("attempt").len()), "{seen}");
    check_eq!(nanos(seen["cost"].as_str().unwrap())?, spent);
    check_eq!((&seen["input"], &seen["tags"]), (&json!(9 * 41), &json!(REQUESTS)), "{seen}");
    check_eq!(seen["score"], json!(0.5), "{seen}");
    // Each value is what the line says, and nothing of a line is left out.
    for record in of("request") {
        let row = &seen["rows"][record["id"].as_str().unwrap()];
        for (name, value) in record.as_object().unwrap() {
            match name.as_str() {
                "kind" | "at" | "usage" | "cost" => {}
                _ if value.is_array() || value.is_object() => {
                    let text = row[name].as_str().with_context(|| format!("{name}: {row}"))?;
                    check_eq!(serde_json::from_str::<Value>(text)?, *value, "{name}");
                }
                _ => check_eq!(row[name], *value, "{name}"),
            }
        }
        check_eq!(row["more"], Value::Null, "{row}");
        let moment = record["at"].as_str().unwrap().trim_end_matches('Z').trim_end_matches('0').to_owned();
        check_eq!(row["at"].as_str().unwrap().trim_end_matches('0'), moment);
    }
    for wrong in [&["--from", "yesterday"][..], &["--from", "2026-01-02", "--to", "2026-01-01"]] {
        let (url, into) = (url.clone(), folder.path().to_owned());
        let done = compact(&url, &into, wrong);
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{done:?}");
    }
    Ok(())
}
