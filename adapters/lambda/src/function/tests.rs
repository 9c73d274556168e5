use super::*;

#[test]
fn repeated_headers_are_joined_and_cookies_are_not() {
    let mut headers = HeaderMap::new();
    for value in ["a", "b", "c"] {
        headers.append("vary", HeaderValue::from_static(value));
        headers.append("set-cookie", HeaderValue::from_static(value));
    }
    let headers = joined(headers);
    assert_eq!(headers.get_all("vary").iter().collect::<Vec<_>>(), ["a, b, c"]);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 3);
}

#[test]
fn only_what_did_not_come_by_the_url_is_a_tick() {
    let tick = lambda_http::request::from_str(r#"{"gatelet":"tick"}"#).unwrap();
    assert!(is_tick(&tick));
    let url = serde_json::json!({
        "version": "2.0", "rawPath": "/events", "rawQueryString": "a=%20b", "headers": { "host": "h", "x-a": "1,2" },
        "requestContext": { "http": { "method": "POST", "path": "/events", "protocol": "HTTP/1.1", "sourceIp": "1.1.1.1" } },
        "body": "aGk=", "isBase64Encoded": true,
    });
    let request = lambda_http::request::from_str(&url.to_string()).unwrap();
    assert!(!is_tick(&request));
    let request = to_core(request);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/events");
    assert_eq!(request.uri().query(), Some("a=%20b"));
    assert!(matches!(request.body(), Body::Full(bytes) if bytes == "hi"));
}
