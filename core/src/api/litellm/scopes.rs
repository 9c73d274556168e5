//! `/team/…`, `/user/…`, `/project/…`: what keys belong to.

use http::Method;
use serde_json::{Map, Value, json};

use super::fields::{Fields, invalid};
use super::{Ours, amounts, escaped};
use crate::port::Body;
use crate::refusal::Refusal;

pub(super) const ACTIONS: [&str; 7] = ["new", "update", "delete", "info", "list", "block", "unblock"];

/// A noun of theirs that is one of our scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    Team,
    User,
    Project,
}

impl Noun {
    pub(super) fn named(word: &str) -> Option<Self> {
        match word {
            "team" => Some(Self::Team),
            "user" => Some(Self::User),
            "project" => Some(Self::Project),
            _ => None,
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Team => "teams",
            Self::User => "users",
            Self::Project => "projects",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Team => "team_id",
            Self::User => "user_id",
            Self::Project => "project_id",
        }
    }

    fn ids(self) -> &'static str {
        match self {
            Self::Team => "team_ids",
            Self::User => "user_ids",
            Self::Project => "project_ids",
        }
    }

    fn alias(self) -> &'static str {
        match self {
            Self::Team => "team_alias",
            Self::User => "user_alias",
            Self::Project => "project_alias",
        }
    }

    /// What their clients keep there: shown again, and nothing is done by it.
    fn kept(self) -> &'static [&'static str] {
        match self {
            Self::Team => &["members_with_roles", "members", "admins", "tags"],
            Self::User => &["user_email", "user_role", "teams", "sso_user_id"],
            Self::Project => &["description", "team_id", "tags"],
        }
    }
}

