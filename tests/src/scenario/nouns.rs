//! What admins do to many at a time, what they do once however often it is sent, and how soon it holds everywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};

use crate::check_eq;
use crate::client::Call;
use crate::host::Key;
use crate::upstream::{Dialect, Reply};
use crate::world::{World, model, question};

scenarios![
    a_call_that_is_sent_again_is_done_once,
    many_keys_are_made_found_and_closed_with_their_team,
    a_ceiling_holds_for_those_below_it_and_names_of_models_are_the_teams,
    a_budget_has_more_until_its_moment,
    what_is_revoked_or_blocked_opens_nothing_that_begins_after_the_answer,
];

async fn made(world: &World, path: &str, wish: &Value) -> Result<Value> {
    world.host.admin(Method::POST, &format!("/admin/v1/{path}")).json(wish).expect(201).await
}

fn id(view: &Value) -> Result<String> {
    Ok(view["id"].as_str().context("no id")?.to_owned())
}

fn key(view: &Value) -> Result<Key> {
    Ok(Key { id: id(view)?, secret: view["key"].as_str().context("no key")?.to_owned() })
}

async fn asked(world: &World, key: &Key, name: &str) -> Result<u16> {
    world.upstream.script("nouns", [Reply::text(["yes"]).usage(1, 1).into()]);
    Ok(world.ask(Dialect::OpenAi, key, &question(Dialect::OpenAi, name)).whole().await?.status)
}

async fn a_call_that_is_sent_again_is_done_once(world: Arc<World>) -> Result<()> {
    let team = format!("once-{}", id(&made(&world, "keys", &json!({})).await?)?);
    made(&world, "teams", &json!({ "id": team })).await?;
    let wish = json!({ "team": team, "limits": {}, "aws": true });
    let send = async || {
        let call = world.host.admin(Method::POST, "/admin/v1/keys").json(&wish);
        call.header("idempotency-key", &team).whole().await
    };
    let mut views: Vec<Value> = Vec::new();
    for answer in join_all((0..8).map(|_| send())).await {
        let answer = answer?;
        match answer.status {
            201 => views.push(answer.json()?),
            409 => check_eq!(answer.json()?["code"], json!("idempotency_key_busy")),
            other => anyhow::bail!("{other}: {}", answer.text()),
        }
    }
    let again = send().await?;
    check_eq!(again.status, 201, "{}", again.text());
    check_eq!(again.header("idempotency-replayed"), Some("true"));
    views.push(again.json()?);
    for view in &views {
        for field in ["id", "key", "aws"] {
            check_eq!(view[field], views[0][field], "{field}");
        }
    }
    let listed = world.host.admin(Method::GET, &format!("/admin/v1/keys?team={team}")).expect(200).await?;
    check_eq!(listed["keys"].as_array().map(Vec::len), Some(1), "{listed}");
    check_eq!(asked(&world, &key(&views[0])?, &model(Dialect::OpenAi, "nouns")).await?, 200);
    let call = world.host.admin(Method::POST, "/admin/v1/keys").json(&json!({ "limits": {} }));
    let other = call.header("idempotency-key", &team).whole().await?;
    check_eq!((other.status, other.json()?["code"].clone()), (422, json!("idempotency_key_reused")));
    Ok(())
}

async fn many_keys_are_made_found_and_closed_with_their_team(world: Arc<World>) -> Result<()> {
    let team = format!("bulk-{}", id(&made(&world, "keys", &json!({})).await?)?);
    made(&world, "teams", &json!({ "id": team })).await?;
    let mut items: Vec<Value> = (0..20)
        .map(|place| json!({ "create": { "team": team, "alias": format!("a{place}"), "limits": {} } }))
        .collect();
    items.push(json!({ "create": { "team": "nowhere" } }));
    let bulk = world.host.admin(Method::POST, "/admin/v1/keys/bulk").json(&json!({ "items": items }));
    let done = bulk.expect(200).await?;
    check_eq!(done["refused"], json!(1), "{done}");
    let keys: Vec<Key> =
        done["items"].as_array().context("no items")?.iter().take(20).map(key).collect::<Result<_>>()?;
    let page =
        world.host.admin(Method::GET, &format!("/admin/v1/keys?team={team}&alias=a7")).expect(200).await?;
    check_eq!(page["keys"][0]["id"], json!(keys[7].id), "{page}");
    let path = format!("/admin/v1/teams/{team}");
    let refused = world.host.admin(Method::DELETE, &path).whole().await?;
    check_eq!((refused.status, refused.json()?["keys"].clone()), (409, json!(20)), "{}", refused.text());
    let name = model(Dialect::OpenAi, "nouns");
    check_eq!(asked(&world, &keys[0], &name).await?, 200);
    let closed = world.host.admin(Method::DELETE, &format!("{path}?cascade=true")).expect(200).await?;
    check_eq!(closed["closed"], json!({ "keys": 20, "scopes": 0, "more": false }));
    for key in [&keys[0], &keys[19]] {
        check_eq!(asked(&world, key, &name).await?, 401);
    }
    Ok(())
}

