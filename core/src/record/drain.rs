//! From the outbox to the archive, without loss and without doubles.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::spend::Rollup;
use super::{audit, content, tidy};
use crate::domain::account::Op;
use crate::domain::{ShardId, Timestamp};
use crate::port::{Entry, Fault, FaultKind, Ports, Transaction, feed};

/// Entries that go into one object at the most.
const BATCH: usize = 5_000;
/// Objects that one call writes at the most, so that a tick ends; the next one goes on.
const MOST_BATCHES: usize = 20;

/// How often a batch is begun anew because somebody else drains too.
const TRIES: usize = 8;

/// Moves a shard's entries into the archive and counts them among its sums (see [`spend`](super::spend)); answers how many
/// requests those were. What admins did goes into its chain (see [`audit`]). Entries leave the outbox only when both is done.
///
/// An object's name is made of its content, so a batch that is written twice (the process died before it cleared the
/// outbox) is the same object. A batch that grew in between makes a second object with some lines again: lines carry
/// their ids, so that readers count each once. `fed`: somebody wants to hear of what has come into the archive.
pub async fn drain(ports: &Ports, shard: &ShardId, fed: bool) -> Result<usize, Fault> {
    if ports.ledger.outbox(shard, 1).await?.is_empty() {
        return Ok(0);
    }
    let mut sums = Rollup::open(ports, shard).await?;
    let (mut drained, mut tries) = (0, 0);
    for _ in 0..MOST_BATCHES {
        let entries = ports.ledger.outbox(shard, BATCH).await?;
        let waiting = entries.len();
        let (audit, entries): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(audit::is_audit);
        audit::append(ports, shard, &audit).await?;
        sums.listed(&entries, waiting < BATCH);
        let Some(hour) = entries.first().map(hour) else {
            if waiting < BATCH {
                break;
            }
            continue;
        };
        let mut batch: Vec<Entry> =
            entries.into_iter().take_while(|entry| self::hour(entry) == hour).collect();
        let mut contents = content::gather(ports, shard, &mut batch).await?;
        let counted = sums.count(hour.div_euclid(24), &batch);
        batch.truncate(counted);
        contents.retain(|(nth, _)| *nth < counted);
        let moved: Vec<usize> = contents.iter().map(|(nth, _)| *nth).collect();
        tidy::withhold(ports, shard, &mut contents).await?;
        settle_again(ports, shard, &batch).await?;
        let packed = pack(ports, batch.iter().map(|entry| &*entry.line)).await?;
        let name = name(hour, shard, &batch);
        ports.archive.write(&name, packed).await?;
        let mut noted = name.clone();
        if !contents.is_empty() {
            let packed = pack(ports, contents.iter().map(|(_, line)| &**line)).await?;
            let name = content::name_of(&name);
            ports.archive.write(&name, packed).await?;
            noted = format!("{noted} {name}");
            let links: Vec<String> = contents.iter().filter_map(|(_, line)| content::link(line)).collect();
            audit::append_contents(ports, shard, &links).await?;
        }
        if fed {
            feed::note(&*ports.store, shard, &noted).await?;
        }
        match sums.keep(&*ports.store).await {
            Ok(()) => {}
            Err(fault) if fault.kind == FaultKind::Conflict && tries < TRIES => {
                tries += 1;
                sums = Rollup::open(ports, shard).await?;
                continue;
            }
            Err(fault) => return Err(fault),
        }
        let ids: Vec<String> = batch.iter().map(|entry| entry.id.to_string()).collect();
        ports.ledger.clear(shard, &ids).await?;
        let moved: Vec<&Entry> = moved.iter().filter_map(|nth| batch.get(*nth)).collect();
        content::clear(ports, shard, &moved).await?;
        sums.cleared(&batch);
        sums.put_aside(&*ports.store).await?;
        drained += batch.len();
        // What came meanwhile waits for the next call: a small object for every few lines helps nobody.
        if batch.len() + audit.len() == waiting && waiting < BATCH {
            break;
        }
    }
    Ok(drained)
}

/// Closes the holds of requests whose record was kept but whose settlement was not. Settled ones stay as they are.
async fn settle_again(ports: &Ports, shard: &ShardId, batch: &[Entry]) -> Result<(), Fault> {
    for (accounts, settle) in batch.iter().filter_map(|entry| entry.settle.as_ref()) {
        let transaction = Transaction::new(accounts.clone(), Op::Settle(settle.clone()), Vec::new());
        ports.ledger.transact(shard, transaction, ports.clock.now()).await?;
    }
    Ok(())
}

pub(super) const HOUR_MICROS: i64 = 3_600_000_000;

/// The hour since 1970, from the microseconds that an entry's id begins with.
fn hour(entry: &Entry) -> i64 {
    let micros = entry.id.split('-').next().and_then(|digits| digits.parse::<i64>().ok());
    micros.unwrap_or(0).div_euclid(HOUR_MICROS)
}

/// `date=2026-11-22/hour=17`.
pub(super) fn folder(hour: i64) -> String {
    let at = Timestamp::from_micros(hour.saturating_mul(HOUR_MICROS)).utc();
    format!("date={:04}-{:02}-{:02}/hour={:02}", at.year, at.month, at.day, at.hour)
}

fn name(hour: i64, shard: &ShardId, batch: &[Entry]) -> String {
    let mut digest = Sha256::new();
    for entry in batch {
        digest.update(entry.id.as_bytes());
        digest.update(b"\n");
    }
    let digest = digest.finalize().iter().take(8).fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    let moment =
        |entry: Option<&Entry>| entry.and_then(|entry| entry.id.split('-').next()).unwrap_or("0").to_owned();
    let (first, last) = (moment(batch.first()), moment(batch.last()));
    format!("v1/{}/{shard}-{first}-{last}-{digest:016x}.ndjson.gz", folder(hour))
}

/// Lines as one object.
pub(super) fn pack<'p>(
    ports: &'p Ports,
    lines: impl Iterator<Item = &'p str> + Clone,
) -> impl Future<Output = Result<Bytes, Fault>> + Send {
    // In one piece from the beginning: as it grew, megabytes would be copied, and memory for each size asked of the system.
    let mut all = String::with_capacity(lines.clone().map(|line| line.len() + 1).sum());
    for line in lines {
        all.push_str(line);
        all.push('\n');
    }
    ports.packer.pack(all.into())
}
