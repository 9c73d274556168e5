//! Virtual keys: create, list, show, update, block, revoke.

use std::time::Duration;

use gatelet_wire::{Json, SmallMap};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
#[cfg(feature = "schema")]
use serde_json::json;
use serde_json::{Map, Value};

use super::call::{Call, shard_named};
use super::ceilings::{Above, check_aliases, check_guards, check_increases, check_residency};
use super::documents::{self, Place, check_metadata, check_name, invalid, merge, tagged, unfit};
use super::{amend, named, once, page, read, reply};
use crate::domain::account::{Account, Holder, Limits, Statement};
use crate::domain::key::{Customers, Key, KeyKind, KeyState, KeyToken, SECRET, SigningSecret};
use crate::domain::{AccountId, Cidr, Money, Residency, Role, Scope, ScopeKind, ShardId, Span, Timestamp};
use crate::pipeline::approach;
use crate::port::Body;
use crate::refusal::Refusal;

/// What an admin may say of a key.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "KeyWish"))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))
    )]
    alias: Option<String>,
    /// Ids of what it belongs to. No organisation: the default one.
    org: Option<String>,
    team: Option<String>,
    project: Option<String>,
    user: Option<String>,
    /// None: every model.
    #[cfg_attr(feature = "schema", schemars(length(max = 1_000), inner(length(min = 1, max = 256))))]
    models: Option<Vec<String>>,
    /// Operations that it may ask for, and `models`. None: every one.
    routes: Option<Vec<String>>,
    /// Addresses and ranges from which it may be used. None: every one.
    #[cfg_attr(feature = "schema", schemars(length(max = 64)))]
    sources: Option<Vec<String>>,
    /// None: the policy's limits for keys that say nothing.
    limits: Option<Limits>,
    #[cfg_attr(
        feature = "schema",
        schemars(extend(
            "maxProperties" = 64,
            "propertyNames" = json!({ "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" })
        ))
    )]
    model_limits: SmallMap<String, Limits>,
    session_limits: Option<Limits>,
    customers: Option<Customers>,
    /// RFC 3339.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    expires: Option<String>,
    /// How long a token should be used, such as `90d`: then it is due. None: for ever.
    rotate_every: Option<Span>,
    /// Names that it may use for models, and the models that are meant.
    #[cfg_attr(
        feature = "schema",
        schemars(extend(
            "maxProperties" = 64,
            "propertyNames" = json!({ "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" }),
            "additionalProperties" = json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" })
        ))
    )]
    aliases: SmallMap<String, String>,
    /// Regions and providers that its requests may go to, beside what it belongs to says.
    residency: Option<Residency>,
    /// Guards of the policy that judge its requests, beside those that the policy and what it belongs to demand.
    #[cfg_attr(
        feature = "schema",
        schemars(length(max = 32), inner(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9._-]+$")))
    )]
    guards: Vec<String>,
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(max = 8),
            inner(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))
        )
    )]
    tags: Vec<String>,
    metadata: Map<String, Value>,
    blocked: bool,
}

impl Wish {
    fn says_limits(&self) -> bool {
        self.limits.is_some() || !self.model_limits.is_empty() || self.session_limits.is_some()
    }

    /// What was said of a key so far.
    fn of(key: &Key) -> Self {
        Self {
            alias: key.alias.clone(),
            org: key.org.clone(),
            team: key.team.clone(),
            project: key.project.clone(),
            user: key.user.clone(),
            models: key.models.clone(),
            routes: key.routes.clone(),
            sources: key.sources.clone(),
            limits: Some(key.limits.clone()),
            model_limits: key.model_limits.clone(),
            session_limits: key.session_limits.clone(),
            customers: key.customers.clone(),
            expires: key.expires.map(|at| at.to_string()),
            rotate_every: key.rotate_every,
            aliases: key.aliases.clone(),
            residency: key.residency.clone(),
            guards: key.guards.clone(),
            tags: key.tags.clone(),
            metadata: key.metadata.clone(),
            blocked: key.state == KeyState::Blocked,
        }
    }
}

