//! Services that judge: what each is asked, and how its answer is read. One file each.

mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::Malformed;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde_json::Value;

use super::note::Direction;
use super::scan::{Finding, Kind};
use crate::domain::{Secret, Timestamp};
use crate::exchange::Exchange;
use crate::port::{Fault, Ports, Reach};

/// A service, where it is, and what opens it.
#[derive(Clone, Debug)]
pub struct External {
    pub service: Service,
    /// Where it answers; what follows is the service's own path.
    pub base: Box<str>,
    pub key: Option<Secret>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The host is of the admin's own network.
    pub private: bool,
}

/// What is spoken there.
#[derive(Clone, Debug)]
pub enum Service {
    /// The contract that many guards speak: texts in, an action and other texts out.
    Webhook,
}

/// What a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub texts: Vec<String>,
    pub direction: Direction,
}

/// What it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Of the texts as a whole.
    pub found: Vec<Kind>,
    /// In one of the texts, by its number.
    pub spans: Vec<(usize, Vec<Finding>)>,
    /// All of the texts, as they should be said.
    pub replaced: Option<Vec<String>>,
}

/// Services by the word of the configuration, and the settings that are theirs alone.
pub const SERVICES: &[(&str, &[&str])] = &[("webhook", &[])];

/// A question on its way.
struct Asked<'a> {
    external: &'a External,
    question: &'a Question,
}

impl External {
    /// `service` is one of [`SERVICES`].
    ///
    /// # Errors
    /// What is missing, in a sentence.
    pub fn read(
        service: &str,
        url: Option<String>,
        key: Option<Secret>,
        headers: Vec<(HeaderName, HeaderValue)>,
        private: bool,
        _settings: &BTreeMap<String, Value>,
    ) -> Result<Self, String> {
        let (service, usual) = match service {
            "webhook" => (Service::Webhook, None),
            other => return Err(format!("there is no service `{other}`")),
        };
        let base =
            url.or_else(|| usual.map(str::to_owned)).ok_or("expected `url`: where the service answers")?;
        Ok(Self { service, base: base.into(), key, headers, private })
    }

    /// Asks it.
    ///
    /// # Errors
    /// It cannot be reached, takes too long, or says what is no verdict.
    pub async fn judge(&self, ports: &Ports, question: &Question, limit: Duration) -> Result<Verdict, Fault> {
        let reach = if self.private { Reach::Private } else { Reach::Public };
        // Where there is nothing to judge, nobody is asked.
        if question.texts.iter().all(String::is_empty) {
            return Ok(Verdict::default());
        }
        ports.exchange(&Asked { external: self, question }, reach, limit).await
    }

    /// A request with a body in JSON.
    fn post(&self, path: &str, body: &Value) -> Request<Bytes> {
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = Method::POST;
        if let Ok(uri) = Uri::try_from(format!("{}{path}", self.base)) {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        request
    }

    /// The same, with the key as a bearer's.
    fn bearer(&self, path: &str, body: &Value) -> Request<Bytes> {
        let mut request = self.post(path, body);
        self.credential(&mut request, AUTHORIZATION, "Bearer ");
        request
    }

    fn credential(&self, request: &mut Request<Bytes>, name: HeaderName, prefix: &str) {
        let value = self.key.as_ref().map(|key| HeaderValue::try_from(format!("{prefix}{}", key.expose())));
        if let Some(Ok(mut value)) = value {
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
    }
}

impl Exchange for Asked<'_> {
    type Answer = Verdict;

    fn ask(&self, _now: Timestamp) -> Request<Bytes> {
        match &self.external.service {
            Service::Webhook => webhook::ask(self.external, self.question),
        }
    }

    fn read(&self, reply: Response<Bytes>) -> Result<Verdict, Malformed> {
        if !reply.status().is_success() {
            return Err(Malformed::field("status", "an answer of success"));
        }
        let body =
            std::str::from_utf8(reply.body()).ok().and_then(|text| gatelet_wire::json::from_str(text).ok());
        let body: Value = body.ok_or_else(|| Malformed::field("body", "JSON"))?;
        match &self.external.service {
            Service::Webhook => webhook::read(&body),
        }
    }
}
