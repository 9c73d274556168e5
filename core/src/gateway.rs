//! The only public door.

use std::sync::Arc;

use gatelet_wire::DialectId;
use http::{HeaderName, HeaderValue, Request, Response};

use crate::api::{self, Route};
use crate::domain::RequestId;
use crate::policy::Policy;
use crate::port::{Body, Fault, Ports};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shared::{Core, Ticked};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-gatelet-request-id");

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
        let now = core.ports.clock.now();
        let mut chance = [0; 16];
        core.ports.chance.fill(&mut chance);
        let id = RequestId::mint(now, chance);
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query();
        let route = Route::of(&path, query, &parts.headers).or_native(&path, &parts.headers, core);
        let dialect = route.dialect();
        let mut response = match Box::pin(api::answer(core, id.clone(), now, route, parts, body)).await {
            Ok(response) => response,
            Err(refusal) => self.refused(&id, dialect, &refusal),
        };
        if let Ok(id) = HeaderValue::try_from(id.as_str()) {
            let headers = response.headers_mut();
            // The names under which the vendors' SDKs look for it, and ours.
            headers.insert(dialect.dialect().conventions().request_id, id.clone());
            headers.insert(&REQUEST_ID, id);
        }
        response
    }

    /// What is to be done from time to time: archives records. Hosts call it every second, or by their schedule.
    pub async fn tick(&self) -> Result<Ticked, Fault> {
        api::tick(&self.core).await
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

    fn refused(&self, id: &RequestId, dialect: DialectId, refusal: &Refusal) -> Response<Body> {
        let public = refusal.public(id);
        let mut response = Response::new(Body::from(dialect.dialect().write_error(&public)));
        *response.status_mut() =
            http::StatusCode::from_u16(public.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let said = dialect.dialect();
        if let Some((header, name)) = said.error_header().zip(said.error_name(&public)) {
            headers.insert(header, HeaderValue::from_static(name));
        }
        if let Some(seconds) = refusal.retry_after(self.core.ports.clock.now()) {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Refusal::WrongMethod { allow } = refusal {
            headers.insert(http::header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
