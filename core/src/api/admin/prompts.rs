//! Prompts of an organisation: written, listed, changed by another version, and taken away.
//!
//! Which organisation's: `?org=`, or that of whoever calls. Another's are not there.

use gatelet_wire::{Json, SmallMap};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::audit::{self, Change, unmade};
use super::call::Call;
use super::documents::{invalid, open_to_more, unfit};
use super::reply;
use crate::domain::scope::is_id;
use crate::domain::{Scope, ScopeKind, ShardId};
use crate::port::{Body, FaultKind};
use crate::prompt::{self, Binder, Edition, LATEST, Listed, Prompt, Wrong};
use crate::refusal::Refusal;

const WHAT: &str = "prompt";
/// How often a change is tried anew because somebody else was faster.
const TRIES: usize = 8;
const MOST_LABELS: usize = 20;

/// Whose prompts a call is about.
struct Place {
    shard: ShardId,
    org: String,
}

impl Place {
    fn of(call: &Call<'_>) -> Result<Self, Refusal> {
        let (shard, principal) = (call.shard()?, call.permit.principal());
        let own = || principal.org().unwrap_or(Scope::DEFAULT_ORG).to_owned();
        let org = call.query("org").unwrap_or_else(own);
        if !is_id(&org) {
            return Err(invalid("org", ScopeKind::Organisation.expected()));
        }
        if principal.runs(&shard, &org) { Ok(Self { shard, org }) } else { Err(missing()) }
    }
}

/// `POST /admin/v1/prompts`: the first version.
pub(super) async fn create(call: &Call<'_>, mut said: Map<String, Value>) -> Result<Response<Body>, Refusal> {
    let place = Place::of(call)?;
    let id = match said.shift_remove("id") {
        Some(Value::String(id)) if is_id(&id) => id,
        _ => return Err(invalid("id", ScopeKind::Template.expected())),
    };
    if place.org != Scope::DEFAULT_ORG {
        open_to_more(call, &place.shard, "org", ScopeKind::Organisation, &place.org).await?;
    }
    let labels = labels(said.shift_remove("labels"))?;
    let prompt = read(said)?;
    let add = |listed: &mut Listed| {
        if listed.is_there() {
            return Err(Refusal::Exists { what: WHAT });
        }
        listed.created = call.now;
        let gone = listed.add(&prompt, call.now);
        name(listed, &labels)?;
        Ok(Changed { written: Some(&prompt), before: None, after: Some(&prompt), gone })
    };
    let made = change(call, &place, &id, &add).await?;
    Ok(tagged(reply(StatusCode::CREATED, &view(&made, made.versions.last(), Some(&prompt))), &made))
}

/// `GET /admin/v1/prompts`: all, in order of name, without what they say.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let place = Place::of(call)?;
    let (after, limit) = (call.query("after"), call.page_size()?);
    let binder = Binder::read(&call.core.ports, &place.shard, &place.org).await?;
    let later = |listed: &&Listed| after.as_ref().is_none_or(|after| listed.name > *after);
    let mut all = binder.prompts.iter().filter(|listed| listed.is_there()).filter(later);
    let page: Vec<&Listed> = all.by_ref().take(limit).collect();
    let next = all.next().and(page.last()).map(|listed| &listed.name);
    let views: Vec<Value> = page.iter().map(|listed| view(listed, listed.versions.last(), None)).collect();
    Ok(reply(StatusCode::OK, &json!({ "prompts": views, "next": next })))
}

/// `GET /admin/v1/prompts/{id}?version=`: one version, by its number or a label; the newest, unless said.
pub(super) async fn show(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let place = Place::of(call)?;
    let binder = Binder::read(&call.core.ports, &place.shard, &place.org).await?;
    let listed = binder.get(id).ok_or_else(missing)?;
    let edition = listed.edition(call.query("version").as_deref()).ok_or_else(missing)?;
    let prompt = call.core.prompts.read(&call.core.ports, &place.shard, &place.org, listed, edition).await?;
    let prompt = prompt.ok_or_else(missing)?;
    Ok(tagged(reply(StatusCode::OK, &view(listed, Some(edition), Some(&prompt))), listed))
}

