//! The life of a virtual key, through the admin API.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};

use crate::check_eq;
use crate::client::Call;
use crate::host::Key;
use crate::sdk::Vendor;
use crate::upstream::{Dialect, Reply};
use crate::world::{World, model, question};

scenarios![
    a_new_key_shows_its_secret_once_and_works_at_once,
    a_revoked_key_dies_at_once,
    a_rotated_key_is_the_same_key_and_its_old_token_dies_with_its_grace,
    a_key_that_is_bound_to_addresses_opens_from_there_alone,
    a_key_that_manages_reaches_what_its_role_does_and_no_more,
    a_blocked_key_is_refused_until_it_is_unblocked,
    an_update_holds_from_the_next_request,
    a_key_expires_at_its_moment,
    a_key_calls_only_the_models_it_is_allowed,
    every_key_is_listed_once_over_pages,
    a_key_is_taken_from_every_header_that_an_sdk_uses,
    only_the_admin_key_opens_the_admin_api,
    a_wrong_field_of_a_key_is_named,
    models_are_listed_as_the_key_may_call_them,
];

async fn a_new_key_shows_its_secret_once_and_works_at_once(world: Arc<World>) -> Result<()> {
    let fields = json!({
        "alias": "ci", "models": ["chat/*"], "tags": ["night"], "metadata": {"team": "blue"},
        "limits": {"rpm": 50, "tpm": 100_000, "parallel": 2, "budget": ["0.01 USD / day", "1 USD / month"]},
        "expires": "2999-01-01T00:00:00Z",
    });
    let made = world.host.admin(Method::POST, "/admin/v1/keys").json(&fields).expect(201).await?;
    check_eq!(made["alias"], json!("ci"));
    let key = Key {
        id: made["id"].as_str().context("no id")?.to_owned(),
        secret: made["key"].as_str().context("no key")?.to_owned(),
    };
    check_eq!(status(&world, &key).await?, 200);

    let shown = world.host.show(&key).await?;
    ensure!(!shown.to_string().contains(&key.secret), "the secret is shown again: {shown}");
    check_eq!(shown["alias"], json!("ci"));
    check_eq!(shown["models"], json!(["chat/*"]));
    check_eq!(shown["tags"], json!(["night"]));
    check_eq!(shown["metadata"], json!({"team": "blue"}));
    for budget in shown["usage"]["budget"].as_array().context("no budgets")? {
        for name in ["limit", "spent", "held", "renews_at"] {
            ensure!(budget[name].is_string(), "`{name}` of a budget is no string: {budget}");
        }
    }
    check_eq!(shown["limits"]["budget"], json!(["0.01 USD / day", "1 USD / month"]));
    for name in ["rpm", "tpm", "parallel"] {
        ensure!(!shown["usage"][name]["limit"].is_null(), "`{name}` shows no limit: {shown}");
    }
    Ok(())
}

async fn a_revoked_key_dies_at_once(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    check_eq!(status(&world, &key).await?, 200);
    let gone = world.host.admin(Method::DELETE, &format!("/admin/v1/keys/{}", key.id)).whole().await?;
    ensure!((200..300).contains(&gone.status), "{}: {}", gone.status, gone.text());
    for _ in 0..5 {
        check_eq!(status(&world, &key).await?, 401);
    }
    Ok(())
}

async fn a_rotated_key_is_the_same_key_and_its_old_token_dies_with_its_grace(
    world: Arc<World>,
) -> Result<()> {
    let first = world.host.open_key().await?;
    check_eq!(status(&world, &first).await?, 200);
    let path = format!("/admin/v1/keys/{}/rotate", first.id);
    let rotated = |made: &Value| -> Result<Key> {
        check_eq!(made["id"], json!(first.id));
        Ok(Key { id: first.id.clone(), secret: made["key"].as_str().context("no key")?.to_owned() })
    };
    let made = world.host.admin(Method::POST, &path).json(&json!({"grace": "2s"})).expect(200).await?;
    let second = rotated(&made)?;
    check_eq!(status(&world, &second).await?, 200);
    check_eq!(status(&world, &first).await?, 200, "within the grace");
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    check_eq!(status(&world, &first).await?, 401, "after the grace");
    let third = rotated(&world.host.admin(Method::POST, &path).json(&json!({})).expect(200).await?)?;
    for _ in 0..3 {
        check_eq!(status(&world, &second).await?, 401, "without any grace");
    }
    check_eq!(status(&world, &third).await?, 200);
    Ok(())
}

