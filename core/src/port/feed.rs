//! What has come into the archive, in its order, for those who pass it on: names of objects in numbered pages of a store.
//!
//! ```text
//! books/feed/main/00000000       the names of the first hundred objects, a line each
//! books/feed/main/head           the number of the last page, or of one before it
//! ```
//!
//! A name is noted before the outbox forgets what the object holds, so none is missing; it may be there twice.

use bytes::Bytes;

use super::{EXACT, Expect, Fault, FaultKind, Store};
use crate::domain::ShardId;

/// Names of one page.
pub const PAGE: u64 = 100;

/// Notes an object: its name, and that of the contents beside it if there is one.
pub async fn note(store: &dyn Store, shard: &ShardId, name: &str) -> Result<(), Fault> {
    const TRIES: usize = 8;
    let mut tries = 0;
    loop {
        let mut page = Page::last(store, shard).await?;
        if page.lines.last().is_some_and(|last| last == name) {
            return Ok(());
        }
        page.lines.push(name.to_owned());
        let bytes = Bytes::from(page.lines.join("\n"));
        let expect = page.version.map_or(Expect::Absent, Expect::Version);
        match store.put(&page_name(shard, page.number), bytes, expect).await {
            Ok(_) if page.version.is_some() => return Ok(()),
            // Only where to look first: a page before this one is as good.
            Ok(_) => {
                let number = page.number.to_string();
                return store.put(&head_name(shard), number.into(), Expect::Anything).await.map(drop);
            }
            Err(fault) if fault.kind == FaultKind::Conflict && tries < TRIES => tries += 1,
            Err(fault) => return Err(fault),
        }
    }
}

/// Whether somebody wants to hear of what comes. Whoever does not know it from the configuration asks here.
pub async fn is_open(store: &dyn Store, shard: &ShardId) -> Result<bool, Fault> {
    Ok(store.get(&head_name(shard)).await?.is_some())
}

/// From now on somebody does.
pub async fn open(store: &dyn Store, shard: &ShardId) -> Result<(), Fault> {
    match store.put(&head_name(shard), Bytes::from_static(b"0"), Expect::Absent).await {
        Err(fault) if fault.kind != FaultKind::Conflict => Err(fault),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// From now on nobody does: all from the number `from` on is forgotten.
pub async fn close(store: &dyn Store, shard: &ShardId, from: u64) -> Result<(), Fault> {
    let end = end(store, shard).await?;
    forget(store, shard, from, end + PAGE).await?;
    store.delete(&head_name(shard)).await
}

/// How many have been noted: the number that the next one gets.
pub async fn end(store: &dyn Store, shard: &ShardId) -> Result<u64, Fault> {
    let page = Page::last(store, shard).await?;
    Ok(page.number * PAGE + page.lines.len() as u64)
}

/// Those from the number `from` on that are in its page. None: that page is forgotten.
pub async fn read(store: &dyn Store, shard: &ShardId, from: u64) -> Result<Option<Vec<String>>, Fault> {
    let mut page = Page::read(store, shard, from / PAGE).await?;
    if page.version.is_none() {
        return Ok(None);
    }
    let skip = usize::try_from(from % PAGE).unwrap_or(usize::MAX).min(page.lines.len());
    page.lines.drain(..skip);
    Ok(Some(page.lines))
}

/// Forgets the pages in which everything stands between two numbers.
pub async fn forget(store: &dyn Store, shard: &ShardId, from: u64, to: u64) -> Result<(), Fault> {
    for number in from / PAGE..to / PAGE {
        store.delete(&page_name(shard, number)).await?;
    }
    Ok(())
}

#[derive(Debug)]
struct Page {
    number: u64,
    /// None: it was never written.
    version: Option<u64>,
    lines: Vec<String>,
}

impl Page {
    /// The page that the next name belongs to.
    async fn last(store: &dyn Store, shard: &ShardId) -> Result<Self, Fault> {
        let hint = store.get(&head_name(shard)).await?;
        let hint = hint.and_then(|document| std::str::from_utf8(&document.bytes).ok()?.parse().ok());
        let mut page = Self::read(store, shard, hint.unwrap_or(0)).await?;
        while page.lines.len() as u64 >= PAGE || (page.version.is_none() && page.number < hint.unwrap_or(0)) {
            page = Self::read(store, shard, page.number + 1).await?;
        }
        Ok(page)
    }

    async fn read(store: &dyn Store, shard: &ShardId, number: u64) -> Result<Self, Fault> {
        let document = store.get(&page_name(shard, number)).await?;
        let version = document.as_ref().map(|document| document.version);
        let text = document.as_ref().map(|document| std::str::from_utf8(&document.bytes));
        let corrupt = |_| Fault::new(FaultKind::Corrupt, "feed.read", page_name(shard, number));
        let text = text.transpose().map_err(corrupt)?.unwrap_or_default();
        Ok(Self { number, version, lines: text.lines().map(str::to_owned).collect() })
    }
}

fn head_name(shard: &ShardId) -> String {
    format!("{EXACT}feed/{shard}/head")
}

fn page_name(shard: &ShardId, number: u64) -> String {
    format!("{EXACT}feed/{shard}/{number:08}")
}
