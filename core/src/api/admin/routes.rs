//! The routes under `/admin/v1`: each with what it is about and what it does there, so that nobody answers who was not
//! asked for a permission first.

use std::borrow::Cow;

use http::Method;

use crate::domain::{Resource, ScopeKind, Verb};
use crate::refusal::Refusal;

/// One route.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) method: Method,
    /// What follows `/admin/v1/`. `{scopes}` stands for the plural of any [`ScopeKind`], `{name}` for all that follows.
    pub(super) path: &'static str,
    pub(super) about: About,
    pub(super) verb: Verb,
    /// The words that its query may have.
    pub(super) query: &'static [&'static str],
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    One(Resource),
    /// What the path names.
    Scope,
}

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    CreateKey,
    ListKeys,
    ShowKey,
    UpdateKey,
    RevokeKey,
    BlockKey,
    UnblockKey,
    RotateKey,
    PairKey,
    UnpairKey,
    CreateScope,
    ListScopes,
    ShowScope,
    UpdateScope,
    DeleteScope,
    Bulk,
    ListArchive,
    ShowArchived,
    CreateCredential,
    ListCredentials,
    ShowCredential,
    ReplaceCredential,
    DeleteCredential,
    Reseal,
    CreatePrompt,
    ListPrompts,
    ShowPrompt,
    UpdatePrompt,
    DeletePrompt,
    Spend,
    Audit,
    ListRequests,
    ShowRequest,
    Score,
    Erase,
    ListErasures,
    Targets,
    Describe,
    Explain,
    PurgeCache,
    TestGuard,
    Tick,
}

const ONE: &[&str] = &["shard"];
const KEYS: &[&str] = &[
    "shard",
    "after",
    "limit",
    "alias",
    "org",
    "team",
    "project",
    "user",
    "tag",
    "kind",
    "blocked",
    "expires_before",
];
const SCOPES: &[&str] = &["shard", "after", "limit", "name", "org", "team", "user", "blocked"];
const ORG: &[&str] = &["shard", "org"];
const CASCADE: &[&str] = &["shard", "cascade"];
const SPEND: &[&str] = &[
    "shard", "from", "to", "by", "format", "org", "team", "project", "user", "key", "customer", "provider",
    "model", "tag",
];
pub(super) const REQUESTS: &[&str] = &[
    "shard",
    "from",
    "to",
    "after",
    "limit",
    "format",
    "org",
    "team",
    "project",
    "user",
    "key",
    "alias",
    "customer",
    "session",
    "tags",
    "operation",
    "dialect",
    "model",
    "target",
    "outcome",
    "status",
    "fault",
    "finish",
];
const RECORD: About = About::One(Resource::Record);
const CREDENTIAL: About = About::One(Resource::Credential);
const PROMPT: About = About::One(Resource::Prompt);
const KEY: About = About::One(Resource::Key);

const fn row(
    method: Method,
    path: &'static str,
    about: About,
    verb: Verb,
    query: &'static [&'static str],
    answer: Answer,
) -> Row {
    Row { method, path, about, verb, query, answer }
}

