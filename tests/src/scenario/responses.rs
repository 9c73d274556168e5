//! Responses: asked and streamed over every dialect with the vendor's own clients, kept, gone on from, listed, deleted,
//! and nobody else's.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Scenario;
use crate::check_eq;
use crate::client::Event;
use crate::host::{Key, Kind};
use crate::sdk::Vendor;
use crate::upstream::{Gate, Play, Reply};
use crate::world::{World, cost};

/// How a target speaks, by the model's name in front of the script's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Chat,
    Claude,
    Responses,
}

impl Behind {
    const ALL: [Self; 3] = [Self::Chat, Self::Claude, Self::Responses];

    fn name(self) -> &'static str {
        match self {
            Self::Chat => "openai",
            Self::Claude => "anthropic",
            Self::Responses => "responses",
        }
    }

    fn model(self, script: &str) -> String {
        let prefix = match self {
            Self::Chat => "chat",
            Self::Claude => "claude",
            Self::Responses => "resp",
        };
        format!("{prefix}/{script}")
    }

    fn play(self, text: &str, input: u64, output: u64, streamed: bool) -> Play {
        match self {
            Self::Chat | Self::Claude => Reply::text([text]).usage(input, output).into(),
            Self::Responses => native(text, input, output, streamed),
        }
    }
}

type Run = fn(Arc<World>) -> BoxFuture<'static, Result<()>>;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for behind in Behind::ALL {
        for (name, vendor) in [("openai", Vendor::OpenAi), ("openai_node", Vendor::OpenAiNode)] {
            let what = format!("{name}_asks_responses_of_{}", behind.name());
            scenarios.push(Scenario::new(what.clone(), move |world| {
                Box::pin(asks(world, vendor, behind, what.replace('_', "-")))
            }));
            let what = format!("{name}_streams_responses_of_{}", behind.name());
            scenarios.push(Scenario::new(what.clone(), move |world| {
                Box::pin(streams(world, vendor, behind, what.replace('_', "-")))
            }));
        }
        for (name, vendor) in [("openai", Vendor::OpenAi), ("openai_node", Vendor::OpenAiNode)] {
            let what =
                format!("a_response_of_{}_is_gone_on_from_listed_and_deleted_by_{name}", behind.name());
            scenarios.push(Scenario::new(what, move |world| Box::pin(goes_on(world, vendor, behind))));
        }
    }
    let mut add = |name: &str, run: Run| scenarios.push(Scenario::new(name, run));
    add("a_streamed_response_is_kept_when_its_last_event_is_read", |world| {
        Box::pin(a_streamed_response_is_kept_when_its_last_event_is_read(world))
    });
    add("a_response_of_another_key_is_unknown", |world| {
        Box::pin(a_response_of_another_key_is_unknown(world))
    });
    add("a_response_that_is_not_to_be_kept_is_not_kept", |world| {
        Box::pin(a_response_that_is_not_to_be_kept_is_not_kept(world))
    });
    add("a_response_is_made_in_the_background_where_the_host_can", |world| {
        Box::pin(a_response_is_made_in_the_background_where_the_host_can(world))
    });
    add("a_response_in_the_background_is_cancelled", |world| {
        Box::pin(a_response_in_the_background_is_cancelled(world))
    });
    add("a_conversation_is_made_short_and_gone_on_from", |world| {
        Box::pin(a_conversation_is_made_short_and_gone_on_from(world))
    });
    add("a_reference_to_an_item_is_resolved", |world| Box::pin(a_reference_to_an_item_is_resolved(world)));
    add("what_is_kept_nowhere_is_refused_with_its_place", |world| {
        Box::pin(what_is_kept_nowhere_is_refused_with_its_place(world))
    });
    scenarios
}

