//! The gateway of this isolate: made at the first request, kept for all that follow, and kept up to date.
//!
//! Requests share it, but never a future: the runtime lets no request wait for what another one began.

use std::cell::RefCell;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatelet_core::domain::{Secret, Timestamp};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::{Chance, Defer, Store};
use gatelet_core::registry::{CATALOGUE, Registry};
use gatelet_core::{Gateway, Settings};
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::ports;

struct Isolate {
    gateway: Gateway,
    /// The document that the policy was made of; none: there is no document.
    text: Option<String>,
    looked: Timestamp,
}

thread_local! {
    static ISOLATE: RefCell<Option<Isolate>> = const { RefCell::new(None) };
}

/// The document's name in the store.
const CONFIG: &str = "config";
/// How often an isolate looks for a newer document. KV shows it no faster elsewhere than in about a minute.
const LOOK: Duration = Duration::from_secs(10);

pub(crate) async fn gateway(env: &Env) -> Result<Gateway, JsValue> {
    let now = ports::now();
    let standing = ISOLATE.with_borrow_mut(|isolate| {
        isolate.as_mut().map(|isolate| {
            let late = now.since(isolate.looked) >= LOOK;
            if late {
                isolate.looked = now;
            }
            (isolate.gateway.clone(), late)
        })
    });
    if let Some((gateway, late)) = standing {
        if late {
            refresh(env.clone());
        }
        return Ok(gateway);
    }
    let ports = crate::ports(env)?;
    let text = text(&*ports.store, env).await?;
    let policy = policy(&*ports.store, text.as_deref(), env).await?;
    let gateway = Gateway::new(ports, settings(env), policy);
    let isolate = Isolate { gateway: gateway.clone(), text, looked: now };
    ISOLATE.with_borrow_mut(|slot| *slot = Some(isolate));
    Ok(gateway)
}

/// Looks for a newer document after the answer. One that is wrong, or a store that is down, changes nothing.
fn refresh(env: Env) {
    let work = async move {
        let newer = async {
            let ports = crate::ports(&env)?;
            let text = text(&*ports.store, &env).await?;
            let changed =
                ISOLATE.with_borrow(|isolate| isolate.as_ref().is_some_and(|isolate| isolate.text != text));
            if changed {
                let policy = policy(&*ports.store, text.as_deref(), &env).await?;
                ISOLATE.with_borrow_mut(|isolate| {
                    if let Some(isolate) = isolate {
                        isolate.gateway.replace_policy(policy);
                        isolate.text = text;
                    }
                });
            }
            Ok::<(), JsValue>(())
        };
        if let Err(error) = newer.await {
            worker::console_error!("config: {}", crate::js::message(&error));
        }
    };
    ports::WaitUntil.defer(crate::js::js(work));
}

/// What was pushed to the store; before that, what was deployed in the variable `GATELET_CONFIG`.
async fn text(store: &dyn Store, env: &Env) -> Result<Option<String>, JsValue> {
    let document = store.get(CONFIG).await.map_err(|fault| error(&fault))?;
    match document {
        Some(document) => String::from_utf8(document.bytes.to_vec()).map(Some).map_err(|cause| error(&cause)),
        None => Ok(variable(env, "GATELET_CONFIG")),
    }
}

/// The policy. Where it needs models that this executable does not carry, the store's catalogue is asked for them: it is
/// read once an isolate, and by those alone that need it.
async fn policy(store: &dyn Store, text: Option<&str>, env: &Env) -> Result<Policy, JsValue> {
    let read = |registry| {
        let host = Host { variable: &|name| variable(env, name), ollama: false, registry };
        match text {
            Some(text) => Policy::read(CONFIG, text, &host).map_err(|problems| error(&problems)),
            None => Ok(Policy::without_document(&host)),
        }
    };
    let policy = read(Registry::embedded());
    if policy.as_ref().is_ok_and(|policy| policy.unknown_providers().next().is_none()) {
        return policy;
    }
    match store.get(CATALOGUE).await.map_err(|fault| error(&fault))? {
        Some(document) => read(Registry::with_catalogue(document.bytes).map_err(|cause| error(&cause))?),
        None => policy,
    }
}

/// A variable or a secret of the Worker.
fn variable(env: &Env, name: &str) -> Option<String> {
    js_sys::Reflect::get(env, &name.into()).ok()?.as_string()
}

/// An isolate has 128 MB for all its requests, and what it took once it does not give back.
fn settings(env: &Env) -> Settings {
    Settings { body_limit: 8 << 20, answer_limit: 16 << 20, ..Settings::new(admin_key(env)) }
}

/// Without the secret nobody is admin: the key is then one that nobody has seen.
fn admin_key(env: &Env) -> Secret {
    Secret::new(variable(env, "GATELET_ADMIN_KEY").filter(|key| !key.is_empty()).unwrap_or_else(|| {
        worker::console_warn!("no secret GATELET_ADMIN_KEY: the admin API is closed");
        let mut chance = [0; 32];
        ports::WorkerChance.fill(&mut chance);
        STANDARD.encode(chance)
    }))
}

fn error(cause: &impl std::fmt::Display) -> JsValue {
    js_sys::Error::new(&cause.to_string()).into()
}
