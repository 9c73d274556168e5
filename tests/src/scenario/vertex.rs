//! Models on Vertex AI: asked with a token that a service account's signed claim buys, by the vendor's clients.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::check_eq;
use crate::host::{Key, Kind};
use crate::sdk::Vendor;
use crate::upstream::{Play, Received, Reply};
use crate::world::{SERVICE_ACCOUNT, World, cost, service_account_key};

scenarios![
    gemini_on_vertex_is_asked_and_streamed_with_a_token_that_is_bought_once,
    claude_on_vertex_is_asked_and_streamed_by_its_own_client_and_by_others,
    an_account_that_vertex_refuses_is_the_providers_fault_and_stays_unseen,
];

const TEXT: &str = "Grüße, 世界!";
const PROJECT: &str = "/v1/projects/p-1/locations/us-east5";

fn token(text: &str) -> Play {
    Play::json(200, &json!({"access_token": text, "token_type": "Bearer", "expires_in": 3599}))
}

fn gemini(text: &str, finish: Option<&str>) -> Value {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [{"text": text}]}});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}})
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await
}

/// Sees that a token was bought once by each process, with claims that the vendor's own library accepts.
async fn bought_once(world: &World, script: &str) -> Result<()> {
    let bought = world.upstream.received(script);
    // A function has a process for each request at a time, and nothing that they share.
    let most = if world.host.kind == Kind::Lambda { 4 } else { 1 };
    ensure!((1..=most).contains(&bought.len()), "{} tokens were bought", bought.len());
    for asked in bought {
        judge(world, script, &asked).await?;
    }
    Ok(())
}

async fn judge(world: &World, script: &str, asked: &Received) -> Result<()> {
    check_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    let form = String::from_utf8(asked.body.to_vec())?;
    let field = |name: &str| {
        form.split('&')
            .find_map(|pair| pair.strip_prefix(name))
            .with_context(|| format!("no {name} was sent"))
    };
    check_eq!(field("grant_type=")?, "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
    let audience = format!("{}/tokens/{script}", world.upstream.base());
    let arguments = json!({
        "assertion": field("assertion=")?, "private_key": service_account_key(), "audience": audience,
    });
    let judged = world.sdk.call(Vendor::GoogleToken, "", "", "decode", arguments).await?;
    ensure!(judged["error"].is_null(), "the vendor's library refuses the claim: {}", judged["error"]);
    let (head, claims) = (&judged["result"]["head"], &judged["result"]["claims"]);
    check_eq!((&head["alg"], &head["kid"]), (&json!("RS256"), &json!("key-1")));
    check_eq!(claims["iss"], json!(SERVICE_ACCOUNT));
    check_eq!(claims["scope"], json!("https://www.googleapis.com/auth/cloud-platform"));
    let life = claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(end, begin)| end - begin);
    ensure!(life.is_some_and(|life| (60..=3600).contains(&life)), "{claims}");
    Ok(())
}

async fn gemini_on_vertex_is_asked_and_streamed_with_a_token_that_is_bought_once(
    world: Arc<World>,
) -> Result<()> {
    world.upstream.script("vertex-google", [token("ya29.google")]);
    let event = |body: Value| format!("data: {body}\r\n\r\n");
    let stream = event(gemini("Grüße, ", None)) + &event(gemini("世界!", Some("STOP")));
    let plays = [Play::json(200, &gemini(TEXT, Some("STOP"))), Play::text(200, "text/event-stream", &stream)];
    world.upstream.script("on-vertex", plays.into_iter().cycle().take(4));
    let key = budgeted(&world).await?;
    let base = world.host.base();
    let google = json!({"model": "vert/on-vertex", "contents": "Hello?"});
    let openai = json!({"model": "vert/on-vertex", "messages": [{"role": "user", "content": "Hello?"}]});
    let mut streamed = openai.clone();
    streamed["stream_options"] = json!({"include_usage": true});
    for (vendor, base, method, asked) in [
        (Vendor::Google, base.clone(), "generate_content", google.clone()),
        (Vendor::Google, base.clone(), "generate_content_stream", google),
        (Vendor::OpenAi, format!("{base}/v1"), "chat.completions.create", openai),
        (Vendor::OpenAi, format!("{base}/v1"), "chat.completions.stream", streamed),
    ] {
        let answer = world.sdk.call(vendor, &base, &key.secret, method, asked).await?;
        ensure!(answer["error"].is_null(), "{method} threw: {}", answer["error"]);
        ensure!(answer.to_string().contains("世界!"), "{method}: {answer}");
    }
    check_eq!(world.closed_books(&key).await?.spent, 4 * cost(11, 7));
    let model = format!("{PROJECT}/publishers/google/models/on-vertex");
    let received = world.upstream.arrived("on-vertex", 4).await?;
    for (request, method) in received.iter().zip(["generateContent", "streamGenerateContent"].iter().cycle())
    {
        check_eq!(request.path, format!("{model}:{method}"));
        check_eq!(request.header("authorization"), Some("Bearer ya29.google"));
        check_eq!(request.header("x-goog-api-key"), None);
    }
    bought_once(&world, "vertex-google").await
}

