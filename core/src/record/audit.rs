//! The chain of what admins did: numbered, each entry with the hash of the one before it.
//!
//! An entry comes into the outbox in the same transaction as the change that it tells of. Whoever drains gives it its
//! place: `{"seq":7,"prev":"<SHA-256 of the sixth line>", …}`. A shard has one chain, kept in pages of [`PAGE`] lines:
//!
//! ```text
//! books/audit/main/00000000       the first hundred lines
//! books/audit/main/head           the number of the last page, or of one before it: where to look first
//! ```
//!
//! The last [`KEPT`] pages are kept there; the archive has all.
//!
//! A page is written as its next version or not at all, so that of two who drain one begins anew and the chain never forks.
//! What was added is in the archive (`audit/v1/<shard>/<first>-<last>.ndjson.gz`) before the outbox forgets it.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::drain;
use crate::domain::ShardId;
use crate::port::{EXACT, Entry, Expect, Fault, FaultKind, Ports, Store};

/// Lines of one page. With [`LONGEST`] it bounds a page by what every host keeps in one document.
pub const PAGE: usize = 100;
/// Pages that are kept beside the archive, which has all lines.
pub const KEPT: u64 = 100;
/// The longest line that an entry may have, in bytes.
pub const LONGEST: usize = 2_500;
/// What the first line says of the one before it.
pub const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How every line of an entry begins that is for the chain.
const BEGINS: &str = "{\"kind\":\"audit\",\"id\":";

/// Whether an entry of the outbox is for the chain.
pub(super) fn is_audit(entry: &Entry) -> bool {
    entry.line.starts_with(BEGINS)
}

/// Gives entries of the outbox their places, and moves them to the archive.
pub(super) async fn append(ports: &Ports, shard: &ShardId, entries: &[Entry]) -> Result<(), Fault> {
    const TRIES: usize = 8;
    let store = &*ports.store;
    let (mut rest, mut tries) = (entries, 0);
    while !rest.is_empty() {
        let mut page = Page::last(store, shard).await?;
        let before = match page.number.checked_sub(1) {
            Some(number) => Page::read(store, shard, number).await?,
            None => Page::default(),
        };
        let (mut added, mut taken) = (0, 0);
        let mut first = u64::MAX;
        for entry in rest {
            if let Some(seq) = before.seq_of(entry).or_else(|| page.seq_of(entry)) {
                first = first.min(seq);
            } else if page.lines.len() < PAGE {
                first = first.min(page.next_seq());
                page.add(entry);
                added += 1;
            } else {
                break;
            }
            taken += 1;
        }
        if added > 0 {
            match page.keep(store, shard).await {
                Ok(()) => {}
                Err(fault) if fault.kind == FaultKind::Conflict && tries < TRIES => {
                    tries += 1;
                    continue;
                }
                Err(fault) => return Err(fault),
            }
        }
        for page in [&before, &page] {
            page.archive(ports, shard, first).await?;
        }
        // A page was begun. One so old is in the archive: the outbox is taken in order, and holds none of its entries. Whoever
        // died before he had dropped the last one leaves it to the next.
        if added > 0 && page.lines.len() == added {
            for old in [KEPT, KEPT + 1].iter().filter_map(|back| page.number.checked_sub(*back)) {
                store.delete(&page_name(shard, old)).await?;
            }
        }
        let (done, more) = rest.split_at(taken);
        let ids: Vec<String> = done.iter().map(|entry| entry.id.to_string()).collect();
        ports.ledger.clear(shard, &ids).await?;
        rest = more;
    }
    Ok(())
}

/// Lines of the chain after `after`, in order, each as it was hashed; at most `limit`. And the last one's number and hash.
/// Of those that are in the archive alone there are none here: the first line is then the oldest that is kept.
pub async fn read(ports: &Ports, shard: &ShardId, after: u64, limit: usize) -> Result<Chain, Fault> {
    let store = &*ports.store;
    let last = Page::last(store, shard).await?;
    let head = (last.next_seq() - 1, last.next_prev());
    let kept = (last.number + 1).saturating_sub(KEPT);
    let oldest = kept * PAGE as u64 + 1;
    let first = (after + 1).max(oldest);
    let mut lines = Vec::new();
    let mut number = (first - 1) / PAGE as u64;
    while lines.len() < limit && number <= last.number {
        let page =
            if number == last.number { last.clone() } else { Page::read(store, shard, number).await? };
        let skip = usize::try_from(first.saturating_sub(page.first_seq())).unwrap_or(usize::MAX);
        lines.extend(page.lines.into_iter().skip(skip).take(limit - lines.len()));
        number += 1;
    }
    Ok(Chain { lines, first, oldest, head })
}