async fn a_key_that_is_bound_to_addresses_opens_from_there_alone(world: Arc<World>) -> Result<()> {
    // Cloudflare says who calls in a header, which it writes itself; here nobody does. Other hosts take no notice of it.
    let ask = async |key: &Key, here: &str| {
        world.upstream.script("bound", [Reply::text(["yes"]).usage(1, 1).into()]);
        let call =
            world.ask(Dialect::OpenAi, key, &question(Dialect::OpenAi, &model(Dialect::OpenAi, "bound")));
        let call = call.header("cf-connecting-ip", here).header("x-forwarded-for", "203.0.113.7");
        let answer = call.whole().await?;
        anyhow::Ok((answer.status, answer.text()))
    };
    let near = world.host.key(json!({"limits": {}, "sources": ["127.0.0.0/8", "::1"]})).await?;
    let (code, text) = ask(&near, "127.0.0.1").await?;
    check_eq!(code, 200, "{text}");
    let far = world.host.key(json!({"limits": {}, "sources": ["203.0.113.0/24"]})).await?;
    let (code, text) = ask(&far, "127.0.0.1").await?;
    check_eq!(code, 403, "{text}");
    ensure!(text.contains("source_forbidden"), "{text}");
    Ok(())
}

async fn a_key_that_manages_reaches_what_its_role_does_and_no_more(world: Arc<World>) -> Result<()> {
    let made = |fields: Value| {
        let call = world.host.admin(Method::POST, "/admin/v1/keys").json(&fields);
        async move { call.expect(201).await }
    };
    let auditor = made(json!({"kind": "management", "role": "auditor"})).await?;
    let secret = auditor["key"].as_str().context("no key")?;
    let other = world.host.open_key().await?;
    let call = |method, path: &str| Call::new(world.host.address(), method, path).key(secret);
    call(Method::GET, &format!("/admin/v1/keys/{}", other.id)).expect(200).await?;
    let denied = call(Method::DELETE, &format!("/admin/v1/keys/{}", other.id)).whole().await?;
    check_eq!(denied.status, 403);
    check_eq!(denied.header("content-type"), Some("application/problem+json"));
    check_eq!(denied.json()?["code"], json!("permission_denied"));
    check_eq!(status(&world, &other).await?, 200, "it lives");
    world
        .host
        .admin(Method::DELETE, &format!("/admin/v1/keys/{}", auditor["id"].as_str().unwrap_or_default()))
        .expect(200)
        .await?;
    check_eq!(call(Method::GET, "/admin/v1/keys").whole().await?.status, 401, "it was revoked");
    Ok(())
}

async fn a_blocked_key_is_refused_until_it_is_unblocked(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    check_eq!(status(&world, &key).await?, 200);
    let path = format!("/admin/v1/keys/{}", key.id);
    let steps = [
        (Method::POST, format!("{path}/block"), json!({}), 403),
        (Method::POST, format!("{path}/unblock"), json!({}), 200),
        (Method::PATCH, path.clone(), json!({"blocked": true}), 403),
        (Method::PATCH, path, json!({"blocked": false}), 200),
    ];
    for (method, path, body, wanted) in steps {
        world.host.admin(method, &path).json(&body).expect(200).await?;
        check_eq!(status(&world, &key).await?, wanted, "after {path} {body}");
    }
    Ok(())
}

async fn an_update_holds_from_the_next_request(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"models": ["claude/*"], "limits": {}})).await?;
    check_eq!(status(&world, &key).await?, 403);
    let path = format!("/admin/v1/keys/{}", key.id);
    let changed = world
        .host
        .admin(Method::PATCH, &path)
        .json(&json!({"models": ["chat/*"], "alias": "changed"}))
        .expect(200)
        .await?;
    check_eq!(changed["alias"], json!("changed"));
    check_eq!(status(&world, &key).await?, 200);
    world.host.admin(Method::PATCH, &path).json(&json!({"limits": {"rpm": 1}})).expect(200).await?;
    let _ = status(&world, &key).await?;
    check_eq!(status(&world, &key).await?, 429);
    Ok(())
}

async fn a_key_expires_at_its_moment(world: Arc<World>) -> Result<()> {
    // A moment that has passed cannot be given, so the key lives for a very short time.
    let expires = in_seconds(2)?;
    let key = world.host.key(json!({"limits": {}, "expires": expires})).await?;
    check_eq!(status(&world, &key).await?, 200, "before {expires}");
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    check_eq!(status(&world, &key).await?, 401, "after {expires}");
    Ok(())
}

/// A moment of the wall clock, as the admin API reads it.
pub(super) fn in_seconds(seconds: u64) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() + seconds;
    let (days, rest) = (now / 86_400, now % 86_400);
    // Civil date from days, after Howard Hinnant's `civil_from_days`.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    Ok(format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60))
}

