//! One notice to one channel.

use std::time::Duration;

use gatelet_wire::Json;
use gatelet_wire::sigv4::keyed_hash;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde_json::json;

use super::Notice;
use crate::domain::Timestamp;
use crate::policy::{Channel, Mailer, Way};
use crate::port::{Body, Fault, FaultKind, Ports};

/// The longest that one may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Tells it. Any answer of 2xx means that it was heard.
pub(super) async fn tell(ports: &Ports, channel: &Channel, notice: &Notice) -> Result<(), Fault> {
    const OPERATION: &str = "alert.tell";
    let request = request(channel, notice, ports.clock.now())
        .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, error.to_string()))?;
    let sent = ports.upstream.send(request, channel.reach);
    let late = ports.clock.sleep(LIMIT);
    let answer = match futures_util::future::select(sent, late).await {
        futures_util::future::Either::Left((answer, _)) => answer?,
        futures_util::future::Either::Right(((), _)) => {
            return Err(Fault::new(FaultKind::Timeout, OPERATION, ""));
        }
    };
    if answer.status().is_success() {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Unavailable, OPERATION, answer.status().to_string()))
}

fn request(channel: &Channel, notice: &Notice, now: Timestamp) -> http::Result<Request<Body>> {
    let subject = format!("Gatelet: {} of {}", notice.event, notice.of);
    let body = match &channel.way {
        Way::Webhook { .. } => Json::of(notice).to_value(),
        Way::Slack => json!({ "text": notice.text }),
        Way::Mail { by: Mailer::Resend, from, to, .. } => {
            json!({ "from": from, "to": to, "subject": subject, "text": notice.text })
        }
        Way::Mail { by: Mailer::Sendgrid, from, to, .. } => {
            let to: Vec<_> = to.iter().map(|to| json!({ "email": to })).collect();
            json!({ "personalizations": [{ "to": to }], "from": { "email": from }, "subject": subject,
                "content": [{ "type": "text/plain", "value": notice.text }] })
        }
    };
    let body = body.to_string();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(channel.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("user-agent", concat!("gatelet/", env!("CARGO_PKG_VERSION")))
        // Whoever is told twice knows it by this.
        .header("idempotency-key", &notice.id);
    match &channel.way {
        Way::Webhook { secret: Some(secret) } => {
            let moment = now.seconds();
            let signature = keyed_hash(secret.expose().as_bytes(), &format!("{moment}.{body}"));
            request = request.header("x-gatelet-signature", format!("t={moment},v1={signature}"));
        }
        Way::Mail { key, .. } => {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Way::Webhook { secret: None } | Way::Slack => {}
    }
    request.body(Body::from(body.into_bytes()))
}
