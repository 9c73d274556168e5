//! Records: one of each request and one of each attempt, in the archive, with the true tokens and cost.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::check_eq;
use crate::host::Object;
use crate::upstream::{Dialect, Play, Reply};
use crate::world::{World, cost, model, nanos, question};

scenarios![
    a_reader_that_knows_nothing_of_us_sums_the_archive_to_the_ledger,
    a_request_is_found_again_shown_and_scored,
    a_request_and_its_attempts_are_recorded_with_tokens_and_cost,
    a_refused_request_is_recorded_without_cost,
    the_archive_is_laid_out_by_date_and_hour,
];

async fn a_request_and_its_attempts_are_recorded_with_tokens_and_cost(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}, "tags": ["night"]})).await?;
    let script = "recorded";
    let failure = Play::json(
        503,
        &json!({"error": {"message": "later", "type": "server_error", "param": null, "code": null}}),
    );
    world.upstream.script(script, [failure, Reply::text(["now"]).usage(10, 3).into()]);
    let mut body = question(Dialect::OpenAi, &format!("twice/{script}"));
    body["stream"] = json!(true);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.header("x-gatelet-request-id").context("no request id")?;

    let records = recorded(&world, id, 3).await?;
    let (attempts, requests): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record["kind"] == "attempt");
    check_eq!((requests.len(), attempts.len()), (1, 2), "{records:?}");
    let request = requests[0];
    check_eq!(request["kind"], json!("request"));
    check_eq!(request["key"], json!(key.id));
    check_eq!(request["outcome"], json!("done"));
    check_eq!(request["tags"], json!(["night"]));
    check_eq!(request["target"], json!(format!("up-openai/{script}")));
    check_eq!(request["usage"]["input"], json!(10), "{request}");
    check_eq!(request["usage"]["output"], json!(3), "{request}");
    check_eq!(nanos(request["cost"].as_str().context("no cost")?)?, cost(10, 3));
    let mut statuses: Vec<Option<u64>> = attempts.iter().map(|attempt| attempt["status"].as_u64()).collect();
    statuses.sort_unstable();
    check_eq!(statuses, [Some(200), Some(503)]);
    ensure!(!format!("{records:?}").contains(&key.secret), "a record holds the key's secret");
    Ok(())
}

async fn a_reader_that_knows_nothing_of_us_sums_the_archive_to_the_ledger(world: Arc<World>) -> Result<()> {
    const REQUESTS: u64 = 24;
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let script = "summed";
    let refusal = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    world.upstream.script(script, [Reply::text(["a ", "few"]).usage(40, 7).into()]);
    world.upstream.script("summed-broken", [Play::json(500, &refusal)]);
    for number in 0..REQUESTS {
        let dialect = if number % 3 == 0 { Dialect::Anthropic } else { Dialect::OpenAi };
        let script = if number % 6 == 5 { "summed-broken" } else { script };
        let mut body = question(dialect, &model(dialect, script));
        body["stream"] = json!(number % 2 == 0);
        let answer = world.ask(dialect, &key, &body).whole().await?;
        ensure!(answer.status == 200 || script == "summed-broken", "{}", answer.text());
    }
    let books = world.closed_books(&key).await?;
    let answered = REQUESTS - REQUESTS / 6;
    check_eq!(books.spent, answered * cost(40, 7));
    let end = Instant::now() + Duration::from_mins(2);
    loop {
        world.host.tick().await?;
        let sums = Object::sums(world.host.archive().await?, &key.id).await?;
        // Others fill the outbox too: ours may need another tick.
        if sums["ids"] != json!(REQUESTS) && Instant::now() < end {
            sleep(Duration::from_millis(500)).await;
            continue;
        }
        let wanted = (REQUESTS, REQUESTS, books.spent, answered * 40, answered * 7);
        let count = |name: &str| sums[name].as_u64().with_context(|| format!("no `{name}` in {sums}"));
        let spent = nanos(sums["cost"].as_str().context("no cost")?)?;
        check_eq!(
            (count("rows")?, count("ids")?, spent, count("input")?, count("output")?),
            wanted,
            "{sums}"
        );
        return Ok(());
    }
}

