//! Many of a noun in one call: each by itself, in order.

use http::header::{CONTENT_LENGTH, IF_MATCH};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::documents::invalid;
use super::{audit, keys, reply, scopes, shown};
use crate::domain::key::KeyState;
use crate::domain::{RequestId, Resource, Verb};
use crate::port::Body;
use crate::refusal::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Item {
    Create(Map<String, Value>),
    Update {
        id: String,
        /// Refused if it has another one.
        version: Option<u64>,
        set: Map<String, Value>,
    },
    Delete {
        id: String,
        version: Option<u64>,
    },
}

/// Each may cost several calls of the ledger, and a host may bound those of a request.
pub(super) const MOST: usize = 100;

/// `POST /admin/v1/{noun}/bulk`: what became of each item, in the order of the items. One that is refused changes nothing
/// for the others.
pub(super) async fn answer(
    call: &Call<'_>,
    resource: Resource,
    Batch { items }: Batch,
) -> Result<Response<Body>, Refusal> {
    if !(1..=MOST).contains(&items.len()) {
        return Err(invalid("items", "expected 1 to 100 items"));
    }
    // What is said of all items is judged once.
    call.shard()?;
    call.flag("cascade")?;
    let (mut results, mut refused) = (Vec::with_capacity(items.len()), 0);
    for item in items {
        let result = match Box::pin(one(call, resource, item)).await {
            Ok(answer) => {
                let mut view = shown(&answer);
                let told = ["id", "version", "key", "aws", "closed"];
                let told = told
                    .into_iter()
                    .filter_map(|name| Some((name.to_owned(), view.get_mut(name).map(Value::take)?)));
                let mut told: Map<String, Value> = told.filter(|(_, value)| !value.is_null()).collect();
                told.insert("status".to_owned(), answer.status().as_u16().into());
                Value::Object(told)
            }
            Err(refusal) => {
                refused += 1;
                if let Refusal::Forbidden { .. } = refusal {
                    let principal = Some(call.permit.principal());
                    audit::refused(call.core, call.now, call.parts, principal, &refusal).await;
                }
                let problem = refusal.problem(&refusal.public(&RequestId::mint(call.now, [0; 16])));
                json!({ "status": problem["status"], "problem": problem })
            }
        };
        results.push(result);
    }
    Ok(reply(StatusCode::OK, &json!({ "items": results, "refused": refused })))
}

async fn one(call: &Call<'_>, resource: Resource, item: Item) -> Result<Response<Body>, Refusal> {
    let (verb, version) = match &item {
        Item::Create(_) => (Verb::Create, None),
        Item::Update { version, .. } => (Verb::Change, *version),
        Item::Delete { version, .. } => (Verb::Delete, *version),
    };
    let parts = headed(call.parts, version);
    let call = &call.within(&parts, resource, verb)?;
    match (item, resource) {
        (Item::Create(said), Resource::Scope(kind)) => scopes::create(call, kind, said).await,
        (Item::Update { id, set, .. }, Resource::Scope(kind)) => scopes::update(call, kind, &id, set).await,
        (Item::Delete { id, .. }, Resource::Scope(kind)) => scopes::delete(call, kind, &id).await,
        (Item::Create(said), _) => keys::create(call, said).await,
        (Item::Update { id, set, .. }, _) => keys::update(call, &id, set).await,
        (Item::Delete { id, .. }, _) => keys::set_state(call, &id, KeyState::Revoked).await,
    }
}

/// The head of the whole call as that of one item.
fn headed(parts: &Parts, version: Option<u64>) -> Parts {
    let mut parts = parts.clone();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(IF_MATCH);
    if let Some(version) = version {
        parts.headers.insert(IF_MATCH, HeaderValue::from(version));
    }
    parts
}