pub(super) static ROUTES: &[Row] = &[
    row(Method::POST, "keys", KEY, Verb::Create, ONE, Answer::CreateKey),
    row(Method::GET, "keys", KEY, Verb::Read, KEYS, Answer::ListKeys),
    row(Method::POST, "keys/bulk", KEY, Verb::Create, ONE, Answer::Bulk),
    row(Method::GET, "keys/{id}", KEY, Verb::Read, ONE, Answer::ShowKey),
    row(Method::PATCH, "keys/{id}", KEY, Verb::Change, ONE, Answer::UpdateKey),
    row(Method::DELETE, "keys/{id}", KEY, Verb::Delete, ONE, Answer::RevokeKey),
    row(Method::POST, "keys/{id}/block", KEY, Verb::Change, ONE, Answer::BlockKey),
    row(Method::POST, "keys/{id}/unblock", KEY, Verb::Change, ONE, Answer::UnblockKey),
    row(Method::POST, "keys/{id}/rotate", KEY, Verb::Unlock, ONE, Answer::RotateKey),
    row(Method::POST, "keys/{id}/aws", KEY, Verb::Unlock, ONE, Answer::PairKey),
    row(Method::DELETE, "keys/{id}/aws", KEY, Verb::Change, ONE, Answer::UnpairKey),
    row(Method::POST, "{scopes}", About::Scope, Verb::Create, ONE, Answer::CreateScope),
    row(Method::GET, "{scopes}", About::Scope, Verb::Read, SCOPES, Answer::ListScopes),
    row(Method::POST, "{scopes}/bulk", About::Scope, Verb::Create, CASCADE, Answer::Bulk),
    row(Method::GET, "{scopes}/{id}", About::Scope, Verb::Read, ONE, Answer::ShowScope),
    row(Method::PATCH, "{scopes}/{id}", About::Scope, Verb::Change, ONE, Answer::UpdateScope),
    row(Method::DELETE, "{scopes}/{id}", About::Scope, Verb::Delete, CASCADE, Answer::DeleteScope),
    row(
        Method::GET,
        "archive",
        About::One(Resource::Archive),
        Verb::Read,
        &["prefix", "after", "limit"],
        Answer::ListArchive,
    ),
    row(Method::GET, "archive/{name}", About::One(Resource::Archive), Verb::Read, &[], Answer::ShowArchived),
    row(Method::POST, "credentials", CREDENTIAL, Verb::Create, ONE, Answer::CreateCredential),
    row(Method::GET, "credentials", CREDENTIAL, Verb::Read, ONE, Answer::ListCredentials),
    row(Method::POST, "reseal", CREDENTIAL, Verb::Change, ONE, Answer::Reseal),
    row(Method::GET, "credentials/{id}", CREDENTIAL, Verb::Read, ONE, Answer::ShowCredential),
    row(Method::PUT, "credentials/{id}", CREDENTIAL, Verb::Change, ONE, Answer::ReplaceCredential),
    row(Method::DELETE, "credentials/{id}", CREDENTIAL, Verb::Delete, ONE, Answer::DeleteCredential),
    row(Method::POST, "prompts", PROMPT, Verb::Create, ORG, Answer::CreatePrompt),
    row(Method::GET, "prompts", PROMPT, Verb::Read, &["shard", "org", "after", "limit"], Answer::ListPrompts),
    row(Method::GET, "prompts/{id}", PROMPT, Verb::Read, &["shard", "org", "version"], Answer::ShowPrompt),
    row(Method::PATCH, "prompts/{id}", PROMPT, Verb::Change, ORG, Answer::UpdatePrompt),
    row(Method::DELETE, "prompts/{id}", PROMPT, Verb::Delete, ORG, Answer::DeletePrompt),
    row(Method::GET, "spend", About::One(Resource::Spend), Verb::Read, SPEND, Answer::Spend),
    row(
        Method::GET,
        "audit",
        About::One(Resource::Audit),
        Verb::Read,
        &["shard", "of", "after", "limit"],
        Answer::Audit,
    ),
    row(Method::GET, "requests", RECORD, Verb::Read, REQUESTS, Answer::ListRequests),
    row(Method::GET, "requests/{id}", RECORD, Verb::Read, ONE, Answer::ShowRequest),
    row(Method::POST, "requests/{id}/scores", RECORD, Verb::Create, ONE, Answer::Score),
    row(Method::POST, "erasures", About::One(Resource::Content), Verb::Delete, ONE, Answer::Erase),
    row(Method::GET, "erasures", About::One(Resource::Archive), Verb::Read, ONE, Answer::ListErasures),
    row(
        Method::GET,
        "targets",
        About::One(Resource::Gateway),
        Verb::Read,
        &["after", "limit"],
        Answer::Targets,
    ),
    row(Method::GET, "openapi.json", About::One(Resource::Interface), Verb::Read, &[], Answer::Describe),
    row(Method::POST, "explain", KEY, Verb::Read, ONE, Answer::Explain),
    row(Method::POST, "cache/purge", About::One(Resource::Gateway), Verb::Run, ONE, Answer::PurgeCache),
    row(Method::POST, "guards/{id}/test", About::One(Resource::Gateway), Verb::Run, &[], Answer::TestGuard),
    row(Method::POST, "tick", About::One(Resource::Gateway), Verb::Run, &[], Answer::Tick),
];

/// A route that was found, with what its path names.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) row: &'static Row,
    pub(super) resource: Resource,
    /// [`ScopeKind`] of a path that names one; of others it is never asked.
    pub(super) kind: ScopeKind,
    /// What `{id}` stands for.
    pub(super) id: Cow<'a, str>,
    /// What `{name}` stands for, in segments.
    pub(super) rest: &'a [&'a str],
}

/// The route of a method and the segments of a path.
pub(super) fn find<'a>(method: &Method, path: &'a [&'a str], whole: &str) -> Result<Found<'a>, Refusal> {
    let mut allow: Vec<&str> = Vec::new();
    for row in ROUTES {
        let Some(found) = fit(row, path) else { continue };
        if row.method == *method {
            return Ok(found);
        }
        allow.push(row.method.as_str());
    }
    if allow.is_empty() {
        return Err(Refusal::NoRoute { path: whole.to_owned() });
    }
    Err(Refusal::WrongMethod { allow: allow.join(", ") })
}

fn fit<'a>(row: &'static Row, path: &'a [&'a str]) -> Option<Found<'a>> {
    let mut found =
        Found { row, resource: Resource::Key, kind: ScopeKind::Team, id: Cow::default(), rest: &[] };
    let mut rest = path;
    for part in row.path.split('/') {
        let (segment, after) = rest.split_first()?;
        match part {
            "{scopes}" => found.kind = ScopeKind::ALL.into_iter().find(|kind| kind.plural() == *segment)?,
            // Ids of scopes may have slashes, as they are or encoded.
            "{id}" if matches!(row.about, About::Scope) => {
                let parts = rest.iter().map(|part| super::super::route::decoded(part));
                found.id = parts.collect::<Option<Vec<_>>>()?.join("/").into();
                rest = &[];
                break;
            }
            "{id}" => found.id = super::super::route::decoded(segment)?.into(),
            "{name}" => {
                found.rest = rest;
                rest = &[];
                break;
            }
            word if word == *segment => {}
            _ => return None,
        }
        rest = after;
    }
    found.resource = match row.about {
        About::One(resource) => resource,
        About::Scope => Resource::Scope(found.kind),
    };
    rest.is_empty().then_some(found)
}