async fn claude_on_vertex_is_asked_and_streamed_by_its_own_client_and_by_others(
    world: Arc<World>,
) -> Result<()> {
    world.upstream.script("vertex-anthropic", [token("ya29.anthropic")]);
    world.upstream.script("claude-on-vertex@1", [Reply::text(["Grüße, ", "世界!"]).usage(11, 7).into()]);
    let key = budgeted(&world).await?;
    let base = world.host.base();
    let messages = json!([{"role": "user", "content": "Hello?"}]);
    let asked = json!({"model": "vertclaude/claude-on-vertex@1", "max_tokens": 50, "messages": messages});
    let mut chat = asked.clone();
    chat["stream_options"] = json!({"include_usage": true});
    for (vendor, base, method, asked) in [
        (Vendor::Anthropic, format!("{base}/anthropic"), "messages.create", asked.clone()),
        (Vendor::Anthropic, format!("{base}/anthropic"), "messages.stream", asked.clone()),
        (Vendor::OpenAi, format!("{base}/v1"), "chat.completions.create", asked),
        (Vendor::OpenAi, format!("{base}/v1"), "chat.completions.stream", chat),
    ] {
        let answer = world.sdk.call(vendor, &base, &key.secret, method, asked).await?;
        ensure!(answer["error"].is_null(), "{method} threw: {}", answer["error"]);
        ensure!(answer.to_string().contains(TEXT), "{method}: {answer}");
    }
    check_eq!(world.closed_books(&key).await?.spent, 4 * cost(11, 7));
    let model = format!("{PROJECT}/publishers/anthropic/models/claude-on-vertex@1");
    let received = world.upstream.arrived("claude-on-vertex@1", 4).await?;
    for (request, method) in received.iter().zip(["rawPredict", "streamRawPredict"].iter().cycle()) {
        check_eq!(request.path, format!("{model}:{method}"));
        check_eq!(request.header("authorization"), Some("Bearer ya29.anthropic"));
        check_eq!(request.header("x-api-key"), None);
        let body = request.json()?;
        check_eq!(body["anthropic_version"], json!("vertex-2023-10-16"));
        ensure!(body.get("model").is_none(), "{body}");
    }
    bought_once(&world, "vertex-anthropic").await
}

async fn an_account_that_vertex_refuses_is_the_providers_fault_and_stays_unseen(
    world: Arc<World>,
) -> Result<()> {
    let refusal =
        json!({"error": "invalid_grant", "error_description": format!("Invalid JWT for {SERVICE_ACCOUNT}")});
    world.upstream.script("vertex-refused", [Play::json(400, &refusal)]);
    let key = budgeted(&world).await?;
    let asked = json!({"model": "vertrefused/any", "messages": [{"role": "user", "content": "Hello?"}]});
    let answer = world.host.post("/v1/chat/completions").key(&key.secret).json(&asked).whole().await?;
    ensure!(answer.status >= 500, "the caller's own key is good: {}", answer.text());
    let said = answer.text();
    ensure!(
        said.contains("credential") && !said.contains(SERVICE_ACCOUNT) && !said.contains("PRIVATE"),
        "{said}"
    );
    check_eq!(world.upstream.received("any").len(), 0);
    check_eq!(world.closed_books(&key).await?.spent, 0);
    Ok(())
}
