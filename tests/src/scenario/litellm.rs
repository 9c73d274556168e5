//! LiteLLM's own command line manages keys, teams and users here, unchanged but for its address.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::host::{ADMIN_KEY, Key};
use crate::sdk::litellm_proxy;
use crate::upstream::{Dialect, Reply};
use crate::world::{World, model, question};

scenarios![the_litellm_proxy_command_line_makes_lists_and_deletes_a_key_a_team_and_a_user];

/// Runs commands one after another; each must end well. What each printed.
async fn run(world: &World, commands: Vec<Value>) -> Result<Vec<String>> {
    let base = world.host.base();
    let run = move || litellm_proxy(&["--base-url", &base, "--api-key", ADMIN_KEY], &commands);
    let done = tokio::task::spawn_blocking(run).await??;
    let done = done.as_array().context("no list")?;
    let mut printed = Vec::new();
    for one in done {
        ensure!(one["code"] == 0, "{one}");
        printed.push(one["output"].as_str().unwrap_or_default().to_owned());
    }
    Ok(printed)
}

async fn the_litellm_proxy_command_line_makes_lists_and_deletes_a_key_a_team_and_a_user(
    world: Arc<World>,
) -> Result<()> {
    let post = |path: &str, body: Value| json!(["http", "request", "POST", path, "--json", body.to_string()]);
    let alias = "made-by-litellm-proxy";
    let made = run(
        &world,
        vec![
            post("/team/new", json!({"team_id": "ltm-team", "team_alias": "Their team", "max_budget": 1.5})),
            json!(["users", "create", "--email", "ann@example.com", "--alias", "Their Ann"]),
            json!(["keys", "generate", "--key-alias", alias, "--team-id", "ltm-team", "--duration", "24h"]),
            json!(["keys", "list", "--key-alias", alias, "--format", "json"]),
            json!(["teams", "list"]),
            json!(["users", "list"]),
            json!(["models", "info"]),
        ],
    )
    .await?;
    let user: Value = serde_json::from_str(&made[1])?;
    let user = user["user_id"].as_str().context("no user")?;
    let key: Value = serde_json::from_str(&made[2])?;
    let text = |name: &str| key[name].as_str().map(str::to_owned).context("no key");
    let key = Key { id: text("token")?, secret: text("key")? };
    let listed: Value = serde_json::from_str(&made[3])?;
    ensure!(listed["keys"][0]["token"] == key.id.as_str() && listed["total_count"] == 1, "{listed}");
    ensure!(made[4].contains("Their team") && made[4].contains("$1.5"), "{}", made[4]);
    ensure!(made[5].contains("ann@example.com"), "{}", made[5]);

    let script = "litellm-cli";
    world.upstream.script(script, [Reply::text(["hello"]).into()]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    let status =
        async || -> Result<u16> { Ok(world.ask(Dialect::OpenAi, &key, &body).whole().await?.status) };
    ensure!(status().await? == 200, "its key opens nothing");
    let gone = run(
        &world,
        vec![
            json!(["keys", "delete", "--keys", key.secret]),
            json!(["users", "delete", user]),
            post("/team/delete", json!({"team_ids": ["ltm-team"]})),
            json!(["keys", "list", "--key-alias", alias, "--format", "json"]),
            json!(["teams", "list"]),
        ],
    )
    .await?;
    ensure!(gone[0].contains(&key.secret), "{}", gone[0]);
    let listed: Value = serde_json::from_str(&gone[3])?;
    ensure!(listed["total_count"] == 0 && !gone[4].contains("Their team"), "{gone:?}");
    ensure!(status().await? == 401, "its key still opens");
    Ok(())
}
