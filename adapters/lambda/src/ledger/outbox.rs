//! What waits in the log to be archived.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use gatelet_core::domain::ShardId;
use gatelet_core::port::{Entry, Fault};

use super::items::{archived_pk, log_pk, place, seconds, segment_of};
use super::{Inner, SEGMENT_LIVES, done};
use crate::shard::Segment;
use crate::table::{ALONE, count, key, number};

/// The part of the log that has entries which are not archived.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// The entries of all segments before this one are archived.
    pub(super) below: u64,
    /// Entries of later ones that are archived too.
    pub(super) cleared: HashSet<String>,
    /// The first segment that was not read.
    pub(super) end: u64,
    /// What waits in each segment that was.
    pub(super) segments: Vec<(u64, Vec<Entry>)>,
}

impl Inner {
    /// Entries that wait in segments, the oldest segments first; at least `limit` of them where there are as many.
    pub(super) async fn waiting(&self, shard: &ShardId, limit: usize) -> Result<Waiting, Fault> {
        const OPERATION: &str = "ledger.outbox";
        const PAGE: usize = 1_000;
        let mut waiting = Waiting::default();
        if let Some(item) = self.table.get(OPERATION, &archived_pk(shard), ALONE).await? {
            waiting.below = item.get("below").map_or(Ok(0), |_| number(OPERATION, &item, "below"))?;
            if let Some(AttributeValue::Ss(ids)) = item.get("cleared") {
                waiting.cleared = ids.iter().cloned().collect();
            }
        }
        waiting.end = waiting.below;
        let mut count = 0;
        while count < limit {
            let items = self.log(shard, waiting.end, u64::MAX, PAGE).await?;
            for item in &items {
                let Segment { first, steps } = segment_of(item)?;
                waiting.end = first + steps.len() as u64;
                let mut entries: Vec<Entry> = steps.into_iter().flat_map(|(step, _)| step.entries).collect();
                entries.retain(|entry| !waiting.cleared.contains(&*entry.id));
                if entries.is_empty() {
                    continue;
                }
                count += entries.len();
                waiting.segments.push((first, entries));
                let half = seconds().saturating_add(SEGMENT_LIVES.as_secs() / 2);
                if number(OPERATION, item, "until")? < half {
                    self.live_on(shard, first).await?;
                }
            }
            if items.len() < PAGE {
                break;
            }
        }
        Ok(waiting)
    }

    /// Lets the table keep a segment for longer.
    async fn live_on(&self, shard: &ShardId, first: u64) -> Result<(), Fault> {
        let update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key(&log_pk(shard), &place(first))))
            .update_expression("SET #until = :until")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", count(seconds().saturating_add(SEGMENT_LIVES.as_secs())));
        done(update.send().await, "ledger.outbox")
    }

    /// Notes what is archived: all segments before one, and some entries of those after it.
    pub(super) async fn archived(
        &self,
        shard: &ShardId,
        was: &Waiting,
        below: u64,
        cleared: HashSet<String>,
    ) -> Result<(), Fault> {
        const OPERATION: &str = "ledger.clear";
        let update = || {
            self.table
                .client
                .update_item()
                .table_name(&self.table.name)
                .set_key(Some(key(&archived_pk(shard), ALONE)))
        };
        if below > was.below {
            let mut all = update()
                .update_expression("SET #below = :below")
                .condition_expression("attribute_not_exists(#below) OR #below < :below")
                .expression_attribute_names("#below", "below")
                .expression_attribute_values(":below", count(below));
            if was.segments.is_empty() && !was.cleared.is_empty() {
                // None of what was noted one by one is after it.
                all = all
                    .update_expression("SET #below = :below DELETE cleared :ids")
                    .expression_attribute_values(
                        ":ids",
                        AttributeValue::Ss(was.cleared.iter().cloned().collect()),
                    );
            }
            done(all.send().await, OPERATION)?;
        }
        if was.segments.is_empty() || cleared.is_empty() {
            return Ok(());
        }
        let some = update()
            .update_expression("ADD cleared :ids")
            .expression_attribute_values(":ids", AttributeValue::Ss(cleared.into_iter().collect()));
        done(some.send().await, OPERATION)
    }
}