/// What is said once, when a key is made, beside [`Wish`].
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "KeyCreation"))]
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Creation {
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9]{1,24}$")))]
    shard: Option<String>,
    kind: Kind,
    /// What a key that is not for models may do.
    role: Option<Role>,
    /// Whose limits it gets.
    template: Option<String>,
    /// US dollars that were spent elsewhere before: they count in all its budgets, as if they were spent now.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[0-9]{1,10}(\\.[0-9]{1,9})?$")))]
    opening: Money,
    /// It gets a pair for clients of AWS.
    aws: bool,
    /// The SHA-256 of a token that another gateway has made, in hexadecimal: that opens it, where the configuration has
    /// `imported_keys`, and no other is made.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    token_hash: Option<String>,
}

/// [`KeyKind`], as it is said in words: it stays what it was made as.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "KeyKind"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Inference,
    Management,
    ReadOnly,
}

impl Kind {
    fn with(self, role: Option<Role>) -> Result<KeyKind, Refusal> {
        match (self, role) {
            (Self::Inference, None) => Ok(KeyKind::Inference),
            (Self::Inference, Some(_)) => Err(unfit("role", "a key for models has none: name its `kind`")),
            (Self::Management, Some(role)) => Ok(KeyKind::Management(role)),
            (Self::ReadOnly, Some(role)) => Ok(KeyKind::ReadOnly(role)),
            (Self::Management | Self::ReadOnly, None) => Err(unfit("role", "a key of this kind has one")),
        }
    }

    fn of(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Inference => Self::Inference,
            KeyKind::Management(_) => Self::Management,
            KeyKind::ReadOnly(_) => Self::ReadOnly,
        }
    }
}

/// A key as the admin API shows it. Moments are RFC 3339, money is decimal strings.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Key"))]
#[derive(Serialize)]
pub(super) struct View<'a> {
    id: &'a str,
    shard: &'a ShardId,
    kind: Kind,
    role: Option<Role>,
    alias: Option<&'a str>,
    org: Option<&'a str>,
    team: Option<&'a str>,
    project: Option<&'a str>,
    user: Option<&'a str>,
    state: KeyState,
    models: Option<&'a [String]>,
    routes: Option<&'a [String]>,
    sources: Option<&'a [String]>,
    limits: &'a Limits,
    /// US dollars that were spent elsewhere before it was made: what is used has them in it. None: nothing.
    opening: Option<Money>,
    model_limits: &'a SmallMap<String, Limits>,
    session_limits: Option<&'a Limits>,
    customers: Option<&'a Customers>,
    aliases: &'a SmallMap<String, String>,
    residency: Option<&'a Residency>,
    guards: &'a [String],
    tags: &'a [String],
    metadata: &'a Map<String, Value>,
    expires: Option<String>,
    rotate_every: Option<Span>,
    /// When it should get another token.
    rotation_due: Option<String>,
    /// Until when the token before its own opens it too.
    grace_ends: Option<String>,
    created: String,
    updated: String,
    version: u64,
    /// Each limit, with what is used of it now.
    usage: Statement,
    /// None: it has no pair for clients of AWS.
    aws: Option<Access>,
}

/// The pair for clients of AWS, as it is always shown: without its secret.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AwsAccess"))]
#[derive(Serialize)]
struct Access {
    access_key_id: String,
}

