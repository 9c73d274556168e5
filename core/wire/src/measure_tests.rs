use super::*;

fn openai(body: &str) -> Measure {
    Measure::of(DialectId::Openai, &Fields::read(body.as_bytes()).unwrap())
}

fn anthropic(body: &str) -> Measure {
    Measure::of(DialectId::Anthropic, &Fields::read(body.as_bytes()).unwrap())
}

fn bytes(body: &str) -> u64 {
    length(body.len())
}

#[test]
fn text_counts_as_the_bytes_of_the_body() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a file, a \"document\" and an image? \u00e9"}]}"#;
    assert_eq!(openai(body), Measure { text_bytes: bytes(body) + UNSEEN, ..Measure::default() });
}

#[test]
fn tools_add_what_providers_write_around_them() {
    let body = r#"{"tools":[{"type":"function","function":{"name":"a","parameters":{"properties":{"image":{"type":"image_url"}}}}}]}"#;
    assert_eq!(openai(body), Measure { text_bytes: bytes(body) + UNSEEN + 1_024, ..Measure::default() });
    let quoted = r#"{"messages":[{"content":"\"tools\""}],"x":"tools"}"#;
    assert_eq!(anthropic(quoted).text_bytes, bytes(quoted) + UNSEEN);
}

#[test]
fn blocks_that_are_known_by_their_key_alone_are_counted_too() {
    let measure = |blocks: &str| {
        let body =
            format!(r#"{{"messages":[{{"role":"user","content":[{blocks}]}}],"toolConfig":{{"tools":[]}}}}"#);
        let found = Measure::of(DialectId::Bedrock, &Fields::read(body.as_bytes()).unwrap());
        (found, bytes(&body) + UNSEEN + 4_096 - found.text_bytes)
    };
    let image = r#"{"image":{"format":"png","source":{"bytes":"AAAAAAAA"}}}"#;
    let (found, payload) = measure(image);
    assert_eq!((found.images, payload), (1, 8));
    let (found, payload) =
        measure(&format!(r#"{{"toolResult":{{"toolUseId":"a","content":[{image},{image}]}}}}"#));
    assert_eq!((found.images, payload), (2, 16));
    let (found, payload) =
        measure(r#"{"guardContent":{"image":{"format":"png","source":{"bytes":"AAAA"}}}}"#);
    assert_eq!((found.images, payload), (1, 4));
    let (found, payload) =
        measure(r#"{"document":{"format":"pdf","name":"bytes","source":{"bytes":"AAAAAAAA"}}}"#);
    assert_eq!((found.documents, found.named_documents, found.document_bytes, payload), (1, 0, 6, 8));
    let (found, payload) =
        measure(r#"{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://a/b"}}}}"#);
    assert_eq!((found.documents, found.named_documents, payload), (1, 1, 8));
    let (found, payload) = measure(r#"{"audio":{"format":"wav","source":{"bytes":"AAAA"}}}"#);
    assert_eq!((found.audios, found.audio_bytes, payload), (1, 3, 4));
    // A model reads these words.
    let (found, payload) = measure(r#"{"document":{"name":"a","source":{"text":"some words"}}}"#);
    assert_eq!((found.documents, payload), (1, 0));
    let (found, payload) = measure(r#"{"text":"bytes"}"#);
    assert_eq!((found.images + found.documents + found.audios, payload), (0, 0));
}

#[test]
fn an_image_sent_along_is_no_text() {
    let data = "A".repeat(4000);
    let body = format!(
        r#"{{"messages":[{{"content":[{{"type":"text","text":"hi"}},{{"image_url":{{"url":"data:image/png;base64,{data}"}},"type":"image_url"}}]}}]}}"#
    );
    let measured = openai(&body);
    assert_eq!((measured.images, measured.documents, measured.audios), (1, 0, 0));
    assert_eq!(measured.text_bytes, bytes(&body) + UNSEEN - 4022);
    let body = format!(
        r#"{{"messages":[{{"content":[{{"type":"tool_result","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}},{{"type":"image","source":{{"type":"file","file_id":"f"}}}}]}}]}}]}}"#
    );
    let measured = anthropic(&body);
    assert_eq!((measured.images, measured.documents), (2, 0));
    assert_eq!(measured.text_bytes, bytes(&body) + UNSEEN - 4000);
}

#[test]
fn files_and_audio_are_measured_decoded() {
    let data = "A".repeat(400);
    let body = format!(
        r#"{{"messages":[{{"content":[{{"type":"file","file":{{"filename":"a.pdf","file_data":"{data}"}}}},{{"type":"input_audio","input_audio":{{"format":"wav","data":"{data}"}}}},{{"type":"file","file":{{"file_id":"x"}}}}]}}]}}"#
    );
    let measured = openai(&body);
    assert_eq!((measured.documents, measured.document_bytes), (2, 300));
    assert_eq!((measured.audios, measured.audio_bytes), (1, 300));
    assert_eq!(measured.text_bytes, bytes(&body) + UNSEEN - 800);
}

#[test]
fn the_text_of_a_document_is_text() {
    let data = "word".repeat(100);
    let body = format!(
        r#"{{"messages":[{{"content":[{{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"{data}"}}}}]}}]}}"#
    );
    let measured = anthropic(&body);
    assert_eq!((measured.documents, measured.document_bytes), (1, 0));
    assert_eq!(measured.text_bytes, bytes(&body) + UNSEEN);
}

#[test]
fn an_escaped_type_does_not_hide_an_image() {
    let body = r#"{"messages":[{"content":[{"t\u0079pe":"im\u0061ge_\u0075rl","im\u0061ge_url":{"url":"http://x/y"}}]}]}"#;
    assert_eq!(openai(body).images, 1);
}

#[test]
fn a_payload_outside_of_media_is_text() {
    let body = r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"t","data":"AAAAAAAA"}]}],"data":"BBBB"}"#;
    assert_eq!(openai(body).text_bytes, bytes(body) + UNSEEN - 1);
}

mod laws {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A part, the bytes of text that a model reads in it, and its kind.
    fn part() -> impl Strategy<Value = (Value, usize, Option<Kind>)> {
        let text = "\\PC{0,40}";
        prop_oneof![
            text.prop_map(|text| (json!({"type": "text", "text": text}), text.len(), None)),
            text.prop_map(|text| (json!({"type": "text", "text": text, "url": text}), text.len(), None)),
            "[A-Za-z0-9+/]{0,80}".prop_map(|data| {
                (json!({"image_url": {"url": format!("data:image/png;base64,{data}")}, "type": "image_url"}), 0, Some(Kind::Image))
            }),
            "[A-Za-z0-9+/]{0,80}".prop_map(|data| {
                (json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}), 0, Some(Kind::Image))
            }),
            text.prop_map(|data| {
                (json!({"type": "document", "title": data, "source": {"type": "text", "data": data}}), 2 * data.len(), Some(Kind::Document))
            }),
            (text, "[A-Za-z0-9+/]{0,80}").prop_map(|(name, data)| {
                (json!({"type": "file", "file": {"filename": name, "file_data": data}}), name.len(), Some(Kind::Document))
            }),
            "[A-Za-z0-9+/]{0,80}".prop_map(|data| {
                (json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}}), 0, Some(Kind::Audio))
            }),
        ]
    }

    proptest! {
        /// The promise that money rests on.
        #[test]
        fn nothing_is_ever_counted_too_low(parts in proptest::collection::vec(part(), 0..12), nested in any::<bool>(), escaped in any::<bool>()) {
            let text: usize = parts.iter().map(|(_, text, _)| text).sum();
            let count = |kind| u32::try_from(parts.iter().filter(|(_, _, of)| *of == Some(kind)).count()).unwrap();
            let content: Vec<&Value> = parts.iter().map(|(part, _, _)| part).collect();
            let content = if nested { json!([{"type": "tool_result", "content": content}]) } else { json!(content) };
            let mut body = json!({"model": "m", "messages": [{"role": "user", "content": content}]}).to_string();
            if escaped {
                body = body.replace("image", "\\u0069mage").replace("type", "typ\\u0065").replace("file", "f\\u0069le");
            }
            for dialect in DialectId::ALL.iter().filter(|id| !id.dialect().media_in_blobs()) {
                let measured = Measure::of(*dialect, &Fields::read(body.as_bytes()).unwrap());
                prop_assert!(measured.text_bytes >= length(text));
                prop_assert_eq!(measured.images, count(Kind::Image));
                let text = |part: &&Value| dialect.dialect().text_documents() && part["type"] == "document";
                let texts = parts.iter().map(|(part, _, _)| part).filter(text).count();
                prop_assert_eq!(measured.documents, count(Kind::Document) - u32::try_from(texts).unwrap());
                prop_assert_eq!(measured.audios, count(Kind::Audio));
            }
        }
    }
}

