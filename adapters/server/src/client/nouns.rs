//! What an admin manages, the same for every noun: made, listed, shown, changed and closed.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use gatelet_core::domain::ScopeKind;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Admin, Refused, WrongUsage, print, show, wish};
use crate::cli::{KeyFilters, Keys, Remote, ScopeFilters, Scopes};

/// One noun of the API.
struct Noun<'a> {
    admin: Admin<'a>,
    plural: &'static str,
    /// Shows one, and a list.
    one: fn(&Value) -> String,
    many: fn(&Value) -> String,
}

pub fn keys(remote: &Remote, command: Keys) -> Result<()> {
    let noun = Noun { admin: Admin::of(remote)?, plural: "keys", one: show::key, many: show::keys };
    let key = |id: &str, action: &str| {
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain {
            Ok(format!("{id}{action}"))
        } else {
            Err(WrongUsage(format!("{id:?} is not the id of a key: `gatelet keys list` shows them")))
        }
    };
    match command {
        Keys::Create { creation, wish } => {
            let key = noun.call(Method::POST, "", Some(wish::new_key(creation, wish)?))?;
            noun.once(&key)
        }
        Keys::List(filters) => noun.list(&of_keys(&filters)),
        Keys::Show { id } => noun.shown(Method::GET, &key(&id, "")?, None),
        Keys::Update { id, wish, version } => {
            noun.change(&key(&id, "")?, wish::key(wish)?, version.if_version)
        }
        Keys::Block { id } => noun.shown(Method::POST, &key(&id, "/block")?, None),
        Keys::Unblock { id } => noun.shown(Method::POST, &key(&id, "/unblock")?, None),
        Keys::Revoke { id } => noun.shown(Method::DELETE, &key(&id, "")?, None),
        Keys::Rotate { id, grace } => {
            let body = grace.map(|grace| json!({ "grace": grace }));
            noun.once(&noun.call(Method::POST, &key(&id, "/rotate")?, body)?)
        }
        Keys::Pair { id } => noun.once(&noun.call(Method::POST, &key(&id, "/aws")?, None)?),
        Keys::Unpair { id } => noun.shown(Method::DELETE, &key(&id, "/aws")?, None),
        Keys::Bulk(bulk) => noun.bulk(&bulk.file),
    }
}

pub fn scopes(remote: &Remote, kind: ScopeKind, command: Scopes) -> Result<()> {
    let noun =
        Noun { admin: Admin::of(remote)?, plural: kind.plural(), one: show::scope, many: show::scopes };
    let named = |id: &str| {
        if kind.allows(id) {
            Ok(utf8_percent_encode(id, NON_ALPHANUMERIC).to_string())
        } else {
            Err(WrongUsage(format!("{id:?} is not the id of a {kind}: {}", kind.expected())))
        }
    };
    match command {
        Scopes::Create { id, org, template, opening, wish } => {
            let once = [("id", Some(id)), ("org", org), ("template", template), ("opening", opening)];
            noun.shown(Method::POST, "", Some(wish::new_scope(once, wish)?))
        }
        Scopes::List(filters) => noun.list(&of_scopes(&filters)),
        Scopes::Show { id } => noun.shown(Method::GET, &named(&id)?, None),
        Scopes::Update { id, wish, version } => {
            noun.change(&named(&id)?, wish::scope(wish)?, version.if_version)
        }
        Scopes::Block { id } => noun.change(&named(&id)?, json!({ "blocked": true }), None),
        Scopes::Unblock { id } => noun.change(&named(&id)?, json!({ "blocked": false }), None),
        Scopes::Delete { id, cascade, version } => {
            let query = if cascade { "?cascade=true" } else { "" };
            let path = noun.path(&format!("{}{query}", named(&id)?));
            noun.told(&noun.admin.call_if(Method::DELETE, &path, None, version.if_version)?)
        }
        Scopes::Bulk(bulk) => noun.bulk(&bulk.file),
    }
}

