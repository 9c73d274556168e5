use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";

fn join_of(base: &str, location: &str) -> String {
    join(&base.parse().unwrap(), location).unwrap().to_string()
}

#[test]
fn a_redirect_leads_where_its_words_say() {
    let base = "https://a.example/one/two?x=1";
    for (location, expected) in [
        ("https://b.example/z", "https://b.example/z"),
        ("//b.example/z", "https://b.example/z"),
        ("/z?y=2", "https://a.example/z?y=2"),
        ("?y=2", "https://a.example/one/two?y=2"),
        ("three", "https://a.example/one/three"),
        ("/to?u=https://b.example/", "https://a.example/to?u=https://b.example/"),
        ("to?u=https://b.example/", "https://a.example/one/to?u=https://b.example/"),
        ("/z#part", "https://a.example/z"),
    ] {
        assert_eq!(join_of(base, location), expected, "{location}");
    }
}

#[test]
fn letters_that_servers_do_not_take_are_escaped_after_the_host_alone() {
    assert_eq!(
        address(" https://a.example/caf\u{e9} 1.png#x ").unwrap(),
        "https://a.example/caf%C3%A9%201.png"
    );
    for wrong in ["https://ex\u{e4}mple.com/", "https://a b/", "", "https://"] {
        assert!(address(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn bytes_decide_what_they_are_and_what_was_named_as_a_picture_is_one() {
    let base64 = |found: Result<Source, Unfetched>| match found {
        Ok(Source::Base64 { media_type, .. }) => media_type,
        other => panic!("{other:?}"),
    };
    let of = |media, bytes: &'static [u8], declared| judge(media, bytes, declared);
    assert_eq!(base64(of(Media::Image, PNG, "image/jpeg; charset=x")), "image/png");
    assert_eq!(base64(of(Media::Document, b"%PDF-1.7", "")), "application/pdf");
    assert_eq!(base64(of(Media::Document, PNG, "")), "image/png");
    assert_eq!(base64(of(Media::Audio, b"ID3\x04", "text/html")), "audio/mpeg");
    for (media, bytes, declared) in [
        (Media::Image, &b"<html></html>"[..], "image/png"),
        (Media::Image, b"%PDF-1.7", "image/png"),
        (Media::Image, b"", "image/png"),
        (Media::Audio, PNG, "audio/wav"),
        (Media::Document, b"PK\x03\x04\xff", "application/zip"),
        (Media::Document, b"MZ\x00\xff", "text/plain"),
        (Media::Document, b"a\0b", "text/plain"),
        (Media::Document, b"ID3\x04", "application/pdf"),
    ] {
        let found = of(media, bytes, declared);
        assert!(matches!(found, Err(Unfetched::Kind { .. })), "{media:?} {found:?}");
    }
}

#[test]
fn a_text_is_a_text_and_no_longer_than_what_was_held_for_it() {
    let found = judge(Media::Document, b"# Title", "text/markdown; charset=utf-8");
    assert_eq!(
        found,
        Ok(Source::Text { media_type: "text/markdown".to_owned(), text: "# Title".to_owned() })
    );
    let found = judge(Media::Document, b"# Title", "application/octet-stream");
    assert_eq!(found, Ok(Source::Text { media_type: "text/plain".to_owned(), text: "# Title".to_owned() }));
    let most = usize::try_from(NAMED_DOCUMENT_TOKENS).unwrap();
    assert!(judge(Media::Document, &vec![b'a'; most], "").is_ok());
    assert_eq!(judge(Media::Document, &vec![b'a'; most + 1], ""), Err(Unfetched::TooLarge { most }));
}

#[test]
fn the_place_of_an_address_is_told_as_a_path() {
    let body = r#"{"messages":[{"content":"x"},{"content":[{"type":"text","text":"https:"},{"image_url":{"url":"https://a.example/1"}}]}]}"#;
    assert_eq!(place(body, "https://a.example/1"), "messages[1].content[1].image_url.url");
    assert_eq!(place(body, "https://a.example/2"), "");
    assert_eq!(place("[", "x"), "");
}
