//! The log's upkeep: steps are put away as segments, and accounts are kept. All of it is idempotent, and conditional on nobody having
//! done it.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::join_all;
use gatelet_core::domain::account::{Account, Limits};
use gatelet_core::domain::{AccountId, ShardId};
use gatelet_core::port::{Fault, FaultKind};

use super::items::{account_pk, blob, first_of, head_key, head_of, log_pk, place, seconds, segment_of};
use super::{Inner, LOOK_AFTER, SEAL_MOST, SEGMENT_LIVES, WRITES, already, done, lock};
use crate::aws::fault;
use crate::shard::{self, Head};
use crate::table::{ALONE, Item, count, key, number, text, unmet};

impl Inner {
    /// Moves the head's first steps into a segment; answers the head that is left, or none where somebody else was first.
    pub(super) async fn seal(&self, shard: &ShardId, head: &Head) -> Result<Option<Head>, Fault> {
        let count = head.steps.len().min(SEAL_MOST);
        let steps = head.steps.get(..count).unwrap_or_default();
        if steps.is_empty() {
            return Ok(None);
        }
        let came = {
            let known = self.known(shard);
            let mut known = known.lock().await;
            self.follow(shard, &mut known, head.clone()).await?.outcomes(head.first, count)
        };
        // Somebody else has put these away, and accounts were kept since.
        let Some(came) = came else { return Ok(None) };
        let sealed = self.put_segment(shard, head.first, steps, &came).await?;
        self.trim(shard, head.first, sealed).await
    }

