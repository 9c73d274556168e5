//! `/team/…`, `/user/…`, `/organization/…`, `/customer/…`, `/budget/…` and the like: what has limits and books.

use http::Method;
use serde_json::{Map, Value, json};

use super::fields::{Fields, invalid};
use super::{Ours, amounts, escaped, keys, members};
use crate::port::Body;
use crate::refusal::Refusal;

pub(super) const ACTIONS: [&str; 7] = ["new", "update", "delete", "info", "list", "block", "unblock"];

/// A noun of theirs that is one of our scopes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noun {
    /// Their words for it in paths.
    words: &'static [&'static str],
    /// Ours for many.
    plural: &'static str,
    /// Their field of an id, of several, and in the query of one.
    id: &'static str,
    ids: &'static str,
    asked: &'static str,
    /// Their field of a name for people.
    alias: &'static str,
    /// What their clients keep there: shown again, and nothing is done by it.
    kept: &'static [&'static str],
}

pub(super) static TEAM: Noun = Noun {
    words: &["team"],
    plural: "teams",
    id: "team_id",
    ids: "team_ids",
    asked: "team_id",
    alias: "team_alias",
    kept: &["members_with_roles", "members", "admins", "tags"],
};
static USER: Noun = Noun {
    words: &["user"],
    plural: "users",
    id: "user_id",
    ids: "user_ids",
    asked: "user_id",
    alias: "user_alias",
    kept: &["user_email", "user_role", "teams", "sso_user_id"],
};
static NOUNS: [&Noun; 7] = [
    &TEAM,
    &USER,
    &Noun {
        words: &["project"],
        plural: "projects",
        id: "project_id",
        ids: "project_ids",
        asked: "project_id",
        alias: "project_alias",
        kept: &["description", "team_id", "tags"],
    },
    &Noun {
        words: &["organization"],
        plural: "orgs",
        id: "organization_id",
        ids: "organization_ids",
        asked: "organization_id",
        alias: "organization_alias",
        kept: &[],
    },
    &Noun {
        words: &["customer", "end_user"],
        plural: "customers",
        id: "user_id",
        ids: "user_ids",
        asked: "end_user_id",
        alias: "alias",
        kept: &[],
    },
    &Noun {
        words: &["budget"],
        plural: "templates",
        id: "budget_id",
        ids: "budgets",
        asked: "budget_id",
        alias: "budget_alias",
        kept: &[],
    },
    &Noun {
        words: &["tag"],
        plural: "tags",
        id: "name",
        ids: "names",
        asked: "name",
        alias: "description",
        kept: &[],
    },
];

impl Noun {
    pub(super) fn named(word: &str) -> Option<&'static Self> {
        NOUNS.into_iter().find(|noun| noun.words.contains(&word))
    }

    /// Whether keys belong to it, by the field of its id.
    fn has_keys(&self) -> bool {
        [&TEAM, &USER].contains(&self)
    }
}

pub(super) async fn answer(ours: &Ours<'_>, noun: &Noun, action: &str, body: Body) -> Result<Value, Refusal> {
    match action {
        "info" if ours.parts.method == Method::POST => {
            let mut fields = ours.fields(body).await?;
            let ids = fields.ids(noun.ids, noun.id)?;
            fields.end()?;
            let mut found = Vec::new();
            for id in &ids {
                found.push(shown(noun, &ours.ask(Method::GET, &path(noun, id), None).await?));
            }
            Ok(Value::Array(found))
        }
        "info" => info(ours, noun).await,
        "list" => list(ours, noun).await,
        "new" => new(ours, noun, ours.fields(body).await?).await,
        "update" => update(ours, noun, ours.fields(body).await?).await,
        "delete" => delete(ours, noun, ours.fields(body).await?).await,
        "block" | "unblock" => {
            let mut fields = ours.fields(body).await?;
            let ids = fields.ids(noun.ids, noun.id)?;
            fields.end()?;
            let mut changed = Vec::new();
            for id in &ids {
                let patch = json!({ "blocked": action == "block" });
                let scope = ours.ask(Method::PATCH, &path(noun, id), Some(patch)).await?;
                changed.push(shown(noun, &scope));
            }
            Ok(if changed.len() == 1 { changed.remove(0) } else { Value::Array(changed) })
        }
        _ => Err(Refusal::NoRoute { path: ours.parts.uri.path().to_owned() }),
    }
}

async fn new(ours: &Ours<'_>, noun: &Noun, mut fields: Fields) -> Result<Value, Refusal> {
    let id = match fields.text(noun.id)? {
        Some(id) => id,
        None => ours.fresh_id(),
    };
    let mut wish = Map::from_iter([("id".to_owned(), json!(id))]);
    if let Some(alias) = fields.text(noun.alias)? {
        wish.insert("name".to_owned(), json!(alias));
    }
    let mut limits = amounts::limits(&mut fields, None)?;
    limits.retain(|_, value| !value.is_null());
    if !limits.is_empty() {
        wish.insert("limits".to_owned(), Value::Object(limits));
    }
    wish.extend(shared(&mut fields)?);
    if let Some(template) = fields.text("budget_id")? {
        wish.insert("template".to_owned(), json!(template));
    }
    wish.extend(amounts::opening(&mut fields)?);
    let mut metadata = metadata(&mut fields);
    metadata.extend(fields.keep(noun.kept));
    wish.insert("metadata".to_owned(), Value::Object(metadata));
    // Theirs makes a key for a new user, unless it is told not to.
    let with_key = *noun == USER && fields.take("auto_create_key") != Some(json!(false));
    let blocked = fields.take("blocked") == Some(json!(true));
    fields.end()?;
    let mut made = ours.ask(Method::POST, noun.plural, Some(Value::Object(wish))).await?;
    if blocked {
        made = ours.ask(Method::PATCH, &path(noun, &id), Some(json!({ "blocked": true }))).await?;
    }
    let mut shown = shown(noun, &made);
    if with_key {
        let key = ours.ask(Method::POST, "keys", Some(json!({ "user": id }))).await?;
        shown["key"] = key["key"].clone();
        shown["token"] = key["id"].clone();
    }
    Ok(shown)
}

