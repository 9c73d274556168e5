//! What was spent: reports sum to the ledger, to the nano-dollar.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::{Value, json};

use crate::check_eq;
use crate::upstream::{Dialect, Play, Reply};
use crate::world::{World, cost, model, nanos, question};

scenarios![reports_sum_to_the_ledger_after_mixed_requests];

async fn reports_sum_to_the_ledger_after_mixed_requests(world: Arc<World>) -> Result<()> {
    let admin = |method, path: &str| world.host.admin(method, &format!("/admin/v1/{path}"));
    admin(Method::POST, "teams").json(&json!({"id": "summed"})).expect(201).await?;
    let keys = try_join_all(
        [json!({}), json!({"budget": ["0.0001 USD / day"]})]
            .map(|limits| world.host.key(json!({"team": "summed", "tags": ["summed"], "limits": limits}))),
    )
    .await?;
    let fine = "summed-fine";
    world.upstream.script(fine, [Reply::text(["a", "b"]).usage(41, 7).into()]);
    let broken = "summed-broken";
    let failure = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    world.upstream.script(broken, [Play::json(500, &failure)]);
    let asks = (0..36).map(|turn| {
        let (world, key) = (&world, &keys[turn % 2]);
        async move {
            let (dialect, script) = match turn % 6 {
                0 => (Dialect::OpenAi, broken),
                1 | 2 => (Dialect::Anthropic, fine),
                _ => (Dialect::OpenAi, fine),
            };
            let mut body = question(dialect, &model(dialect, script));
            body["stream"] = json!(turn % 3 == 1);
            let answer = world.ask(dialect, key, &body).whole().await?;
            ensure!(
                [200, 402, 429, 500, 502].contains(&answer.status),
                "{}: {}",
                answer.status,
                answer.text()
            );
            anyhow::Ok(u64::from(answer.status == 200))
        }
    });
    let answered: u64 = try_join_all(asks).await?.into_iter().sum();
    // Refusals are written down after their answers: all are there once the report has them.
    let report = settled(&world, "by=key&team=summed", 36).await?;
    let spent = async |path: &str| -> Result<u64> {
        let shown = admin(Method::GET, path).expect(200).await?;
        check_eq!(shown["usage"]["held"], json!("0"), "{shown}");
        nanos(shown["usage"]["spent"].as_str().context("nothing spent")?)
    };
    let ledger = spent("teams/summed").await?;
    check_eq!(ledger, answered * cost(41, 7));
    check_eq!(nanos(report["total"]["cost"].as_str().context("no cost")?)?, ledger, "{report}");
    for key in &keys {
        let rows = report["rows"].as_array().context("no rows")?;
        let row = rows.iter().find(|row| row["key"] == key.id.as_str()).context("no row of a key")?;
        check_eq!(
            nanos(row["cost"].as_str().context("no cost")?)?,
            spent(&format!("keys/{}", key.id)).await?
        );
    }
    let total = &report["total"];
    let count = |name: &str| total[name].as_u64().unwrap_or_default();
    check_eq!(count("requests"), 36, "{total}");
    check_eq!(count("requests") - count("refusals") - count("failures"), answered, "{total}");
    check_eq!(count("failures"), count("refunds"), "{total}");
    ensure!(count("refusals") > 0 && count("failures") > 0, "{total}");
    check_eq!(count("input"), answered * 41);
    check_eq!(count("output"), answered * 7);
    // Sums that were not flushed yet are one document, and a month's are one more for each 200 KB.
    ensure!((1..=2).contains(&report["reads"].as_u64().unwrap_or_default()), "{report}");
    let table = admin(Method::GET, "spend?tag=summed&by=provider&format=csv").whole().await?;
    ensure!(table.text().starts_with("provider,requests,"), "{}", table.text());
    Ok(())
}

/// The report once it has so many requests.
async fn settled(world: &World, query: &str, requests: u64) -> Result<Value> {
    let mut report = Value::Null;
    for _ in 0..60 {
        world.host.tick().await?;
        report = world.host.admin(Method::GET, &format!("/admin/v1/spend?{query}")).expect(200).await?;
        if report["total"]["requests"].as_u64() >= Some(requests) {
            return Ok(report);
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    anyhow::bail!("not {requests} requests: {report}")
}