/// `POST /admin/v1/keys`. The answer has the key itself in `key`: it is shown this once.
pub(super) async fn create(call: &Call<'_>, mut said: Map<String, Value>) -> Result<Response<Body>, Refusal> {
    let Creation { shard: name, kind, role, template, opening, aws, token_hash } =
        once(&mut said, &["shard", "kind", "role", "template", "opening", "aws", "token_hash"])?;
    if said.contains_key("blocked") {
        return Err(invalid("blocked", "a key is made open"));
    }
    let mut wish: Wish = named(&Value::Object(said))?;
    if sets_no_limits(call) && (wish.says_limits() || template.is_some()) {
        return Err(call.forbidden());
    }
    let shard = match name {
        Some(name) => shard_named(&name)?,
        None => call.shard()?,
    };
    wish.limits = documents::limits(call, &shard, wish.limits, template.as_deref()).await?;
    let (token, secret) = if let Some(hash) = &token_hash {
        let expected = "expected a SHA-256 in 64 hexadecimal digits, in lower case";
        (KeyToken::of_hash(&shard, hash).ok_or_else(|| unfit("token_hash", expected))?, None)
    } else {
        let mut chance = [0; 44];
        call.dice.fill(&mut chance);
        let (token, secret) = KeyToken::mint(&shard, &chance);
        (token, Some(secret))
    };
    let mut key = Key {
        signing: aws.then(|| signing(call)),
        kind: kind.with(role)?,
        opening,
        ..Key::new(token, call.now)
    };
    let (org, limited) = (wish.org.clone(), wish.limits.is_some());
    apply(call, &mut key, wish)?;
    key.org = org_of(call, &key, org).await?;
    Above::of(call, &key).await?.hold(&mut key, None, limited)?;
    let place = place(shard, &key.id);
    let account = documents::make(call, &place, Holder::Key(key.clone())).await?;
    let mut response = shown(StatusCode::CREATED, &account, call.now)?;
    amend(&mut response, |view| {
        if let Some(secret) = &secret {
            view["key"] = Value::String(secret.expose().to_owned());
        }
        if let Some(secret) = &key.signing {
            view["aws"]["secret_access_key"] = Value::String(secret.expose().to_owned());
        }
    });
    Ok(response)
}

/// `GET /admin/v1/keys?after=&limit=`, and whatever each must be: in order of id.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let text = |name| call.query(name);
    let (alias, tag, blocked) = (text("alias"), text("tag"), call.flag("blocked")?);
    let kind = text("kind");
    if kind.as_ref().is_some_and(|kind| !KeyKind::NAMES.contains(&&**kind)) {
        return Err(invalid("kind", "expected inference, management or read_only"));
    }
    let expires_before = text("expires_before").map(|text| moment("expires_before", &text)).transpose()?;
    let belongs: Vec<(ScopeKind, String)> =
        Key::BELONGS.into_iter().filter_map(|kind| Some((kind, text(kind.name())?))).collect();
    let wanted = |holder: &Holder| {
        let Holder::Key(key) = holder else { return false };
        let of = |(kind, id): &(ScopeKind, String)| match key.scope(*kind) {
            None => *kind == ScopeKind::Organisation && id == Scope::DEFAULT_ORG,
            Some(mine) => mine == id,
        };
        belongs.iter().all(of)
            && alias.as_ref().is_none_or(|alias| key.alias.as_ref() == Some(alias))
            && tag.as_ref().is_none_or(|tag| key.tags.contains(tag))
            && kind.as_ref().is_none_or(|kind| key.kind.name() == kind)
            && blocked.is_none_or(|blocked| blocked == (key.state == KeyState::Blocked))
            && expires_before.is_none_or(|at| key.expires.is_some_and(|expires| expires < at))
    };
    let (accounts, next) = documents::list(call, &call.shard()?, "key/", wanted).await?;
    let keys: Vec<View<'_>> = accounts.iter().filter_map(|account| view(account, call.now)).collect();
    Ok(page("keys", &keys, next.as_deref()))
}

fn moment(param: &str, text: &str) -> Result<Timestamp, Refusal> {
    Timestamp::parse(text).ok_or_else(|| invalid(param, "expected a moment such as 2026-12-31T00:00:00Z"))
}

/// `GET /admin/v1/keys/{id}`.
pub(super) async fn show(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let account = documents::find(call, &place(call.shard()?, id)).await?;
    shown(StatusCode::OK, &account, call.now)
}

