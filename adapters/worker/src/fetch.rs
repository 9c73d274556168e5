//! [`Upstream`] over the runtime's `fetch`.

use async_trait::async_trait;
use gatelet_core::port::{Body, Fault, FaultKind, Reach, Upstream, is_public_host};
use http::uri::Scheme;
use http::{StatusCode, header};
use js_sys::Array;
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
    if !is_within(request.uri(), reach) {
        let context = format!("{} is not a public address, or not https", request.uri());
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
    let answer = match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    // From here on, dropping the body ends the call.
    abort.0 = None;
    let answer: Array = answer.map_err(|error| js::fault(OPERATION, &error))?.unchecked_into();
    let corrupt = |why: String| Fault::new(FaultKind::Corrupt, OPERATION, why);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a status has three digits")]
    let status = answer.get(0).as_f64().unwrap_or_default() as u16;
    let status = StatusCode::from_u16(status).map_err(|error| corrupt(error.to_string()))?;
    let mut headers = body::headers(&answer.get(1).as_string().unwrap_or_default());
    // The runtime has undone the encoding, and the length was that of the encoded body.
    if headers.remove(header::CONTENT_ENCODING).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    let content = body::answered(answer.get(2)).map_err(|error| js::fault(OPERATION, &error))?;
    let mut answer = http::Response::new(content);
    *answer.status_mut() = status;
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

/// Whether `uri` is https (or http, where that is allowed) to a name or an address of the public network. The runtime
/// resolves names itself and reaches no private network, so only what is written here can be judged here.
fn is_within(uri: &http::Uri, reach: Reach) -> bool {
    let plain = match reach {
        Reach::Private => return true,
        Reach::Public => false,
        Reach::PublicPlain => uri.scheme() == Some(&Scheme::HTTP),
    };
    (plain || uri.scheme() == Some(&Scheme::HTTPS)) && uri.host().is_some_and(is_public_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_to_the_public_network_is_public() {
        for public in ["https://api.openai.com/v1", "https://8.8.8.8/", "https://[2606:4700::1111]/x"] {
            assert!(is_within(&public.parse().unwrap(), Reach::Public), "{public}");
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
            "https://2130706433/",
            "https://0x7f.1/",
            "https://localhost./",
            "/relative",
        ] {
            assert!(!is_within(&private.parse().unwrap(), Reach::Public), "{private}");
        }
    }

    #[test]
    fn http_to_the_public_network_is_a_reach_of_its_own() {
        assert!(is_within(&"http://example.com/".parse().unwrap(), Reach::PublicPlain));
        assert!(is_within(&"https://example.com/".parse().unwrap(), Reach::PublicPlain));
        assert!(!is_within(&"http://127.0.0.1/".parse().unwrap(), Reach::PublicPlain));
        assert!(!is_within(&"ftp://example.com/".parse().unwrap(), Reach::PublicPlain));
        assert!(is_within(&"http://127.0.0.1/".parse().unwrap(), Reach::Private));
    }
}
