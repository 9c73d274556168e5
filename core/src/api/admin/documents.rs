//! Documents in accounts: found, made, and changed from one version to the next.

use http::header::{ETAG, IF_MATCH};
use http::{HeaderValue, Response};
use serde_json::{Map, Value};

use super::audit;
use super::call::Call;
use crate::domain::account::{Account, Document, Grant, Holder, Limits, Op};
use crate::domain::key::Customers;
use crate::domain::{AccountId, Scope, ScopeKind, ScopeState, ShardId};
use crate::pipeline;
use crate::port::{Body, Fault, Transaction};
use crate::refusal::Refusal;

/// Where a document is, and what it is called where it is not.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) shard: ShardId,
    pub(super) account: AccountId,
    pub(super) what: &'static str,
}

/// How often a change is tried anew because somebody else was faster.
const TRIES: usize = 8;

/// The account with its document. One that the caller's permit does not cover is not there, as any that was never made:
/// the same is read for both.
pub(super) async fn find(call: &Call<'_>, place: &Place) -> Result<Account, Refusal> {
    let account = call.core.ports.ledger.read(&place.shard, &place.account).await?;
    let covered = |document: &Document| call.permit.covers(&place.shard, &document.holder);
    let account = account.filter(|account| account.document().is_some_and(covered));
    account.ok_or(Refusal::NotFound { what: place.what })
}

/// How many accounts one page is looked for in.
const LOOKED_AT: usize = 1_000;

/// Accounts that the permit covers and that are `wanted`, in order of id; with the id after which the next page begins. What
/// is rare among others comes on pages that show less than they could, or nothing: `next` says whether that was all.
pub(super) async fn list(
    call: &Call<'_>,
    shard: &ShardId,
    prefix: &str,
    wanted: impl Fn(&Holder) -> bool,
) -> Result<(Vec<Account>, Option<String>), Refusal> {
    let limit = call.page_size()?;
    let mut after = call.query("after").map(|id| AccountId::new([prefix, &id].concat()));
    let mut found = Vec::new();
    let mut looked_at = 0;
    while looked_at < LOOKED_AT {
        // One more than is shown, to know whether that was all.
        let page = if looked_at == 0 { limit + 1 } else { 200 };
        let page = page.min(LOOKED_AT - looked_at);
        let accounts = call.core.ports.ledger.list(shard, prefix, after.as_ref(), page).await?;
        let last = accounts.len() < page;
        looked_at += accounts.len();
        for (id, account) in accounts {
            if found.len() == limit {
                return Ok((found, after.and_then(|id| Some(id.as_str().strip_prefix(prefix)?.to_owned()))));
            }
            let holder = account.document().map(|document| &document.holder);
            if holder.is_some_and(|holder| call.permit.covers(shard, holder) && wanted(holder)) {
                found.push(account);
            }
            after = Some(id);
        }
        if last {
            return Ok((found, None));
        }
    }
    Ok((found, after.and_then(|id| Some(id.as_str().strip_prefix(prefix)?.to_owned()))))
}

/// Makes the first version; refuses where there is one.
pub(super) async fn make(call: &Call<'_>, place: &Place, holder: Holder) -> Result<Account, Refusal> {
    if !call.permit.may_leave(&place.shard, &holder) {
        return Err(call.forbidden());
    }
    match write(call, place, Document { version: 1, holder }, None).await? {
        Grant::Written => find(call, place).await,
        _ => Err(Refusal::Exists { what: place.what }),
    }
}