async fn a_request_is_found_again_shown_and_scored(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let script = "found-again";
    world.upstream.script(script, [Reply::text(["found"]).usage(10, 3).into()]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["stream"] = json!(true);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.header("x-gatelet-request-id").context("no request id")?;
    let get = async |path: &str| world.host.admin(Method::GET, path).expect(200).await;
    // Once before anything is sure to be in the archive, once after it is.
    for archived in [false, true] {
        if archived {
            world.host.tick().await?;
        }
        let end = Instant::now() + Duration::from_mins(2);
        let shown = loop {
            // What is settled behind the answer's back comes into the books a moment later.
            let found = world.host.admin(Method::GET, &format!("/admin/v1/requests/{id}")).whole().await?;
            if found.status == 200 {
                break found.json()?;
            }
            ensure!(Instant::now() < end, "{}: {}", found.status, found.text());
            sleep(Duration::from_millis(100)).await;
        };
        check_eq!((&shown["request"]["id"], &shown["request"]["key"]), (&json!(id), &json!(key.id)));
        check_eq!(shown["attempts"].as_array().map(Vec::len), Some(1), "{shown}");
        let listed = get(&format!("/admin/v1/requests?key={}&status=200", key.id)).await?;
        check_eq!(listed["requests"][0]["id"], json!(id), "{listed}");
        check_eq!(listed["requests"].as_array().map(Vec::len), Some(1), "{listed}");
        let score = json!({"name": format!("round-{archived}"), "value": 0.5});
        let path = format!("/admin/v1/requests/{id}/scores");
        world.host.admin(Method::POST, &path).json(&score).expect(201).await?;
    }
    let shown = get(&format!("/admin/v1/requests/{id}")).await?;
    let names: Vec<&Value> =
        shown["scores"].as_array().into_iter().flatten().map(|score| &score["name"]).collect();
    check_eq!(names, [&json!("round-false"), &json!("round-true")]);
    world.host.tick().await?;
    let mut scored: Vec<Value> = Vec::new();
    for object in world.host.archive().await? {
        for record in object.records()? {
            // Where two ticks meet, a line may be archived twice; it is the same line.
            if record["kind"] == "score" && record["id"] == *id && !scored.contains(&record) {
                scored.push(record);
            }
        }
    }
    check_eq!(scored.len(), 2, "{scored:?}");
    Ok(())
}

async fn a_refused_request_is_recorded_without_cost(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["0.000001 USD / day"]}})).await?;
    let answer = world
        .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, "chat/refused-and-recorded"))
        .whole()
        .await?;
    check_eq!(answer.status, 402, "{}", answer.text());
    let id = answer.header("x-gatelet-request-id").context("no request id")?;
    let records = recorded(&world, id, 1).await?;
    check_eq!(records.len(), 1);
    check_eq!(records[0]["kind"], json!("request"));
    check_eq!(records[0]["status"], json!(402));
    check_eq!(nanos(records[0]["cost"].as_str().context("no cost")?)?, 0);
    Ok(())
}

async fn the_archive_is_laid_out_by_date_and_hour(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let script = "laid-out";
    world.upstream.script(script, [Reply::text(["yes"]).usage(1, 1).into()]);
    let answer = world
        .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, &format!("chat/{script}")))
        .whole()
        .await?;
    let id = answer.header("x-gatelet-request-id").context("no request id")?;
    recorded(&world, id, 2).await?;
    for object in world.host.archive().await? {
        let parts: Vec<&str> = object.name.split('/').collect();
        let [version, date, hour, file] = parts.as_slice() else {
            anyhow::bail!("not four parts: {}", object.name)
        };
        check_eq!(*version, "v1");
        ensure!(date.strip_prefix("date=").is_some_and(|day| day.len() == 10), "{}", object.name);
        ensure!(hour.strip_prefix("hour=").is_some_and(|hour| hour.len() == 2), "{}", object.name);
        ensure!(file.ends_with(".ndjson.gz"), "{}", object.name);
        ensure!(!object.records()?.is_empty(), "{} is empty", object.name);
    }
    Ok(())
}

/// The records of one request, once so many are in the archive; each stands there once.
pub(super) async fn recorded(world: &World, request: &str, count: usize) -> Result<Vec<Value>> {
    let end = Instant::now() + Duration::from_mins(2);
    loop {
        world.host.tick().await?;
        let mut records: Vec<Value> = Vec::new();
        for object in world.host.archive().await? {
            for record in object.records()? {
                // Where two ticks meet, a line may be archived twice; it is the same line, and readers know it by its id.
                if record["id"] == request && !records.contains(&record) {
                    records.push(record);
                }
            }
        }
        if records.len() >= count {
            return Ok(records);
        }
        ensure!(Instant::now() < end, "{} of {count} records of {request} are in the archive", records.len());
        sleep(Duration::from_millis(250)).await;
    }
}
