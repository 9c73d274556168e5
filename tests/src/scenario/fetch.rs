//! Images that callers name by URL, for targets that take nothing but their bytes. The scripted provider serves them: it is on
//! loopback, so the configuration names its very host and port as a private place to fetch from.

use std::sync::Arc;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::check_eq;
use crate::host::Key;
use crate::upstream::{Piece, Play};
use crate::world::{World, cost};

scenarios![
    an_image_by_url_arrives_as_bytes_at_bedrock,
    an_image_by_url_arrives_as_bytes_at_ollama,
    an_image_that_cannot_be_had_is_refused_in_words,
    a_server_that_is_slow_is_not_waited_for,
    an_image_is_fetched_from_no_place_that_is_not_public,
];

/// More than the limit of the configuration.
const TOO_LARGE: usize = 1_000_001;

fn png(length: usize) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.resize(length, 7);
    png
}

async fn an_image_by_url_arrives_as_bytes_at_bedrock(world: Arc<World>) -> Result<()> {
    let answer = json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "a cat"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12}, "metrics": {"latencyMs": 1},
    });
    world.upstream.script("sees-bedrock", [Play::json(200, &answer)]);
    // One redirect on the way, and a type that nobody should believe.
    world.upstream.script("cat-1", [moved("/files/cat-2.jpg")]);
    world.upstream.script("cat-2", [Play::bytes(200, "image/jpeg", &png(500_000))]);
    let key = budgeted(&world).await?;
    let said = ask(&world, &key, "converse/sees-bedrock", &file(&world, "cat-1")).expect(200).await?;
    check_eq!(said["choices"][0]["message"]["content"], "a cat");
    let sent = world.upstream.only("sees-bedrock")?.json()?;
    let image = &sent["messages"][0]["content"][1]["image"];
    check_eq!(image["format"], "png");
    check_eq!(image["source"]["bytes"], STANDARD.encode(png(500_000)));
    let asked = world.upstream.only("cat-2")?;
    ensure!(asked.header("authorization").is_none(), "a credential was sent along: {:?}", asked.headers);
    check_eq!(world.closed_books(&key).await?.spent, cost(9, 3));
    Ok(())
}

async fn an_image_by_url_arrives_as_bytes_at_ollama(world: Arc<World>) -> Result<()> {
    let answer = json!({
        "model": "sees-ollama", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "a cat"},
        "done": true, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 3,
    });
    world.upstream.script("sees-ollama", [Play::json(200, &answer)]);
    world.upstream.script("dog", [Play::bytes(200, "image/png", &png(1_000))]);
    let key = budgeted(&world).await?;
    let said = ask(&world, &key, "llama/sees-ollama", &file(&world, "dog")).expect(200).await?;
    check_eq!(said["choices"][0]["message"]["content"], "a cat");
    let sent = world.upstream.only("sees-ollama")?.json()?;
    check_eq!(sent["messages"][0]["images"], json!([STANDARD.encode(png(1_000))]));
    check_eq!(world.closed_books(&key).await?.spent, cost(9, 3));
    Ok(())
}

async fn an_image_that_cannot_be_had_is_refused_in_words(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let plays = [
        ("too-large", Play::bytes(200, "image/png", &png(TOO_LARGE)), "media_too_large"),
        ("unannounced", unannounced(), "media_too_large"),
        ("no-image", Play::text(200, "image/png", "<html></html>"), "media_type_wrong"),
        ("not-there", Play::text(404, "text/plain", "gone"), "media_unreachable"),
        ("hangs-up", Play::HangUp, "media_unreachable"),
        ("to-metadata", moved("http://169.254.169.254/latest/meta-data/"), "media_url_refused"),
        ("to-loopback", moved("https://127.0.0.1/a.png"), "media_url_refused"),
        ("to-elsewhere", moved(&world.upstream.refusing_base()), "media_url_refused"),
        ("in-circles", moved("/files/in-circles"), "media_unreachable"),
    ];
    for (name, play, code) in plays {
        world.upstream.script(name, [play]);
        refused(&world, &key, &file(&world, name), code).await?;
    }
    check_eq!(world.upstream.received("in-circles").len(), 4);
    check_eq!(world.closed_books(&key).await?.spent, 0);
    check_eq!(world.upstream.received("blind").len(), 0);
    Ok(())
}

async fn a_server_that_is_slow_is_not_waited_for(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let head = png(100);
    let stalls = Play::Raw {
        status: 200,
        headers: vec![("content-type".to_owned(), "image/png".to_owned())],
        pieces: vec![Piece::Bytes(head.into()), Piece::Wait(std::time::Duration::from_mins(5))],
    };
    world.upstream.script("silent", [Play::Silence]);
    world.upstream.script("stalls", [stalls]);
    for name in ["silent", "stalls"] {
        refused(&world, &key, &file(&world, name), "media_unreachable").await?;
    }
    check_eq!(world.closed_books(&key).await?.spent, 0);
    Ok(())
}

async fn an_image_is_fetched_from_no_place_that_is_not_public(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let base = world.upstream.base();
    let port = base.rsplit(':').next().unwrap_or_default();
    for url in [
        "https://127.0.0.1/files/closed".to_owned(),
        "http://127.0.0.1/files/closed".to_owned(),
        // The same place as the one that is allowed, by other names.
        format!("http://localhost:{port}/files/closed"),
        format!("http://2130706433:{port}/files/closed"),
        format!("http://0177.0.0.1:{port}/files/closed"),
        format!("http://0x7f.1:{port}/files/closed"),
        format!("http://127.1:{port}/files/closed"),
        format!("http://[::ffff:127.0.0.1]:{port}/files/closed"),
        format!("http://user@127.0.0.1:{port}/files/closed"),
        format!("http://127.0.0.1.:{port}/files/closed"),
        "https://[::1]/files/closed".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/files/closed".to_owned(),
        "https://100.64.0.1/files/closed".to_owned(),
        "https://[64:ff9b::7f00:1]/files/closed".to_owned(),
        "https://metadata.google.internal/files/closed".to_owned(),
    ] {
        refused(&world, &key, &url, "media_url_refused").await?;
    }
    check_eq!(world.upstream.received("closed").len(), 0);
    Ok(())
}

async fn refused(world: &World, key: &Key, url: &str, code: &str) -> Result<()> {
    let answer = ask(world, key, "converse/blind", url).whole().await?;
    ensure!(answer.status == 400, "{url}: {} {}", answer.status, answer.text());
    let error = answer.json()?;
    let error = &error["error"];
    ensure!(error["code"] == code, "{url}: {error}");
    check_eq!(error["param"], "messages[0].content[1].image_url.url");
    Ok(())
}

fn ask(world: &World, key: &Key, model: &str, url: &str) -> crate::client::Call {
    let parts =
        json!([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]);
    let body: Value =
        json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": parts}]});
    world.host.post("/v1/chat/completions").key(&key.secret).json(&body)
}

fn file(world: &World, name: &str) -> String {
    format!("{}/files/{name}", world.upstream.base())
}

fn moved(location: &str) -> Play {
    Play::text(302, "text/plain", "").with_header("location", location)
}

/// Too much, in pieces and without a length.
fn unannounced() -> Play {
    let pieces = png(TOO_LARGE).chunks(100_000).map(|chunk| Piece::Bytes(chunk.to_vec().into())).collect();
    Play::Raw { status: 200, headers: vec![("content-type".to_owned(), "image/png".to_owned())], pieces }
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["10 USD / day"]}})).await
}