async fn a_key_calls_only_the_models_it_is_allowed(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"models": ["chat/allowed-one", "claude/*"], "limits": {}})).await?;
    for script in ["allowed-one", "allowed-two"] {
        world.upstream.script(script, [Reply::text(["yes"]).usage(1, 1).into()]);
    }
    let asks = [
        (Dialect::OpenAi, "chat/allowed-one", 200),
        (Dialect::OpenAi, "chat/allowed-two", 403),
        (Dialect::Anthropic, "claude/allowed-two", 200),
        (Dialect::Anthropic, "chat/allowed-two", 403),
    ];
    for (dialect, name, wanted) in asks {
        let answer = world.ask(dialect, &key, &question(dialect, name)).whole().await?;
        check_eq!(answer.status, wanted, "{name}: {}", answer.text());
        if wanted == 403 {
            ensure!(answer.text().contains(name), "the refusal does not name the model: {}", answer.text());
        }
    }
    check_eq!(world.upstream.received("allowed-two").len(), 1);
    Ok(())
}

async fn every_key_is_listed_once_over_pages(world: Arc<World>) -> Result<()> {
    let mut wanted = Vec::new();
    for _ in 0..5 {
        wanted.push(world.host.key(json!({"alias": "listed", "limits": {}})).await?.id);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let after = cursor.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let page =
            world.host.admin(Method::GET, &format!("/admin/v1/keys?limit=2{after}")).expect(200).await?;
        let keys = page["keys"].as_array().with_context(|| format!("no `keys` in {page}"))?;
        ensure!(keys.len() <= 2, "more than the limit: {page}");
        for key in keys {
            ensure!(key["key"].is_null(), "a list shows a secret: {key}");
            seen.push(key["id"].as_str().context("no id")?.to_owned());
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    for id in &wanted {
        check_eq!(seen.iter().filter(|other| *other == id).count(), 1, "key {id}");
    }
    Ok(())
}

async fn a_key_is_taken_from_every_header_that_an_sdk_uses(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let script = "any-header";
    world.upstream.script(script, [Reply::text(["yes"]).usage(1, 1).into()]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    for header in ["x-api-key", "api-key", "x-goog-api-key"] {
        let answer =
            world.host.post("/v1/chat/completions").header(header, &key.secret).json(&body).whole().await?;
        check_eq!(answer.status, 200, "{header}: {}", answer.text());
    }
    let path = format!("/v1/chat/completions?key={}", key.secret);
    check_eq!(world.host.post(&path).json(&body).whole().await?.status, 200);
    for received in world.upstream.received(script) {
        ensure!(!format!("{received:?}").contains(&key.secret), "the key was sent on: {received:?}");
    }
    Ok(())
}

async fn only_the_admin_key_opens_the_admin_api(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    for secret in [key.secret.as_str(), "wrong", ""] {
        let answer = world.host.get("/admin/v1/keys").key(secret).whole().await?;
        ensure!(matches!(answer.status, 401 | 403), "{}: {}", answer.status, answer.text());
    }
    check_eq!(world.host.get("/admin/v1/keys").whole().await?.status, 401);
    let unknown = world.host.admin(Method::GET, "/admin/v1/keys/000000000000").whole().await?;
    check_eq!(unknown.status, 404, "{}", unknown.text());
    Ok(())
}

async fn a_wrong_field_of_a_key_is_named(world: Arc<World>) -> Result<()> {
    let wrong = [
        (json!({"limits": {"rpmm": 5}}), "rpmm"),
        (json!({"limits": {"rpm": "five"}}), "rpm"),
        (json!({"limits": {"budget": ["a lot"]}}), "budget"),
        (json!({"expires": "tomorrow"}), "expires"),
        (json!({"modles": []}), "modles"),
    ];
    for (fields, name) in wrong {
        let answer = world.host.admin(Method::POST, "/admin/v1/keys").json(&fields).whole().await?;
        ensure!(matches!(answer.status, 400 | 422), "{fields}: {}: {}", answer.status, answer.text());
        ensure!(
            answer.text().contains(name),
            "{fields}: the answer does not name `{name}`: {}",
            answer.text()
        );
    }
    Ok(())
}

async fn models_are_listed_as_the_key_may_call_them(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"models": ["first-*", "refused"], "limits": {}})).await?;
    let base = format!("{}/v1", world.host.base());
    let listed = world.sdk.call(Vendor::OpenAi, &base, &key.secret, "models.list", json!({})).await?;
    let mut names: Vec<&str> = listed["result"]
        .as_array()
        .with_context(|| format!("no list: {listed}"))?
        .iter()
        .filter_map(|model| model["id"].as_str())
        .collect();
    names.sort_unstable();
    check_eq!(names, ["first-anthropic", "first-openai", "refused"]);
    Ok(())
}

/// Asks one small question with the key.
async fn status(world: &World, key: &Key) -> Result<u16> {
    let script = "life-of-a-key";
    world.upstream.script(script, [Reply::text(["yes"]).usage(1, 1).into()]);
    let body: Value = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    Ok(world.ask(Dialect::OpenAi, key, &body).whole().await?.status)
}
