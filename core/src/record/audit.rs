//! Two chains of a shard, each numbered, each entry with the hash of the one before it: what admins did, and what content the
//! archive has.
//!
//! An entry of the first comes into the outbox in the same transaction as the change that it tells of. Whoever drains gives it its
//! place: `{"seq":7,"prev":"<SHA-256 of the sixth line>", …}`. An entry of the second is made of a line of content by whoever brings that
//! into the archive: it has the line's hash, whose it is and its trace, and nothing of what was said, so it stays when content is deleted.
//! A chain is kept in pages of [`PAGE`] lines:
//!
//! ```text
//! books/audit/main/00000000       the first hundred lines
//! books/audit/main/head           the number of the last page, or of one before it: where to look first
//! books/content-audit/main/…      the same of content
//! ```
//!
//! The last [`KEPT`] pages are kept there; the archive has all.
//!
//! A page is written as its next version or not at all, so that of two who drain one begins anew and the chain never forks.
//! What was added is in the archive (`audit/v1/<shard>/<first>-<last>.ndjson.gz`, `content-audit/v1/…`) before the outbox forgets what
//! it was made of.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::drain;
use crate::domain::ShardId;
use crate::port::{EXACT, Entry, Expect, Fault, FaultKind, Ports};

/// Lines of one page. With [`LONGEST`] it bounds a page by what every host keeps in one document.
pub const PAGE: usize = 100;
/// Pages that are kept beside the archive, which has all lines.
pub const KEPT: u64 = 100;
/// The longest line that an entry may have, in bytes.
pub const LONGEST: usize = 2_500;
/// What the first line says of the one before it.
pub const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Pages in which is looked for what has its place already: more than one batch can fill.
const LOOKED_THROUGH: u64 = 3;

/// What a chain is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of {
    /// What admins did, and what was refused to them.
    #[default]
    Admin,
    /// The content that the archive has.
    Content,
}

impl Of {
    pub const ALL: [Self; 2] = [Self::Admin, Self::Content];

    /// As queries say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Content => "content",
        }
    }

    /// Where its pages and objects are.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Admin => "audit",
            Self::Content => "content-audit",
        }
    }
}

/// How every line of an entry begins that admins made.
const BEGINS: &str = "{\"kind\":\"audit\",\"id\":";

/// Whether an entry of the outbox is for the chain.
pub(super) fn is_audit(entry: &Entry) -> bool {
    entry.line.starts_with(BEGINS)
}

/// Gives what admins did its places, moves it to the archive, and takes it out of the outbox.
pub(super) async fn append(ports: &Ports, shard: &ShardId, entries: &[Entry]) -> Result<(), Fault> {
    let lines: Vec<&str> = entries.iter().map(|entry| &*entry.line).collect();
    let chain = Chain { ports, shard, of: Of::Admin };
    let mut done = 0;
    while done < lines.len() {
        let taken = chain.take(lines.get(done..).unwrap_or_default()).await?;
        let ids: Vec<String> =
            entries.iter().skip(done).take(taken).map(|entry| entry.id.to_string()).collect();
        ports.ledger.clear(shard, &ids).await?;
        done += taken;
    }
    Ok(())
}