/// A part of a chain.
#[derive(Clone, Debug)]
pub struct Chain {
    pub lines: Vec<String>,
    /// The number of the first of these lines, if there is one.
    pub first: u64,
    /// The number of the oldest line that is kept beside the archive.
    pub oldest: u64,
    /// The number of the last line that there is, and its hash; 0 for none.
    pub head: (u64, String),
}

/// What the next line says of this one: SHA-256 in hexadecimal digits.
pub fn hash(line: &str) -> String {
    Sha256::digest(line.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[derive(Clone, Debug, Default)]
struct Page {
    number: u64,
    /// None: it was never written.
    version: Option<u64>,
    lines: Vec<String>,
    /// What the first line says of the one before it.
    prev: Option<String>,
}

impl Page {
    /// The page that the next line belongs to.
    async fn last(store: &dyn Store, shard: &ShardId) -> Result<Self, Fault> {
        let hint = store.get(&head_name(shard)).await?;
        let hint = hint.and_then(|document| std::str::from_utf8(&document.bytes).ok()?.parse().ok());
        let mut page = Self::read(store, shard, hint.unwrap_or(0)).await?;
        while page.lines.len() >= PAGE {
            let next =
                Self { prev: Some(page.next_prev()), ..Self::read(store, shard, page.number + 1).await? };
            page = next;
        }
        Ok(page)
    }

    async fn read(store: &dyn Store, shard: &ShardId, number: u64) -> Result<Self, Fault> {
        let document = store.get(&page_name(shard, number)).await?;
        let version = document.as_ref().map(|document| document.version);
        let lines = match &document {
            None => Vec::new(),
            Some(document) => {
                let text = std::str::from_utf8(&document.bytes)
                    .map_err(|_| Fault::new(FaultKind::Corrupt, "audit.read", page_name(shard, number)))?;
                text.lines().map(str::to_owned).collect()
            }
        };
        Ok(Self { number, version, lines, prev: None })
    }

    async fn keep(&mut self, store: &dyn Store, shard: &ShardId) -> Result<(), Fault> {
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        let begun = self.version.is_none();
        let bytes = Bytes::from(self.lines.join("\n"));
        self.version = Some(store.put(&page_name(shard, self.number), bytes, expect).await?);
        if begun {
            // Only where to look first: a page before this one is as good.
            store.put(&head_name(shard), self.number.to_string().into(), Expect::Anything).await?;
        }
        Ok(())
    }

    fn first_seq(&self) -> u64 {
        self.number * PAGE as u64 + 1
    }

    fn next_seq(&self) -> u64 {
        self.first_seq() + self.lines.len() as u64
    }

    fn next_prev(&self) -> String {
        match (self.lines.last(), &self.prev) {
            (Some(line), _) => hash(line),
            (None, Some(prev)) => prev.clone(),
            (None, None) => BEFORE_THE_FIRST.to_owned(),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let (seq, prev) = (self.next_seq(), self.next_prev());
        let rest = entry.line.get(1..).unwrap_or_default();
        self.lines.push(format!("{{\"seq\":{seq},\"prev\":\"{prev}\",{rest}"));
    }

    /// The place of an entry that has one already.
    fn seq_of(&self, entry: &Entry) -> Option<u64> {
        let mine = entry.line.get(1..)?;
        let place = self.lines.iter().position(|line| line.ends_with(mine))?;
        Some(self.first_seq() + place as u64)
    }

    /// Writes the lines from the number `first` on.
    async fn archive(&self, ports: &Ports, shard: &ShardId, first: u64) -> Result<(), Fault> {
        let first = first.max(self.first_seq());
        let skip = usize::try_from(first - self.first_seq()).unwrap_or(usize::MAX);
        let lines = self.lines.get(skip..).unwrap_or_default();
        if lines.is_empty() {
            return Ok(());
        }
        let name = format!("audit/v1/{shard}/{first:012}-{:012}.ndjson.gz", self.next_seq() - 1);
        let packed = drain::pack(ports, lines.iter().map(String::as_str)).await?;
        ports.archive.write(&name, packed).await.map(drop)
    }
}

fn head_name(shard: &ShardId) -> String {
    format!("{EXACT}audit/{shard}/head")
}

fn page_name(shard: &ShardId, number: u64) -> String {
    format!("{EXACT}audit/{shard}/{number:08}")
}
