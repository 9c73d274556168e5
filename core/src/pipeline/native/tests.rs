//! Paths stay below their base, and headers stay on their side.

use http::{HeaderMap, HeaderValue, Request};
use proptest::prelude::*;

use super::{Tail, back, onward, query};

#[test]
fn plain_paths_are_taken_as_they_are() {
    for path in ["/files/abc", "/", "", "/a/", "/a%20b/caf%C3%A9:run", "/models/x:predict", "/a@b;c=d,e"] {
        assert_eq!(Tail::read(path).unwrap().as_str(), path);
    }
}

#[test]
fn tricks_are_refused() {
    for rest in [
        "/../admin",
        "/a/../../b",
        "/a/..",
        "/./a",
        "//evil.example/x",
        "/a//b",
        "/%2e%2e/a",
        "/%2E./a",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/%63hat/completions",
        "/a%00b",
        "/a%0d%0ab",
        "/a%252e",
        "/a%",
        "/a%2",
        "/a%zz",
        "evil",
    ] {
        assert!(Tail::read(rest).is_err(), "{rest}");
    }
}

#[test]
fn a_callers_key_and_whereabouts_stay_here() {
    let mut headers = HeaderMap::new();
    for name in [
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "host",
        "connection",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-gatelet-tags",
        "cf-connecting-ip",
        "x-named",
        "expect",
        "proxy-authorization",
    ] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    headers.insert("connection", HeaderValue::from_static("close, X-Named"));
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    headers.insert("openai-beta", HeaderValue::from_static("assistants=v2"));
    headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    let onward = onward(&headers);
    let mut names: Vec<&str> = onward.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "content-type", "openai-beta"]);
    assert_eq!(onward["accept-encoding"], "identity");
}

#[test]
fn what_frames_an_answer_is_not_passed_on() {
    let mut headers = HeaderMap::new();
    for name in ["content-length", "transfer-encoding", "set-cookie", "connection"] {
        headers.insert(name, HeaderValue::from_static("1"));
    }
    headers.append("x-many", HeaderValue::from_static("1"));
    headers.append("x-many", HeaderValue::from_static("2"));
    let back = back(&headers);
    assert_eq!(back.len(), 2);
    assert_eq!(back.get_all("x-many").iter().count(), 2);
}

#[test]
fn a_key_in_the_query_stays_here_and_nothing_else() {
    let query = |uri: &str| query(&Request::get(uri).body(()).unwrap().into_parts().0, "gk_1");
    assert_eq!(query("/a?key=gk_1&alt=sse").as_deref(), Some("alt=sse"));
    assert_eq!(query("/a?a=1&key=other&b=%20").as_deref(), Some("a=1&key=other&b=%20"));
    assert_eq!(query("/a?key=gk_1"), None);
    assert_eq!(query("/a"), None);
}

proptest! {
    /// Whatever is accepted lies below the base, as the strictest and the laxest reader resolve it.
    #[test]
    fn nothing_that_is_accepted_leaves_the_base(rest in "[/.%2eEfF5cC\\\\a-c:@?#]{0,24}") {
        if let Ok(tail) = Tail::read(&format!("/{rest}")) {
            let mut decoded = tail.as_str().to_owned();
            for _ in 0..3 {
                decoded = decoded.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/")
                    .replace("%5c", "/").replace("%5C", "/").replace('\\', "/");
            }
            let mut depth = 0_i32;
            for segment in decoded.split('/') {
                depth += match segment { "" | "." => 0, ".." => -1, _ => 1 };
                prop_assert!(depth >= 0, "{decoded}");
            }
            prop_assert!(tail.as_str().is_empty() || tail.as_str().starts_with('/'));
        }
    }
}
