//! `/key/…`: their keys, and ours.

use gatelet_wire::sort::sort_by;
use http::Method;
use serde_json::{Map, Value, json};

use super::fields::{Fields, invalid};
use super::{Ours, amounts, escaped};
use crate::domain::KeyToken;
use crate::port::Body;
use crate::refusal::Refusal;

pub(super) const ACTIONS: [&str; 10] = [
    "generate",
    "service-account",
    "update",
    "info",
    "list",
    "aliases",
    "delete",
    "block",
    "unblock",
    "regenerate",
];

pub(super) async fn answer(ours: &Ours<'_>, rest: &[&str], body: Body) -> Result<Value, Refusal> {
    match rest {
        ["info"] => info(ours).await,
        ["list"] => list(ours).await,
        ["aliases"] => aliases(ours).await,
        ["generate"] | ["service-account", "generate"] => generate(ours, ours.fields(body).await?).await,
        ["update"] => update(ours, ours.fields(body).await?).await,
        ["delete"] => delete(ours, ours.fields(body).await?).await,
        [action @ ("block" | "unblock")] => set_blocked(ours, action, ours.fields(body).await?).await,
        ["regenerate"] => regenerate(ours, None, ours.fields(body).await?).await,
        [key, "regenerate"] => regenerate(ours, Some(key), ours.fields(body).await?).await,
        _ => Err(Refusal::NoRoute { path: ours.parts.uri.path().to_owned() }),
    }
}