pub(super) async fn answer(ours: &Ours<'_>, noun: Noun, action: &str, body: Body) -> Result<Value, Refusal> {
    match action {
        "info" => info(ours, noun).await,
        "list" => list(ours, noun).await,
        "new" => new(ours, noun, ours.fields(body).await?).await,
        "update" => update(ours, noun, ours.fields(body).await?).await,
        "delete" => delete(ours, noun, ours.fields(body).await?).await,
        "block" | "unblock" => {
            let mut fields = ours.fields(body).await?;
            let ids = fields.ids(noun.ids(), noun.id())?;
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

async fn new(ours: &Ours<'_>, noun: Noun, mut fields: Fields) -> Result<Value, Refusal> {
    let id = match fields.text(noun.id())? {
        Some(id) => id,
        None => ours.fresh_id(),
    };
    let mut wish = Map::from_iter([("id".to_owned(), json!(id))]);
    if let Some(alias) = fields.text(noun.alias())? {
        wish.insert("name".to_owned(), json!(alias));
    }
    let mut limits = amounts::limits(&mut fields, None)?;
    limits.retain(|_, value| !value.is_null());
    wish.insert("limits".to_owned(), Value::Object(limits));
    let mut metadata = metadata(&mut fields);
    metadata.extend(fields.keep(noun.kept()));
    wish.insert("metadata".to_owned(), Value::Object(metadata));
    // Theirs makes a key for a new user, unless it is told not to.
    let with_key = noun == Noun::User && fields.take("auto_create_key") != Some(json!(false));
    let blocked = fields.take("blocked") == Some(json!(true));
    fields.end()?;
    let mut made = ours.ask(Method::POST, noun.plural(), Some(Value::Object(wish))).await?;
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

async fn update(ours: &Ours<'_>, noun: Noun, mut fields: Fields) -> Result<Value, Refusal> {
    let id = fields.text(noun.id())?.ok_or_else(|| invalid(noun.id(), "expected an id"))?;
    let standing = ours.ask(Method::GET, &path(noun, &id), None).await?;
    let mut patch = Map::new();
    if fields.has(noun.alias()) {
        patch.insert("name".to_owned(), fields.take(noun.alias()).unwrap_or_default());
    }
    let limits = amounts::limits(&mut fields, Some(&standing["limits"]))?;
    if !limits.is_empty() {
        patch.insert("limits".to_owned(), Value::Object(limits));
    }
    let mut metadata = metadata(&mut fields);
    metadata.extend(fields.keep(noun.kept()));
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if let Some(blocked) = fields.take("blocked") {
        patch.insert("blocked".to_owned(), blocked);
    }
    fields.end()?;
    let changed = ours.ask(Method::PATCH, &path(noun, &id), Some(Value::Object(patch))).await?;
    let shown = shown(noun, &changed);
    Ok(match noun {
        Noun::Team => json!({ "team_id": id, "data": shown }),
        Noun::User => json!({ "user_id": id, "data": shown }),
        Noun::Project => shown,
    })
}

async fn delete(ours: &Ours<'_>, noun: Noun, mut fields: Fields) -> Result<Value, Refusal> {
    let ids = fields.ids(noun.ids(), noun.id())?;
    fields.end()?;
    let mut deleted = Vec::new();
    for id in &ids {
        // Theirs takes the keys with it.
        for key in super::keys::of(ours, noun.id(), id).await? {
            let key = key["token"].as_str().unwrap_or_default();
            ours.ask(Method::DELETE, &["keys/", &escaped(key)].concat(), None).await?;
        }
        deleted.push(shown(noun, &ours.ask(Method::DELETE, &path(noun, id), None).await?));
    }
    Ok(match noun {
        Noun::User => json!(deleted.len()),
        Noun::Team => json!({ "deleted_teams": ids, "teams": deleted }),
        Noun::Project => Value::Array(deleted),
    })
}

async fn info(ours: &Ours<'_>, noun: Noun) -> Result<Value, Refusal> {
    let id = ours.query(noun.id()).ok_or_else(|| invalid(noun.id(), "expected an id"))?;
    let found = shown(noun, &ours.ask(Method::GET, &path(noun, &id), None).await?);
    let keys: Vec<Value> = match noun {
        Noun::Project => Vec::new(),
        Noun::Team | Noun::User => super::keys::of(ours, noun.id(), &id).await?,
    };
    Ok(match noun {
        Noun::Team => json!({ "team_id": id, "team_info": found, "keys": keys, "team_memberships": [] }),
        Noun::User => json!({ "user_id": id, "user_info": found, "keys": keys, "teams": [] }),
        Noun::Project => found,
    })
}

async fn list(ours: &Ours<'_>, noun: Noun) -> Result<Value, Refusal> {
    match noun {
        Noun::User => page(ours, noun).await,
        Noun::Team | Noun::Project => Ok(Value::Array(standing(ours, noun).await?)),
    }
}

/// A page of a list, as their newer routes have it.
pub(super) async fn page(ours: &Ours<'_>, noun: Noun) -> Result<Value, Refusal> {
    let all = standing(ours, noun).await?;
    let (page, number, size, pages) = ours.page(&all, "page_size");
    Ok(
        json!({ noun.plural(): page, "total": all.len(), "page": number, "page_size": size, "total_pages": pages }),
    )
}

/// Those that are not deleted.
async fn standing(ours: &Ours<'_>, noun: Noun) -> Result<Vec<Value>, Refusal> {
    let all = ours.all(noun.plural()).await?;
    Ok(all.iter().filter(|scope| scope["state"] != "deleted").map(|scope| shown(noun, scope)).collect())
}

fn path(noun: Noun, id: &str) -> String {
    [noun.plural(), "/", &escaped(id)].concat()
}

fn metadata(fields: &mut Fields) -> Map<String, Value> {
    match fields.take("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    }
}

/// A scope of ours in their fields.
fn shown(noun: Noun, scope: &Value) -> Value {
    let mut shown = amounts::shown(scope);
    shown.insert(noun.id().to_owned(), scope["id"].clone());
    shown.insert(noun.alias().to_owned(), scope["name"].clone());
    let mut metadata = scope["metadata"].as_object().cloned().unwrap_or_default();
    for name in noun.kept() {
        shown.insert((*name).to_owned(), metadata.remove(*name).unwrap_or_default());
    }
    shown.insert("metadata".to_owned(), Value::Object(metadata));
    shown.insert("models".to_owned(), json!([]));
    shown.insert("blocked".to_owned(), json!(scope["state"] == "blocked"));
    shown.insert("created_at".to_owned(), scope["created"].clone());
    shown.insert("updated_at".to_owned(), scope["updated"].clone());
    Value::Object(shown)
}
