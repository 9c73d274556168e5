//! The gateway of this isolate: made at the first request, kept for all that follow, and kept up to date.
//!
//! Requests share it, but never a future: the runtime lets no request wait for what another one began.

use std::cell::RefCell;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatelet_core::domain::{SealingKeys, Secret, Timestamp};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::{Chance, Defer, Store, Versioned};
use gatelet_core::registry::{CATALOGUE, Registry};
use gatelet_core::{Gateway, Settings, Unready};
use worker::Env;

use crate::ask::CONFIG;
use crate::ports;

struct Isolate {
    gateway: Gateway,
    /// The document that the policy was made of; none: there is no document.
    text: Option<String>,
    /// The newest version of the document that was read here, or is being read.
    version: u64,
    env: Env,
    looked: Timestamp,
}

thread_local! {
    static ISOLATE: RefCell<Option<Isolate>> = const { RefCell::new(None) };
}

/// How often an isolate looks for a newer document by itself. KV shows it no faster elsewhere than in about a minute; shards
/// tell it at once ([`told`]).
const LOOK: Duration = Duration::from_secs(10);

pub(crate) async fn gateway(env: &Env) -> Result<Gateway, Unready> {
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
            refresh(env.clone(), None);
        }
        return Ok(gateway);
    }
    let documents = crate::store(env)?;
    let (text, version) = text(Store::get(&documents, CONFIG).await?, env)?;
    let policy = policy(&documents, text.as_deref(), env).await?;
    let gateway = Gateway::new(crate::ports(env)?, settings(env)?, policy);
    let isolate = Isolate { gateway: gateway.clone(), text, version, env: env.clone(), looked: now };
    ISOLATE.with_borrow_mut(|slot| *slot = Some(isolate));
    Ok(gateway)
}

/// A shard has been told that the configuration has this version. Where it is news, it is read now, from where it is
/// written: the requests that come then find it.
pub(crate) fn told(version: u64) {
    let news = ISOLATE.with_borrow_mut(|isolate| {
        let isolate = isolate.as_mut().filter(|isolate| isolate.version < version)?;
        let before = std::mem::replace(&mut isolate.version, version);
        Some((isolate.env.clone(), before))
    });
    if let Some((env, before)) = news {
        refresh(env, Some(before));
    }
}

/// Looks for a newer document after the answer; `told`: one is known to be there, and which version was known before. One that
/// is wrong, or a store that is down, changes nothing.
fn refresh(env: Env, told: Option<u64>) {
    let work = async move {
        let newer = async {
            let documents = crate::store(&env)?;
            let document = match told {
                Some(_) => documents.newest(CONFIG).await?,
                None => Store::get(&documents, CONFIG).await?,
            };
            let (text, version) = text(document, &env)?;
            let changed = ISOLATE.with_borrow(|isolate| {
                isolate.as_ref().is_some_and(|isolate| {
                    // KV may still have an older one; what an admin wrote there by hand has no version.
                    let older = told.is_none() && version > 0 && version < isolate.version;
                    !older && isolate.text != text
                })
            });
            if changed {
                let policy = policy(&documents, text.as_deref(), &env).await?;
                ISOLATE.with_borrow_mut(|isolate| {
                    if let Some(isolate) = isolate {
                        isolate.gateway.replace_policy(policy);
                        isolate.text = text;
                        isolate.version = isolate.version.max(version);
                    }
                });
            }
            Ok::<(), Unready>(())
        };
        if let Err(error) = newer.await {
            worker::console_error!("config: {error}");
            // It is read again when a shard says it again. A document that is wrong stays wrong.
            if let (Some(before), Unready::Store(_)) = (told, error) {
                ISOLATE.with_borrow_mut(|isolate| {
                    if let Some(isolate) = isolate {
                        isolate.version = before;
                    }
                });
            }
        }
    };
    ports::WaitUntil.defer(crate::js::js(work));
}

/// What was pushed to the store, and its version; before that, what was deployed in the variable `GATELET_CONFIG`.
fn text(document: Option<Versioned>, env: &Env) -> Result<(Option<String>, u64), Unready> {
    match document {
        Some(document) => String::from_utf8(document.bytes.to_vec())
            .map(|text| (Some(text), document.version))
            .map_err(|cause| Unready::Config(cause.to_string())),
        None => Ok((variable(env, "GATELET_CONFIG"), 0)),
    }
}

/// The policy. Where it needs models that this executable does not carry, the store's catalogue is asked for them: it is
/// read once an isolate, and by those alone that need it.
async fn policy(store: &dyn Store, text: Option<&str>, env: &Env) -> Result<Policy, Unready> {
    let read = |registry| {
        let host = Host { variable: &|name| variable(env, name), ollama: false, registry };
        match text {
            Some(text) => {
                Policy::read(CONFIG, text, &host).map_err(|problems| Unready::Config(problems.to_string()))
            }
            None => Ok(Policy::without_document(&host)),
        }
    };
    let policy = read(Registry::embedded());
    if policy.as_ref().is_ok_and(|policy| policy.unknown_providers().next().is_none()) {
        return policy;
    }
    match store.get(CATALOGUE).await? {
        Some(document) => {
            let registry = Registry::with_catalogue(document.bytes);
            read(registry.map_err(|cause| Unready::Config(cause.to_string()))?)
        }
        None => policy,
    }
}

/// A variable or a secret of the Worker.
fn variable(env: &Env, name: &str) -> Option<String> {
    js_sys::Reflect::get(env, &name.into()).ok()?.as_string()
}

/// An isolate has 128 MB for all its requests, and what it took once it does not give back.
fn settings(env: &Env) -> Result<Settings, Unready> {
    let sealing = variable(env, "GATELET_SEALING_KEY").unwrap_or_default();
    // Without it requests would show the configuration's credentials in place of their organisation's own.
    let sealing = SealingKeys::read(&sealing)
        .map_err(|wrong| Unready::Config(format!("GATELET_SEALING_KEY: {wrong}")))?;
    let settings = Settings::new(admin_key(env));
    Ok(Settings { body_limit: 8 << 20, answer_limit: 16 << 20, sealing, ..settings })
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