/// `PATCH /admin/v1/keys/{id}`: a JSON merge patch of what [`Wish`] names. `If-Match` guards against others' changes.
pub(super) async fn update(
    call: &Call<'_>,
    id: &str,
    patch: Map<String, Value>,
) -> Result<Response<Body>, Refusal> {
    let edit = |key: &mut Key, above: Option<&Above>| {
        let mut merged = Json::of(&Wish::of(key)).to_value();
        merge(&mut merged, Value::Object(patch.clone()));
        let wish: Wish = named(&merged)?;
        let (before, limited) = (key.clone(), wish.limits.is_some());
        apply(call, key, wish)?;
        let same = key.limits == before.limits
            && key.model_limits == before.model_limits
            && key.session_limits == before.session_limits;
        if !same && sets_no_limits(call) {
            return Err(call.forbidden());
        }
        let Some(above) = above else { return Ok(()) };
        let stays = (&key.org, &key.team) == (&before.org, &before.team);
        above.hold(key, stays.then_some(&before), limited)
    };
    let moves = Key::BELONGS.iter().any(|kind| patch.contains_key(kind.name()));
    // What nobody may be bound in needs no looking at.
    let bounded = patch.keys().any(|name| !matches!(name.as_str(), "blocked" | "rotate_every" | "aliases"));
    let mut above = None;
    if moves || bounded {
        let account = documents::find(call, &place(call.shard()?, id)).await?;
        if let Some(Holder::Key(key)) = account.document().map(|document| &document.holder) {
            let mut key = key.clone();
            edit(&mut key, None)?;
            // What it is to belong to is looked at before it is written: that is never taken away, only closed.
            if moves {
                let stays = key.org.clone().unwrap_or_else(|| Scope::DEFAULT_ORG.to_owned());
                org_of(call, &key, Some(stays)).await?;
            }
            above = Some(Above::of(call, &key).await?);
        }
    }
    change(call, id, &|key| edit(key, above.as_ref())).await
}

