//! An HTTP request as the JSON that a function URL hands to its function (payload format 2.0), and the head of an answer
//! as the function gives it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Value, json};

/// The event for one request. Headers come in lower case, repeated ones joined by a comma, cookies apart; a body that is
/// not text travels in base64.
pub(super) fn of_request(parts: &Parts, body: &[u8], source: &str) -> Value {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == header::COOKIE {
            cookies.extend(text.split("; ").map(str::to_owned));
            continue;
        }
        headers.entry(name.as_str()).and_modify(|all| *all = format!("{all},{text}")).or_insert(text);
    }
    headers.insert("x-forwarded-for", source.to_owned());
    headers.insert("x-forwarded-proto", "https".to_owned());
    let agent = headers.get("user-agent").cloned().unwrap_or_default();
    let domain = "gatelet.lambda-url.us-east-1.on.aws";
    let path = parts.uri.path();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "gatelet",
            "domainName": domain,
            "domainPrefix": "gatelet",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": source,
                "userAgent": agent,
            },
            "requestId": "00000000-0000-0000-0000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_i64,
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !body.is_empty() {
        match std::str::from_utf8(body) {
            Ok(text) if is_text(&parts.headers) => event["body"] = json!(text),
            _ => {
                event["body"] = json!(base64::engine::general_purpose::STANDARD.encode(body));
                event["isBase64Encoded"] = json!(true);
            }
        }
    }
    event
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["text/", "application/json", "application/xml", "application/javascript"]
        .iter()
        .any(|prefix| kind.starts_with(prefix))
}

/// What the function wrote before the eight NUL bytes: `{"statusCode", "headers", "cookies"}`.
///
/// A header with several values arrives as an array. Whether a function URL accepts that is not documented, so it is an
/// error here.
pub(super) fn head_of_answer(prelude: &[u8]) -> anyhow::Result<(StatusCode, HeaderMap)> {
    let prelude: Value = serde_json::from_slice(prelude).context("the prelude of the answer is not JSON")?;
    let status = prelude["statusCode"].as_u64().context("the prelude has no statusCode")?;
    let status = StatusCode::from_u16(u16::try_from(status)?)?;
    let mut headers = HeaderMap::new();
    for (name, value) in prelude["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().with_context(|| format!("header {name} is not one string"))?;
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    for cookie in prelude["cookies"].as_array().into_iter().flatten() {
        headers.append(
            header::SET_COOKIE,
            HeaderValue::try_from(cookie.as_str().context("a cookie is not text")?)?,
        );
    }
    Ok((status, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(kind: &str) -> Parts {
        let request = http::Request::post("/v1/chat?a=1&b=%20")
            .header("Content-Type", kind)
            .header("x-two", "1")
            .header("x-two", "2")
            .header("cookie", "a=1; b=2")
            .body(())
            .unwrap();
        request.into_parts().0
    }

    #[test]
    fn a_text_body_travels_as_text_and_repeated_headers_are_joined() {
        let event = of_request(&parts("application/json"), b"{}", "10.0.0.9");
        assert_eq!(event["body"], "{}");
        assert_eq!(event["isBase64Encoded"], false);
        assert_eq!(event["headers"]["x-two"], "1,2");
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["rawQueryString"], "a=1&b=%20");
        assert_eq!(event["requestContext"]["http"]["sourceIp"], "10.0.0.9");
    }

    #[test]
    fn a_body_that_is_not_text_travels_in_base64() {
        let event = of_request(&parts("audio/wav"), b"RIFF", "10.0.0.9");
        assert_eq!(event["body"], "UklGRg==");
        assert_eq!(event["isBase64Encoded"], true);
        let event = of_request(&parts("application/json"), &[0xff], "10.0.0.9");
        assert_eq!(event["isBase64Encoded"], true);
    }

    #[test]
    fn the_head_carries_cookies_and_refuses_arrays() {
        let (status, headers) =
            head_of_answer(br#"{"statusCode":201,"headers":{"a":"b"},"cookies":["c=1","d=2"]}"#).unwrap();
        assert_eq!(status, 201);
        assert_eq!(headers["a"], "b");
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert!(head_of_answer(br#"{"statusCode":200,"headers":{"a":["b","c"]}}"#).is_err());
    }
}
