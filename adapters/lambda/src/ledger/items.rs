//! The ledger's items in the table: their keys, and what is in them.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use gatelet_core::domain::{AccountId, ShardId};
use gatelet_core::port::{Fault, FaultKind};

use crate::journal::Step;
use crate::shard::{self, Head, Segment};
use crate::table::{ALONE, Item, key, number, sort_key};

pub(super) fn head_pk(shard: &ShardId) -> String {
    format!("head#{shard}")
}

pub(super) fn head_key(shard: &ShardId) -> Item {
    key(&head_pk(shard), ALONE)
}

pub(super) fn log_pk(shard: &ShardId) -> String {
    format!("log#{shard}")
}

/// The sort key of the segment that begins with this step.
pub(super) fn place(first: u64) -> String {
    format!("{first:020}")
}

pub(super) fn first_of(item: &Item) -> Option<u64> {
    sort_key(item)?.parse().ok()
}

pub(super) fn archived_pk(shard: &ShardId) -> String {
    format!("archived#{shard}")
}

/// Since 1970.
pub(super) fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(super) fn account_pk(shard: &ShardId, account: &AccountId) -> String {
    format!("account#{shard}#{account}")
}

pub(super) fn accounts_of(shard: &ShardId) -> String {
    format!("accounts#{shard}")
}

pub(super) fn blob(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(super) fn head_of(item: &Item) -> Result<Head, Fault> {
    const OPERATION: &str = "ledger.head";
    let optional = |name: &str| item.get(name).map_or(Ok(0), |_| number(OPERATION, item, name));
    Ok(Head {
        first: optional("first")?,
        kept: optional("kept")?,
        from: optional("from")?,
        steps: steps_of(item, "log")?,
    })
}

pub(super) fn segment_of(item: &Item) -> Result<Segment, Fault> {
    let corrupt = || Fault::new(FaultKind::Corrupt, "ledger.log", "a segment");
    let steps = steps_of(item, "steps")?;
    let steps = steps.iter().map(|packed| Step::unpack(packed)).collect::<Result<Vec<Step>, Fault>>()?;
    let came = item.get("came").and_then(|came| came.as_s().ok()).ok_or_else(corrupt)?;
    let came: Vec<shard::Outcome> = came
        .split_ascii_whitespace()
        .map(|outcome| outcome.parse().map(shard::Outcome).map_err(|_| corrupt()))
        .collect::<Result<_, Fault>>()?;
    if came.len() != steps.len() {
        return Err(corrupt());
    }
    Ok(Segment { first: first_of(item).ok_or_else(corrupt)?, steps: steps.into_iter().zip(came).collect() })
}

pub(super) fn steps_of(item: &Item, name: &str) -> Result<Vec<Vec<u8>>, Fault> {
    let corrupt = || Fault::new(FaultKind::Corrupt, "ledger.log", "steps");
    match item.get(name) {
        None => Ok(Vec::new()),
        Some(AttributeValue::L(steps)) => steps
            .iter()
            .map(|step| step.as_b().map(|bytes| bytes.as_ref().to_vec()).map_err(|_| corrupt()))
            .collect(),
        Some(_) => Err(corrupt()),
    }
}