/// Whoever has limits set by others does not set them on keys of their own.
fn sets_no_limits(call: &Call<'_>) -> bool {
    call.permit.principal().role() == Role::Member
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Rotation"))]
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rotation {
    /// How long the token of now goes on opening the key: not at all, unless said.
    grace: Span,
}

/// `POST /admin/v1/keys/{id}/rotate`: another token, in `key`, this once; the key, its limits and its books stay. The token
/// before works on until `grace` is over, and one before that no more.
pub(super) async fn rotate(call: &Call<'_>, id: &str, body: Body) -> Result<Response<Body>, Refusal> {
    const LONGEST: Duration = Duration::from_hours(30 * 24);
    let Rotation { grace } = read(call.parts, body).await?;
    if grace.duration() > LONGEST {
        return Err(unfit("grace", "expected at most 30d"));
    }
    let mut chance = [0; SECRET];
    call.dice.fill(&mut chance);
    let (token, secret) = KeyToken::again(&call.shard()?, id, &chance);
    let until = call.now.after(grace.duration());
    let mut changed = change(call, id, &move |key| {
        if key.state == KeyState::Revoked {
            return Err(unfit("state", "a revoked key stays revoked: make a new one"));
        }
        // Unless that was done, and is done again.
        if key.hash != token.hash {
            key.rotate(token.clone(), until, call.now);
        }
        Ok(())
    })
    .await?;
    amend(&mut changed, |view| view["key"] = Value::String(secret.expose().to_owned()));
    Ok(changed)
}

/// `POST /admin/v1/keys/{id}/aws`: a pair for clients of AWS, in place of the one that it has. Its secret is in the answer,
/// this once.
pub(super) async fn pair(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let secret = signing(call);
    let made = secret.clone();
    let mut changed = change(call, id, &move |key| {
        if key.state == KeyState::Revoked {
            return Err(unfit("state", "a revoked key stays revoked: make a new one"));
        }
        key.signing = Some(made.clone());
        Ok(())
    })
    .await?;
    amend(&mut changed, |view| {
        view["aws"]["secret_access_key"] = Value::String(secret.expose().to_owned());
    });
    Ok(changed)
}

/// `DELETE /admin/v1/keys/{id}/aws`: no signature opens the key any more, from the next request on.
pub(super) async fn unpair(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    change(call, id, &|key| {
        key.signing = None;
        Ok(())
    })
    .await
}

fn signing(call: &Call<'_>) -> SigningSecret {
    let mut chance = [0; SigningSecret::CHANCE];
    call.dice.fill(&mut chance);
    SigningSecret::mint(&chance)
}

/// `POST /admin/v1/keys/{id}/block` and `/unblock`: refused from the next request on, until it is unblocked.
/// `DELETE /admin/v1/keys/{id}`: revoked for ever, from the next request on. Its books stay.
pub(super) async fn set_state(call: &Call<'_>, id: &str, state: KeyState) -> Result<Response<Body>, Refusal> {
    change(call, id, &|key| {
        if key.state == KeyState::Revoked && state != KeyState::Revoked {
            return Err(unfit("state", "a revoked key stays revoked: make a new one"));
        }
        key.state = state;
        Ok(())
    })
    .await
}

async fn change(
    call: &Call<'_>,
    id: &str,
    edit: &(dyn Fn(&mut Key) -> Result<(), Refusal> + Send + Sync),
) -> Result<Response<Body>, Refusal> {
    let place = place(call.shard()?, id);
    let edit = |holder: &mut Holder| match holder {
        Holder::Key(key) => edit(key),
        Holder::Scope(_) => Err(Refusal::NotFound { what: WHAT }),
    };
    let account = documents::change(call, &place, &edit).await?;
    shown(StatusCode::OK, &account, call.now)
}

pub(super) fn place(shard: ShardId, id: &str) -> Place {
    Place { shard, account: AccountId::key(id), what: WHAT }
}

/// The organisation of a key that belongs to what it says, given the one that was said for it; refuses one that is to belong to what is not there, or to things
/// of several organisations.
async fn org_of(call: &Call<'_>, key: &Key, said: Option<String>) -> Result<Option<String>, Refusal> {
    let mut scopes = Vec::new();
    for kind in Key::BELONGS.into_iter().filter(|kind| *kind != ScopeKind::Organisation) {
        if let Some(id) = key.scope(kind) {
            let scope = documents::open_to_more(call, &key.shard, kind.name(), kind, id).await?;
            scopes.push((kind.name(), scope));
        }
    }
    let scopes: Vec<(&'static str, &Scope)> = scopes.iter().map(|(param, scope)| (*param, scope)).collect();
    documents::org(call, &key.shard, said, &scopes).await
}

/// Checks an admin's wish and puts it into a key.
fn apply(call: &Call<'_>, key: &mut Key, wish: Wish) -> Result<(), Refusal> {
    let Wish {
        alias,
        org,
        team,
        project,
        user,
        models,
        routes,
        sources,
        limits,
        model_limits,
        session_limits,
        customers,
        expires,
        rotate_every,
        aliases,
        residency,
        guards,
        tags,
        metadata,
        blocked,
    } = wish;
    check_name("alias", alias.as_deref())?;
    documents::check_models("models", models.as_deref())?;
    if tags.len() > Key::MOST_TAGS
        || !tags.iter().all(|tag| tag.chars().count() <= 128 && ScopeKind::Tag.allows(tag))
    {
        return Err(invalid(
            "tags",
            "expected at most 8 tags of 1 to 128 characters, without control characters",
        ));
    }
    if model_limits.len() > Key::MOST_MODEL_LIMITS
        || !model_limits.keys().all(|model| ScopeKind::Model.allows(model))
    {
        return Err(invalid("model_limits", "expected at most 64 models, by the names that callers use"));
    }
    check_aliases(&aliases)?;
    check_residency(residency.as_ref())?;
    check_guards(call, &guards, &key.guards)?;
    let limits = limits.unwrap_or_else(|| call.core.policy().key_limits().clone());
    check_increases("limits", &limits, &key.limits, call.now)?;
    let none = Limits::NONE;
    for (model, limits) in &model_limits {
        let before = key.model_limits.get(model).unwrap_or(&none);
        check_increases(&format!("model_limits.{model}"), limits, before, call.now)?;
    }
    if let Some(limits) = &session_limits {
        let before = key.session_limits.as_ref().unwrap_or(&none);
        check_increases("session_limits", limits, before, call.now)?;
    }
    documents::check_customers(customers.as_ref())?;
    check_metadata(&metadata)?;
    if routes.iter().flatten().any(|route| !approach::is_door(route)) {
        return Err(invalid(
            "routes",
            "expected names of operations, such as chat and embedding, and models",
        ));
    }
    if sources.as_ref().is_some_and(|sources| sources.len() > 64) {
        return Err(invalid("sources", "expected at most 64 addresses and ranges"));
    }
    if let Some(wrong) = sources.iter().flatten().find(|range| Cidr::parse(range).is_none()) {
        let wrong: String = wrong.chars().take(80).collect();
        return Err(unfit("sources", format!("{wrong:?} is no address, and no range such as 10.0.0.0/8")));
    }
    let expires = expires.map(|text| moment("expires", &text)).transpose()?;
    if expires.is_some_and(|at| at <= call.now) && expires != key.expires {
        return Err(unfit("expires", "expected a moment in the future"));
    }
    key.alias = alias;
    key.org = org.filter(|org| org != Scope::DEFAULT_ORG);
    key.team = team;
    key.project = project;
    key.user = user;
    key.models = models;
    key.routes = routes;
    key.sources = sources;
    key.rotate_every = rotate_every.filter(|every| *every != Span::default());
    key.limits = limits;
    key.model_limits = model_limits;
    key.session_limits = session_limits;
    key.customers = customers;
    key.aliases = aliases;
    key.residency = residency;
    key.guards = guards;
    key.tags = tags;
    key.metadata = metadata;
    key.expires = expires;
    if let Some(needed) = key.kind.role().and_then(Role::needs)
        && key.scope(needed).is_none()
    {
        return Err(unfit(needed.name(), "the role of this key ends there, so it must belong to one"));
    }
    key.state = match (key.state, blocked) {
        (KeyState::Revoked, _) => KeyState::Revoked,
        (KeyState::Active | KeyState::Blocked, true) => KeyState::Blocked,
        (KeyState::Active | KeyState::Blocked, false) => KeyState::Active,
    };
    Ok(())
}

const WHAT: &str = "key";

fn shown(status: StatusCode, account: &Account, now: Timestamp) -> Result<Response<Body>, Refusal> {
    let (Some(document), Some(view)) = (account.document(), view(account, now)) else {
        return Err(Refusal::NotFound { what: WHAT });
    };
    Ok(tagged(reply(status, &view), document))
}

pub(super) fn view(account: &Account, now: Timestamp) -> Option<View<'_>> {
    let document = account.document()?;
    let Holder::Key(key) = &document.holder else { return None };
    Some(View {
        id: &key.id,
        shard: &key.shard,
        kind: Kind::of(key.kind),
        role: key.kind.role(),
        alias: key.alias.as_deref(),
        org: key.org.as_deref(),
        team: key.team.as_deref(),
        project: key.project.as_deref(),
        user: key.user.as_deref(),
        state: key.state,
        models: key.models.as_deref(),
        routes: key.routes.as_deref(),
        sources: key.sources.as_deref(),
        limits: &key.limits,
        opening: (!key.opening.is_zero()).then_some(key.opening),
        model_limits: &key.model_limits,
        session_limits: key.session_limits.as_ref(),
        customers: key.customers.as_ref(),
        aliases: &key.aliases,
        residency: key.residency.as_ref(),
        guards: &key.guards,
        tags: &key.tags,
        metadata: &key.metadata,
        expires: key.expires.map(|at| at.to_string()),
        rotate_every: key.rotate_every,
        rotation_due: key.rotation_due().map(|at| at.to_string()),
        grace_ends: key
            .earlier
            .as_ref()
            .filter(|earlier| now < earlier.until)
            .map(|earlier| earlier.until.to_string()),
        created: key.created.to_string(),
        updated: key.updated.to_string(),
        version: document.version,
        usage: account.statement(now),
        aws: key.signing.as_ref().map(|_| Access { access_key_id: KeyToken::access_id(&key.shard, &key.id) }),
    })
}
