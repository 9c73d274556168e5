//! The server is killed in the middle of load, again and again: no answered request is without its record and its charge.
//!
//! Five times in an ordinary run; `GATELET_KILLS=100` for the full count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::check_eq;
use gatelet_tests::client::{Call, Whole};
use gatelet_tests::host::server::Server;
use gatelet_tests::host::{ADMIN_KEY, Object};
use gatelet_tests::upstream::{Dialect, Reply, Upstream};
use gatelet_tests::world::{config, cost, nanos, question};
use http::Method;
use serde_json::{Value, json};

const CALLERS: usize = 16;
const SCRIPT: &str = "killed";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_the_record_and_the_charge_of_every_answer() -> Result<()> {
    let kills: usize = std::env::var("GATELET_KILLS").ok().map_or(Ok(5), |text| text.parse())?;
    let upstream = Upstream::start().await?;
    upstream.script(SCRIPT, [Reply::text(["a ", "few ", "words"]).usage(10, 3).into()]);
    let mut server = Server::start(&config(&upstream)).await?;
    let fields = json!({"limits": {"budget": ["1000 USD / year"]}});
    let made = Call::new(server.address(), Method::POST, "/admin/v1/keys")
        .key(ADMIN_KEY)
        .json(&fields)
        .expect(201)
        .await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    let secret: Arc<str> = made["key"].as_str().context("no key")?.into();

    let mut answered: BTreeSet<String> = BTreeSet::new();
    for round in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                tokio::spawn(load(server.address(), Arc::clone(&secret), Arc::clone(&stop), number))
            })
            .collect();
        // Not always at the same moment of a request's life.
        tokio::time::sleep(Duration::from_millis(60 + (round as u64 * 37) % 140)).await;
        server
            .kill_and_restart_after(async {
                stop.store(true, Ordering::SeqCst);
            })
            .await?;
        for caller in callers {
            answered.extend(caller.await?);
        }
    }
    ensure!(
        answered.len() > kills * 5,
        "only {} answers in {kills} rounds: this was no load",
        answered.len()
    );

    let records = records(&server).await?;
    println!("{} answers and {} records of requests after {kills} kills", answered.len(), records.len());
    let mut charged = 0;
    for record in records.values() {
        charged += nanos(record["cost"].as_str().context("no cost")?)?;
    }
    let lost: Vec<&String> = answered.iter().filter(|id| !records.contains_key(*id)).collect();
    ensure!(lost.is_empty(), "{} of {} answers have no record: {lost:?}", lost.len(), answered.len());
    for id in &answered {
        check_eq!(
            nanos(records[id]["cost"].as_str().unwrap_or_default())?,
            cost(10, 3),
            "the record of {id}"
        );
    }
    let shown = Call::new(server.address(), Method::GET, &format!("/admin/v1/keys/{id}"))
        .key(ADMIN_KEY)
        .expect(200)
        .await?;
    let budget = &shown["usage"]["budget"][0];
    check_eq!(
        nanos(budget["spent"].as_str().context("nothing spent")?)?,
        charged,
        "the books and the records"
    );
    check_eq!(budget["held"], json!("0"), "what died still holds");
    Ok(())
}

/// Calls until told to stop or the server is gone; the ids of answers that came whole.
async fn load(
    server: std::net::SocketAddr,
    key: Arc<str>,
    stop: Arc<AtomicBool>,
    number: usize,
) -> Vec<String> {
    let mut answered = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let mut body = question(Dialect::OpenAi, &format!("chat/{SCRIPT}"));
        let streamed = number.is_multiple_of(2);
        body["stream"] = json!(streamed);
        let call = Call::new(server, Method::POST, "/v1/chat/completions").key(&key).json(&body);
        let Ok(answer) = call.whole().await else { break };
        if is_answered(&answer, streamed) {
            answered.extend(answer.header("x-gatelet-request-id").map(str::to_owned));
        }
    }
    answered
}

fn is_answered(answer: &Whole, streamed: bool) -> bool {
    // A stream is answered once its ending was read, whether or not the connection was closed in order.
    answer.status == 200 && if streamed { answer.text().contains("[DONE]") } else { answer.complete }
}

/// The records of all requests, by id, once the outbox is empty.
async fn records(server: &Server) -> Result<BTreeMap<String, Value>> {
    let admin = |method, path: &str| Call::new(server.address(), method, path).key(ADMIN_KEY);
    let mut ticks = 0;
    while admin(Method::POST, "/admin/v1/tick").expect(200).await?["archived"] != json!(0) {
        ticks += 1;
        ensure!(ticks < 1_000, "the outbox is never empty");
    }
    let mut records = BTreeMap::new();
    for object in archive(server).await? {
        for record in object.records()?.into_iter().filter(|record| record["kind"] == "request") {
            // A batch that was written, but not cleared when the server died, is there twice: ids tell.
            records.insert(record["id"].as_str().context("no id")?.to_owned(), record);
        }
    }
    Ok(records)
}

async fn archive(server: &Server) -> Result<Vec<Object>> {
    gatelet_tests::host::archive_at(server.address()).await
}
