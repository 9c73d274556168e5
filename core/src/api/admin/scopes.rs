//! Organisations, teams, users, customers, tags and the like: what has limits and books of its own beside keys.

use gatelet_wire::{Json, SmallMap};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
#[cfg(feature = "schema")]
use serde_json::json;
use serde_json::{Map, Value};

use super::call::Call;
use super::ceilings::{self, check_aliases, check_guards, check_increases, check_residency};
use super::documents::{self, Place, check_metadata, check_name, invalid, merge, tagged, unfit};
use super::{amend, dependents, named, once, page, reply};
use crate::domain::account::{Account, Holder, Limits, Statement};
use crate::domain::key::Customers;
use crate::domain::{Ceilings, Key, Money, Residency, Scope, ScopeKind, ScopeState, ShardId, Timestamp};
use crate::port::Body;
use crate::refusal::Refusal;

/// What an admin may say of a scope.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ScopeWish"))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))
    )]
    name: Option<String>,
    limits: Option<Limits>,
    #[cfg_attr(feature = "schema", schemars(length(max = 1_000), inner(length(min = 1, max = 256))))]
    models: Option<Vec<String>>,
    customers: Option<Customers>,
    /// Names that its keys may use for models, and the models that are meant: of teams.
    #[cfg_attr(
        feature = "schema",
        schemars(extend(
            "maxProperties" = 64,
            "propertyNames" = json!({ "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" }),
            "additionalProperties" = json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" })
        ))
    )]
    aliases: SmallMap<String, String>,
    /// Regions and providers that requests of its keys may go to: of organisations, teams, projects and users.
    residency: Option<Residency>,
    /// Guards of the policy that judge the requests of all its keys: of organisations, teams, projects and users.
    #[cfg_attr(
        feature = "schema",
        schemars(length(max = 32), inner(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9._-]+$")))
    )]
    guards: Vec<String>,
    /// What keys of it may be that others make: of teams and organisations.
    ceilings: Option<Ceilings>,
    metadata: Map<String, Value>,
    blocked: bool,
}

/// What is said once, when it is made, beside [`Wish`].
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ScopeCreation"))]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    id: String,
    /// None: the default one.
    #[serde(default)]
    org: Option<String>,
    /// Whose limits it gets.
    #[serde(default)]
    template: Option<String>,
    /// US dollars that were spent elsewhere before: they count in all its budgets, as if they were spent now.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[0-9]{1,10}(\\.[0-9]{1,9})?$")))]
    opening: Money,
}

/// A scope as the admin API shows it. Moments are RFC 3339, money is decimal strings.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Scope"))]
#[derive(Serialize)]
pub(super) struct View<'a> {
    id: &'a str,
    shard: &'a ShardId,
    org: Option<&'a str>,
    name: Option<&'a str>,
    state: ScopeState,
    limits: &'a Limits,
    /// US dollars that were spent elsewhere before it was made: what is used has them in it. None: nothing.
    opening: Option<Money>,
    template: Option<&'a str>,
    models: Option<&'a [String]>,
    customers: Option<&'a Customers>,
    aliases: &'a SmallMap<String, String>,
    residency: Option<&'a Residency>,
    guards: &'a [String],
    ceilings: Option<&'a Ceilings>,
    metadata: &'a Map<String, Value>,
    created: String,
    updated: String,
    version: u64,
    /// Each limit, with what all its keys use of it now.
    usage: Statement,
}