impl Noun<'_> {
    fn path(&self, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!("/admin/v1/{}{slash}{rest}", self.plural)
    }

    fn call(&self, method: Method, rest: &str, body: Option<Value>) -> Result<Value> {
        self.admin.call(method, &self.path(rest), body)
    }

    fn told(&self, answer: &Value) -> Result<()> {
        print(self.admin.remote, answer, self.one)
    }

    fn shown(&self, method: Method, rest: &str, body: Option<Value>) -> Result<()> {
        self.told(&self.call(method, rest, body)?)
    }

    fn change(&self, rest: &str, patch: Value, version: Option<u64>) -> Result<()> {
        self.told(&self.admin.call_if(Method::PATCH, &self.path(rest), Some(patch), version)?)
    }

    /// An answer with something that is not shown again, which stands first.
    fn once(&self, answer: &Value) -> Result<()> {
        if !self.admin.remote.json {
            write!(std::io::stdout(), "{}", show::once(answer))?;
        }
        self.told(answer)
    }

    fn list(&self, filters: &[(&'static str, Option<String>)]) -> Result<()> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        let query = if query.is_empty() { query } else { format!("&{query}") };
        print(self.admin.remote, &self.admin.all_of(self.plural, &query)?, self.many)
    }

    /// Sends a file's items, as many at a time as the gateway takes.
    fn bulk(&self, file: &Path) -> Result<()> {
        const MOST: usize = 100;
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let values = serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<Vec<Value>, _>>();
        let values =
            values.map_err(|error| WrongUsage(format!("{}: expected JSON: {error}", file.display())))?;
        let items: Vec<Value> = values
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(items) => items,
                Value::Object(mut all) if all.contains_key("items") => match all.remove("items") {
                    Some(Value::Array(items)) => items,
                    other => other.into_iter().collect(),
                },
                item => vec![item],
            })
            .collect();
        let (mut told, mut refused) = (Vec::with_capacity(items.len()), 0);
        for some in items.chunks(MOST) {
            let answer = self.call(Method::POST, "bulk", Some(json!({ "items": some })))?;
            refused += answer["refused"].as_u64().unwrap_or_default();
            told.extend(answer["items"].as_array().into_iter().flatten().cloned());
        }
        print(self.admin.remote, &json!({ "items": told, "refused": refused }), show::bulk)?;
        if refused > 0 {
            bail!("{refused} of {} were refused", items.len());
        }
        Ok(())
    }
}

fn of_keys(filters: &KeyFilters) -> [(&'static str, Option<String>); 9] {
    let KeyFilters { alias, org, team, project, user, tag, kind, blocked, expires_before } = filters;
    [
        ("alias", alias.clone()),
        ("org", org.clone()),
        ("team", team.clone()),
        ("project", project.clone()),
        ("user", user.clone()),
        ("tag", tag.clone()),
        ("kind", kind.clone()),
        ("blocked", blocked.map(|blocked| blocked.to_string())),
        ("expires_before", expires_before.clone()),
    ]
}

fn of_scopes(filters: &ScopeFilters) -> [(&'static str, Option<String>); 5] {
    let ScopeFilters { name, org, team, user, blocked } = filters;
    [
        ("name", name.clone()),
        ("org", org.clone()),
        ("team", team.clone()),
        ("user", user.clone()),
        ("blocked", blocked.map(|blocked| blocked.to_string())),
    ]
}

/// The version that stood in the way, for the message.
pub(super) fn versions(answer: &Value) -> String {
    match (answer["expected_version"].as_u64(), answer["current_version"].as_u64()) {
        (Some(expected), Some(current)) => format!(" It is version {current}, not {expected}."),
        _ => String::new(),
    }
}

/// A refusal in the gateway's own words.
pub(super) fn refused(status: http::StatusCode, answer: &Value) -> Refused {
    // Problem details under `/admin/v1`, the words of OpenAI elsewhere.
    let said = |ours: &Value, theirs: &Value| ours.as_str().or(theirs.as_str()).map(str::to_owned);
    let message = said(&answer["detail"], &answer["error"]["message"]);
    let message = message.unwrap_or_else(|| "the gateway refused".to_owned()) + &versions(answer);
    let code = said(&answer["code"], &answer["error"]["code"]).unwrap_or_default();
    Refused { status, message, code }
}
