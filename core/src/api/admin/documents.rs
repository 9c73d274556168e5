//! Documents in accounts: found, made, and changed from one version to the next.

use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderValue, Response};
use serde_json::Value;

use crate::domain::account::{Account, Document, Grant, Holder, Op};
use crate::domain::{AccountId, ShardId, Timestamp};
use crate::port::{Body, Fault, Transaction};
use crate::refusal::Refusal;
use crate::shared::Core;

/// Where a document is, and what it is called where it is not.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) shard: ShardId,
    pub(super) account: AccountId,
    pub(super) what: &'static str,
}

/// How often a change is tried anew because somebody else was faster.
const TRIES: usize = 8;

/// The account with its document.
pub(super) async fn find(core: &Core, place: &Place) -> Result<Account, Refusal> {
    let account = core.ports.ledger.read(&place.shard, &place.account).await?;
    let account = account.filter(|account| account.document().is_some());
    account.ok_or(Refusal::NotFound { what: place.what })
}

/// Makes the first version; refuses where there is one.
pub(super) async fn make(
    core: &Core,
    place: &Place,
    holder: Holder,
    now: Timestamp,
) -> Result<Account, Refusal> {
    match write(core, place, Document { version: 1, holder }, None, now).await? {
        Grant::Written => find(core, place).await,
        _ => Err(Refusal::Conflict),
    }
}

/// Reads the document, changes it, and writes it as the next version; anew if somebody else was faster. `If-Match` guards
/// against others' changes. What is not changed is not written.
pub(super) async fn change(
    core: &Core,
    place: &Place,
    parts: &Parts,
    now: Timestamp,
    edit: impl Fn(&mut Holder) -> Result<(), Refusal> + Send,
) -> Result<Account, Refusal> {
    let wanted = parts.headers.get(IF_MATCH).and_then(|value| value.to_str().ok());
    let wanted = wanted.map(|tag| tag.trim().trim_matches('"'));
    for _ in 0..TRIES {
        let account = find(core, place).await?;
        let Some(current) = account.document() else { break };
        if wanted.is_some_and(|wanted| wanted != "*" && wanted != current.version.to_string()) {
            return Err(Refusal::Conflict);
        }
        let mut holder = current.holder.clone();
        edit(&mut holder)?;
        if holder == current.holder {
            return Ok(account);
        }
        match &mut holder {
            Holder::Key(key) => key.updated = now,
            Holder::Scope(scope) => scope.updated = now,
        }
        let expect = current.version;
        let document = Document { version: expect.saturating_add(1), holder };
        match write(core, place, document, Some(expect), now).await? {
            Grant::Written => return find(core, place).await,
            _ if wanted.is_some() => return Err(Refusal::Conflict),
            _ => {}
        }
    }
    Err(Refusal::Conflict)
}

async fn write(
    core: &Core,
    place: &Place,
    document: Document,
    expect: Option<u64>,
    now: Timestamp,
) -> Result<Grant, Fault> {
    let op = Op::Write { document: Box::new(document), expect };
    let transaction = Transaction { accounts: vec![place.account.clone()], op, entries: Vec::new() };
    Ok(core.ports.ledger.transact(&place.shard, transaction, now).await?.grant)
}

/// The answer with its document's version.
pub(super) fn tagged(mut response: Response<Body>, document: &Document) -> Response<Body> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", document.version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// RFC 7396: objects are merged, `null` removes, everything else replaces.
pub(super) fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

pub(super) fn invalid(param: &str, problem: impl Into<String>) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.into() }
}

/// Checks what admins may attach to anything.
pub(super) fn check_metadata(metadata: &serde_json::Map<String, Value>) -> Result<(), Refusal> {
    if serde_json::to_string(metadata).map_or(0, |text| text.len()) > 16 << 10 {
        return Err(invalid("metadata", "expected at most 16 KiB"));
    }
    Ok(())
}
