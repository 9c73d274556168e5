//! Operations other than conversations, with the vendor's own client, and a provider's own interface.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::check_eq;
use crate::host::Key;
use crate::sdk::Vendor;
use crate::upstream::{Piece, Play, Reply};
use crate::world::{World, cost};

scenarios![
    embeddings_that_the_client_wants_as_base64_come_so_from_numbers,
    a_moderation_is_asked_for_and_billed,
    a_picture_is_made_and_billed_by_its_tokens,
    a_ranking_is_billed_by_its_tokens,
    speech_comes_as_its_bytes_and_is_billed_by_its_characters,
    a_form_with_sound_keeps_its_bytes_but_for_the_models_name_and_is_billed_by_the_second,
    an_old_completion_is_answered_by_a_model_of_conversations,
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

async fn speech_comes_as_its_bytes_and_is_billed_by_its_characters(world: Arc<World>) -> Result<()> {
    let pieces = [vec![0, 255, 10], vec![13; 40_000], vec![200; 3]];
    let sound = pieces.concat();
    let headers = vec![("content-type".to_owned(), "audio/pcm".to_owned())];
    let pieces = pieces.into_iter().map(|piece| Piece::Bytes(piece.into())).collect();
    world.upstream.script("says", [Play::Raw { status: 200, headers, pieces }]);
    let key = budgeted(&world).await?;
    let body = json!({"model": "voice/says", "input": "Hello", "voice": "a", "response_format": "pcm"});
    let answer = world.host.post("/v1/audio/speech").key(&key.secret).json(&body).whole().await?;
    check_eq!(answer.status, 200);
    check_eq!(answer.header("content-type"), Some("audio/pcm"));
    ensure!(answer.body == sound, "{} bytes came in place of {}", answer.body.len(), sound.len());
    let sent = world.upstream.only("says")?.json()?;
    check_eq!(sent, json!({"model": "says", "input": "Hello", "voice": "a", "response_format": "pcm"}));
    // Five characters at 15 dollars a million.
    check_eq!(world.closed_books(&key).await?.spent, 75_000);
    Ok(())
}

async fn a_form_with_sound_keeps_its_bytes_but_for_the_models_name_and_is_billed_by_the_second(
    world: Arc<World>,
) -> Result<()> {
    let answer = json!({"text": "hello", "usage": {"type": "duration", "seconds": 2}});
    world.upstream.script("hears", [Play::json(200, &answer)]);
    let key = budgeted(&world).await?;
    let file: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let (media, body) = form(&[("model", "ear/hears"), ("response_format", "json")], &file);
    let call = world.host.post("/v1/audio/transcriptions").key(&key.secret).bytes(&media, body);
    check_eq!(call.expect(200).await?["text"], "hello");
    let received = world.upstream.only("hears")?;
    check_eq!(received.header("content-type"), Some(media.as_str()));
    let (_, expected) = form(&[("model", "hears"), ("response_format", "json")], &file);
    ensure!(
        received.body == expected,
        "{} bytes arrived in place of {}",
        received.body.len(),
        expected.len()
    );
    check_eq!(world.closed_books(&key).await?.spent, 200_000);
    Ok(())
}

/// A form with these fields and a file, and its type.
pub fn form(fields: &[(&str, &str)], file: &[u8]) -> (String, Vec<u8>) {
    let mut body = Vec::with_capacity(file.len() + 1_000);
    for (name, value) in fields {
        let part = format!("--an-edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "--an-edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
                Content-Type: audio/mpeg\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--an-edge--\r\n");
    ("multipart/form-data; boundary=an-edge".to_owned(), body)
}

async fn an_old_completion_is_answered_by_a_model_of_conversations(world: Arc<World>) -> Result<()> {
    let reply = || Reply::text([" upon", " a time"]).usage(3, 4).into();
    world.upstream.script("continues", [reply(), reply()]);
    let key = budgeted(&world).await?;
    let wish = json!({"model": "claude/continues", "prompt": "Once", "max_tokens": 20});
    let said = call(&world, &key, "completions.create", wish.clone()).await?;
    check_eq!(said["result"]["choices"][0]["text"], " upon a time");
    check_eq!(said["result"]["object"], "text_completion");
    let mut streamed = wish;
    streamed["stream"] = json!(true);
    let answer = world.host.post("/v1/completions").key(&key.secret).json(&streamed).whole().await?;
    let events = answer.events()?;
    let mut text = String::new();
    for event in events.iter().filter(|event| event.data != "[DONE]") {
        text.push_str(event.json()?["choices"][0]["text"].as_str().unwrap_or_default());
    }
    check_eq!(text, " upon a time");
    check_eq!(events.last().map(|event| event.data.as_str()), Some("[DONE]"));
    check_eq!(world.upstream.received("continues")[0].path, "/v1/messages");
    check_eq!(world.closed_books(&key).await?.spent, 2 * cost(3, 4));
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
