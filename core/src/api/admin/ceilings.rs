//! What organisations and teams let others make: judged whenever a key is made or changed.

use gatelet_wire::SmallMap;

use super::call::Call;
use super::documents::{check_models, invalid, unfit};
use crate::domain::account::{Document, Limits};
use crate::domain::{AccountId, Ceilings, Key, Residency, Resource, Scope, ScopeKind, Timestamp, Verb};
use crate::refusal::Refusal;

/// The ceilings above a key, the nearest first.
#[derive(Debug)]
pub(super) struct Above {
    all: Vec<(AccountId, Ceilings, bool)>,
    /// Of which key they are.
    org: Option<String>,
    team: Option<String>,
}

impl Above {
    /// Those of what `key` belongs to. They bind whoever may not change them.
    pub(super) async fn of(call: &Call<'_>, key: &Key) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for kind in [ScopeKind::Team, ScopeKind::Organisation] {
            let default = (kind == ScopeKind::Organisation).then_some(Scope::DEFAULT_ORG);
            let Some(id) = key.scope(kind).or(default) else { continue };
            let account = kind.account(id);
            let state = call.core.ports.ledger.read(&key.shard, &account).await?;
            let scope = state.as_ref().and_then(|state| state.document()).and_then(Document::scope);
            if let Some(ceilings) = scope.and_then(|scope| scope.ceilings.clone()) {
                let binds =
                    call.permit.principal().clone().permit(Resource::Scope(kind), Verb::Change).is_none();
                all.push((account, ceilings, binds));
            }
        }
        Ok(Self { all, org: key.org.clone(), team: key.team.clone() })
    }

    /// Brings a key below them, or refuses it in the name of the one that it is above. `said`: whether somebody said its
    /// limits; where nobody did, they are those that are usual there.
    pub(super) fn hold(&self, key: &mut Key, before: Option<&Key>, said: bool) -> Result<(), Refusal> {
        if (&self.org, &self.team) != (&key.org, &key.team) {
            return Err(Refusal::Conflict { expected: None, current: None });
        }
        if !said
            && let Some(usual) = self.all.iter().find_map(|(_, ceilings, _)| ceilings.default_limits.clone())
        {
            key.limits = usual;
        }
        for (account, ceilings, _) in self.all.iter().filter(|(_, _, binds)| *binds) {
            ceilings.hold(key, before, said).map_err(|above| {
                let ceiling = above.ceiling;
                unfit(
                    &above.field,
                    format!("{}; `{account}` says so in `ceilings.{ceiling}`", above.expected),
                )
            })?;
        }
        Ok(())
    }
}

/// Checks ceilings that somebody wishes for a scope.
pub(super) fn check(scope: &Scope, ceilings: Option<&Ceilings>) -> Result<(), Refusal> {
    let Some(ceilings) = ceilings else { return Ok(()) };
    if !matches!(scope.kind, ScopeKind::Team | ScopeKind::Organisation) {
        return Err(unfit("ceilings", "only teams and organisations have them"));
    }
    for (field, limits) in
        [("default_limits", &ceilings.default_limits), ("max_limits", &ceilings.max_limits)]
    {
        if limits.as_ref().is_some_and(|limits| !limits.increase.is_empty()) {
            let param = format!("ceilings.{field}.increase");
            return Err(unfit(&param, "a budget that is in force has more for a while, a ceiling has not"));
        }
    }
    check_models("ceilings.models", ceilings.models.as_deref())?;
    if ceilings.required.len() > Ceilings::MOST_REQUIRED
        || !ceilings.required.iter().all(|name| name.len() <= 128 && Ceilings::may_require(name))
    {
        return Err(invalid(
            "ceilings.required",
            "expected alias, user, project, tags, expires, sources, or a field of the metadata, such as \
             metadata.cost_center: at most 32",
        ));
    }
    let tags = ceilings.allowed_tags.as_deref().unwrap_or_default();
    let good = |tag: &String| tag.chars().count() <= 128 && ScopeKind::Tag.allows(tag);
    if tags.len() > Ceilings::MOST_TAGS || !tags.iter().all(good) {
        return Err(invalid(
            "ceilings.allowed_tags",
            "expected at most 256 tags of 1 to 128 characters, and no control characters",
        ));
    }
    Ok(())
}

/// Checks what limits say of a while: an increase ends some time, and is of a budget that there is.
pub(super) fn check_increases(
    param: &str,
    limits: &Limits,
    before: &Limits,
    now: Timestamp,
) -> Result<(), Refusal> {
    if limits.increase.len() > Limits::MOST_BUDGETS {
        return Err(invalid(&format!("{param}.increase"), "expected at most 8"));
    }
    for (place, increase) in limits.increase.iter().enumerate() {
        let param = format!("{param}.increase[{place}]");
        if limits.budget.iter().all(|budget| budget.period != increase.budget.period) {
            let period = increase.budget.period;
            return Err(unfit(
                &param,
                format!("there is no budget of the period `{period}` that it could increase"),
            ));
        }
        if increase.until <= now && !before.increase.contains(increase) {
            return Err(unfit(&param, "expected a moment in the future"));
        }
    }
    Ok(())
}

/// Checks what somebody pins.
pub(super) fn check_residency(residency: Option<&Residency>) -> Result<(), Refusal> {
    if residency.is_some_and(|residency| !residency.is_sound()) {
        return Err(unfit("residency", "expected `regions` or `providers`, each with 1 to 64 names"));
    }
    Ok(())
}

/// Checks guards that somebody demands: what is new among them is one that there is.
pub(super) fn check_guards(call: &Call<'_>, guards: &[String], before: &[String]) -> Result<(), Refusal> {
    const MOST: usize = 32;
    if guards.len() > MOST {
        return Err(invalid("guards", "expected at most 32 names of guards"));
    }
    let policy = call.core.policy();
    let unknown = |name: &&String| !before.contains(name) && policy.guards().named(name).is_none();
    match guards.iter().find(unknown) {
        Some(name) => Err(unfit("guards", format!("there is no guard `{}`", name.escape_debug()))),
        None => Ok(()),
    }
}

/// Checks names that somebody gives to models.
pub(super) fn check_aliases(aliases: &SmallMap<String, String>) -> Result<(), Refusal> {
    let named = |name: &String| ScopeKind::Model.allows(name);
    if aliases.len() > Key::MOST_ALIASES || !aliases.iter().all(|(name, model)| named(name) && named(model)) {
        return Err(invalid(
            "aliases",
            "expected at most 64 names for models, each of 1 to 256 characters without control characters",
        ));
    }
    Ok(())
}
