use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::join_all;
use http::Response;

use super::{Grant, Tokens, Unproven};
use crate::domain::Secret;
use crate::port::memory::{Handles, ports};
use crate::port::{Body, Ports, Reach};

/// Made for this test, and of no account.
const KEY: &str = include_str!("test_key.pem");

fn account() -> Secret {
    Secret::new(
        serde_json::json!({
            "type": "service_account",
            "client_email": "bot@project.iam.gserviceaccount.com",
            "private_key": KEY,
            "private_key_id": "k1",
            "token_uri": "https://tokens.example/token",
        })
        .to_string(),
    )
}

fn google() -> Tokens {
    Tokens::new(Grant::google(&account()).unwrap())
}

fn answer(status: u16, json: &str) -> Response<Body> {
    Response::builder().status(status).body(Body::from(json.as_bytes().to_vec())).unwrap()
}

fn granted(token: &str, lifetime: u64) -> Response<Body> {
    answer(200, &format!(r#"{{"access_token":"{token}","expires_in":{lifetime},"token_type":"Bearer"}}"#))
}

fn get(tokens: &Tokens, ports: &Ports) -> Result<String, Unproven> {
    block_on(tokens.header(ports, Reach::Public)).map(|value| value.to_str().unwrap().to_owned())
}

fn forms(handles: &Handles) -> Vec<Vec<(String, String)>> {
    let body = |bytes: &[u8]| form_urlencoded::parse(bytes).into_owned().collect();
    handles.upstream.asked().iter().map(|asked| body(asked.body.as_deref().unwrap())).collect()
}

#[test]
fn a_service_account_signs_a_claim_and_buys_a_token_with_it() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let (ports, handles) = ports();
    handles.upstream.push_response(granted("ya29.a", 3_599));
    assert_eq!(get(&google(), &ports).unwrap(), "Bearer ya29.a");
    let asked = &handles.upstream.asked()[0];
    assert_eq!(asked.uri.to_string(), "https://tokens.example/token");
    let form = &forms(&handles)[0];
    assert_eq!(form[0], ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()));
    let pieces: Vec<&str> = form[1].1.split('.').collect();
    let json = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(json(pieces[0]), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let claims = json(pieces[1]);
    assert_eq!(claims["iss"], "bot@project.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], "https://tokens.example/token");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
    let base64: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let key = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
    let signed = format!("{}.{}", pieces[0], pieces[1]);
    let signature = block_on(ports.signer.rs256(&key, signed.as_bytes())).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(pieces[2]).unwrap(), signature);
}

#[test]
fn a_token_is_kept_until_shortly_before_it_expires() {
    let (ports, handles) = ports();
    let tokens = google();
    handles.upstream.push_response(granted("first", 3_600));
    assert_eq!(get(&tokens, &ports).unwrap(), "Bearer first");
    handles.clock.advance(Duration::from_mins(50));
    assert_eq!(get(&tokens, &ports).unwrap(), "Bearer first");
    assert_eq!(handles.upstream.asked().len(), 1);
    handles.clock.advance(Duration::from_secs(400));
    handles.upstream.push_response(granted("second", 3_600));
    assert_eq!(get(&tokens, &ports).unwrap(), "Bearer second");
    assert_eq!(handles.upstream.asked().len(), 2);
}

#[test]
fn however_many_ask_at_once_one_question_is_sent() {
    let (ports, handles) = ports();
    let tokens = google();
    // The answer takes a while: all others come in the meantime.
    let mut rounds = 0;
    let slow = futures_util::stream::poll_fn(move |context| {
        rounds += 1;
        match rounds {
            1..=5 => {
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }
            6 => std::task::Poll::Ready(Some(Ok(
                br#"{"access_token":"only","expires_in":3600}"#.to_vec().into(),
            ))),
            _ => std::task::Poll::Ready(None),
        }
    });
    handles.upstream.push_response(Response::new(Body::Stream(Box::pin(slow))));
    let waiting = join_all((0..20).map(|_| tokens.header(&ports, Reach::Public)));
    let mut turns = 0;
    let turn = std::future::poll_fn(|context| {
        turns += 1;
        handles.clock.advance(Duration::from_millis(20));
        context.waker().wake_by_ref();
        if turns < 40 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    });
    let (answers, ()) = block_on(futures_util::future::join(waiting, turn));
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|value| value == "Bearer only")));
    assert_eq!(handles.upstream.asked().len(), 1);
}

