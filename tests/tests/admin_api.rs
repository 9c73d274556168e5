//! The admin API's description is sound, and a running server keeps it, whatever is sent to it.
//!
//! Cases are made from the description by schemathesis: from the seed 1 and few of them, so that this takes a minute.
//! `cargo xtask fuzz-api` sets `GATELET_API_EXAMPLES`, the most cases for each operation, and `GATELET_API_SEED`.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::client::Call;
use gatelet_tests::host::ADMIN_KEY;
use gatelet_tests::host::server::Server;
use gatelet_tests::sdk::{installed, root};
use gatelet_tests::upstream::Upstream;
use gatelet_tests::world::config;
use http::Method;
use serde_json::json;

#[test]
fn the_description_is_sound() -> Result<()> {
    let document = root().join("core/src/api/admin/openapi.json");
    let output =
        Command::new(installed(".tools/venv-api/bin/openapi-spec-validator")?).arg(document).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_the_server_keeps_its_description() -> Result<()> {
    let set = |name: &str, unset: &str| std::env::var(name).unwrap_or_else(|_| unset.to_owned());
    let upstream = Upstream::start().await?;
    let server = Server::start(&config(&upstream)).await?;
    for (plural, id) in [("teams", "m"), ("users", "m"), ("members", "m/m"), ("templates", "m")] {
        let path = format!("/admin/v1/{plural}");
        let made = Call::new(server.address(), Method::POST, &path).key(ADMIN_KEY);
        made.json(&json!({ "id": id })).expect(201).await?;
    }
    let output = Command::new(installed(".tools/venv-api/bin/schemathesis")?)
        .arg("--no-color")
        .arg("--config-file")
        .arg(root().join("tests/sdk/schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/admin/v1/openapi.json", server.address()))
        .args(["--header", &format!("Authorization: Bearer {ADMIN_KEY}")])
        .args(["--max-examples", &set("GATELET_API_EXAMPLES", "3")])
        .args(["--seed", &set("GATELET_API_SEED", "1")])
        .args(["--phases", &set("GATELET_API_PHASES", "examples,fuzzing,stateful")])
        .current_dir(tempfile::tempdir()?.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    ensure!(output.status.success(), "{}\n{}", said, String::from_utf8_lossy(&output.stderr));
    // Such as `5,596 generated, 36 found 36 unique failures`.
    let made = said.lines().find_map(|line| line.trim().split_once(" generated,"));
    let (made, _) = made.context("it does not say how many cases it made")?;
    let made: u64 = made.replace(',', "").parse()?;
    ensure!(made >= 100, "only {made} cases were made");
    Ok(())
}