/// An answer in the dialect's own words.
fn native(text: &str, input: u64, output: u64, streamed: bool) -> Play {
    let id = format!("resp_v{}", text.len());
    let item = format!("msg_v{}", text.len());
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let message = json!({
        "id": item, "type": "message", "role": "assistant", "status": "completed", "content": [part],
    });
    let response = |status: &str, output_items: Value, usage: Value| {
        json!({
            "id": id, "object": "response", "created_at": 1_750_000_000, "status": status, "error": null,
            "incomplete_details": null, "instructions": null, "metadata": {}, "model": "native",
            "output": output_items, "parallel_tool_calls": true, "previous_response_id": null, "temperature": 1.0,
            "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage, "store": true,
        })
    };
    let usage = json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output,
    });
    let whole = response("completed", json!([message]), usage);
    if !streamed {
        return Play::json(200, &whole);
    }
    let mut events = vec![
        json!({"type": "response.created", "response": response("in_progress", json!([]), Value::Null)}),
        json!({"type": "response.in_progress", "response": response("in_progress", json!([]), Value::Null)}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {
            "id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": [],
        }}),
        json!({"type": "response.content_part.added", "item_id": item, "output_index": 0, "content_index": 0, "part": {
            "type": "output_text", "text": "", "annotations": [], "logprobs": [],
        }}),
    ];
    let place = |kind: &str, key: &str, value: Value| {
        let mut event =
            json!({"type": kind, "item_id": item, "output_index": 0, "content_index": 0, "logprobs": []});
        event[key] = value;
        event
    };
    let cut = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    events.push(place("response.output_text.delta", "delta", text[..cut].into()));
    events.push(place("response.output_text.delta", "delta", text[cut..].into()));
    events.push(place("response.output_text.done", "text", text.into()));
    events.push(place("response.content_part.done", "part", part));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": message}));
    events.push(json!({"type": "response.completed", "response": whole}));
    let mut body = String::new();
    for (number, mut event) in events.into_iter().enumerate() {
        event["sequence_number"] = number.into();
        let kind = event["type"].as_str().unwrap_or_default();
        let _infallible = write!(body, "event: {kind}\ndata: {event}\n\n");
    }
    Play::text(200, "text/event-stream", &body)
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await
}

async fn call(world: &World, vendor: Vendor, key: &Key, method: &str, arguments: Value) -> Result<Value> {
    let base = format!("{}/v1", world.host.base());
    world.sdk.call(vendor, &base, &key.secret, &format!("responses.{method}"), arguments).await
}

/// A call that must succeed; what it gave.
async fn told(world: &World, key: &Key, method: &str, arguments: Value) -> Result<Value> {
    told_by(world, Vendor::OpenAi, key, method, arguments).await
}

async fn told_by(world: &World, vendor: Vendor, key: &Key, method: &str, arguments: Value) -> Result<Value> {
    let mut answer = call(world, vendor, key, method, arguments).await?;
    ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    Ok(answer["result"].take())
}