/// `PATCH /admin/v1/prompts/{id}`: what is named in place of what the newest version says, which makes another one; and labels, which do
/// not.
pub(super) async fn update(
    call: &Call<'_>,
    id: &str,
    mut patch: Map<String, Value>,
) -> Result<Response<Body>, Refusal> {
    let place = Place::of(call)?;
    let labels = labels(patch.shift_remove("labels").filter(|labels| !labels.is_null()))?;
    let (ports, wanted) = (&call.core.ports, call.parts.headers.get(IF_MATCH));
    let wanted = wanted.and_then(|tag| tag.to_str().ok()).map(|tag| tag.trim().trim_matches('"').to_owned());
    for _ in 0..TRIES {
        let binder = Binder::read(ports, &place.shard, &place.org).await?;
        let listed = binder.get(id).ok_or_else(missing)?;
        let newest = listed.versions.last().ok_or_else(missing)?;
        if wanted.as_ref().is_some_and(|wanted| wanted != "*" && *wanted != newest.version.to_string()) {
            let expected = wanted.and_then(|wanted| wanted.parse().ok());
            return Err(Refusal::Conflict { expected, current: Some(newest.version) });
        }
        let before = call.core.prompts.read(ports, &place.shard, &place.org, listed, newest).await?;
        let before = before.ok_or_else(missing)?;
        let mut said = before.said().clone();
        for (name, value) in patch.clone() {
            match value {
                Value::Null => drop(said.shift_remove(&name)),
                value => drop(said.insert(name, value)),
            }
        }
        let after = read(said)?;
        let (number, differs) = (newest.version, after.said() != before.said());
        let add = |listed: &mut Listed| {
            if listed.versions.last().is_none_or(|newest| newest.version != number) {
                return Err(Refusal::Conflict { expected: None, current: None });
            }
            let gone = differs.then(|| listed.add(&after, call.now)).flatten();
            listed.updated = call.now;
            name(listed, &labels)?;
            let written = differs.then_some(&after);
            Ok(Changed { written, before: Some(&before), after: Some(&after), gone })
        };
        match change(call, &place, id, &add).await {
            Ok(listed) => {
                let view = view(&listed, listed.versions.last(), Some(&after));
                return Ok(tagged(reply(StatusCode::OK, &view), &listed));
            }
            // Somebody else's version is the newest by now.
            Err(Refusal::Conflict { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Err(Refusal::Conflict { expected: None, current: None })
}

/// `DELETE /admin/v1/prompts/{id}`: all versions. Requests that name it are refused, elsewhere within ten seconds.
pub(super) async fn delete(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let place = Place::of(call)?;
    let binder = Binder::read(&call.core.ports, &place.shard, &place.org).await?;
    let gone = binder.get(id).ok_or_else(missing)?.versions.clone();
    let take = |listed: &mut Listed| {
        if !listed.is_there() {
            return Err(missing());
        }
        listed.versions.clear();
        listed.labels.clear();
        Ok(Changed { written: None, before: None, after: None, gone: None })
    };
    change(call, &place, id, &take).await?;
    prompt::discard(&call.core.ports, &place.shard, &place.org, id, &gone).await;
    Ok(reply(StatusCode::OK, &json!({ "id": id, "deleted": true })))
}

/// What a change leaves, and what the audit says of it.
struct Changed<'a> {
    /// A version that is new.
    written: Option<&'a Prompt>,
    before: Option<&'a Prompt>,
    after: Option<&'a Prompt>,
    /// A version that made room.
    gone: Option<Edition>,
}

/// Changes what is listed under a name, anew if somebody else was faster. Who does it is written down before.
async fn change<'a>(
    call: &Call<'_>,
    place: &Place,
    id: &str,
    edit: &(dyn Fn(&mut Listed) -> Result<Changed<'a>, Refusal> + Send + Sync),
) -> Result<Listed, Refusal> {
    let (ports, Place { shard, org }) = (&call.core.ports, place);
    for _ in 0..TRIES {
        let mut binder = Binder::read(ports, shard, org).await?;
        let listed = binder.slot(id, call.now).ok_or_else(missing)?;
        let labels = listed.labels.clone();
        let changed = edit(listed)?;
        let listed = listed.clone();
        let of = format!("prompt/{org}/{id}");
        let shown = |prompt: Option<&Prompt>, labels: &SmallMap<String, u64>| {
            prompt.map(|prompt| {
                let mut shown = prompt.said().clone();
                shown.insert("labels".to_owned(), Json::of(labels).to_value());
                Value::Object(shown)
            })
        };
        let entry = audit::change(
            call,
            Change {
                of: &of,
                version: listed.last,
                before: shown(changed.before, &labels),
                after: shown(changed.after, &listed.labels),
            },
        );
        if let Some(prompt) = changed.written {
            prompt::write(ports, shard, org, &listed, prompt).await?;
        }
        audit::keep(call.core, shard, entry.clone(), call.now).await?;
        let kept = binder.keep(ports, shard, org).await;
        call.core.prompts.forget();
        match kept {
            Ok(()) => {
                prompt::discard(ports, shard, org, id, changed.gone.as_slice()).await;
                return Ok(listed);
            }
            Err(fault) if fault.kind == FaultKind::Conflict => {
                unmade(call, shard, &entry, "somebody else was faster").await;
            }
            Err(fault) => {
                unmade(call, shard, &entry, "it could not be written").await;
                if fault.kind == FaultKind::TooLarge {
                    return Err(unfit("id", "there are too many prompts and versions: delete some"));
                }
                return Err(fault.into());
            }
        }
    }
    Err(Refusal::Conflict { expected: None, current: None })
}

fn read(said: Map<String, Value>) -> Result<Prompt, Refusal> {
    Prompt::read(said).map_err(|Wrong { param, problem }| Refusal::Unfit { param, problem })
}

/// Labels, each with the version that it is to name; none: it is to name nothing.
fn labels(said: Option<Value>) -> Result<SmallMap<String, Option<u64>>, Refusal> {
    let said = match said {
        None => return Ok(SmallMap::new()),
        Some(Value::Object(said)) if said.len() <= MOST_LABELS => said,
        Some(_) => {
            return Err(invalid("labels", format!("expected at most {MOST_LABELS} labels by their names")));
        }
    };
    let mut labels = SmallMap::new();
    for (label, version) in said {
        // What could be a number would name two versions.
        if !is_id(&label) || label == LATEST || label.bytes().all(|byte| byte.is_ascii_digit()) {
            let short: String = label.chars().take(64).collect();
            return Err(unfit(&format!("labels.{short}"), "expected a name of letters, other than `latest`"));
        }
        let number = version.as_u64();
        if number.is_none() && !version.is_null() {
            return Err(invalid(&format!("labels.{label}"), "expected the number of a version"));
        }
        labels.insert(label, number);
    }
    Ok(labels)
}

fn name(listed: &mut Listed, labels: &SmallMap<String, Option<u64>>) -> Result<(), Refusal> {
    for (label, version) in labels {
        let Some(version) = version else {
            listed.labels.remove(label);
            continue;
        };
        if !listed.versions.iter().any(|edition| edition.version == *version) {
            return Err(unfit(&format!("labels.{label}"), format!("there is no version {version}")));
        }
        listed.labels.insert(label.clone(), *version);
    }
    if listed.labels.len() > MOST_LABELS {
        return Err(unfit("labels", format!("expected at most {MOST_LABELS} labels")));
    }
    Ok(())
}

fn missing() -> Refusal {
    Refusal::NotFound { what: WHAT }
}

/// The answer with the newest version's number.
fn tagged(mut response: Response<Body>, listed: &Listed) -> Response<Body> {
    let newest = listed.versions.last().map_or(0, |edition| edition.version);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{newest}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// One version, with what it says where that is asked for.
fn view(listed: &Listed, edition: Option<&Edition>, prompt: Option<&Prompt>) -> Value {
    let mut view = json!({
        "id": listed.name,
        "version": edition.map(|edition| edition.version),
        "versions": listed.versions.iter().map(|edition| {
            json!({ "version": edition.version, "at": edition.at.to_string() })
        }).collect::<Vec<_>>(),
        "labels": Json::of(&listed.labels).to_value(),
        "created": listed.created.to_string(),
        "updated": listed.updated.to_string(),
    });
    if let (Some(prompt), Some(view)) = (prompt, view.as_object_mut()) {
        view.extend(prompt.said().clone());
    }
    view
}

/// What a body says of a prompt. `all`: one that makes it.
#[cfg(feature = "schema")]
pub(super) fn body(all: bool) -> Value {
    let mut properties = crate::prompt::schema();
    properties["labels"] = json!({ "type": "object", "maxProperties": MOST_LABELS, "description": "Versions by names, such \
        as `production`.", "additionalProperties": { "type": ["integer", "null"], "minimum": 0 } });
    if all {
        properties["id"] = json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$" });
        return json!({ "type": "object", "required": ["id", "messages"], "additionalProperties": false,
            "properties": properties });
    }
    for property in properties.as_object_mut().into_iter().flat_map(Map::values_mut) {
        *property = json!({ "anyOf": [property, { "type": "null" }] });
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties,
        "description": "Each of these in place of what the newest version says; null takes it away." })
}

/// What [`view`] shows.
#[cfg(feature = "schema")]
pub(super) fn shape() -> Value {
    let (time, number) =
        (json!({ "type": "string", "format": "date-time" }), json!({ "type": "integer", "minimum": 1 }));
    let mut properties = crate::prompt::schema();
    for (name, schema) in [
        ("id", json!({ "type": "string" })),
        ("version", number.clone()),
        (
            "versions",
            json!({ "type": "array", "items": { "type": "object", "required": ["version", "at"],
            "additionalProperties": false, "properties": { "version": number, "at": time } } }),
        ),
        ("labels", json!({ "type": "object", "additionalProperties": number })),
        ("created", time.clone()),
        ("updated", time.clone()),
    ] {
        properties[name] = schema;
    }
    json!({ "type": "object", "required": ["id", "version", "versions", "labels", "created", "updated"],
        "additionalProperties": false, "properties": properties })
}
