//! What stands around an answer: health, and the headers that we add.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::check_eq;
use crate::upstream::{Dialect, Reply};
use crate::world::{World, cost, model, nanos, question};

scenarios![
    health_is_told_without_a_key,
    an_answer_names_its_request_its_model_and_its_cost,
    request_ids_are_unique,
    what_is_left_of_the_limits_is_told_in_the_vendors_headers,
    a_loss_in_translation_is_named,
];

async fn health_is_told_without_a_key(world: Arc<World>) -> Result<()> {
    for path in ["/health/live", "/health/ready"] {
        check_eq!(world.host.get(path).whole().await?.status, 200, "{path}");
    }
    Ok(())
}

async fn an_answer_names_its_request_its_model_and_its_cost(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    for streamed in [false, true] {
        let script = format!("headers-{streamed}");
        world.upstream.script(&script, [Reply::text(["yes"]).usage(3, 2).into()]);
        let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, &script));
        body["stream"] = json!(streamed);
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        let header =
            |name: &str| answer.header(name).with_context(|| format!("no {name} in {:?}", answer.headers));
        ensure!(header("x-gatelet-request-id")?.starts_with("req_"), "{:?}", answer.headers);
        check_eq!(header("x-gatelet-model")?, format!("up-openai/{script}"));
        check_eq!(header("x-gatelet-attempts")?, "1");
        header("x-gatelet-overhead-ms")?.parse::<f64>().context("x-gatelet-overhead-ms is no number")?;
        if !streamed {
            check_eq!(nanos(header("x-gatelet-cost")?)?, cost(3, 2));
        }
    }
    Ok(())
}

async fn request_ids_are_unique(world: Arc<World>) -> Result<()> {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let answer = world.host.post("/v1/chat/completions").json(&json!({})).whole().await?;
        let id = answer.header("x-gatelet-request-id").context("no request id")?.to_owned();
        ensure!(seen.insert(id.clone()), "{id} was given twice");
    }
    Ok(())
}

async fn what_is_left_of_the_limits_is_told_in_the_vendors_headers(world: Arc<World>) -> Result<()> {
    let script = "left-of-the-limits";
    world.upstream.script(script, [Reply::text(["yes"]).usage(3, 2).into()]);
    for (dialect, limit, remaining) in [
        (Dialect::OpenAi, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        (Dialect::Anthropic, "anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"),
    ] {
        let key = world.host.key(json!({"limits": {"rpm": 7, "tpm": 10_000}})).await?;
        let body = question(dialect, &model(dialect, script));
        for left in ["6", "5"] {
            let answer = world.ask(dialect, &key, &body).whole().await?;
            check_eq!(answer.header(limit), Some("7"), "{:?}", answer.headers);
            check_eq!(answer.header(remaining), Some(left));
        }
    }
    Ok(())
}

async fn a_loss_in_translation_is_named(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let script = "a-loss";
    world.upstream.script(script, [Reply::text(["yes"]).usage(3, 2).into()]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::Anthropic, script));
    // Anthropic's messages have no seed.
    body["seed"] = json!(7);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    let loss = answer
        .header("x-gatelet-loss")
        .with_context(|| format!("no x-gatelet-loss in {:?}", answer.headers))?;
    ensure!(loss.contains("seed"), "{loss}");
    ensure!(world.upstream.only(script)?.json()?.get("seed").is_none(), "the seed was sent");
    Ok(())
}
