//! Teams, projects and users: what several keys share is held as exactly as what is one key's own.

use std::sync::Arc;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::{Value, json};

use crate::check_eq;
use crate::upstream::{Dialect, Reply};
use crate::world::{World, cost, model, nanos, question};

scenarios![
    two_hundred_callers_of_many_keys_never_pass_what_they_share_and_can_use_it_up,
    a_blocked_team_closes_all_its_keys_at_once,
];

async fn make(world: &World, plural: &str, wish: Value) -> Result<()> {
    world.host.admin(Method::POST, &format!("/admin/v1/{plural}")).json(&wish).expect(201).await.map(drop)
}

/// What was spent, once nothing is open any more, and what the budget was.
async fn spent(world: &World, path: &str) -> Result<u64> {
    let shown = world.host.admin(Method::GET, &format!("/admin/v1/{path}")).expect(200).await?;
    check_eq!(shown["usage"]["held"], json!("0"), "{path}: {shown}");
    nanos(shown["usage"]["spent"].as_str().unwrap_or_default())
}

async fn two_hundred_callers_of_many_keys_never_pass_what_they_share_and_can_use_it_up(
    world: Arc<World>,
) -> Result<()> {
    const SHARED: u64 = 10_000_000;
    // The narrowest is in the middle: the team's.
    make(&world, "projects", json!({"id": "nested", "limits": {"budget": ["0.1 USD / total"]}})).await?;
    make(&world, "teams", json!({"id": "nested", "limits": {"budget": ["0.01 USD / day", "1 USD / month"]}}))
        .await?;
    make(&world, "users", json!({"id": "nested", "limits": {"budget": ["0.05 USD / rolling 6h"]}})).await?;
    let keys = try_join_all((0..4).map(|_| {
        let own = json!({"budget": ["0.006 USD / day"]});
        world.host.key(json!({"project": "nested", "team": "nested", "user": "nested", "limits": own}))
    }))
    .await?;
    let script = "many-keys-one-budget";
    world.upstream.script(script, [Reply::text(["a", "b"]).usage(40, 2).into()]);
    let body = json!({
        "model": model(Dialect::OpenAi, script), "max_completion_tokens": 2,
        "messages": [{"role": "user", "content": "Forty bytes of text make forty tokens ..."}],
    });
    let caller = async |key| -> Result<u64> {
        let mut admitted = 0;
        loop {
            let answer = world.ask(Dialect::OpenAi, key, &body).whole().await?;
            match answer.status {
                200 => admitted += 1,
                402 | 429 => return Ok(admitted),
                other => anyhow::bail!("{other}: {}", answer.text()),
            }
        }
    };
    let admitted: u64 = try_join_all((0..200).map(|turn| caller(&keys[turn % 4]))).await?.into_iter().sum();
    // Callers were refused while others' bounds were held; what these gave back is there for the next ones.
    let mut more = 0;
    for key in &keys {
        more += caller(key).await?;
    }
    let wanted = (admitted + more) * cost(40, 2);
    let mut of_keys = 0;
    for key in &keys {
        let books = world.closed_books(key).await?;
        ensure!(books.spent <= 6_000_000, "{} is more than the key's own budget", books.spent);
        of_keys += books.spent;
    }
    check_eq!(of_keys, wanted, "what was answered is what was charged");
    for plural in ["projects", "teams", "users"] {
        check_eq!(spent(&world, &format!("{plural}/nested")).await?, wanted, "{plural}");
    }
    ensure!(wanted <= SHARED, "{wanted} is more than the team's budget");
    ensure!(wanted >= SHARED / 100 * 99, "only {wanted} of {SHARED} could be used");
    check_eq!(world.upstream.received(script).len() as u64, admitted + more, "refused calls never leave");
    Ok(())
}

async fn a_blocked_team_closes_all_its_keys_at_once(world: Arc<World>) -> Result<()> {
    make(&world, "teams", json!({"id": "closing"})).await?;
    let keys = [
        world.host.key(json!({"team": "closing"})).await?,
        world.host.key(json!({"team": "closing"})).await?,
    ];
    let stranger = world.host.open_key().await?;
    let script = "closing-team";
    world.upstream.script(script, [Reply::text(["a"]).usage(1, 1).into()]);
    let body = question(Dialect::Anthropic, &model(Dialect::Anthropic, script));
    let ask = async |key| anyhow::Ok(world.ask(Dialect::Anthropic, key, &body).whole().await?);
    let set = async |blocked: bool| {
        let team = world.host.admin(Method::PATCH, "/admin/v1/teams/closing");
        team.json(&json!({"blocked": blocked})).expect(200).await
    };
    for key in &keys {
        check_eq!(ask(key).await?.status, 200);
    }
    set(true).await?;
    for key in &keys {
        let refused = ask(key).await?;
        check_eq!(refused.status, 403, "{}", refused.text());
        ensure!(refused.text().contains("team/closing"), "{}", refused.text());
    }
    check_eq!(ask(&stranger).await?.status, 200);
    set(false).await?;
    for key in &keys {
        check_eq!(ask(key).await?.status, 200);
    }
    check_eq!(spent(&world, "teams/closing").await?, 4 * cost(1, 1));
    Ok(())
}
