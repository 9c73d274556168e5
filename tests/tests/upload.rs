//! What is uploaded passes through the native server as it comes: the server's memory does not grow with it.

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::check_eq;
use gatelet_tests::client::Call;
use gatelet_tests::host::ADMIN_KEY;
use gatelet_tests::host::server::Server;
use gatelet_tests::scenario::form;
use gatelet_tests::upstream::{Play, Upstream};
use gatelet_tests::world::config;
use http::Method;
use serde_json::json;

const FILE: usize = 50_000_000;
/// The most that the server's memory may grow by, in KiB.
const GROWTH: u64 = 16 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_50_mb_does_not_fill_the_servers_memory() -> Result<()> {
    let upstream = Upstream::start().await?;
    upstream.script(
        "hears-much",
        [Play::json(200, &json!({"text": "much", "usage": {"type": "duration", "seconds": 1}}))],
    );
    let server = Server::start(&config(&upstream)).await?;
    let made = Call::new(server.address(), Method::POST, "/admin/v1/keys")
        .key(ADMIN_KEY)
        .json(&json!({"limits": {}}))
        .expect(201)
        .await?;
    let secret = made["key"].as_str().context("no key")?;
    let ask = |length: usize| {
        let (media, body) = form(&[("model", "ear/hears-much")], &vec![7; length]);
        Call::new(server.address(), Method::POST, "/v1/audio/transcriptions").key(secret).bytes(&media, body)
    };
    // What is only loaded once is no growth.
    ask(100_000).expect(200).await?;
    let before = peak(server.id())?;
    let answer = ask(FILE).expect(200).await?;
    check_eq!(answer["text"], "much");
    let grown = peak(server.id())? - before;
    println!(
        "the server's memory was at most {before} KiB before, and {grown} KiB more while {FILE} bytes passed"
    );
    let received = upstream.received("hears-much");
    ensure!(received.last().is_some_and(|last| last.body.len() > FILE), "the file did not arrive");
    ensure!(grown < GROWTH, "it grew by {grown} KiB");
    Ok(())
}

/// The most memory that a process has had so far, in KiB.
fn peak(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
