//! `gatelet audit`: what admins did, and whether anybody has changed it since.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, bail};
use flate2::read::MultiGzDecoder;
use gatelet_core::record::audit::{BEFORE_THE_FIRST, hash};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::show::{table, word};
use super::{Admin, fetch, print};
use crate::cli::{Audit, Remote};

pub fn audit(remote: &Remote, command: &Audit) -> Result<()> {
    let admin = Admin::of(remote)?;
    match command {
        Audit::List { limit } => list(remote, &admin, *limit, remote.shard.as_deref()),
        Audit::Verify => verify(remote, &admin, remote.shard.as_deref()),
    }
}

fn path(after: u64, limit: u64, shard: Option<&str>) -> String {
    let shard = shard.map(|shard| format!("&shard={shard}")).unwrap_or_default();
    format!("/admin/v1/audit?after={after}&limit={limit}{shard}")
}

/// The last entries.
fn list(remote: &Remote, admin: &Admin<'_>, limit: u64, shard: Option<&str>) -> Result<()> {
    admin.call(Method::POST, "/admin/v1/tick", None)?;
    let first = admin.call(Method::GET, &path(0, 1, shard), None)?;
    let last = first["head"]["seq"].as_u64().unwrap_or(0);
    let limit = limit.clamp(1, 1_000);
    let page = admin.call(Method::GET, &path(last.saturating_sub(limit), limit, shard), None)?;
    print(remote, &page, |page| {
        let mut rows = vec![["NUMBER", "AT", "WHO", "DID", "TO", "WHAT"].map(ToOwned::to_owned).to_vec()];
        for entry in page["entries"].as_array().into_iter().flatten() {
            let what = match (&entry["after"], &entry["why"]) {
                (Value::Object(fields), _) => fields.keys().cloned().collect::<Vec<_>>().join(" "),
                (_, why) => word(why),
            };
            let cells = ["seq", "at", "actor", "verb", "of"].map(|name| word(&entry[name]));
            rows.push(cells.into_iter().chain([what]).collect());
        }
        table(&rows)
    })
}

#[derive(Deserialize)]
struct Page<'a> {
    head: Head,
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
    next: Option<u64>,
    /// Entries before it are in the archive alone.
    oldest: u64,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    hash: String,
}

#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: String,
}

/// Follows the chain from its first entry to its last, through the archive and then through what the gateway still has at
/// hand, and holds the copies of the same entries together.
fn verify(remote: &Remote, admin: &Admin<'_>, shard: Option<&str>) -> Result<()> {
    admin.call(Method::POST, "/admin/v1/tick", None)?;
    let (mut kept, mut after): (BTreeMap<u64, String>, u64) = (BTreeMap::new(), 0);
    let (head, oldest) = loop {
        let bytes = fetch(remote, admin.key, Method::GET, &path(after, 1_000, shard), None)?;
        let page: Page<'_> = serde_json::from_slice(&bytes).context("the answer is no page of entries")?;
        for line in page.entries {
            let link: Link = serde_json::from_str(line.get()).context("an entry has no number")?;
            kept.insert(link.seq, line.get().to_owned());
        }
        match page.next {
            Some(next) => after = next,
            None => break (page.head, page.oldest),
        }
    };
    let archived = archived(remote, admin, shard)?;
    let mut prev = BEFORE_THE_FIRST.to_owned();
    for seq in 1..=head.seq {
        let copies = archived.get(&seq).map(Vec::as_slice).unwrap_or_default();
        let Some(line) = kept.get(&seq).or(copies.first()) else {
            bail!("entry {seq} is missing: somebody has taken it away");
        };
        if copies.iter().any(|copy| copy != line) {
            bail!("entry {seq} is not what the archive has: somebody has changed one of them");
        }
        if copies.is_empty() {
            bail!("entry {seq} is not in the archive: somebody has taken it away");
        }
        if seq >= oldest && !kept.contains_key(&seq) {
            bail!("entry {seq} is in the archive alone: somebody has taken it away");
        }
        let Link { seq: said, prev: before } =
            serde_json::from_str(line).context("an entry has no number")?;
        if said != seq || before != prev {
            bail!("the chain is broken at entry {seq}: somebody has changed it or what stands before it");
        }
        prev = hash(line);
    }
    if head.hash != prev || kept.keys().chain(archived.keys()).any(|seq| *seq > head.seq) {
        bail!("the chain does not end at entry {}: entries are missing", head.seq);
    }
    let here = kept.len();
    writeln!(
        std::io::stdout(),
        "{} entries, unchanged, {here} of them at hand; the last one's SHA-256 is {prev}",
        head.seq
    )?;
    Ok(())
}

/// The copies of each entry.
fn archived(remote: &Remote, admin: &Admin<'_>, shard: Option<&str>) -> Result<BTreeMap<u64, Vec<String>>> {
    let shard = shard.unwrap_or("main");
    let mut entries: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let list = format!("/admin/v1/archive?prefix=audit/v1/{shard}/&limit=1000{after}");
        let page = admin.call(Method::GET, &list, None)?;
        for name in page["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let packed = fetch(remote, admin.key, Method::GET, &format!("/admin/v1/archive/{name}"), None)?;
            let mut text = String::new();
            let read = MultiGzDecoder::new(&*packed).read_to_string(&mut text);
            read.with_context(|| format!("{name} is not gzip"))?;
            for line in text.lines() {
                let link: Link = serde_json::from_str(line).with_context(|| format!("{name}: no entry"))?;
                entries.entry(link.seq).or_default().push(line.to_owned());
            }
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(entries),
        }
    }
}