async fn a_ceiling_holds_for_those_below_it_and_names_of_models_are_the_teams(
    world: Arc<World>,
) -> Result<()> {
    let team = format!("ruled-{}", id(&made(&world, "keys", &json!({})).await?)?);
    let target = model(Dialect::OpenAi, "nouns");
    let wish = json!({ "id": team, "aliases": { "mine": target },
        "ceilings": { "max_limits": { "rpm": 50 }, "required": ["alias"], "max_expiry": "30d" } });
    made(&world, "teams", &wish).await?;
    let admin =
        made(&world, "keys", &json!({ "kind": "management", "role": "team_admin", "team": team })).await?;
    let admin = key(&admin)?;
    let call = |wish: &Value| {
        Call::new(world.host.address(), Method::POST, "/admin/v1/keys").key(&admin.secret).json(wish)
    };
    let above = call(&json!({ "team": team, "alias": "a", "limits": { "rpm": 51 } })).whole().await?;
    check_eq!(above.status, 422, "{}", above.text());
    ensure!(
        above.text().contains("ceilings.max_limits.rpm"),
        "it does not name the ceiling: {}",
        above.text()
    );
    check_eq!(call(&json!({ "team": team })).whole().await?.status, 422, "without an alias");
    let below = call(&json!({ "team": team, "alias": "a", "limits": {} })).expect(201).await?;
    check_eq!(below["limits"]["rpm"], json!(50));
    ensure!(below["expires"].is_string(), "it lives for ever: {below}");
    let below = key(&below)?;
    check_eq!(asked(&world, &below, "mine").await?, 200);
    let listed = world.host.get("/v1/models/mine").key(&below.secret).whole().await?;
    check_eq!(listed.status, 200, "{}", listed.text());
    // The key's own name is before its team's, from the next request on.
    let own = json!({ "aliases": { "mine": "nobody-has-this" } });
    world.host.admin(Method::PATCH, &format!("/admin/v1/keys/{}", below.id)).json(&own).expect(200).await?;
    check_eq!(asked(&world, &below, "mine").await?, 404);
    Ok(())
}

async fn a_budget_has_more_until_its_moment(world: Arc<World>) -> Result<()> {
    // Nothing is affordable without the increase.
    let key = world.host.key(json!({ "limits": { "budget": "0.000000001 USD / total" } })).await?;
    let name = model(Dialect::OpenAi, "nouns");
    check_eq!(asked(&world, &key, &name).await?, 402);
    let path = format!("/admin/v1/keys/{}", key.id);
    let until = |seconds: u64| super::keys::in_seconds(seconds);
    let increase =
        |until: String| json!({ "limits": { "increase": [{ "budget": "5 USD / total", "until": until }] } });
    world.host.admin(Method::PATCH, &path).json(&increase(until(600)?)).expect(200).await?;
    check_eq!(asked(&world, &key, &name).await?, 200);
    world.host.admin(Method::PATCH, &path).json(&increase(until(2)?)).expect(200).await?;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    check_eq!(asked(&world, &key, &name).await?, 402, "it has lapsed");
    Ok(())
}

/// The bound of every host is nothing: a request that begins after the answer is refused, whoever serves it. Requests that
/// are under way are not cut off.
async fn what_is_revoked_or_blocked_opens_nothing_that_begins_after_the_answer(
    world: Arc<World>,
) -> Result<()> {
    let name = model(Dialect::OpenAi, "nouns");
    for (method, suffix) in [(Method::POST, "/block"), (Method::DELETE, "")] {
        let key = world.host.open_key().await?;
        check_eq!(asked(&world, &key, &name).await?, 200);
        let path = format!("/admin/v1/keys/{}{suffix}", key.id);
        let over = AtomicBool::new(false);
        let hammer = async || -> Result<Vec<(Instant, u16)>> {
            let mut seen = Vec::new();
            loop {
                // The last one begins when it is over, however slow the host is.
                let last = over.load(Ordering::Relaxed);
                let begun = Instant::now();
                seen.push((begun, asked(&world, &key, &name).await?));
                if last {
                    return Ok(seen);
                }
            }
        };
        let closing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            world.host.admin(method.clone(), &path).expect(200).await?;
            let closed = Instant::now();
            tokio::time::sleep(Duration::from_millis(700)).await;
            over.store(true, Ordering::Relaxed);
            anyhow::Ok(closed)
        };
        let (seen, closed) = join(join_all((0..8).map(|_| hammer())), closing).await;
        let closed = closed?;
        let seen: Vec<(Instant, u16)> =
            seen.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let after: Vec<u16> =
            seen.iter().filter(|(begun, _)| *begun > closed).map(|(_, status)| *status).collect();
        let wanted = if suffix.is_empty() { 401 } else { 403 };
        ensure!(!after.is_empty(), "nobody asked after {method} {path}");
        ensure!(after.iter().all(|status| *status == wanted), "{method} {path}: {after:?}");
    }
    Ok(())
}
