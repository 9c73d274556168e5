//! [`Upstream`] over the runtime's `fetch`.

use std::net::{IpAddr, Ipv6Addr};

use async_trait::async_trait;
use gatelet_core::port::{Body, Fault, FaultKind, Reach, Upstream};
use http::header;
use http::uri::Scheme;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use worker::send::SendWrapper;

use crate::{body, js};

#[derive(Debug)]
pub(crate) struct Fetch;

#[async_trait]
impl Upstream for Fetch {
    async fn send(&self, request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault> {
        js::js(send(request, reach)).await
    }
}

async fn send(request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault> {
    const OPERATION: &str = "upstream.send";
    if reach == Reach::Public && !is_public(request.uri()) {
        let context = format!("{} is not a public https address", request.uri());
        return Err(Fault::new(FaultKind::Denied, OPERATION, context));
    }
    let controller = web_sys::AbortController::new().map_err(|error| js::fault(OPERATION, &error))?;
    let (parts, content) = request.into_parts();
    let promise = js::call(
        &parts.uri.to_string(),
        parts.method.as_str(),
        &body::lines(&parts.headers),
        &body::outgoing(content, false),
        &controller,
    );
    let mut abort = Abort(Some(SendWrapper::new(controller)));
    let response = match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    // From here on, dropping the body ends the call.
    abort.0 = None;
    let response: web_sys::Response =
        response.map_err(|error| js::fault(OPERATION, &error))?.unchecked_into();

    let mut headers = body::headers(&js::head(&response));
    // The runtime has undone the encoding, and the length was that of the encoded body.
    if headers.remove(header::CONTENT_ENCODING).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    let content = match response.body() {
        Some(stream) => {
            Body::Stream(body::Incoming::stream(&stream).map_err(|error| js::fault(OPERATION, &error))?)
        }
        None => Body::Empty,
    };
    let mut answer = http::Response::new(content);
    *answer.status_mut() = http::StatusCode::from_u16(response.status())
        .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, error.to_string()))?;
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// Ends a call whose future is dropped before its head came.
struct Abort(Option<SendWrapper<web_sys::AbortController>>);

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// Whether `uri` is https to a name or an address of the public network. The runtime resolves names itself and reaches
/// no private network, so only what is written here can be judged here.
fn is_public(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    uri.scheme() == Some(&Scheme::HTTPS)
        && !host.is_empty()
        && !host.eq_ignore_ascii_case("localhost")
        && !host.to_ascii_lowercase().ends_with(".localhost")
        && host.parse::<IpAddr>().map_or(true, is_public_address)
}

fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || shared
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            let embedded = v6.to_ipv4_mapped().or_else(|| v6.to_ipv4()).filter(|_| v6 != Ipv6Addr::LOCALHOST);
            embedded.is_none_or(|v4| is_public_address(IpAddr::V4(v4)))
                && !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_to_the_public_network_is_public() {
        for public in ["https://api.openai.com/v1", "https://8.8.8.8/", "https://[2606:4700::1111]/x"] {
            assert!(is_public(&public.parse().unwrap()), "{public}");
        }
        for private in [
            "http://api.openai.com/v1",
            "https://localhost/",
            "https://a.localhost/",
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://100.64.0.1/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/",
            "https://0.0.0.0/",
            "/relative",
        ] {
            assert!(!is_public(&private.parse().unwrap()), "{private}");
        }
    }
}
