//! The gateway of this sandbox: made at the first request, kept for all that follow, and kept up to date.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatelet_core::domain::{SealingKeys, Secret, Timestamp};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::{Body, Peer, Ports};
use gatelet_core::registry::Registry;
use gatelet_core::{Gateway, Settings, Unready};
use gatelet_tokio::Tasks;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use tokio::sync::{Mutex, OnceCell};

use crate::body::Answer;
use crate::log;
use crate::ports::{Missing, ports};

/// The document's name in the store.
const CONFIG: &str = "config";
/// A policy older than this is looked up again before it is used, so that a change holds within a second.
const LOOK: Duration = Duration::from_secs(1);
/// What is left of an invocation's time to close the books in, when core has ended an answer at its deadline.
const MARGIN: Duration = Duration::from_secs(10);

type Environment = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// One sandbox's function.
pub struct Function {
    environment: Environment,
    ports: Ports,
    tasks: Tasks,
    standing: Mutex<Option<Standing>>,
    /// What is known of models, if it is another than what the executable carries.
    registry: OnceCell<Registry>,
}

struct Standing {
    gateway: Gateway,
    /// The document that the policy was made of; none: there is no document.
    text: Option<String>,
    looked: Timestamp,
}

impl Function {
    /// Opens no connection yet, so that a sandbox is up in milliseconds.
    pub fn new(
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, Missing> {
        let tasks = Tasks::default();
        let ports = ports(&environment, &tasks)?;
        Ok(Self {
            environment: Box::new(environment),
            ports,
            tasks,
            standing: Mutex::default(),
            registry: OnceCell::new(),
        })
    }

    /// What goes on after an answer.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Answers one event: a request to the function's URL, or the schedule's. Never fails: a failure would be an invocation
    /// that failed, which the URL answers with 502.
    pub async fn serve(&self, request: Request) -> Result<Response<Answer>, Infallible> {
        let (gateway, is_tick) = (self.gateway(time_left(&request)).await, is_tick(&request));
        let request = to_core(request);
        let answer = match gateway {
            Err(why) => {
                log::error("the gateway cannot be made", &why);
                gatelet_core::unready(&self.ports, &request, why)
            }
            Ok(gateway) if is_tick => match gateway.tick().await {
                Ok(ticked) => plain(StatusCode::OK, &format!("archived {}", ticked.archived)),
                Err(fault) => {
                    log::error("tick", &fault);
                    plain(StatusCode::SERVICE_UNAVAILABLE, "the tick did not end; the next one goes on")
                }
            },
            Ok(gateway) => gateway.handle(request).await,
        };
        let (mut parts, body) = answer.into_parts();
        parts.headers = joined(parts.headers);
        Ok(Response::from_parts(parts, Answer::new(body, self.tasks.clone())))
    }

    /// The gateway with the policy of now.
    async fn gateway(&self, time_left: Duration) -> Result<Gateway, Unready> {
        let now = self.ports.clock.now();
        let mut standing = self.standing.lock().await;
        if let Some(standing) = standing.as_mut() {
            if now.since(standing.looked) >= LOOK {
                // A document that is wrong, or a store that is down, changes nothing.
                match self.text().await {
                    Ok(text) if text == standing.text => standing.looked = now,
                    Ok(text) => match self.policy(text.as_deref()).await {
                        Ok(policy) => {
                            standing.gateway.replace_policy(policy);
                            standing.text = text;
                            standing.looked = now;
                        }
                        Err(unready) => log::error("config", &unready),
                    },
                    Err(unready) => log::warn("config", &unready),
                }
            }
            return Ok(standing.gateway.clone());
        }
        let text = self.text().await?;
        let policy = self.policy(text.as_deref()).await?;
        let mut settings = Settings::new(self.admin_key());
        let sealing = (self.environment)("GATELET_SEALING_KEY").unwrap_or_default();
        // Without it requests would show the configuration's credentials in place of their organisation's own.
        settings.sealing = SealingKeys::read(&sealing)
            .map_err(|wrong| Unready::Config(format!("GATELET_SEALING_KEY: {wrong}")))?;
        // The first invocation shows how long the function may take.
        let most = time_left.saturating_sub(MARGIN).max(time_left / 2);
        settings.deadline = settings.deadline.min(most);
        let gateway = Gateway::new(self.ports.clone(), settings, policy);
        *standing = Some(Standing { gateway: gateway.clone(), text, looked: now });
        Ok(gateway)
    }

    /// What was pushed to the store; before that, what was deployed in the variable `GATELET_CONFIG`.
    async fn text(&self) -> Result<Option<String>, Unready> {
        let document = self.ports.store.get(CONFIG).await.map_err(Unready::Store)?;
        match document {
            Some(document) => {
                let text = String::from_utf8(document.bytes.to_vec());
                text.map(Some).map_err(|error| Unready::Config(error.to_string()))
            }
            None => Ok((self.environment)("GATELET_CONFIG")),
        }
    }

    async fn policy(&self, text: Option<&str>) -> Result<Policy, Unready> {
        let registry = self.registry().await;
        let host = Host { variable: &|name| (self.environment)(name), ollama: false, registry };
        match text {
            Some(text) => {
                Policy::read(CONFIG, text, &host).map_err(|problems| Unready::Config(problems.to_string()))
            }
            None => Ok(Policy::without_document(&host)),
        }
    }

    /// The catalogue that the variable `GATELET_CATALOGUE` names in the bucket, read once a sandbox; else, and as long as
    /// that cannot be read, what the executable carries.
    async fn registry(&self) -> Registry {
        let Some(name) = (self.environment)("GATELET_CATALOGUE") else { return Registry::full() };
        let loaded = self.registry.get_or_try_init(|| async {
            let bytes = self.ports.archive.read(&name).await.map_err(|fault| fault.to_string())?;
            let bytes = bytes.ok_or_else(|| format!("the bucket has no {name}"))?;
            Registry::with_catalogue(bytes).map_err(|error| format!("{name}: {error}"))
        });
        match loaded.await {
            Ok(registry) => registry.clone(),
            Err(error) => {
                log::warn("catalogue", &error);
                Registry::full()
            }
        }
    }

    /// Without the variable nobody is admin: the key is then one that nobody has seen.
    fn admin_key(&self) -> Secret {
        Secret::new((self.environment)("GATELET_ADMIN_KEY").unwrap_or_else(|| {
            log::warn("the admin API is closed", &"the environment has no GATELET_ADMIN_KEY");
            let mut chance = [0; 32];
            self.ports.chance.fill(&mut chance);
            format!("{chance:02x?}")
        }))
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

/// Whether this is the event of the schedule, `{"gatelet":"tick"}`: nothing that comes in by the URL looks like it.
fn is_tick(request: &Request) -> bool {
    matches!(request.request_context_ref(), Some(RequestContext::PassThrough))
}

fn time_left(request: &Request) -> Duration {
    let deadline = request.lambda_context_ref().map_or(0, |context| context.deadline);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(deadline).saturating_sub(now)
}

fn to_core(mut request: Request) -> http::Request<Body> {
    // AWS says who sent it: it is not one of the headers, which callers write.
    let peer = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.as_ref().and_then(|address| address.parse().ok())
        }
        _ => None,
    };
    if let Some(peer) = peer {
        request.extensions_mut().insert(Peer(peer));
    }
    request.map(|body| match body {
        lambda_http::Body::Text(text) => Body::from(text.into_bytes()),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        // `Empty`; the type is open, but there is no other kind of body.
        _ => Body::Empty,
    })
}

/// Headers that come more than once are joined: the runtime would send them as an array, which a function URL is not known
/// to read. Cookies go another way.
fn joined(headers: HeaderMap) -> HeaderMap {
    let mut once: HeaderMap = HeaderMap::with_capacity(headers.len());
    let mut last: Option<HeaderName> = None;
    for (name, value) in headers {
        let Some(name) = name.or_else(|| last.clone()) else { continue };
        last = Some(name.clone());
        let together = match once.get(&name) {
            Some(first) if name != header::SET_COOKIE => {
                let both = [first.as_bytes(), b", ", value.as_bytes()].concat();
                HeaderValue::from_bytes(&both).unwrap_or(value)
            }
            _ => value,
        };
        if name == header::SET_COOKIE {
            once.append(name, together);
        } else {
            once.insert(name, together);
        }
    }
    once
}

fn plain(status: StatusCode, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "message": message }).to_string();
    let mut response = Response::new(Body::from(text.into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests;
