//! Texts as callers may send them: of any length and kind, in pieces, wrapped, broken.

use super::*;

#[test]
fn texts_of_any_kind_and_length_are_read_to_their_end() {
    let world = guarded(
        "  mail: { kind: pii, mask: [email], for: all }\n  keys: { kind: secrets, mode: flag, for: all }\n  \
         orders: { kind: injection, mode: flag, for: all }\n  rivals: { kind: words, words: [initech], mode: flag, for: all }\n  \
         staff: { kind: regex, patterns: { staff: 'EMP-[0-9]{5}' }, mode: mask, for: all }",
    );
    let (_, key) = world.key(&json!({}));
    for (name, filler, times) in [
        ("prose", "The train leaves at noon. ", 400_000),
        ("no spaces", "x", 300_000),
        ("digits", "7", 300_000),
        ("emoji", "👩‍👩‍👧🙂", 20_000),
        ("both directions", "\u{202e}שלום abc \u{202c}مرحبا ", 10_000),
        ("signs", "@:+(-", 60_000),
    ] {
        let filler = filler.repeat(times);
        let says = format!("{filler} ann@example.com EMP-12345");
        world.handles.upstream.push_response(whole(200, &completion("fine", 1, 1)));
        let mut wish = question("plain", &says);
        wish["max_tokens"] = json!(5);
        let response = world.send(openai(&key, &wish));
        assert_eq!(response.status(), 200, "{name}: {}", text(response));
        let body: Value = serde_json::from_str(&sent(&world)).unwrap();
        let content = body["messages"][0]["content"].as_str().unwrap();
        assert!(content.starts_with(&filler), "{name}");
        assert!(content.ends_with(" [EMAIL_1] [STAFF_1]"), "{name}");
    }
}

#[test]
fn values_are_found_over_parts_and_messages_in_names_in_base64_in_addresses_and_in_code() {
    let world = guarded(&format!("{STAFF}\n  mail: {{ kind: pii, mask: [email], for: all }}"));
    let (_, key) = world.key(&json!({}));
    let turn = |content: Value| json!({ "role": "user", "content": content });
    let part = |text: &str| json!({ "type": "text", "text": text });
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "t", "type": "function",
        "function": { "name": "find", "arguments": "{\"EMP-12345\": {\"a\": 12345, \"b\": \"\\u0045MP-\\u00312345\"}}" } }] });
    let result = json!({ "role": "tool", "tool_call_id": "t", "content": "none" });
    for (messages, there) in [
        (json!([turn(json!([part("it is EMP-"), part("12345")]))]), "[STAFF_1]"),
        (json!([turn(json!("it is EMP-")), turn(json!("12345, yes"))]), "[STAFF_1]"),
        (
            json!([turn(json!("go")), call, result]),
            "{\\\"[STAFF_1]\\\": {\\\"a\\\": 12345, \\\"b\\\": \\\"[STAFF_1]\\\"}}",
        ),
        (
            json!([turn(json!("https://x.test/EMP-12345?m=ann@example.com&n=1"))]),
            "/[STAFF_1]?m=[EMAIL_1]&n=1",
        ),
        (
            json!([turn(json!("let staff = [\"EMP-12345\"]; // ann@example.com"))]),
            "[\\\"[STAFF_1]\\\"]; // [EMAIL_1]",
        ),
    ] {
        world.handles.upstream.push_response(whole(200, &completion("fine", 1, 1)));
        let wish = json!({ "model": "plain", "max_tokens": 50, "messages": messages });
        let response = world.send(openai(&key, &wish));
        assert_eq!(response.status(), 200, "{messages}: {}", text(response));
        let sent = sent(&world);
        assert!(
            sent.contains(there) && !sent.contains("EMP-") && !sent.contains("ann@"),
            "{messages}: {sent}"
        );
    }
    // EMP-12345 in base64.
    world.handles.upstream.push_response(whole(200, &message("fine", 1, 1)));
    let document = json!({ "model": "claude", "max_tokens": 50, "messages": [{ "role": "user", "content": [
        { "type": "document", "source": { "type": "base64", "media_type": "text/plain", "data": "RU1QLTEyMzQ1" } }] }] });
    let response = world.send(chat("/v1/messages", &key, document.to_string()));
    assert_eq!(response.status(), 200, "{}", text(response));
    assert!(!sent(&world).contains("RU1QLTEyMzQ1"), "{}", sent(&world));
}

#[test]
fn half_a_character_in_an_escape_hides_nothing() {
    let world = guarded(STAFF);
    let (_, key) = world.key(&json!({}));
    for says in [r"\ud83d EMP-12345", r"\ude00EMP-12345", r"\ud83d\u0041 EMP-12345"] {
        world.handles.upstream.push_response(whole(200, &completion("fine", 1, 1)));
        let body = format!(
            r#"{{"model":"plain","max_tokens":5,"messages":[{{"role":"user","content":"{says}"}}]}}"#
        );
        let before = world.handles.upstream.asked().len();
        let response = world.send(chat("/v1/chat/completions", &key, body));
        // No text has such a thing in it: it is no request, or it is read and masked.
        if response.status() == 200 {
            assert!(!sent(&world).contains("12345"), "{}", sent(&world));
        } else {
            assert_eq!(
                (response.status().as_u16(), world.handles.upstream.asked().len()),
                (400, before),
                "{says}"
            );
        }
        // In a tool's arguments, which are JSON as text, it may come from a model; the caller's are read as well.
        let call = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "t", "type": "function",
            "function": { "name": "find", "arguments": format!("{{\"a\":\"{says}\"}}") } }] });
        let messages = json!([{ "role": "user", "content": "go" }, call,
            { "role": "tool", "tool_call_id": "t", "content": "none" }]);
        world.handles.upstream.push_response(whole(200, &completion("fine", 1, 1)));
        let response =
            world.send(openai(&key, &json!({ "model": "plain", "max_tokens": 5, "messages": messages })));
        if response.status() == 200 {
            assert!(!sent(&world).contains("12345"), "{}", sent(&world));
        } else {
            assert_eq!(response.status(), 400, "{says}");
        }
    }
}
