//! A guard by a real Presidio: what it finds is masked by the gateway, and itself again in the answer.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::check_eq;
use gatelet_tests::host::{Host, Kind};
use gatelet_tests::sdk;
use gatelet_tests::upstream::{Dialect, Reply, Upstream};
use gatelet_tests::world::question;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_presidio_finds_is_masked_and_comes_back() -> Result<()> {
    let python = sdk::installed(".tools/venv-guards/bin/python")?;
    let mut analyzer = Command::new(python)
        .arg(sdk::root().join("tests/guards/presidio.py"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = analyzer.stdout.take().context("no output")?;
    let port = BufReader::new(output).lines().next_line().await?.context("Presidio did not start")?;
    let upstream = Upstream::start().await?;
    let script = "presidio";
    upstream.script(
        script,
        [Reply::text(["I paid with [CREDIT", "_CARD_1] and told [EMAIL_ADDRESS_1]"]).usage(9, 9).into()],
    );
    let base = upstream.base();
    let config = format!(
        r#"
providers: {{ up: {{ dialect: openai, base: "{base}/v1", key: k }} }}
models: {{ presidio: {{ targets: [ {{ model: up/presidio, price: {{ input: "1", output: "1", per: 1M }} }} ], retries: 0 }} }}
guards:
  presidio: {{ kind: presidio, url: "http://127.0.0.1:{port}", mode: mask, on: input, score: 60%, timeout: 60s, for: all,
    entities: [EMAIL_ADDRESS, CREDIT_CARD] }}
"#
    );
    let host = Host::start(Kind::Server, &config).await?;
    let key = host.key(json!({})).await?;
    for stream in [false, true] {
        let mut body = question(Dialect::OpenAi, script);
        body["stream"] = json!(stream);
        body["messages"][0]["content"] =
            json!("Grüße 👋 an ada@example.com: zahle mit 4111 1111 1111 1111, bitte.");
        let answer = host.post("/v1/chat/completions").key(&key.secret).json(&body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.header("x-gatelet-guards").unwrap_or_default();
        check_eq!(said, "presidio=masked(email-address:1;credit-card:1)");
        let received = upstream.received(script);
        let sent = received.last().context("nothing was sent")?.json()?;
        check_eq!(
            sent["messages"][0]["content"].as_str(),
            Some("Grüße 👋 an [EMAIL_ADDRESS_1]: zahle mit [CREDIT_CARD_1], bitte.")
        );
        let text = answer.text();
        ensure!(text.contains("4111 1111 1111 1111") && text.contains("ada@example.com"), "{text}");
    }
    Ok(())
}