async fn update(ours: &Ours<'_>, noun: &Noun, mut fields: Fields) -> Result<Value, Refusal> {
    let id = fields.text(noun.id)?.ok_or_else(|| invalid(noun.id, "expected an id"))?;
    let standing = ours.ask(Method::GET, &path(noun, &id), None).await?;
    let mut patch = Map::new();
    if fields.has(noun.alias) {
        patch.insert("name".to_owned(), fields.take(noun.alias).unwrap_or_default());
    }
    let limits = amounts::limits(&mut fields, Some(&standing["limits"]))?;
    if !limits.is_empty() {
        patch.insert("limits".to_owned(), Value::Object(limits));
    }
    patch.extend(shared(&mut fields)?);
    let mut metadata = metadata(&mut fields);
    metadata.extend(fields.keep(noun.kept));
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if let Some(blocked) = fields.take("blocked") {
        patch.insert("blocked".to_owned(), blocked);
    }
    fields.end()?;
    let changed = ours.ask(Method::PATCH, &path(noun, &id), Some(Value::Object(patch))).await?;
    let shown = shown(noun, &changed);
    Ok(if noun.has_keys() { json!({ noun.id: id, "data": shown }) } else { shown })
}

async fn delete(ours: &Ours<'_>, noun: &Noun, mut fields: Fields) -> Result<Value, Refusal> {
    let ids = fields.ids(noun.ids, noun.id)?;
    fields.end()?;
    let mut deleted = Vec::new();
    for id in &ids {
        // Theirs takes the keys with it.
        let path = [&path(noun, id), "?cascade=true"].concat();
        deleted.push(shown(noun, &ours.ask(Method::DELETE, &path, None).await?));
    }
    Ok(match noun.words {
        ["user"] => json!(deleted.len()),
        ["team"] => json!({ "deleted_teams": ids, "teams": deleted }),
        _ => Value::Array(deleted),
    })
}

async fn info(ours: &Ours<'_>, noun: &Noun) -> Result<Value, Refusal> {
    let id = ours.query(noun.asked).ok_or_else(|| invalid(noun.asked, "expected an id"))?;
    let found = shown(noun, &ours.ask(Method::GET, &path(noun, &id), None).await?);
    if !noun.has_keys() {
        return Ok(found);
    }
    let keys = keys::of(ours, noun.id, &id).await?;
    Ok(match noun.words {
        ["team"] => {
            let (roles, memberships) = members::of(ours, &id).await?;
            let mut found = found;
            if roles != json!([]) {
                found["members_with_roles"] = roles;
            }
            json!({ "team_id": id, "team_info": found, "keys": keys, "team_memberships": memberships })
        }
        _ => json!({ "user_id": id, "user_info": found, "keys": keys, "teams": [] }),
    })
}

async fn list(ours: &Ours<'_>, noun: &Noun) -> Result<Value, Refusal> {
    if *noun == USER { page(ours, noun).await } else { Ok(Value::Array(standing(ours, noun).await?)) }
}

/// A page of a list, as their newer routes have it.
pub(super) async fn page(ours: &Ours<'_>, noun: &Noun) -> Result<Value, Refusal> {
    let all = standing(ours, noun).await?;
    let (page, number, size, pages) = ours.page(&all, "page_size");
    Ok(
        json!({ noun.plural: page, "total": all.len(), "page": number, "page_size": size, "total_pages": pages }),
    )
}

/// Those that are not deleted.
async fn standing(ours: &Ours<'_>, noun: &Noun) -> Result<Vec<Value>, Refusal> {
    let all = ours.all(noun.plural).await?;
    Ok(all.iter().filter(|scope| scope["state"] != "deleted").map(|scope| shown(noun, scope)).collect())
}

fn path(noun: &Noun, id: &str) -> String {
    [noun.plural, "/", &escaped(id)].concat()
}

fn metadata(fields: &mut Fields) -> Map<String, Value> {
    match fields.take("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    }
}

/// What is said of whatever has keys: the models that they may call.
fn shared(fields: &mut Fields) -> Result<Map<String, Value>, Refusal> {
    let models = fields.texts("models")?;
    Ok(models.map(|models| ("models".to_owned(), keys::models(&models))).into_iter().collect())
}

/// A scope of ours in their fields.
pub(super) fn shown(noun: &Noun, scope: &Value) -> Value {
    let mut shown = amounts::shown(scope);
    shown.insert(noun.id.to_owned(), scope["id"].clone());
    shown.insert(noun.alias.to_owned(), scope["name"].clone());
    let mut metadata = scope["metadata"].as_object().cloned().unwrap_or_default();
    for name in noun.kept {
        shown.insert((*name).to_owned(), metadata.remove(*name).unwrap_or_default());
    }
    shown.insert("metadata".to_owned(), Value::Object(metadata));
    shown.insert("models".to_owned(), keys::listed(&scope["models"]));
    shown.insert("blocked".to_owned(), json!(scope["state"] == "blocked"));
    shown.insert("created_at".to_owned(), scope["created"].clone());
    shown.insert("updated_at".to_owned(), scope["updated"].clone());
    Value::Object(shown)
}
