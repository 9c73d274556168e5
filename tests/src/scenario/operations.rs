//! Operations other than conversations, with the vendor's own client, and a provider's own interface.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use crate::check_eq;
use crate::host::Key;
use crate::sdk::Vendor;
use crate::upstream::Play;
use crate::world::{World, cost};

scenarios![
    embeddings_that_the_client_wants_as_base64_come_so_from_numbers,
    a_moderation_is_asked_for_and_billed,
    a_picture_is_made_and_billed_by_its_tokens,
    a_ranking_is_billed_by_its_tokens,
    a_providers_own_interface_gets_and_gives_every_byte,
];

async fn embeddings_that_the_client_wants_as_base64_come_so_from_numbers(world: Arc<World>) -> Result<()> {
    let answer = json!({
        "object": "list", "model": "embed", "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -1.0]}],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    });
    world.upstream.script("embed", [Play::json(200, &answer)]);
    let key = budgeted(&world).await?;
    let said =
        call(&world, &key, "embeddings.create", json!({"model": "chat/embed", "input": ["a", "b"]})).await?;
    check_eq!(said["result"]["data"][0]["embedding"], json!([0.25, -1.0]));
    let sent = world.upstream.only("embed")?.json()?;
    check_eq!(sent["encoding_format"], "base64");
    check_eq!(sent["input"], json!(["a", "b"]));
    check_eq!(world.closed_books(&key).await?.spent, cost(9, 0));
    Ok(())
}

async fn a_moderation_is_asked_for_and_billed(world: Arc<World>) -> Result<()> {
    let answer = json!({
        "id": "modr-1", "model": "moderate", "results": [{"flagged": true, "categories": {}, "category_scores": {},
        "category_applied_input_types": {}}], "usage": {"prompt_tokens": 4, "total_tokens": 4},
    });
    world.upstream.script("moderate", [Play::json(200, &answer)]);
    let key = budgeted(&world).await?;
    let said =
        call(&world, &key, "moderations.create", json!({"model": "chat/moderate", "input": "a"})).await?;
    check_eq!(said["result"]["results"][0]["flagged"], true);
    check_eq!(world.closed_books(&key).await?.spent, cost(4, 0));
    Ok(())
}

async fn a_picture_is_made_and_billed_by_its_tokens(world: Arc<World>) -> Result<()> {
    let answer = json!({
        "created": 1, "data": [{"b64_json": "AAAA"}], "usage": {"input_tokens": 7, "output_tokens": 100,
        "total_tokens": 107, "input_tokens_details": {"text_tokens": 7, "image_tokens": 0}},
    });
    world.upstream.script("paint", [Play::json(200, &answer)]);
    let key = budgeted(&world).await?;
    let wish = json!({"model": "chat/paint", "prompt": "a cat", "size": "1024x1024"});
    let said = call(&world, &key, "images.generate", wish).await?;
    check_eq!(said["result"]["data"][0]["b64_json"], "AAAA");
    check_eq!(world.closed_books(&key).await?.spent, cost(7, 100));
    Ok(())
}

async fn a_ranking_is_billed_by_its_tokens(world: Arc<World>) -> Result<()> {
    let answer =
        json!({"results": [{"index": 1, "relevance_score": 0.9}], "meta": {"tokens": {"input_tokens": 12}}});
    world.upstream.script("rank", [Play::json(200, &answer)]);
    let key = budgeted(&world).await?;
    let body = json!({"model": "chat/rank", "query": "q", "documents": ["a", "b"]});
    let said = world.host.post("/v1/rerank").key(&key.secret).json(&body).expect(200).await?;
    check_eq!(said, answer);
    check_eq!(world.closed_books(&key).await?.spent, cost(12, 0));
    Ok(())
}

async fn a_providers_own_interface_gets_and_gives_every_byte(world: Arc<World>) -> Result<()> {
    const ODD: &str = r#"{ "model":"native" ,"z":1.10,"a":12345678901234567890123, "t":"caf\u00e9 \/" }"#;
    const ANSWER: &str = "{ \"b\":1.0e+2,\r\n\"a\" : null }\n";
    world.upstream.script("native", [Play::text(418, "application/x-odd", ANSWER)]);
    let key = world.host.open_key().await?;
    let path = "/up-openai/v1/batches/x%20y?limit=2";
    let answer = world.host.post(path).key(&key.secret).body(ODD).send().await?.whole().await?;
    check_eq!(answer.status, 418);
    check_eq!(answer.text(), ANSWER);
    check_eq!(answer.header("content-type"), Some("application/x-odd"));
    let received = world.upstream.only("native")?;
    check_eq!(received.path, "/v1/batches/x%20y");
    check_eq!(received.body, ODD);
    check_eq!(received.header("authorization"), Some("Bearer provider-key-openai"));
    let refused = budgeted(&world).await?;
    let refused = world.host.post(path).key(&refused.secret).body(ODD).send().await?.whole().await?;
    check_eq!(refused.status, 403);
    check_eq!(refused.json()?["error"]["code"], "path_unpriced");
    Ok(())
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["10 USD / day"]}})).await
}

async fn call(world: &World, key: &Key, method: &str, arguments: Value) -> Result<Value> {
    let base = format!("{}/v1", world.host.base());
    world.sdk.call(Vendor::OpenAi, &base, &key.secret, method, arguments).await
}