/// Gives lines of content, which the archive has, their places.
pub(super) async fn append_contents(
    ports: &Ports,
    shard: &ShardId,
    contents: &[String],
) -> Result<(), Fault> {
    let lines: Vec<&str> = contents.iter().map(String::as_str).collect();
    let chain = Chain { ports, shard, of: Of::Content };
    let mut done = 0;
    while done < lines.len() {
        done += chain.take(lines.get(done..).unwrap_or_default()).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Chain<'a> {
    ports: &'a Ports,
    shard: &'a ShardId,
    of: Of,
}

impl Chain<'_> {
    /// Gives as many of the lines their places as the last page has room for, and moves them to the archive; answers how many.
    async fn take(self, lines: &[&str]) -> Result<usize, Fault> {
        const TRIES: usize = 8;
        let mut tries = 0;
        loop {
            let mut page = self.last().await?;
            let mut pages = Vec::new();
            for number in page.number.saturating_sub(LOOKED_THROUGH - 1)..page.number {
                pages.push(self.read(number).await?);
            }
            let (mut added, mut taken) = (0, 0);
            let mut first = u64::MAX;
            for line in lines {
                let seq = pages.iter().chain([&page]).find_map(|page| page.seq_of(line));
                if let Some(seq) = seq {
                    first = first.min(seq);
                } else if page.lines.len() < PAGE {
                    first = first.min(page.next_seq());
                    page.add(line);
                    added += 1;
                } else {
                    break;
                }
                taken += 1;
            }
            if added > 0 {
                match self.keep(&mut page).await {
                    Ok(()) => {}
                    Err(fault) if fault.kind == FaultKind::Conflict && tries < TRIES => {
                        tries += 1;
                        continue;
                    }
                    Err(fault) => return Err(fault),
                }
            }
            for page in pages.iter().chain([&page]) {
                self.archive(page, first).await?;
            }
            // A page was begun. One so old is in the archive: the outbox is taken in order, and holds none of its entries. Whoever
            // died before he had dropped the last one leaves it to the next.
            if added > 0 && page.lines.len() == added {
                for old in [KEPT, KEPT + 1].iter().filter_map(|back| page.number.checked_sub(*back)) {
                    self.ports.store.delete(&self.page_name(old)).await?;
                }
            }
            return Ok(taken);
        }
    }

    /// The page that the next line belongs to.
    async fn last(self) -> Result<Page, Fault> {
        let hint = self.ports.store.get(&self.head_name()).await?;
        let hint = hint.and_then(|document| std::str::from_utf8(&document.bytes).ok()?.parse().ok());
        let mut page = self.read(hint.unwrap_or(0)).await?;
        while page.lines.len() >= PAGE {
            page = Page { prev: Some(page.next_prev()), ..self.read(page.number + 1).await? };
        }
        Ok(page)
    }

    async fn read(self, number: u64) -> Result<Page, Fault> {
        let name = self.page_name(number);
        let document = self.ports.store.get(&name).await?;
        let version = document.as_ref().map(|document| document.version);
        let lines = match &document {
            None => Vec::new(),
            Some(document) => {
                let text = std::str::from_utf8(&document.bytes)
                    .map_err(|_| Fault::new(FaultKind::Corrupt, "audit.read", name))?;
                text.lines().map(str::to_owned).collect()
            }
        };
        Ok(Page { number, version, lines, prev: None })
    }

    async fn keep(self, page: &mut Page) -> Result<(), Fault> {
        let store = &*self.ports.store;
        let expect = page.version.map_or(Expect::Absent, Expect::Version);
        let begun = page.version.is_none();
        let bytes = Bytes::from(page.lines.join("\n"));
        page.version = Some(store.put(&self.page_name(page.number), bytes, expect).await?);
        if begun {
            // Only where to look first: a page before this one is as good.
            store.put(&self.head_name(), page.number.to_string().into(), Expect::Anything).await?;
        }
        Ok(())
    }

    /// Writes a page's lines from the number `first` on.
    async fn archive(self, page: &Page, first: u64) -> Result<(), Fault> {
        let first = first.max(page.first_seq());
        let skip = usize::try_from(first - page.first_seq()).unwrap_or(usize::MAX);
        let lines = page.lines.get(skip..).unwrap_or_default();
        if lines.is_empty() {
            return Ok(());
        }
        let Self { ports, shard, of } = self;
        let name = format!("{}/v1/{shard}/{first:012}-{:012}.ndjson.gz", of.folder(), page.next_seq() - 1);
        let packed = drain::pack(ports, lines.iter().map(String::as_str)).await?;
        ports.archive.write(&name, packed).await.map(drop)
    }

    fn head_name(self) -> String {
        format!("{EXACT}{}/{}/head", self.of.folder(), self.shard)
    }

    fn page_name(self, number: u64) -> String {
        format!("{EXACT}{}/{}/{number:08}", self.of.folder(), self.shard)
    }
}

/// Lines of the chain after `after`, in order, each as it was hashed; at most `limit`. And the last one's number and hash.
/// Of those that are in the archive alone there are none here: the first line is then the oldest that is kept.
pub async fn read(ports: &Ports, shard: &ShardId, of: Of, after: u64, limit: usize) -> Result<Links, Fault> {
    let chain = Chain { ports, shard, of };
    let last = chain.last().await?;
    let head = (last.next_seq() - 1, last.next_prev());
    let kept = (last.number + 1).saturating_sub(KEPT);
    let oldest = kept * PAGE as u64 + 1;
    let first = (after + 1).max(oldest);
    let mut lines = Vec::new();
    let mut number = (first - 1) / PAGE as u64;
    while lines.len() < limit && number <= last.number {
        let page = if number == last.number { last.clone() } else { chain.read(number).await? };
        let skip = usize::try_from(first.saturating_sub(page.first_seq())).unwrap_or(usize::MAX);
        lines.extend(page.lines.into_iter().skip(skip).take(limit - lines.len()));
        number += 1;
    }
    Ok(Links { lines, first, oldest, head })
}

/// A part of a chain.
#[derive(Clone, Debug)]
pub struct Links {
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

    fn add(&mut self, line: &str) {
        let (seq, prev) = (self.next_seq(), self.next_prev());
        let rest = line.get(1..).unwrap_or_default();
        self.lines.push(format!("{{\"seq\":{seq},\"prev\":\"{prev}\",{rest}"));
    }

    /// The place of a line that has one already.
    fn seq_of(&self, line: &str) -> Option<u64> {
        let mine = line.get(1..)?;
        let place = self.lines.iter().position(|line| line.ends_with(mine))?;
        Some(self.first_seq() + place as u64)
    }
}