async fn generate(ours: &Ours<'_>, mut fields: Fields) -> Result<Value, Refusal> {
    let mut wish = wish(ours, &mut fields)?;
    let limits = amounts::limits(&mut fields, None)?;
    if !limits.is_empty() {
        wish.insert("limits".to_owned(), without_nulls(limits));
    }
    if let Some(template) = fields.text("budget_id")? {
        wish.insert("template".to_owned(), json!(template));
    }
    wish.extend(amounts::opening(&mut fields)?);
    // Of a key that their database had: its hash.
    for (there, here) in [("token", "token_hash"), ("expires", "expires")] {
        if let Some(value) = fields.text(there)? {
            wish.insert(here.to_owned(), json!(value));
        }
    }
    let blocked = fields.take("blocked") == Some(json!(true));
    fields.end()?;
    // Theirs makes a user on first sight.
    if let Some(user) = wish.get("user").and_then(Value::as_str) {
        let made = ours.ask(Method::POST, "users", Some(json!({ "id": user }))).await;
        match made {
            Ok(_) | Err(Refusal::Exists { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    wish.retain(|_, value| !value.is_null());
    let mut made = ours.ask(Method::POST, "keys", Some(Value::Object(wish))).await?;
    let secret = made["key"].take();
    if blocked {
        made = ours.ask(Method::POST, &["keys/", id(&made), "/block"].concat(), None).await?;
    }
    let mut shown = shown(&made);
    shown["key"] = secret;
    Ok(shown)
}

async fn update(ours: &Ours<'_>, mut fields: Fields) -> Result<Value, Refusal> {
    let key = named(&fields.text("key")?.ok_or_else(|| invalid("key", "expected a key or its id"))?);
    let address = ["keys/", &key].concat();
    let standing = ours.ask(Method::GET, &address, None).await?;
    let mut patch = wish(ours, &mut fields)?;
    let limits = amounts::limits(&mut fields, Some(&standing["limits"]))?;
    if !limits.is_empty() {
        patch.insert("limits".to_owned(), Value::Object(limits));
    }
    if let Some(blocked) = fields.take("blocked") {
        patch.insert("blocked".to_owned(), blocked);
    }
    fields.end()?;
    let changed = ours.ask(Method::PATCH, &address, Some(Value::Object(patch))).await?;
    let mut answer = shown(&changed);
    answer["key"] = json!(key);
    Ok(answer)
}

/// What their fields say of a key, as a merge patch of ours: all but limits.
fn wish(ours: &Ours<'_>, fields: &mut Fields) -> Result<Map<String, Value>, Refusal> {
    let mut wish = Map::new();
    for (there, here) in [
        ("key_alias", "alias"),
        ("team_id", "team"),
        ("user_id", "user"),
        ("project_id", "project"),
        ("organization_id", "org"),
        ("metadata", "metadata"),
        ("tags", "tags"),
    ] {
        if fields.has(there) {
            wish.insert(here.to_owned(), fields.take(there).unwrap_or_default());
        }
    }
    if let Some(models) = fields.texts("models")? {
        wish.insert("models".to_owned(), self::models(&models));
    }
    let by_model = amounts::by_model(fields)?;
    if !by_model.is_empty() {
        wish.insert("model_limits".to_owned(), Value::Object(by_model));
    }
    if let Some(template) = fields.text("end_user_budget_id")? {
        wish.insert("customers".to_owned(), json!({ "template": template }));
    }
    if let Some(duration) = fields.text("duration")? {
        let expires = ours.now.after(amounts::length("duration", &duration)?);
        wish.insert("expires".to_owned(), json!(expires.to_string()));
    }
    // What every key is.
    if let Some(kind) = fields.text("key_type")?
        && !["default", "llm_api"].contains(&kind.as_str())
    {
        return Err(invalid("key_type", "expected default or llm_api"));
    }
    Ok(wish)
}

async fn info(ours: &Ours<'_>) -> Result<Value, Refusal> {
    let key = ours.query("key").ok_or_else(|| invalid("key", "expected a key or its id"))?;
    let found = ours.ask(Method::GET, &["keys/", &named(&key)].concat(), None).await?;
    Ok(json!({ "key": id(&found), "info": shown(&found) }))
}

async fn list(ours: &Ours<'_>) -> Result<Value, Refusal> {
    let keys: Vec<Value> = standing(ours)
        .await?
        .iter()
        .map(shown)
        .filter(|key| {
            ["user_id", "team_id", "project_id", "key_alias"].iter().all(|field| {
                ours.query(field).is_none_or(|wanted| key[*field].as_str() == Some(wanted.as_str()))
            }) && ours.query("key_hash").is_none_or(|wanted| key["token"] == json!(named(&wanted)))
        })
        .collect();
    let (page, number, _, pages) = ours.page(&keys, "size");
    let whole = ours.query("return_full_object").is_some_and(|word| word.eq_ignore_ascii_case("true"));
    let page: Vec<Value> = if whole { page } else { page.iter().map(|key| key["token"].clone()).collect() };
    Ok(json!({ "keys": page, "total_count": keys.len(), "current_page": number, "total_pages": pages }))
}

async fn aliases(ours: &Ours<'_>) -> Result<Value, Refusal> {
    let keys = standing(ours).await?;
    let mut aliases: Vec<&str> = keys.iter().filter_map(|key| key["alias"].as_str()).collect();
    sort_by(&mut aliases, Ord::cmp);
    aliases.dedup();
    Ok(json!({ "aliases": aliases, "total_count": aliases.len(), "current_page": 1, "total_pages": 1 }))
}

/// Keys that are not revoked: theirs are gone when they are deleted.
async fn standing(ours: &Ours<'_>) -> Result<Vec<Value>, Refusal> {
    let mut keys = ours.all("keys").await?;
    keys.retain(|key| key["state"] != "revoked");
    Ok(keys)
}

/// Those whose `field` is `wanted`, in their fields.
pub(super) async fn of(ours: &Ours<'_>, field: &str, wanted: &str) -> Result<Vec<Value>, Refusal> {
    let keys = standing(ours).await?;
    Ok(keys.iter().map(shown).filter(|key| key[field].as_str() == Some(wanted)).collect())
}

async fn delete(ours: &Ours<'_>, mut fields: Fields) -> Result<Value, Refusal> {
    let keys = fields.texts("keys")?.unwrap_or_default();
    let aliases = fields.texts("key_aliases")?.unwrap_or_default();
    fields.end()?;
    if keys.is_empty() && aliases.is_empty() {
        return Err(invalid("keys", "expected `keys` or `key_aliases`"));
    }
    let mut ids: Vec<String> = keys.iter().map(|key| named(key)).collect();
    if !aliases.is_empty() {
        let standing = standing(ours).await?;
        for alias in &aliases {
            let found = standing.iter().find(|key| key["alias"].as_str() == Some(alias));
            let found = found.ok_or_else(|| invalid("key_aliases", "no key has one of these"))?;
            ids.push(id(found).to_owned());
        }
    }
    for id in &ids {
        ours.ask(Method::DELETE, &["keys/", id].concat(), None).await?;
    }
    Ok(json!({ "deleted_keys": if keys.is_empty() { aliases } else { keys } }))
}

async fn set_blocked(ours: &Ours<'_>, action: &str, mut fields: Fields) -> Result<Value, Refusal> {
    let key = fields.text("key")?.ok_or_else(|| invalid("key", "expected a key or its id"))?;
    fields.end()?;
    let changed = ours.ask(Method::POST, &["keys/", &named(&key), "/", action].concat(), None).await?;
    Ok(shown(&changed))
}

async fn regenerate(ours: &Ours<'_>, key: Option<&str>, mut fields: Fields) -> Result<Value, Refusal> {
    let said = fields.text("key")?;
    let key = key.or(said.as_deref()).ok_or_else(|| invalid("key", "expected a key or its id"))?;
    let grace =
        fields.text("grace_period")?.map(|text| amounts::length("grace_period", &text)).transpose()?;
    fields.end()?;
    let body = grace.map(|grace| json!({ "grace": format!("{}s", grace.as_secs()) }));
    let mut made = ours.ask(Method::POST, &["keys/", &named(key), "/rotate"].concat(), body).await?;
    let secret = made["key"].take();
    let mut shown = shown(&made);
    shown["key"] = secret;
    Ok(shown)
}

/// The id of a key that is named by itself, or by its id.
pub(super) fn named(key: &str) -> String {
    let id = KeyToken::parse(key).map_or_else(|| key.to_owned(), |token| token.id);
    escaped(&id)
}

fn id(key: &Value) -> &str {
    key["id"].as_str().unwrap_or_default()
}

/// A key of ours in their fields.
fn shown(key: &Value) -> Value {
    let mut shown = amounts::shown(key);
    for (there, here) in [
        ("token", "id"),
        ("token_id", "id"),
        ("key_name", "id"),
        ("key_alias", "alias"),
        ("user_id", "user"),
        ("team_id", "team"),
        ("project_id", "project"),
        ("organization_id", "org"),
        ("metadata", "metadata"),
        ("tags", "tags"),
        ("expires", "expires"),
        ("created_at", "created"),
        ("updated_at", "updated"),
    ] {
        shown.insert(there.to_owned(), key[here].clone());
    }
    shown.insert("models".to_owned(), listed(&key["models"]));
    shown.insert("blocked".to_owned(), json!(key["state"] == "blocked"));
    Value::Object(shown)
}

/// Models as ours are written: theirs are all where there are none.
pub(super) fn models(theirs: &[String]) -> Value {
    let all = theirs.is_empty() || theirs.iter().any(|model| model.starts_with("all-"));
    if all { Value::Null } else { json!(theirs) }
}

pub(super) fn listed(ours: &Value) -> Value {
    if ours.is_null() { json!([]) } else { ours.clone() }
}

fn without_nulls(mut fields: Map<String, Value>) -> Value {
    fields.retain(|_, value| !value.is_null());
    Value::Object(fields)
}
