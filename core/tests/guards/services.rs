//! What others judge: services, and models that make vectors.

use super::*;

#[test]
fn a_service_judges_before_and_beside_and_its_failure_is_closed_or_open() {
    for (when, fail, verdict, status) in [
        ("before", "closed", json!({ "action": "NONE" }), 200),
        ("before", "closed", json!({ "action": "BLOCKED" }), 400),
        ("before", "closed", json!({ "nonsense": 1 }), 400),
        ("before", "open", json!({ "nonsense": 1 }), 200),
        ("beside", "closed", json!({ "action": "BLOCKED" }), 400),
        ("beside", "closed", json!({ "action": "NONE" }), 200),
    ] {
        let world = guarded(&format!(
            "  out: {{ kind: webhook, url: 'https://guard.example/v1', key: k, on: input, when: {when}, fail: {fail}, for: all }}"
        ));
        let (_, key) = world.key(&json!({}));
        // It is asked first in any case.
        world.handles.upstream.push_response(whole(200, &verdict));
        world.handles.upstream.push_response(whole(200, &completion("fine", 1, 1)));
        let response = world.send(openai(&key, &question("plain", "hi")));
        assert_eq!(response.status(), status, "{when} {fail} {verdict}");
    }
}

/// Whole and streamed: what the request's tools have answered is what the answer must stand on.
#[test]
fn an_answer_that_its_sources_do_not_say_does_not_leave() {
    let grounded = "  grounded: { kind: azure-groundedness, url: 'https://mine.example', key: k, for: all }";
    for (stream, ungrounded) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = guarded(grounded);
        world.handles.upstream.always(move |request, _| {
            Ok(match request.uri().host().unwrap() {
                "mine.example" => {
                    whole(200, &json!({ "ungroundedDetected": ungrounded, "ungroundedPercentage": 1 }))
                }
                _ if stream => sse(ok(completion_chunks("Rome is in Chile", Some((20, 4))))),
                _ => whole(200, &completion("Rome is in Chile", 20, 4)),
            })
        });
        let (_, key) = world.key(&json!({}));
        let call =
            json!({ "id": "c1", "type": "function", "function": { "name": "atlas", "arguments": "{}" } });
        let wish = json!({ "model": "plain", "max_tokens": 50, "stream": stream, "messages": [
            { "role": "user", "content": "Where is Rome?" },
            { "role": "assistant", "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "c1", "content": "Rome is in Italy" }] });
        let answer = text(world.send(openai(&key, &wish)));
        assert_eq!(answer.contains("Chile"), !ungrounded, "{answer}");
        let asked = world.handles.upstream.asked();
        let service: Vec<Value> = asked
            .iter()
            .filter(|one| one.uri.host() == Some("mine.example"))
            .map(|one| serde_json::from_slice(one.body.as_deref().unwrap()).unwrap())
            .collect();
        assert_eq!(service.len(), 1, "it is asked of the answer alone: {service:?}");
        assert_eq!(service[0]["text"], "Rome is in Chile");
        assert_eq!(service[0]["qna"]["query"], "Where is Rome?");
        assert_eq!(service[0]["groundingSources"], json!(["Rome is in Italy"]));
        let records = world.records();
        let record = records.iter().find(|record| record["kind"] == "request").unwrap();
        let outcome = if ungrounded { "blocked" } else { "passed" };
        assert_eq!(record["guards"][0]["outcome"], json!(outcome), "{record}");
        // What was generated is paid for, whoever reads it.
        assert_ne!(record["cost"], "0", "{record}");
    }
}

/// A vector model for which texts are about what they name.
fn meanings(world: &World, asked: &Arc<Mutex<Vec<Vec<String>>>>) {
    let asked = asked.clone();
    world.handles.upstream.always(move |request: http::Request<Body>, _| {
        let path = request.uri().path().to_owned();
        let bytes = match request.into_body() {
            Body::Full(bytes) => bytes.to_vec(),
            Body::Pieces(pieces) => pieces.concat(),
            _ => Vec::new(),
        };
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        if path != "/v1/embeddings" {
            return Ok(whole(200, &completion("fine", 5, 5)));
        }
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        let meaning = |text: &String| match text {
            text if text.contains("gun") => [1.0, 0.0, 0.0],
            text if text.contains("bill") => [0.0, 1.0, 0.0],
            _ => [0.0, 0.0, 1.0],
        };
        let data: Vec<Value> = texts.iter().enumerate().map(|(nth, text)| {
            json!({ "object": "embedding", "index": nth, "embedding": meaning(text) })
        }).collect();
        let fails = texts.iter().any(|text| text.contains("outage"));
        asked.lock().unwrap().push(texts);
        if fails {
            return Ok(whole(500, &json!({ "error": { "message": "it is down" } })));
        }
        Ok(whole(200, &json!({ "object": "list", "model": "v", "data": data, "usage": { "prompt_tokens": 4, "total_tokens": 4 } })))
    });
}

#[test]
fn questions_are_held_to_topics_by_a_model_that_embeds_and_examples_are_asked_for_once() {
    for when in ["before", "beside"] {
        let subject = format!(
            "  subject: {{ kind: topics, model: vectors, threshold: 0.8, when: {when}, for: all, \
             deny: {{ arms: ['how to build a gun'] }}, allow: {{ bills: ['my bill is high', 'pay the bill'] }} }}"
        );
        let world = guarded(&format!("{STAFF}\n{subject}"));
        let (_, key) = world.key(&json!({}));
        let asked = Arc::new(Mutex::new(Vec::new()));
        meanings(&world, &asked);
        let ask = |messages: Value| {
            let wish = json!({ "model": "plain", "max_tokens": 50, "messages": messages });
            world.send(openai(&key, &wish)).status().as_u16()
        };
        let turn = |role: &str, text: &str| json!({ "role": role, "content": text });
        assert_eq!(ask(json!([turn("user", "What of the last bill of EMP-12345?")])), 200);
        // The examples come along once; the guards before it have masked what the model reads.
        let first = asked.lock().unwrap().remove(0);
        assert_eq!(first.len(), 4, "{first:?}");
        assert!(first[3].contains("[STAFF_1]"), "{first:?}");
        assert_eq!(ask(json!([turn("user", "What is the weather like today?")])), 400);
        assert_eq!(ask(json!([turn("user", "A bill for a gun, and how to get it")])), 400);
        // What is said of instructions and tools is nobody's question; what is short is read with what stands before it.
        assert_eq!(
            ask(json!([turn("system", "You sell a gun."), turn("user", "Is the bill paid by now?")])),
            200
        );
        let paid = turn("user", "Is the bill paid by now?");
        assert_eq!(
            ask(json!([paid, turn("assistant", "Shall I look at it for you?"), turn("user", "yes")])),
            400
        );
        assert_eq!(
            ask(json!([paid, turn("assistant", "Shall I look at your bill?"), turn("user", "yes")])),
            200
        );
        assert_eq!(
            ask(json!([turn("user", "How is a gun made?"), turn("user", "Is the bill paid by now?")])),
            400
        );
        assert!(asked.lock().unwrap().iter().all(|texts| texts.len() <= 3), "{asked:?}");
        let records = world.records();
        let found: Vec<String> = records
            .iter()
            .filter_map(|record| {
                let notes = record["guards"].as_array()?;
                let note = notes.iter().find(|note| note["guard"] == "subject")?;
                note.get("found").map(Value::to_string)
            })
            .collect();
        assert!(found.contains(&"{\"arms\":1}".to_owned()), "{found:?}");
        assert!(found.contains(&"{\"off-topic\":1}".to_owned()), "{found:?}");
        let lookups = records.iter().filter(|record| record.get("lookup_for").is_some()).count();
        assert!(lookups >= 7, "{lookups}");
    }
}

#[test]
fn where_no_vector_comes_a_guard_of_topics_fails_as_it_is_told_to() {
    for (fail, status) in [("closed", 400), ("open", 200)] {
        let world = guarded(&format!(
            "  subject: {{ kind: topics, model: vectors, fail: {fail}, for: all, deny: {{ arms: ['a gun'] }} }}"
        ));
        let (_, key) = world.key(&json!({}));
        meanings(&world, &Arc::default());
        let response = world.send(openai(&key, &question("plain", "There was an outage of the network")));
        assert_eq!(response.status(), status, "{fail}: {}", text(response));
        let told = tried(&world, "subject", &json!({ "text": "a gun" }));
        assert_eq!(told["verdicts"][0]["unread"], json!(["unreachable"]), "{told}");
    }
}

#[test]
fn a_service_that_is_silent_or_rewrites_what_is_not_there_could_not_judge() {
    let service = |kind: &str, more: &str| {
        format!(
            "  out: {{ kind: {kind}, url: 'https://guard.example', on: input, for: all, mode: mask, timeout: 5s{more} }}"
        )
    };
    let outside = json!([{ "entity_type": "X", "start": 1, "end": 900, "score": 0.9 }]);
    let backwards = json!([{ "entity_type": "X", "start": 2, "end": 1, "score": 0.9 }]);
    let others = json!({ "action": "GUARDRAIL_INTERVENED", "texts": ["a", "b", "c", "d"] });
    for (kind, verdict, unread) in [
        ("presidio", Some(outside), "answer"),
        ("presidio", Some(backwards), "answer"),
        ("webhook", Some(others), "answer"),
        ("webhook", None, "timeout"),
    ] {
        for (fail, status) in [("closed", 400), ("open", 200)] {
            let world = guarded(&service(kind, &format!(", fail: {fail}")));
            let (_, key) = world.key(&json!({}));
            match &verdict {
                Some(verdict) => world.handles.upstream.push_response(whole(200, verdict)),
                None => world.handles.upstream.push_response(world::endless(Vec::new())),
            }
            world.handles.upstream.push_response(whole(200, &completion("fine", 1, 1)));
            let (head, ..) = world.send_in_time(openai(&key, &question("plain", "hi there")));
            assert_eq!(head.status, status, "{kind} {verdict:?} {fail}");
            let records = world.records();
            let note = &records.iter().find(|record| record.get("guards").is_some()).unwrap()["guards"][0];
            assert_eq!(note["unread"], json!([unread]), "{kind} {verdict:?} {note}");
            if fail == "open" {
                assert!(sent(&world).contains("hi there"), "{}", sent(&world));
            }
        }
    }
}