    /// Writes a segment, unless there is one: answers how many steps it has.
    async fn put_segment(
        &self,
        shard: &ShardId,
        first: u64,
        steps: &[Vec<u8>],
        came: &[shard::Outcome],
    ) -> Result<usize, Fault> {
        const OPERATION: &str = "ledger.seal";
        let mut item = key(&log_pk(shard), &place(first));
        item.insert("steps".to_owned(), AttributeValue::L(steps.iter().cloned().map(blob).collect()));
        let outcomes: Vec<String> = came.iter().map(|outcome| outcome.0.to_string()).collect();
        item.insert("came".to_owned(), text(outcomes.join(" ")));
        item.insert("until".to_owned(), count(seconds().saturating_add(SEGMENT_LIVES.as_secs())));
        let result = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(steps.len()),
            Err(error) => match already(&error) {
                // Whoever was first may have read a shorter head, or a longer one.
                Some(item) => match item.get("steps") {
                    Some(AttributeValue::L(steps)) => Ok(steps.len()),
                    _ => Ok(segment_of(&self.segment(shard, first).await?)?.steps.len()),
                },
                None => Err(fault(OPERATION)(error)),
            },
        }
    }

    async fn segment(&self, shard: &ShardId, first: u64) -> Result<Item, Fault> {
        let item = self.table.get("ledger.seal", &log_pk(shard), &place(first)).await?;
        item.ok_or_else(|| Fault::new(FaultKind::Conflict, "ledger.seal", "a segment that is gone"))
    }

    /// Takes steps out of the head that are in a segment; answers what is left, or none where somebody else was first.
    async fn trim(&self, shard: &ShardId, first: u64, steps: usize) -> Result<Option<Head>, Fault> {
        // From the last to the first: the table means the places before the update, emulators those after each removal.
        let gone: Vec<String> = (0..steps).rev().map(|index| format!("#log[{index}]")).collect();
        let mut update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(head_key(shard)))
            .update_expression(format!("SET #first = :next REMOVE {}", gone.join(", ")))
            .expression_attribute_names("#log", "log")
            .expression_attribute_names("#first", "first")
            .expression_attribute_values(":next", count(first + steps as u64))
            .return_values(ReturnValue::AllNew);
        // Steps are only ever appended, so under the same first one these are still those that were put away. Sent twice, the
        // second finds the next.
        update = if first == 0 {
            update.condition_expression("attribute_not_exists(#first)")
        } else {
            update.condition_expression("#first = :first").expression_attribute_values(":first", count(first))
        };
        match update.send().await {
            Ok(output) => head_of(&output.attributes.unwrap_or_default()).map(Some),
            Err(error) if unmet(&error).is_some() => Ok(None),
            Err(error) => Err(fault("ledger.seal")(error)),
        }
    }

    /// Keeps the accounts of a shard in which little happens, before the table takes out a segment that still is all that is known of
    /// them.
    pub(super) async fn keep_what_is_old(&self, shard: &ShardId) -> Result<(), Fault> {
        let now = seconds();
        if lock(&self.looks).get(shard).is_some_and(|next| now < *next) {
            return Ok(());
        }
        let Some(head) = self.head(shard).await? else { return Ok(()) };
        if head.kept < head.first {
            let oldest = self.log(shard, head.from, head.first, 1).await?;
            let until = oldest.first().map(|item| number("ledger.keep", item, "until")).transpose()?;
            if until.is_some_and(|until| until < now.saturating_add(SEGMENT_LIVES.as_secs() / 2)) {
                // Looked at again with the next tick: somebody may have been in the way.
                return self.keep(shard).await;
            }
        }
        lock(&self.looks).insert(shard.clone(), now.saturating_add(LOOK_AFTER.as_secs()));
        Ok(())
    }

    /// Keeps accounts that have changed since they were kept, and forgets segments that nobody needs then.
    pub(super) async fn keep(&self, shard: &ShardId) -> Result<(), Fault> {
        let Some(head) = self.head(shard).await? else { return Ok(()) };
        let (until, accounts) = {
            let known = self.known(shard);
            let mut known = known.lock().await;
            let at = self.follow(shard, &mut known, head.clone()).await?;
            let changed = at.changed();
            // Somebody keeps just now.
            if at.next() != head.end() || !self.meet(shard, at, &changed).await? {
                return Ok(());
            }
            let accounts: Vec<(AccountId, Account)> =
                changed.into_iter().filter_map(|id| Some((id.clone(), at.account(&id)?.clone()))).collect();
            (at.next(), accounts)
        };
        // No account may be kept as it is after steps that are not decided for all yet.
        self.put_away(shard).await?;
        if self.head(shard).await?.is_none_or(|head| head.first < until) {
            return Ok(());
        }
        for batch in accounts.chunks(WRITES) {
            let writes =
                join_all(batch.iter().map(|(id, account)| self.keep_account(shard, id, account, until)));
            writes.await.into_iter().collect::<Result<(), Fault>>()?;
        }
        let Some(head) = self.head(shard).await? else { return Ok(()) };
        let from = if head.first == until { until } else { self.boundary(shard, until).await? };
        let update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(head_key(shard)))
            .update_expression("SET #kept = :until, #from = :from")
            .condition_expression("attribute_not_exists(#kept) OR #kept < :until")
            .expression_attribute_names("#kept", "kept")
            .expression_attribute_names("#from", "from")
            .expression_attribute_values(":until", count(until))
            .expression_attribute_values(":from", count(from));
        done(update.send().await, "ledger.keep")
    }

    async fn keep_account(
        &self,
        shard: &ShardId,
        id: &AccountId,
        account: &Account,
        after: u64,
    ) -> Result<(), Fault> {
        const OPERATION: &str = "ledger.keep";
        let bytes = account
            .to_bytes()
            .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, id.as_str()).with_source(error))?;
        let mut item = key(&account_pk(shard, id), ALONE);
        item.insert("base".to_owned(), blob(bytes));
        item.insert("after".to_owned(), count(after));
        if account.document().is_none() {
            // The table takes it out when nothing of it can count any more.
            let latest = || account.seen().after(Account::LONGEST_HOLD).after(Limits::LONGEST_MEMORY);
            let until = account.fades().unwrap_or_else(latest);
            item.insert("until".to_owned(), AttributeValue::N(until.seconds().saturating_add(1).to_string()));
        }
        let put = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#after) OR #after < :after")
            .expression_attribute_names("#after", "after")
            .expression_attribute_values(":after", count(after));
        match put.send().await {
            Err(error) if already(&error).is_none() => Err(fault(OPERATION)(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Where the segment begins that has the step before this one, or this one.
    async fn boundary(&self, shard: &ShardId, number: u64) -> Result<u64, Fault> {
        const OPERATION: &str = "ledger.keep";
        let output = self
            .table
            .query(&log_pk(shard))
            .key_condition_expression("pk = :pk AND sk <= :sk")
            .expression_attribute_values(":sk", text(place(number)))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(fault(OPERATION))?;
        let last = output.items.unwrap_or_default();
        last.first().and_then(first_of).ok_or_else(|| Fault::new(FaultKind::Corrupt, OPERATION, "no segment"))
    }
}