/// `POST /admin/v1/{kind}`.
pub(super) async fn create(
    call: &Call<'_>,
    kind: ScopeKind,
    mut said: Map<String, Value>,
) -> Result<Response<Body>, Refusal> {
    let Creation { id, org, template, opening } = once(&mut said, &["id", "org", "template", "opening"])?;
    if said.contains_key("blocked") {
        return Err(invalid("blocked", "it is made open"));
    }
    let mut wish: Wish = named(&Value::Object(said))?;
    if !kind.allows(&id) {
        return Err(invalid("id", kind.expected()));
    }
    if kind == ScopeKind::Organisation && org.is_some() {
        return Err(unfit("org", "an organisation belongs to none"));
    }
    if kind == ScopeKind::Template && !opening.is_zero() {
        return Err(unfit("opening", "a template has no books"));
    }
    let shard = call.shard()?;
    let org = match id.split_once('/').filter(|_| kind == ScopeKind::Member) {
        Some((team, user)) => {
            let team = documents::open_to_more(call, &shard, "id", ScopeKind::Team, team).await?;
            let user = documents::open_to_more(call, &shard, "id", ScopeKind::User, user).await?;
            documents::org(call, &shard, org, &[("id", &team), ("id", &user)]).await?
        }
        None => documents::org(call, &shard, org, &[]).await?,
    };
    let place = place(shard.clone(), kind, &id);
    wish.limits = documents::limits(call, &shard, wish.limits, template.as_deref()).await?;
    let mut scope = Scope { org, opening, template, ..Scope::new(kind, id, shard, call.now) };
    apply(call, &mut scope, wish)?;
    let account = documents::make(call, &place, Holder::Scope(scope)).await?;
    shown(StatusCode::CREATED, &account, kind, call.now)
}

/// `GET /admin/v1/{kind}?after=&limit=`, and whatever each must be: in order of id.
pub(super) async fn list(call: &Call<'_>, kind: ScopeKind) -> Result<Response<Body>, Refusal> {
    let (name, blocked) = (call.query("name"), call.flag("blocked")?);
    let within = [ScopeKind::Organisation, ScopeKind::Team, ScopeKind::User];
    let within: Vec<(ScopeKind, String)> =
        within.into_iter().filter_map(|kind| Some((kind, call.query(kind.name())?))).collect();
    let wanted = |holder: &Holder| {
        let Holder::Scope(scope) = holder else { return false };
        let default = |kind, id: &str| {
            kind == ScopeKind::Organisation
                && scope.kind != kind
                && scope.org.is_none()
                && id == Scope::DEFAULT_ORG
        };
        within.iter().all(|(kind, id)| scope.belongs_to(*kind, id) || default(*kind, id))
            && name.as_ref().is_none_or(|name| scope.name.as_ref() == Some(name))
            && blocked.is_none_or(|blocked| blocked == (scope.state == ScopeState::Blocked))
    };
    let (accounts, next) = documents::list(call, &call.shard()?, kind.account("").as_str(), wanted).await?;
    let scopes: Vec<View<'_>> = accounts.iter().filter_map(|account| view(account, call.now)).collect();
    Ok(page(kind.plural(), &scopes, next.as_deref()))
}

/// `GET /admin/v1/{kind}/{id}`.
pub(super) async fn show(call: &Call<'_>, kind: ScopeKind, id: &str) -> Result<Response<Body>, Refusal> {
    let account = documents::find(call, &place(call.shard()?, kind, id)).await?;
    shown(StatusCode::OK, &account, kind, call.now)
}

/// `PATCH /admin/v1/{kind}/{id}`: a JSON merge patch of what [`Wish`] names. `If-Match` guards against
/// others' changes.
pub(super) async fn update(
    call: &Call<'_>,
    kind: ScopeKind,
    id: &str,
    patch: Map<String, Value>,
) -> Result<Response<Body>, Refusal> {
    change(call, kind, id, &|scope| {
        let current = Wish {
            name: scope.name.clone(),
            limits: Some(scope.limits.clone()),
            models: scope.models.clone(),
            customers: scope.customers.clone(),
            aliases: scope.aliases.clone(),
            residency: scope.residency.clone(),
            guards: scope.guards.clone(),
            ceilings: scope.ceilings.clone(),
            metadata: scope.metadata.clone(),
            blocked: scope.state == ScopeState::Blocked,
        };
        let mut merged = Json::of(&current).to_value();
        merge(&mut merged, Value::Object(patch.clone()));
        apply(call, scope, named(&merged)?)
    })
    .await
}

/// `DELETE /admin/v1/{kind}/{id}`: nothing that belongs to it may call any more, from the next request
/// on, and nothing more may belong to it. Its books stay. Refused while something that is open belongs to it, unless that is
/// to be closed with it (`cascade=true`).
pub(super) async fn delete(call: &Call<'_>, kind: ScopeKind, id: &str) -> Result<Response<Body>, Refusal> {
    let shard = call.shard()?;
    documents::find(call, &place(shard.clone(), kind, id)).await?;
    let cascade = call.flag("cascade")?.unwrap_or(false);
    dependents::judge(call, &shard, kind, id, cascade).await?;
    let mut closed = change(call, kind, id, &|scope| {
        scope.state = ScopeState::Deleted;
        Ok(())
    })
    .await?;
    // What came between is closed, too: from now on nothing more comes.
    let with_it = dependents::close(call, &shard, kind, id).await?;
    amend(&mut closed, |view| view["closed"] = Json::of(&with_it).to_value());
    Ok(closed)
}

