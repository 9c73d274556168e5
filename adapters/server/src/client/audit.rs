//! `gatelet audit`: what admins did, and whether anybody has changed that, or content that was kept, since.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use gatelet_core::domain::{Scope, Timestamp};
use gatelet_core::record::audit::{BEFORE_THE_FIRST, Of, hash};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::archive::{each_line, shard_of};
use super::show::{table, word};
use super::{Admin, fetch, print};
use crate::cli::{Audit, Remote};

pub fn audit(remote: &Remote, command: &Audit) -> Result<()> {
    let admin = Admin::of(remote)?;
    match command {
        Audit::List { limit } => list(remote, &admin, *limit, remote.shard.as_deref()),
        Audit::Verify => verify(remote, &admin),
    }
}

fn path(of: Of, after: u64, limit: u64, shard: Option<&str>) -> String {
    let shard = shard.map(|shard| format!("&shard={shard}")).unwrap_or_default();
    format!("/admin/v1/audit?of={}&after={after}&limit={limit}{shard}", of.name())
}

/// The last entries.
fn list(remote: &Remote, admin: &Admin<'_>, limit: u64, shard: Option<&str>) -> Result<()> {
    admin.call(Method::POST, "/admin/v1/tick", None)?;
    let first = admin.call(Method::GET, &path(Of::Admin, 0, 1, shard), None)?;
    let last = first["head"]["seq"].as_u64().unwrap_or(0);
    let limit = limit.clamp(1, 1_000);
    let page = admin.call(Method::GET, &path(Of::Admin, last.saturating_sub(limit), limit, shard), None)?;
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
    content_from: Option<Timestamp>,
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

fn verify(remote: &Remote, admin: &Admin<'_>) -> Result<()> {
    let deeds = Chain::read(remote, admin, Of::Admin)?;
    deeds.follow()?;
    deeds.tell("entries")?;
    let erasures = erasures(&deeds);
    let mut chain = Chain::read(remote, admin, Of::Content)?;
    if chain.head.seq == 0 {
        return Ok(());
    }
    chain.follow()?;
    chain.tell("entries of content")?;
    // What a chain says is in the archive before it is said. What has come since the chain was read is in the chain when its
    // archive has been read.
    let said = chain.head.seq;
    let contents = contents(remote)?;
    chain = Chain::read(remote, admin, Of::Content)?;
    chain.follow()?;
    compare(&chain, said, &contents, &erasures)
}

/// A chain, as it is at hand and as the archive has it.
struct Chain {
    kept: BTreeMap<u64, String>,
    /// The copies of each entry.
    archived: BTreeMap<u64, Vec<String>>,
    head: Head,
    oldest: u64,
    content_from: Option<Timestamp>,
}

impl Chain {
    fn read(remote: &Remote, admin: &Admin<'_>, of: Of) -> Result<Self> {
        admin.call(Method::POST, "/admin/v1/tick", None)?;
        let (mut kept, mut after): (BTreeMap<u64, String>, u64) = (BTreeMap::new(), 0);
        let shard = remote.shard.as_deref();
        loop {
            let bytes = fetch(remote, admin.key, Method::GET, &path(of, after, 1_000, shard), None)?;
            let page: Page<'_> =
                serde_json::from_slice(&bytes).context("the answer is no page of entries")?;
            for line in page.entries {
                let link: Link = serde_json::from_str(line.get()).context("an entry has no number")?;
                kept.insert(link.seq, line.get().to_owned());
            }
            let Some(next) = page.next else {
                let Page { head, oldest, content_from, .. } = page;
                let mut archived: BTreeMap<u64, Vec<String>> = BTreeMap::new();
                let prefix = format!("{}/v1/{}/", of.folder(), shard.unwrap_or("main"));
                each_line(remote, &prefix, &|_| true, &mut |_, line| {
                    let link: Link = serde_json::from_str(line).context("no entry")?;
                    archived.entry(link.seq).or_default().push(line.to_owned());
                    Ok(())
                })?;
                return Ok(Self { kept, archived, head, oldest, content_from });
            };
            after = next;
        }
    }

    fn line(&self, seq: u64) -> Option<&str> {
        self.kept.get(&seq).or_else(|| self.archived.get(&seq)?.first()).map(String::as_str)
    }

    /// From its first entry to its last, through the archive and then through what the gateway still has at hand; the copies of
    /// the same entries are held together.
    fn follow(&self) -> Result<()> {
        let mut prev = BEFORE_THE_FIRST.to_owned();
        for seq in 1..=self.head.seq {
            let copies = self.archived.get(&seq).map(Vec::as_slice).unwrap_or_default();
            let Some(line) = self.line(seq) else {
                bail!("entry {seq} is missing: somebody has taken it away");
            };
            if copies.iter().any(|copy| copy != line) {
                bail!("entry {seq} is not what the archive has: somebody has changed one of them");
            }
            if copies.is_empty() {
                bail!("entry {seq} is not in the archive: somebody has taken it away");
            }
            if seq >= self.oldest && !self.kept.contains_key(&seq) {
                bail!("entry {seq} is in the archive alone: somebody has taken it away");
            }
            let Link { seq: said, prev: before } =
                serde_json::from_str(line).context("an entry has no number")?;
            if said != seq || before != prev {
                bail!("the chain is broken at entry {seq}: somebody has changed it or what stands before it");
            }
            prev = hash(line);
        }
        let last = self.head.seq;
        if self.head.hash != prev || self.kept.keys().chain(self.archived.keys()).any(|seq| *seq > last) {
            bail!("the chain does not end at entry {last}: entries are missing");
        }
        Ok(())
    }

    fn tell(&self, what: &str) -> Result<()> {
        let (Head { seq, hash }, here) = (&self.head, self.kept.len());
        writeln!(
            std::io::stdout(),
            "{seq} {what}, unchanged, {here} of them at hand; the last one's SHA-256 is {hash}"
        )?;
        Ok(())
    }
}

/// A deletion that somebody has asked for.
struct Erasure {
    field: String,
    value: String,
    at: Timestamp,
}

fn erasures(deeds: &Chain) -> Vec<Erasure> {
    let all = (1..=deeds.head.seq).filter_map(|seq| {
        let entry: Value = serde_json::from_str(deeds.line(seq)?).ok()?;
        let (field, value) = entry["of"].as_str()?.strip_prefix("erasure/")?.split_once('/')?;
        let at = Timestamp::parse(entry["at"].as_str()?)?;
        Some(Erasure { field: field.to_owned(), value: value.to_owned(), at })
    });
    all.collect()
}

/// The hashes of all content that the archive has, by the ids of its requests.
fn contents(remote: &Remote) -> Result<BTreeMap<String, Vec<String>>> {
    let mut contents: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let shard = remote.shard.as_deref().unwrap_or("main");
    each_line(remote, "content/v1/", &|name| shard_of(name) == shard, &mut |_, line| {
        let entry: Value = serde_json::from_str(line).context("no content")?;
        let id = entry["id"].as_str().context("content without an id")?;
        let (hashes, hash) = (contents.entry(id.to_owned()).or_default(), hash(line));
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
        Ok(())
    })?;
    Ok(contents)
}

/// Holds what the archive has to what the chain says that it has. `said`: entries up to that one were made before the archive was read.
fn compare(
    chain: &Chain,
    said: u64,
    contents: &BTreeMap<String, Vec<String>>,
    erasures: &[Erasure],
) -> Result<()> {
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut there, mut erased, mut aged) = (0_u64, 0_u64, 0_u64);
    for seq in 1..=chain.head.seq {
        let entry: Value = serde_json::from_str(chain.line(seq).unwrap_or_default())?;
        let (Some(id), Some(hash)) = (entry["id"].as_str(), entry["sha256"].as_str()) else {
            bail!("entry {seq} of content names no request or no hash");
        };
        known.entry(id.to_owned()).or_default().push(hash.to_owned());
        match contents.get(id) {
            Some(hashes) if hashes.iter().any(|there| there == hash) => there += 1,
            Some(_) => bail!("the content of {id} is not what was kept: somebody has changed it"),
            None if seq > said => {}
            None => {
                let at = entry["at"].as_str().and_then(Timestamp::parse);
                let at = at.with_context(|| format!("entry {seq} of content has no moment"))?;
                let asked = |one: &Erasure| {
                    let whose = entry[&one.field].as_str();
                    let whose = whose.or((one.field == "org").then_some(Scope::DEFAULT_ORG));
                    whose == Some(&one.value) && at <= one.at
                };
                if chain.content_from.is_some_and(|from| at < from) {
                    aged += 1;
                } else if erasures.iter().any(asked) {
                    erased += 1;
                } else {
                    bail!(
                        "the content of {id} is missing, and nobody has asked for that: somebody has taken it away"
                    );
                }
            }
        }
    }
    for (id, hashes) in contents {
        let known = known.get(id).map(Vec::as_slice).unwrap_or_default();
        if hashes.iter().any(|hash| !known.contains(hash)) {
            bail!("there is content of {id} that nobody has kept: somebody has put it there or changed it");
        }
    }
    writeln!(
        std::io::stdout(),
        "{there} contents, unchanged; {erased} were deleted on request and {aged} for their age"
    )?;
    Ok(())
}
