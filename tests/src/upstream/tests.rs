//! The scripted provider, judged by the vendors' own clients: what these refuse would prove nothing about a gateway.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Dialect, Ending, Piece, Play, Reply, Upstream};
use crate::client::Call;
use crate::sdk::{Sdk, Vendor};
use crate::world::question;

async fn call(upstream: &Upstream, sdk: &Sdk, dialect: Dialect, method: &str, model: &str) -> Result<Value> {
    let mut arguments = question(dialect, model);
    let (vendor, base, resource) = match dialect {
        Dialect::OpenAi => (Vendor::OpenAi, upstream.base() + "/v1", "chat.completions"),
        Dialect::Anthropic => (Vendor::Anthropic, upstream.base(), "messages"),
    };
    if dialect == Dialect::OpenAi && method == "stream" {
        arguments["stream_options"] = json!({"include_usage": true});
    }
    sdk.call(vendor, &base, "a-key", &format!("{resource}.{method}"), arguments).await
}

#[tokio::test]
async fn the_vendors_clients_accept_every_form_of_reply() -> Result<()> {
    let (upstream, sdk) = (Upstream::start().await?, Sdk::default());
    let reply = Reply::text(["Grüße, ", "👋🏽"]).and_tool("call_1", "look", &["{\"a\"", ": 1}"]).usage(5, 3);
    for size in [1, 4096] {
        upstream.script("m", [reply.clone().in_writes_of(size).into()]);
        for method in ["create", "stream"] {
            let said = call(&upstream, &sdk, Dialect::OpenAi, method, "m").await?;
            let said = if method == "stream" { &said["final"] } else { &said["result"] };
            let message = &said["choices"][0]["message"];
            assert_eq!(message["content"], json!("Grüße, 👋🏽"), "{said}");
            assert_eq!(message["tool_calls"][0]["function"]["arguments"], json!("{\"a\": 1}"));
            assert_eq!(said["usage"]["total_tokens"], json!(8));
            let said = call(&upstream, &sdk, Dialect::Anthropic, method, "m").await?;
            let said = if method == "stream" { &said["final"] } else { &said["result"] };
            assert_eq!(said["content"][0]["text"], json!("Grüße, 👋🏽"), "{said}");
            assert_eq!(said["content"][1]["input"], json!({"a": 1}));
            assert_eq!(said["usage"]["output_tokens"], json!(3));
        }
    }
    assert_eq!(upstream.received("m").len(), 8);
    assert!(upstream.received("m").iter().all(|received| received.finished() && !received.left()));
    Ok(())
}

#[tokio::test]
async fn the_vendors_clients_throw_what_the_script_says() -> Result<()> {
    let (upstream, sdk) = (Upstream::start().await?, Sdk::default());
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.script("m", [Play::json(429, &json!({"error": {"type": "x", "message": "m"}}))]);
        assert_eq!(
            call(&upstream, &sdk, dialect, "create", "m").await?["error"]["class"],
            json!("RateLimitError")
        );
        upstream.script("m", [Play::HangUp]);
        assert_eq!(
            call(&upstream, &sdk, dialect, "create", "m").await?["error"]["class"],
            json!("APIConnectionError")
        );
        assert_eq!(
            call(&upstream, &sdk, dialect, "create", "unscripted").await?["error"]["class"],
            json!("NotFoundError")
        );
        upstream.script("m", [Reply::text(["a", "b"]).ending_after(1, Ending::Cut).into()]);
        assert!(
            !call(&upstream, &sdk, dialect, "stream", "m").await?["error"].is_null(),
            "a cut went unnoticed"
        );
    }
    Ok(())
}

#[tokio::test]
async fn plays_come_in_order_and_the_last_repeats() -> Result<()> {
    let upstream = Upstream::start().await?;
    upstream.script("m", [Play::json(500, &json!({})), Play::json(200, &json!({}))]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&upstream).whole().await?.status);
    }
    assert_eq!(statuses, [500, 200, 200]);
    Ok(())
}

#[tokio::test]
async fn a_peer_that_leaves_is_noticed_before_and_during_the_answer() -> Result<()> {
    let upstream = Upstream::start().await?;
    upstream.script("m", [Play::Silence]);
    let call = tokio::spawn(ask(&upstream).send());
    let received = upstream.arrived("m", 1).await?;
    assert!(!received[0].left());
    call.abort();
    received[0].until_left(Duration::from_secs(5)).await?;

    upstream.script("m", [Play::events([Piece::text("data: 1\n\n"), Piece::Wait(Duration::from_mins(1))])]);
    let mut answer = ask(&upstream).send().await?;
    answer.until("data: 1").await?;
    let received = upstream.arrived("m", 2).await?;
    assert!(!received[1].left());
    drop(answer);
    received[1].until_left(Duration::from_secs(5)).await
}

#[tokio::test]
async fn a_refusing_address_refuses() -> Result<()> {
    let upstream = Upstream::start().await?;
    let refused = tokio::net::TcpStream::connect(upstream.refusing).await;
    assert_eq!(refused.map(drop).map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionRefused));
    Ok(())
}

fn ask(upstream: &Upstream) -> Call {
    Call::new(upstream.address, http::Method::POST, "/v1/chat/completions")
        .json(&question(Dialect::OpenAi, "m"))
}