/// Reads the document, changes it, and writes it as the next version; anew if somebody else was faster. `If-Match` guards
/// against others' changes. What is not changed is not written. The permit must reach what it was, and what it becomes.
pub(super) async fn change(
    call: &Call<'_>,
    place: &Place,
    edit: &(dyn Fn(&mut Holder) -> Result<(), Refusal> + Send + Sync),
) -> Result<Account, Refusal> {
    let wanted = call.parts.headers.get(IF_MATCH).and_then(|value| value.to_str().ok());
    let wanted = wanted.map(|tag| tag.trim().trim_matches('"'));
    for _ in 0..TRIES {
        let account = find(call, place).await?;
        let Some(current) = account.document() else { break };
        let conflict = Refusal::Conflict {
            expected: wanted.and_then(|wanted| wanted.parse().ok()),
            current: Some(current.version),
        };
        if wanted.is_some_and(|wanted| wanted != "*" && wanted != current.version.to_string()) {
            return Err(conflict);
        }
        let mut holder = current.holder.clone();
        if !call.permit.may_leave(&place.shard, &holder) {
            return Err(call.forbidden());
        }
        edit(&mut holder)?;
        if !call.permit.may_leave(&place.shard, &holder) {
            return Err(call.forbidden());
        }
        if holder == current.holder {
            return Ok(account);
        }
        match &mut holder {
            Holder::Key(key) => key.updated = call.now,
            Holder::Scope(scope) => scope.updated = call.now,
        }
        let document = Document { version: current.version.saturating_add(1), holder };
        // Where it is not written, another round finds what stands now, and tells of it where a version was named.
        if write(call, place, document, Some(current)).await? == Grant::Written {
            return find(call, place).await;
        }
    }
    Err(Refusal::Conflict { expected: None, current: None })
}

/// Writes the next version, and in the same transaction who did it: nothing changes of which the audit does not tell.
async fn write(
    call: &Call<'_>,
    place: &Place,
    document: Document,
    current: Option<&Document>,
) -> Result<Grant, Fault> {
    let entry = audit::change(
        call,
        audit::Change {
            of: place.account.as_str(),
            version: document.version,
            before: current.map(|current| audit::shown(&current.holder)),
            after: Some(audit::shown(&document.holder)),
        },
    );
    let op = Op::Write { document: Box::new(document), expect: current.map(|current| current.version) };
    let entries = vec![entry.clone()];
    let transaction = Transaction::new(vec![place.account.clone()], op, entries);
    let grant = call.core.ports.ledger.transact(&place.shard, transaction, call.now).await?.grant;
    if grant != Grant::Written {
        audit::unmade(call, &place.shard, &entry, "somebody else was faster").await;
    }
    Ok(grant)
}

/// The answer with its document's version.
pub(super) fn tagged(mut response: Response<Body>, document: &Document) -> Response<Body> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", document.version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// RFC 7396: objects are merged, `null` removes, everything else replaces.
///
/// A choice is replaced as a whole: of two choices merged there would be two. What admins attach has none.
pub(super) fn merge(into: &mut Value, patch: Value) {
    const CHOICE: &str = "at_limit";
    const ATTACHED: &str = "metadata";
    fn join(into: &mut Value, patch: Value, ours: bool) {
        let Value::Object(patch) = patch else {
            *into = patch;
            return;
        };
        if !into.is_object() {
            *into = Value::Object(Map::new());
        }
        for (name, value) in patch {
            let Value::Object(into) = &mut *into else { return };
            if value.is_null() {
                into.shift_remove(&name);
            } else if ours && name == CHOICE {
                into.insert(name, value);
            } else {
                let ours = ours && name != ATTACHED;
                join(into.entry(name).or_insert(Value::Null), value, ours);
            }
        }
    }
    join(into, patch, true);
}

pub(super) fn invalid(param: &str, problem: impl Into<String>) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.into() }
}

/// What something may belong to, as it stands; refuses, in the name of `param`, what is not there or is no more. What the
/// caller has no part in is not there.
pub(super) async fn open_to_more(
    call: &Call<'_>,
    shard: &ShardId,
    param: &str,
    kind: ScopeKind,
    id: &str,
) -> Result<Scope, Refusal> {
    let account = call.core.ports.ledger.read(shard, &kind.account(id)).await?;
    let document = account.as_ref().and_then(Account::document);
    let scope = document
        .and_then(Document::scope)
        .filter(|scope| scope.state != ScopeState::Deleted && call.permit.may_name(shard, scope));
    let missing = || unfit(param, format!("there is no {kind} `{}`", short(id)));
    scope.cloned().ok_or_else(missing)
}