#[test]
fn blobs_of_gemini_are_media_and_what_only_looks_like_them_is_text() {
    let data = "A".repeat(400);
    let body = format!(
        r#"{{"contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}},{{"inline_data":{{"data":"{data}","mime_type":"application/pdf"}}}},{{"inlineData":{{"mimeType":"audio/wav","data":"{data}"}}}}]}}]}}"#
    );
    let gemini = |body: &str| Measure::of(DialectId::Gemini, &Fields::read(body.as_bytes()).unwrap());
    let measured = gemini(&body);
    assert_eq!((measured.images, measured.documents, measured.audios), (1, 1, 1));
    assert_eq!((measured.document_bytes, measured.audio_bytes), (300, 300));
    assert_eq!(measured.text_bytes, bytes(&body) + UNSEEN - 1_200);
    let body =
        r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://a/b.mp4","mimeType":"video/mp4"}}]}]}"#;
    let measured = gemini(body);
    assert_eq!((measured.documents, measured.named_documents), (2, 2));
    for key in ["args", "response"] {
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"functionCall":{{"name":"f","{key}":{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}}}}}]}}]}}"#
        );
        assert_eq!(
            gemini(&body),
            Measure { text_bytes: bytes(&body) + UNSEEN, ..Measure::default() },
            "{key}"
        );
    }
    let escaped = r#"{"contents":[{"parts":[{"\u0069nlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#;
    assert_eq!(gemini(escaped).images, 1);
}
