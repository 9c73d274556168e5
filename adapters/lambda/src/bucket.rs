//! The archive in an S3 bucket: four calls, signed by hand, since the service's SDK is larger than all of the gateway.

use std::fmt::Write as _;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use gatelet_core::port::{Archive, Body, Fault, FaultKind, Reach, Written};
use http::{Method, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::aws::{Aws, whole};

/// What S3 wants encoded in a name: all but the unreserved characters and the slash.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
const VALUE: &AsciiSet = &NAME.add(b'/');
/// Names that one answer of the service holds at most.
const PAGE: usize = 1000;

#[derive(Debug)]
pub struct Bucket {
    aws: Aws,
    /// The URL of the bucket, without a slash at its end.
    base: String,
}

impl Bucket {
    pub fn new(aws: &Aws, name: &str) -> Self {
        let base = match &aws.s3 {
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            // A dot in the name would not match the certificate of the host's name.
            None if name.contains('.') => format!("https://s3.{}.amazonaws.com/{name}", aws.region),
            None => format!("https://{name}.s3.{}.amazonaws.com", aws.region),
        };
        Self { aws: aws.clone(), base }
    }

    async fn call(
        &self,
        operation: &'static str,
        method: Method,
        rest: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Response<Bytes>, Fault> {
        let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
            Fault::new(FaultKind::Corrupt, operation, error.to_string())
        };
        let uri = format!("{}{rest}", self.base);
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = self.aws.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.aws.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| wrong(error.into()))?
            .into();
        let signable =
            SignableRequest::new(method.as_str(), &uri, headers.iter().copied(), SignableBody::Bytes(&body))
                .map_err(|error| wrong(error.into()))?;
        let (instructions, _) =
            sign(signable, &parameters).map_err(|error| wrong(error.into()))?.into_parts();
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).map_err(|error| wrong(error.into()))?;
        instructions.apply_to_request_http1x(&mut request);
        let (parts, body) = self.aws.upstream.send(request, Reach::Private).await?.into_parts();
        let body = whole(body).await.map_err(|broken| {
            Fault::new(FaultKind::Unavailable, operation, "the answer broke off").with_source(broken)
        })?;
        Ok(Response::from_parts(parts, body))
    }
}

#[async_trait]
impl Archive for Bucket {
    async fn write(&self, name: &str, bytes: Bytes) -> Result<Written, Fault> {
        const OPERATION: &str = "archive.write";
        let headers = [("content-type", "application/gzip"), ("if-none-match", "*")];
        // Written twice is written once: the second time the name is taken, by the same content.
        for _ in 0..3 {
            let path = format!("/{}", utf8_percent_encode(name, NAME));
            let answer = self.call(OPERATION, Method::PUT, &path, &headers, bytes.clone()).await?;
            match answer.status() {
                status if status.is_success() => return Ok(Written::New),
                StatusCode::PRECONDITION_FAILED => return Ok(Written::Existed),
                // Another write of the same name is under way: ask again who was first.
                StatusCode::CONFLICT => {}
                _ => return Err(refused(OPERATION, &answer)),
            }
        }
        Err(Fault::new(FaultKind::Conflict, OPERATION, name))
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        const OPERATION: &str = "archive.read";
        let path = format!("/{}", utf8_percent_encode(name, NAME));
        let answer = self.call(OPERATION, Method::GET, &path, &[], Bytes::new()).await?;
        match answer.status() {
            status if status.is_success() => Ok(Some(answer.into_body())),
            StatusCode::NOT_FOUND if !says(&answer, "NoSuchBucket") => Ok(None),
            _ => Err(refused(OPERATION, &answer)),
        }
    }

    async fn replace(&self, name: &str, bytes: Option<Bytes>) -> Result<(), Fault> {
        const OPERATION: &str = "archive.replace";
        let path = format!("/{}", utf8_percent_encode(name, NAME));
        let answer = match bytes {
            Some(bytes) => {
                let headers = [("content-type", "application/gzip")];
                self.call(OPERATION, Method::PUT, &path, &headers, bytes).await?
            }
            None => self.call(OPERATION, Method::DELETE, &path, &[], Bytes::new()).await?,
        };
        if answer.status().is_success() { Ok(()) } else { Err(refused(OPERATION, &answer)) }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        const OPERATION: &str = "archive.list";
        let mut listed: Vec<String> = Vec::new();
        while listed.len() < limit {
            let wanted = (limit - listed.len()).min(PAGE);
            let mut query = format!("/?encoding-type=url&list-type=2&max-keys={wanted}");
            let value = |value: &str| utf8_percent_encode(value, VALUE).to_string();
            let _ = write!(query, "&prefix={}", value(prefix));
            if let Some(after) = listed.last().map(String::as_str).or(after) {
                let _ = write!(query, "&start-after={}", value(after));
            }
            let answer = self.call(OPERATION, Method::GET, &query, &[], Bytes::new()).await?;
            if !answer.status().is_success() {
                return Err(refused(OPERATION, &answer));
            }
            let names = names(answer.body());
            let last = names.len() < wanted;
            listed.extend(names);
            if last {
                break;
            }
        }
        Ok(listed)
    }
}

/// The names in an answer to a list: with `encoding-type=url` they are free of everything that XML would escape.
fn names(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split("<Key>")
        .skip(1)
        .filter_map(|rest| rest.split_once("</Key>"))
        .map(|(name, _)| percent_decode_str(&name.replace('+', " ")).decode_utf8_lossy().into_owned())
        .collect()
}

fn says(answer: &Response<Bytes>, code: &str) -> bool {
    String::from_utf8_lossy(answer.body()).contains(code)
}

fn refused(operation: &'static str, answer: &Response<Bytes>) -> Fault {
    let status = answer.status();
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => FaultKind::Denied,
        StatusCode::PAYLOAD_TOO_LARGE => FaultKind::TooLarge,
        _ => FaultKind::Unavailable,
    };
    let text = String::from_utf8_lossy(answer.body());
    let short: String = text.chars().take(500).collect();
    Fault::new(kind, operation, format!("{status}: {short}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_list_and_decoded() {
        let body =
            b"<ListBucketResult><Prefix>v1</Prefix><Contents><Key>v1/date%3D2026-11-22/a.gz</Key></Contents>\
            <Contents><Key>v1/b+c%2Bd</Key></Contents></ListBucketResult>";
        assert_eq!(names(body), ["v1/date=2026-11-22/a.gz", "v1/b c+d"]);
    }
}