/// The organisation of what belongs to all of these, given the name that was said for it. All are of one, which is theirs
/// where none was said; none: the default one.
pub(super) async fn org(
    call: &Call<'_>,
    shard: &ShardId,
    said: Option<String>,
    of: &[(&'static str, &Scope)],
) -> Result<Option<String>, Refusal> {
    let wanted = match (&said, of) {
        (None, [(_, scope), ..]) => scope.org.clone(),
        (None, []) => call.permit.principal().org().map(str::to_owned),
        _ => said.filter(|said| said != Scope::DEFAULT_ORG),
    };
    if let Some((param, scope)) = of.iter().find(|(_, scope)| scope.org != wanted) {
        return Err(unfit(
            param,
            format!("the {} `{}` belongs to another organisation", scope.kind, scope.id),
        ));
    }
    // Whoever has a part in what belongs to it may name it.
    if let (Some(wanted), []) = (&wanted, of) {
        open_to_more(call, shard, "org", ScopeKind::Organisation, wanted).await?;
    }
    Ok(wanted)
}

/// The limits of something that is made: those that are said, or a copy of a template's as it is now. What becomes of the
/// template later changes nothing of what was made.
pub(super) async fn limits(
    call: &Call<'_>,
    shard: &ShardId,
    said: Option<Limits>,
    template: Option<&str>,
) -> Result<Option<Limits>, Refusal> {
    let Some(template) = template else { return Ok(said) };
    if said.is_some() {
        return Err(unfit("template", "expected limits or a template that has them, not both"));
    }
    let copied = pipeline::limits_of(call.core, shard, template).await;
    copied.map(Some).map_err(|refusal| match refusal {
        Refusal::ScopeClosed { .. } => {
            unfit("template", format!("there is no template `{}`", short(template)))
        }
        other => other,
    })
}

pub(super) fn check_models(param: &str, models: Option<&[String]>) -> Result<(), Refusal> {
    let models = models.unwrap_or_default();
    if models.iter().any(|model| !(1..=256).contains(&model.chars().count())) {
        return Err(invalid(param, "expected names or patterns of 1 to 256 characters"));
    }
    if models.len() > 1_000 {
        return Err(invalid(param, "expected at most 1000 models"));
    }
    Ok(())
}

pub(super) fn check_customers(customers: Option<&Customers>) -> Result<(), Refusal> {
    match customers.and_then(|customers| customers.template.as_deref()) {
        Some(template) if !ScopeKind::Template.allows(template) => {
            Err(invalid("customers.template", ScopeKind::Template.expected()))
        }
        _ => Ok(()),
    }
}

/// What is of the right form and does not fit what is there.
pub(super) fn unfit(param: &str, problem: impl Into<String>) -> Refusal {
    Refusal::Unfit { param: param.to_owned(), problem: problem.into() }
}

/// Checks a name for people.
pub(super) fn check_name(param: &str, name: Option<&str>) -> Result<(), Refusal> {
    let good = |name: &str| (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if name.is_none_or(good) {
        return Ok(());
    }
    Err(invalid(param, "expected 1 to 128 characters, and no control characters"))
}

/// Checks what admins may attach to anything.
pub(super) fn check_metadata(metadata: &serde_json::Map<String, Value>) -> Result<(), Refusal> {
    if serde_json::to_string(metadata).map_or(0, |text| text.len()) > 16 << 10 {
        return Err(unfit("metadata", "expected at most 16 KiB"));
    }
    Ok(())
}

/// What somebody wrote, short and without control characters.
fn short(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
