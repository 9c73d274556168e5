//! The only public door, and what a host says while it cannot open it.

use std::pin::Pin;
use std::sync::Arc;

use gatelet_wire::DialectId;
use http::{HeaderName, HeaderValue, Request, Response};

use crate::api::{self, Route};
use crate::domain::{RequestId, Timestamp};
use crate::policy::Policy;
use crate::port::{Body, Fault, Ports};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shared::{Core, Ticked};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-gatelet-request-id");
/// What most vendors call it; to make a name costs as much as to set two headers.
static VENDORS: [HeaderName; 2] =
    [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];

/// One gateway. Cheap to clone; all clones are the same one.
#[derive(Clone, Debug)]
pub struct Gateway {
    core: Arc<Core>,
}

impl Gateway {
    pub fn new(ports: Ports, settings: Settings, policy: Policy) -> Self {
        Self { core: Arc::new(Core::new(ports, settings, policy)) }
    }

    /// Answers one request. Never fails: what goes wrong is an answer too, in the caller's dialect.
    ///
    /// Dropping the future, or the answer's body before its end, means that the caller left: the upstream call is
    /// cancelled, and what was generated is charged.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let core = &self.core;
        let (now, id) = arrived(&core.ports);
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query();
        let route = Route::of(&path, query, &parts.headers).or_native(&path, &parts.headers, core);
        let words = Words::of(&route);
        let answer = boxed(|| api::answer(core, id.clone(), now, route, parts, body)).await;
        let refused = |refusal| refused(&core.ports, &id, now, words, &refusal);
        signed(answer.unwrap_or_else(refused), &id, words)
    }

    /// What is to be done from time to time: [`archive`](Self::archive), then [`tell`](Self::tell). Hosts do it every second, or
    /// by their schedule.
    pub async fn tick(&self) -> Result<Ticked, Fault> {
        api::tick(&self.core).await
    }

    /// Archives records; answers how many entries those were. Waits for nobody but the host's own stores.
    pub async fn archive(&self) -> Result<usize, Fault> {
        api::archive(&self.core, &self.core.ports.ledger.shards().await?).await
    }

    /// Tells sinks and admins, and checks targets: waits for others, some for as long as they please within a minute.
    pub async fn tell(&self) -> Result<Ticked, Fault> {
        Ok(api::tell(&self.core, &self.core.ports.ledger.shards().await?).await)
    }

    /// Puts another policy into force: from the next request on.
    pub fn replace_policy(&self, policy: Policy) {
        self.core.replace_policy(policy);
    }

    pub fn policy(&self) -> Arc<Policy> {
        self.core.policy()
    }

    pub fn ports(&self) -> &Ports {
        &self.core.ports
    }
}

/// A future that is made where it stays. `Box::pin` would make it on the stack and copy all of it, and a future is as large as
/// the largest of its states: thousands of bytes, of which the first state needs some hundred.
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// Why a host cannot make a [`Gateway`] yet.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error(transparent)]
    Store(#[from] Fault),
    /// The policy document is wrong: all of its problems.
    #[error("{0}")]
    Config(String),
}

/// What a host answers while it has no [`Gateway`]: a refusal in the caller's dialect, or that the process lives.
pub fn unready(ports: &Ports, request: &Request<Body>, why: Unready) -> Response<Body> {
    let (now, id) = arrived(ports);
    let uri = request.uri();
    let route = Route::of(uri.path(), uri.query(), request.headers());
    let words = Words::of(&route);
    let answer = match (route, why) {
        (Route::Live, _) => api::live(),
        (_, Unready::Store(fault)) => refused(ports, &id, now, words, &Refusal::Internal(fault)),
        (_, Unready::Config(_)) => refused(ports, &id, now, words, &Refusal::Unconfigured),
    };
    signed(answer, &id, words)
}

/// When a request came, and the name it gets.
fn arrived(ports: &Ports) -> (Timestamp, RequestId) {
    let now = ports.clock.now();
    let mut chance = [0; 16];
    ports.chance.fill(&mut chance);
    (now, RequestId::mint(now, chance))
}

/// The answer with its request's id, under the names for which the vendors' SDKs look, and ours.
fn signed(mut response: Response<Body>, id: &RequestId, words: Words) -> Response<Body> {
    if let Ok(id) = HeaderValue::try_from(id.as_str()) {
        let headers = response.headers_mut();
        if let Words::Vendor(dialect) = words {
            let name = dialect.dialect().conventions().request_id;
            match VENDORS.iter().find(|known| known.as_str() == name) {
                Some(known) => headers.insert(known, id.clone()),
                None => headers.insert(name, id.clone()),
            };
        }
        headers.insert(&REQUEST_ID, id);
    }
    response
}

/// In whose words a refusal is said.
#[derive(Clone, Copy, Debug)]
enum Words {
    Vendor(DialectId),
    /// Ours: problem details (RFC 9457).
    Admin,
}

impl Words {
    fn of(route: &Route<'_>) -> Self {
        match route {
            Route::Admin(_) | Route::Metrics => Self::Admin,
            other => Self::Vendor(other.dialect()),
        }
    }
}

fn refused(ports: &Ports, id: &RequestId, now: Timestamp, words: Words, refusal: &Refusal) -> Response<Body> {
    // Its caller is told that the log tells more.
    if let Refusal::Internal(fault) = refusal {
        ports.log.failed(&format!("request {id} was not served"), fault);
    }
    let public = refusal.public(id);
    let (body, kind) = match words {
        Words::Vendor(dialect) => (dialect.dialect().write_error(&public), "application/json"),
        Words::Admin => {
            (serde_json::to_vec(&refusal.problem(&public)).unwrap_or_default(), "application/problem+json")
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        http::StatusCode::from_u16(public.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Words::Vendor(dialect) = words {
        let said = dialect.dialect();
        if let Some((header, name)) = said.error_header().zip(said.error_name(&public)) {
            headers.insert(header, HeaderValue::from_static(name));
        }
    }
    if let Some(seconds) = refusal.retry_after(now) {
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Refusal::WrongMethod { allow } = refusal
        && let Ok(allow) = HeaderValue::try_from(allow)
    {
        headers.insert(http::header::ALLOW, allow);
    }
    response
}