async fn change(
    call: &Call<'_>,
    kind: ScopeKind,
    id: &str,
    edit: &(dyn Fn(&mut Scope) -> Result<(), Refusal> + Send + Sync),
) -> Result<Response<Body>, Refusal> {
    let place = place(call.shard()?, kind, id);
    let edit = |holder: &mut Holder| match holder {
        Holder::Scope(scope) => edit(scope),
        Holder::Key(_) => Err(Refusal::NotFound { what: kind.name() }),
    };
    let account = documents::change(call, &place, &edit).await?;
    shown(StatusCode::OK, &account, kind, call.now)
}

fn place(shard: ShardId, kind: ScopeKind, id: &str) -> Place {
    Place { shard, account: kind.account(id), what: kind.name() }
}

/// Checks an admin's wish and puts it into a scope.
fn apply(call: &Call<'_>, scope: &mut Scope, wish: Wish) -> Result<(), Refusal> {
    let Wish { name, limits, models, customers, aliases, residency, guards, ceilings, metadata, blocked } =
        wish;
    let limits = limits.unwrap_or_default();
    check_increases("limits", &limits, &scope.limits, call.now)?;
    check_aliases(&aliases)?;
    check_residency(residency.as_ref())?;
    if residency.is_some() && !Key::BELONGS.contains(&scope.kind) {
        return Err(unfit("residency", "only keys and what they belong to have it"));
    }
    check_guards(call, &guards, &scope.guards)?;
    if !guards.is_empty() && !Key::BELONGS.contains(&scope.kind) {
        return Err(unfit("guards", "only keys and what they belong to have them"));
    }
    if scope.kind != ScopeKind::Team && !aliases.is_empty() {
        return Err(unfit("aliases", "only teams and keys have them"));
    }
    ceilings::check(scope, ceilings.as_ref())?;
    check_name("name", name.as_deref())?;
    documents::check_models("models", models.as_deref())?;
    documents::check_customers(customers.as_ref())?;
    check_metadata(&metadata)?;
    scope.state = match (scope.state, blocked) {
        (ScopeState::Deleted, _) if !scope.kind.is_named_by_callers() => {
            return Err(unfit("state", "what is deleted stays deleted: make a new one"));
        }
        (_, true) => ScopeState::Blocked,
        (_, false) => ScopeState::Active,
    };
    scope.name = name;
    scope.limits = limits;
    scope.models = models;
    scope.customers = customers;
    scope.aliases = aliases;
    scope.residency = residency;
    scope.guards = guards;
    scope.ceilings = ceilings;
    scope.metadata = metadata;
    Ok(())
}

fn shown(
    status: StatusCode,
    account: &Account,
    kind: ScopeKind,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let (Some(document), Some(view)) = (account.document(), view(account, now)) else {
        return Err(Refusal::NotFound { what: kind.name() });
    };
    Ok(tagged(reply(status, &view), document))
}

fn view(account: &Account, now: Timestamp) -> Option<View<'_>> {
    let document = account.document()?;
    let scope = document.scope()?;
    Some(View {
        id: &scope.id,
        shard: &scope.shard,
        org: scope.org.as_deref(),
        name: scope.name.as_deref(),
        state: scope.state,
        limits: &scope.limits,
        opening: (!scope.opening.is_zero()).then_some(scope.opening),
        template: scope.template.as_deref(),
        models: scope.models.as_deref(),
        customers: scope.customers.as_ref(),
        aliases: &scope.aliases,
        residency: scope.residency.as_ref(),
        guards: &scope.guards,
        ceilings: scope.ceilings.as_ref(),
        metadata: &scope.metadata,
        created: scope.created.to_string(),
        updated: scope.updated.to_string(),
        version: document.version,
        usage: account.statement(now),
    })
}