fn text_of(response: &Value) -> String {
    let parts = response["output"].as_array().into_iter().flatten();
    let parts = parts.flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

async fn asks(world: Arc<World>, vendor: Vendor, behind: Behind, script: String) -> Result<()> {
    world.upstream.script(&script, [behind.play("Grüße, 世界!", 11, 7, false)]);
    let key = budgeted(&world).await?;
    let arguments =
        json!({"model": behind.model(&script), "input": "Say hello.", "instructions": "Be kind."});
    let answer = call(&world, vendor, &key, "create", arguments).await?;
    ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    let response = &answer["result"];
    check_eq!(text_of(response), "Grüße, 世界!");
    check_eq!(response["status"], json!("completed"));
    check_eq!(response["object"], json!("response"));
    check_eq!(response["usage"]["input_tokens"], json!(11));
    check_eq!(response["usage"]["output_tokens"], json!(7));
    ensure!(response["id"].as_str().is_some_and(|id| id.starts_with("resp_")), "{response}");
    let sent = world.upstream.only(&script)?;
    let read = sent.json()?;
    match behind {
        Behind::Chat => {
            check_eq!(sent.path, "/v1/chat/completions");
            check_eq!(read["messages"][0], json!({"role": "system", "content": "Be kind."}));
            check_eq!(read["messages"][1], json!({"role": "user", "content": "Say hello."}));
        }
        Behind::Claude => check_eq!(read["system"], json!("Be kind.")),
        Behind::Responses => {
            check_eq!(sent.path, "/v1/responses");
            check_eq!(read["input"], json!("Say hello."));
        }
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(11, 7));
    Ok(())
}

async fn streams(world: Arc<World>, vendor: Vendor, behind: Behind, script: String) -> Result<()> {
    world.upstream.script(&script, [behind.play("Grüße, 世界!", 11, 7, true)]);
    let key = budgeted(&world).await?;
    let arguments = json!({"model": behind.model(&script), "input": "Say hello."});
    // The clients' own accumulators throw where events come in a wrong order.
    let answer = call(&world, vendor, &key, "stream", arguments).await?;
    ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    check_eq!(text_of(&answer["final"]), "Grüße, 世界!");
    check_eq!(answer["final"]["usage"]["output_tokens"], json!(7));
    let events: Vec<&str> =
        answer["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    check_eq!(events.first(), Some(&"response.created"));
    check_eq!(events.last(), Some(&"response.completed"));
    for needed in [
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ] {
        ensure!(events.contains(&needed), "{needed} is not among {events:?}");
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(11, 7));
    Ok(())
}

async fn goes_on(world: Arc<World>, vendor: Vendor, behind: Behind) -> Result<()> {
    let script = format!("goes-on-{}-{vendor:?}", behind.name());
    let plays = [behind.play("Hello, Ada.", 11, 7, false), behind.play("Your name is Ada.", 30, 9, false)];
    world.upstream.script(&script, plays);
    let key = budgeted(&world).await?;
    let model = behind.model(&script);
    let first =
        told_by(&world, vendor, &key, "create", json!({"model": model, "input": "My name is Ada."})).await?;
    let second = json!({"model": model, "input": "What is my name?", "previous_response_id": first["id"]});
    let second = told_by(&world, vendor, &key, "create", second).await?;
    check_eq!(text_of(&second), "Your name is Ada.");
    check_eq!(second["previous_response_id"], first["id"]);

    // The target is told the whole conversation: it need not keep anything.
    let sent = world.upstream.arrived(&script, 2).await?[1].json()?;
    let told_in = if behind == Behind::Responses { "input" } else { "messages" };
    let said: Vec<String> =
        sent[told_in].as_array().into_iter().flatten().map(|turn| words(&turn["content"])).collect();
    check_eq!(said, ["My name is Ada.", "Hello, Ada.", "What is my name?"]);
    ensure!(sent["previous_response_id"].is_null(), "{sent}");

    let again = told_by(&world, vendor, &key, "retrieve", json!({"response_id": second["id"]})).await?;
    check_eq!(again, second);
    let items =
        told_by(&world, vendor, &key, "input_items.list", json!({"response_id": second["id"], "limit": 2}))
            .await?;
    let said: Vec<String> =
        items.as_array().into_iter().flatten().map(|item| words(&item["content"])).collect();
    check_eq!(said, ["What is my name?", "Hello, Ada.", "My name is Ada."]);
    let order = json!({"response_id": second["id"], "order": "asc"});
    let items = told_by(&world, vendor, &key, "input_items.list", order).await?;
    check_eq!(words(&items[0]["content"]), "My name is Ada.");

    told_by(&world, vendor, &key, "delete", json!({"response_id": first["id"]})).await?;
    let gone = call(&world, vendor, &key, "retrieve", json!({"response_id": first["id"]})).await?;
    check_eq!(gone["error"]["class"], json!("NotFoundError"), "{gone}");
    check_eq!(gone["error"]["code"], json!("not_found"));
    let gone = json!({"model": model, "input": "And now?", "previous_response_id": first["id"]});
    let gone = call(&world, vendor, &key, "create", gone).await?;
    check_eq!(gone["error"]["class"], json!("BadRequestError"), "{gone}");
    check_eq!(world.closed_books(&key).await?.spent, cost(11, 7) + cost(30, 9));
    Ok(())
}

/// Content in words, whatever its form.
fn words(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
}

async fn a_streamed_response_is_kept_when_its_last_event_is_read(world: Arc<World>) -> Result<()> {
    for behind in [Behind::Claude, Behind::Responses] {
        let script = format!("kept-stream-{}", behind.name());
        world.upstream.script(&script, [behind.play("One.", 3, 2, true), behind.play("Two.", 5, 2, true)]);
        let key = budgeted(&world).await?;
        let model = behind.model(&script);
        let body = json!({"model": model, "input": "Count.", "stream": true});
        let answer = world.host.post("/v1/responses").key(&key.secret).json(&body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let last = answer.events()?.pop().map(|event| event.json()).transpose()?.unwrap_or_default();
        check_eq!(last["type"], json!("response.completed"));
        let id = last["response"]["id"].clone();
        let kept = told(&world, &key, "retrieve", json!({"response_id": id})).await?;
        check_eq!(text_of(&kept), "One.");

        // Going on in a stream: every object says from what.
        let body = json!({"model": model, "input": "Go on.", "stream": true, "previous_response_id": id});
        let answer = world.host.post("/responses").key(&key.secret).json(&body).whole().await?;
        let mut seen = 0;
        for event in answer.events()? {
            let event = event.json()?;
            if event["response"].is_object() {
                seen += 1;
                check_eq!(event["response"]["previous_response_id"], id, "{event}");
            }
        }
        check_eq!(seen, 3);
    }
    Ok(())
}

async fn a_response_of_another_key_is_unknown(world: Arc<World>) -> Result<()> {
    let script = "responses-of-two-keys";
    world.upstream.script(script, [Reply::text(["A secret."]).usage(3, 2).into()]);
    let (own, other) = (budgeted(&world).await?, budgeted(&world).await?);
    let model = Behind::Chat.model(script);
    let first = told(&world, &own, "create", json!({"model": model, "input": "Tell me."})).await?;
    let id = first["id"].as_str().unwrap_or_default();
    for (method, path) in [
        (Method::GET, format!("/v1/responses/{id}")),
        (Method::GET, format!("/v1/responses/{id}?stream=true")),
        (Method::GET, format!("/v1/responses/{id}/input_items")),
        (Method::POST, format!("/v1/responses/{id}/cancel")),
        (Method::DELETE, format!("/v1/responses/{id}")),
    ] {
        let answer = world.host.call(method.clone(), &path).key(&other.secret).whole().await?;
        check_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    }
    let steal = json!({"model": model, "input": "What did you say?", "previous_response_id": id});
    let answer = world.host.post("/v1/responses").key(&other.secret).json(&steal).whole().await?;
    check_eq!(answer.status, 400, "{}", answer.text());
    let item = json!({"type": "item_reference", "id": first["output"][0]["id"]});
    let steal = json!({"model": model, "input": [item]});
    let answer = world.host.post("/v1/responses").key(&other.secret).json(&steal).whole().await?;
    check_eq!(answer.status, 400, "{}", answer.text());
    let answer = world.host.get(&format!("/v1/responses/{id}")).whole().await?;
    check_eq!(answer.status, 401, "{}", answer.text());
    check_eq!(world.upstream.received(script).len(), 1);
    told(&world, &own, "retrieve", json!({"response_id": id})).await?;
    Ok(())
}

async fn a_response_that_is_not_to_be_kept_is_not_kept(world: Arc<World>) -> Result<()> {
    let script = "responses-not-kept";
    world.upstream.script(script, [Reply::text(["Hi."]).usage(3, 2).into()]);
    let key = budgeted(&world).await?;
    let arguments = json!({"model": Behind::Chat.model(script), "input": "Hi", "store": false});
    let response = told(&world, &key, "create", arguments).await?;
    check_eq!(response["store"], json!(false));
    let gone = call(&world, Vendor::OpenAi, &key, "retrieve", json!({"response_id": response["id"]})).await?;
    check_eq!(gone["error"]["class"], json!("NotFoundError"), "{gone}");
    Ok(())
}

async fn a_response_is_made_in_the_background_where_the_host_can(world: Arc<World>) -> Result<()> {
    let script = "responses-in-the-background";
    world.upstream.script(script, [Reply::text(["Do", "ne."]).usage(12, 4).into()]);
    let key = budgeted(&world).await?;
    let arguments = json!({"model": Behind::Claude.model(script), "input": "Work.", "background": true});
    let answer = call(&world, Vendor::OpenAi, &key, "create", arguments).await?;
    if world.host.kind != Kind::Server {
        check_eq!(answer["error"]["class"], json!("BadRequestError"), "{answer}");
        ensure!(
            answer["error"]["message"].as_str().is_some_and(|text| text.contains("background")),
            "{answer}"
        );
        check_eq!(world.upstream.received(script).len(), 0);
        return Ok(());
    }
    ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    check_eq!(answer["result"]["status"], json!("queued"));
    check_eq!(answer["result"]["background"], json!(true));
    let id = answer["result"]["id"].clone();
    let done = settled(&world, &key, &id).await?;
    check_eq!(done["status"], json!("completed"));
    check_eq!(done["background"], json!(true));
    check_eq!(done["id"], id);
    check_eq!(text_of(&done), "Done.");
    // Its events can be read again, from any on.
    let path = format!("/v1/responses/{}?stream=true&starting_after=2", id.as_str().unwrap_or_default());
    let events = world.host.get(&path).key(&key.secret).whole().await?.events()?;
    check_eq!(events.first().map(Event::json).transpose()?.unwrap_or_default()["sequence_number"], json!(3));
    check_eq!(world.closed_books(&key).await?.spent, cost(12, 4));
    Ok(())
}

/// The response when it is no longer in the making.
async fn settled(world: &World, key: &Key, id: &Value) -> Result<Value> {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let response = told(world, key, "retrieve", json!({"response_id": id})).await?;
        if !matches!(response["status"].as_str(), Some("queued" | "in_progress")) {
            return Ok(response);
        }
        ensure!(Instant::now() < end, "still {}", response["status"]);
        sleep(Duration::from_millis(20)).await;
    }
}

async fn a_response_in_the_background_is_cancelled(world: Arc<World>) -> Result<()> {
    if world.host.kind != Kind::Server {
        return Ok(()); // Refused there, as another scenario shows.
    }
    let script = "responses-cancelled";
    let gate = Gate::closed();
    let reply: Play = Reply::text(["Never."]).usage(12, 4).into();
    world.upstream.script(script, [Play::Gated(gate, Box::new(reply))]);
    let key = budgeted(&world).await?;
    let arguments = json!({"model": Behind::Chat.model(script), "input": "Work.", "background": true});
    let begun = told(&world, &key, "create", arguments).await?;
    let received = world.upstream.arrived(script, 1).await?;
    let cancelled = told(&world, &key, "cancel", json!({"response_id": begun["id"]})).await?;
    check_eq!(cancelled["status"], json!("cancelled"));
    received[0].until_left(Duration::from_secs(10)).await?;
    let again = told(&world, &key, "retrieve", json!({"response_id": begun["id"]})).await?;
    check_eq!(again["status"], json!("cancelled"));
    // The books are closed: what was sent is charged, and nothing is held.
    world.closed_books(&key).await?;
    Ok(())
}

async fn a_conversation_is_made_short_and_gone_on_from(world: Arc<World>) -> Result<()> {
    let script = "responses-made-short";
    let plays = [
        Reply::text(["Hello, Ada."]).usage(11, 7).into(),
        Reply::text(["The user is called Ada."]).usage(40, 6).into(),
        Reply::text(["Ada."]).usage(20, 2).into(),
    ];
    world.upstream.script(script, plays);
    let key = budgeted(&world).await?;
    let model = Behind::Chat.model(script);
    let first = told(&world, &key, "create", json!({"model": model, "input": "My name is Ada."})).await?;
    let short = json!({"model": model, "previous_response_id": first["id"]});
    let short = told(&world, &key, "compact", short).await?;
    check_eq!(short["object"], json!("response.compaction"));
    check_eq!(short["usage"]["output_tokens"], json!(6));
    let mut input = short["output"].as_array().cloned().unwrap_or_default();
    check_eq!(input.len(), 1);
    input.push(json!({"role": "user", "content": "What is my name?"}));
    let last = told(&world, &key, "create", json!({"model": model, "input": input})).await?;
    check_eq!(text_of(&last), "Ada.");
    let sent = world.upstream.arrived(script, 3).await?[2].json()?;
    ensure!(words(&sent["messages"][0]["content"]).contains("The user is called Ada."), "{sent}");
    check_eq!(world.closed_books(&key).await?.spent, cost(11, 7) + cost(40, 6) + cost(20, 2));
    Ok(())
}

async fn a_reference_to_an_item_is_resolved(world: Arc<World>) -> Result<()> {
    for behind in [Behind::Chat, Behind::Responses] {
        let script = format!("responses-by-reference-{}", behind.name());
        let plays = [behind.play("Hello, Ada.", 11, 7, false), behind.play("Yes.", 20, 2, false)];
        world.upstream.script(&script, plays);
        let key = budgeted(&world).await?;
        let model = behind.model(&script);
        let first = told(&world, &key, "create", json!({"model": model, "input": "My name is Ada."})).await?;
        let input = json!([
            {"role": "user", "content": "My name is Ada."},
            {"type": "item_reference", "id": first["output"][0]["id"]},
            {"role": "user", "content": "Do you know me?"},
        ]);
        told(&world, &key, "create", json!({"model": model, "input": input})).await?;
        let sent = world.upstream.arrived(&script, 2).await?[1].json()?;
        let told_in = if behind == Behind::Responses { "input" } else { "messages" };
        check_eq!(words(&sent[told_in][1]["content"]), "Hello, Ada.", "{sent}");
    }
    Ok(())
}

async fn what_is_kept_nowhere_is_refused_with_its_place(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let model = Behind::Chat.model("responses-never-asked");
    for (field, value, status, place) in [
        ("previous_response_id", json!("resp_nobody"), 400, "previous_response_id"),
        ("previous_response_id", json!("../../main"), 400, "previous_response_id"),
        ("conversation", json!("conv_1"), 400, "conversation"),
        ("prompt", json!({"id": "pmpt_1"}), 404, "prompt_id"),
        ("input", json!([{"type": "item_reference", "id": "msg_nobody_0"}]), 400, "input[0]"),
        ("store", json!("yes"), 400, "store"),
    ] {
        let mut body = json!({"model": model, "input": "Hi"});
        body[field] = value;
        let answer = world.host.post("/v1/responses").key(&key.secret).json(&body).whole().await?;
        check_eq!(answer.status, status, "{body}: {}", answer.text());
        check_eq!(answer.json()?["error"]["param"], json!(place), "{body}");
    }
    check_eq!(world.upstream.received("responses-never-asked").len(), 0);
    Ok(())
}