#[test]
fn one_who_asked_and_left_does_not_hold_up_the_next() {
    let (ports, handles) = ports();
    let tokens = google();
    handles.upstream.push_response(Response::new(Body::Stream(Box::pin(futures_util::stream::pending()))));
    let mut left = Box::pin(tokens.header(&ports, Reach::Public));
    assert!(futures_util::FutureExt::now_or_never(&mut left).is_none());
    drop(left);
    handles.upstream.push_response(granted("next", 60));
    assert_eq!(get(&tokens, &ports).unwrap(), "Bearer next");
}

#[test]
fn a_refused_credential_is_said_without_the_credential() {
    let (ports, handles) = ports();
    let tokens = google();
    let sentence =
        r#"{"error":"invalid_grant","error_description":"Invalid JWT eyJhbGciOi for bot@project"}"#;
    handles.upstream.push_response(answer(400, sentence));
    let failure = get(&tokens, &ports).unwrap_err();
    assert_eq!(failure, Unproven::Denied { status: 400, reason: "invalid_grant".to_owned() });
    assert!(!failure.to_string().contains("eyJ"));
    assert_eq!(format!("{tokens:?}").matches("PRIVATE").count(), 0);
    assert!(!format!("{tokens:?}").contains("bot@project"));
    // Those who come at once hear the same, and nobody asks again so soon.
    assert_eq!(get(&tokens, &ports).unwrap_err(), failure);
    assert_eq!(handles.upstream.asked().len(), 1);
}

#[test]
fn while_a_token_is_good_a_failure_to_get_the_next_is_none() {
    let (ports, handles) = ports();
    let tokens = google();
    handles.upstream.push_response(granted("good", 1_000));
    get(&tokens, &ports).unwrap();
    handles.clock.advance(Duration::from_mins(15));
    handles.upstream.push_response(answer(503, "busy"));
    assert_eq!(get(&tokens, &ports).unwrap(), "Bearer good");
    handles.clock.advance(Duration::from_secs(100));
    handles.upstream.push_response(answer(503, "busy"));
    assert_eq!(get(&tokens, &ports).unwrap_err(), Unproven::Unreachable);
    handles.clock.advance(Duration::from_secs(2));
    handles.upstream.push_response(answer(200, r#"{"nothing":1}"#));
    assert_eq!(get(&tokens, &ports).unwrap_err(), Unproven::Unreachable);
}

#[test]
fn entra_ibm_and_client_credentials_fill_their_own_forms() {
    let secret = |text: &str| Secret::new(text);
    let entra = r#"{"tenant_id":"t-1","client_id":"app","client_secret":"s3"}"#;
    for (grant, address, form) in [
        (
            Grant::entra(&secret(entra)),
            "https://login.microsoftonline.com/t-1/oauth2/v2.0/token",
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "app"),
                ("client_secret", "s3"),
                ("scope", "https://cognitiveservices.azure.com/.default"),
            ],
        ),
        (
            Grant::ibm(&secret("key&1")),
            "https://iam.cloud.ibm.com/identity/token",
            vec![("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", "key&1")],
        ),
        (
            Grant::client_credentials(&secret("app:s:3"), "https://host.example/oidc/v1/token"),
            "https://host.example/oidc/v1/token",
            vec![("grant_type", "client_credentials"), ("client_id", "app"), ("client_secret", "s:3")],
        ),
        (
            Grant::client_credentials(
                &secret(
                    r#"{"client_id":"a","client_secret":"b","scope":"all-apis","token_uri":"https://own.example/t"}"#,
                ),
                "https://host.example/token",
            ),
            "https://own.example/t",
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "a"),
                ("client_secret", "b"),
                ("scope", "all-apis"),
            ],
        ),
    ] {
        let (ports, handles) = ports();
        handles.upstream.push_response(answer(200, r#"{"access_token":"tok","expires_in":"3599"}"#));
        assert_eq!(get(&Tokens::new(grant.unwrap()), &ports).unwrap(), "Bearer tok");
        assert_eq!(handles.upstream.asked()[0].uri.to_string(), address);
        let form: Vec<_> =
            form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(forms(&handles)[0], form);
    }
}

#[test]
fn what_is_no_credential_is_refused_where_it_is_configured() {
    for text in ["{}", "{\"client_email\":\"a\",\"private_key\":\"no key\"}", "[]", ""] {
        assert!(Grant::google(&Secret::new(text)).is_none(), "{text}");
        assert!(Grant::entra(&Secret::new(text)).is_none(), "{text}");
        assert!(Grant::client_credentials(&Secret::new(text), "https://a.example").is_none(), "{text}");
    }
    let elsewhere = r#"{"tenant_id":"t/../x","client_id":"a","client_secret":"b"}"#;
    assert!(Grant::entra(&Secret::new(elsewhere)).is_none());
}
