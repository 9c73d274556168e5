//! AWS's published vectors, and one request as the vendor's Python client signs it.

use super::*;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCOPE: Scope<'_> = Scope { moment: "20150830T123600Z", region: "us-east-1", service: "service" };
const HOST: (&str, &str) = ("host", "example.amazonaws.com");
const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");
/// Of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn request<'a>(method: &'a str, query: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request { method, path: "/", query, headers, body_hash: EMPTY }
}

#[test]
fn the_published_vectors_have_their_signatures() {
    let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let unreserved = format!("{unreserved}={unreserved}");
    let token = ("x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267");
    let with_token = [DATE, HOST, token];
    let form = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    assert_eq!(body_hash(b"Param1=value1"), form);
    assert_eq!(body_hash(b""), EMPTY);
    let form_headers = [
        ("content-length", "13"),
        ("content-type", "application/x-www-form-urlencoded"),
        HOST,
        ("x-amz-content-sha256", form),
        DATE,
    ];
    let vectors = [
        (
            request("GET", "", &[HOST, DATE]),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            request("POST", "", &[HOST, DATE]),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            request("GET", "Param2=value2&Param1=value1", &[HOST, DATE]),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            request("POST", "Param1=value1", &[HOST, DATE]),
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            request("GET", &unreserved, &[HOST, DATE]),
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (request("GET", "", &with_token), "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
        (
            request("GET", "", &[HOST, ("my-header1", " value1"), ("my-header2", " \"a   b   c\""), DATE]),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            request(
                "GET",
                "",
                &[HOST, ("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1"), DATE],
            ),
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            Request { path: "/ሴ", ..request("GET", "", &[HOST, DATE]) },
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            Request { path: "/example space/", ..request("GET", "", &[HOST, DATE]) },
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            Request { body_hash: form, ..request("POST", "", &form_headers) },
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
    ];
    for (request, wanted) in vectors {
        assert_eq!(signature(SECRET, &SCOPE, &request), wanted, "{request:?}");
    }
}

#[test]
fn a_path_that_is_encoded_once_as_it_is_sent_is_encoded_twice_in_the_signature() {
    for (path, canonical) in [
        ("/test/@connections/JBDvjfGEIAMCERw%3D", "/test/%40connections/JBDvjfGEIAMCERw%253D"),
        (
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations",
            "/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2%253A892717189312%253Afunction%253Amy-rusty-fun/invocations",
        ),
        ("", "/"),
    ] {
        assert_eq!(encoded_path(path), canonical);
    }
}

#[test]
fn a_request_is_signed_as_the_vendors_python_client_signs_it() {
    let body = br#"{"messages":[]}"#;
    let request = Request {
        method: "POST",
        path: "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        query: "",
        headers: &[
            ("content-type", "application/json"),
            ("host", "bedrock-runtime.eu-west-1.amazonaws.com"),
            ("x-amz-date", "20260102T030405Z"),
            ("x-amz-security-token", "token=="),
        ],
        body_hash: &body_hash(body),
    };
    let scope = Scope { moment: "20260102T030405Z", region: "eu-west-1", service: "bedrock" };
    let wanted = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=528550a5e158c7fd1e652a5f2c484916525902926ba500c6623a8c445e727333";
    assert_eq!(authorization(ID, SECRET, &scope, &request), wanted);
    let claim = Claim::read(wanted).expect("a whole claim");
    assert_eq!((claim.id, claim.day, claim.region, claim.service), (ID, "20260102", "eu-west-1", "bedrock"));
    assert_eq!(claim.headers, "content-type;host;x-amz-date;x-amz-security-token");
    assert_eq!(claim.signature, signature(SECRET, &scope, &request));
}

#[test]
fn a_claim_that_is_not_whole_is_none() {
    let whole = "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=e";
    assert!(Claim::read(whole).is_some());
    assert!(Claim::read(&whole.replace(", ", ",")).is_some());
    for other in [
        "",
        "Bearer a",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/aws4_request, SignedHeaders=host, Signature=e",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request/e, SignedHeaders=host, Signature=e",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=e",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host",
        "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=e",
    ] {
        assert_eq!(Claim::read(other), None, "{other}");
    }
}
