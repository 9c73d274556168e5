//! `gatelet reconcile`: what the archive, the reports and the ledger say of the same requests.
//!
//! The archive is the truth about requests, the ledger about money; reports are sums that are kept beside them. All three
//! are asked through the admin API, so that any gateway can be compared.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use gatelet_core::domain::Money;
use http::Method;
use serde_json::{Value, json};

use super::Admin;
use super::archive::{each_line, shard_of};
use super::show::table;
use crate::cli::Remote;

/// Whose sums are compared: what they are called in records and in reports, and in the paths of their accounts.
const KINDS: [(&str, &str); 6] = [
    ("key", "keys"),
    ("team", "teams"),
    ("project", "projects"),
    ("user", "users"),
    ("org", "orgs"),
    ("customer", "customers"),
];
/// The organisation of whoever has none. Records do not name it.
const DEFAULT_ORG: &str = "default";

/// How often it is compared anew where something differs: requests go on meanwhile.
const TRIES: usize = 3;

pub fn reconcile(remote: &Remote, from: Option<&str>, to: Option<&str>, shard: Option<&str>) -> Result<()> {
    let admin = Admin::of(remote)?;
    let span = Span { from, to, shard };
    let mut compared = compare(remote, &admin, &span)?;
    for _ in 1..TRIES {
        if compared.differences.is_empty() {
            break;
        }
        compared = compare(remote, &admin, &span)?;
    }
    let Compared { records, total, differences } = compared;
    let lines: Vec<Value> = differences.iter().map(Difference::json).collect();
    let text = if remote.json {
        serde_json::to_string_pretty(&json!({ "records": records, "cost": total, "differences": lines }))?
    } else if differences.is_empty() {
        format!("{records} records, {total} USD: the archive, the reports and the ledger agree")
    } else {
        let title = ["OF", "", "ARCHIVE", "", "ELSEWHERE"].map(ToOwned::to_owned).to_vec();
        let rows = differences.iter().map(Difference::row);
        table(&std::iter::once(title).chain(rows).collect::<Vec<_>>())
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    if differences.is_empty() { Ok(()) } else { bail!("{} differences", differences.len()) }
}

#[derive(Debug)]
struct Span<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    shard: Option<&'a str>,
}

impl Span<'_> {
    fn has(&self, day: &str) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }

    fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

#[derive(Debug)]
struct Compared {
    records: u64,
    total: Money,
    differences: Vec<Difference>,
}

/// Requests and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    cost: Money,
}

#[derive(Debug)]
struct Difference {
    /// Such as `team/search`.
    of: String,
    what: &'static str,
    archive: String,
    place: &'static str,
    elsewhere: String,
}

impl Difference {
    fn json(&self) -> Value {
        let Self { of, what, archive, place, elsewhere } = self;
        json!({ "of": of, "what": what, "archive": archive, "place": place, "elsewhere": elsewhere })
    }

    fn row(&self) -> Vec<String> {
        let Self { of, what, archive, place, elsewhere } = self;
        vec![of.clone(), (*what).to_owned(), archive.clone(), (*place).to_owned(), elsewhere.clone()]
    }
}

/// Sums by kind and id; an id that requests do not have is empty.
type Sums = BTreeMap<(&'static str, String), Sum>;

fn compare(remote: &Remote, admin: &Admin<'_>, span: &Span<'_>) -> Result<Compared> {
    // What waits in outboxes is in no archive yet.
    while admin.call(Method::POST, "/admin/v1/tick", None)?["archived"]
        .as_u64()
        .is_some_and(|moved| moved > 0)
    {}
    let shard = match span.shard {
        Some(shard) => shard.to_owned(),
        None => {
            admin.call(Method::GET, "/admin/v1/spend", None)?["shard"].as_str().unwrap_or("main").to_owned()
        }
    };
    let (archive, all) = archived(remote, span, &shard)?;
    let mut differences = Vec::new();
    for (kind, plural) in KINDS {
        reported(admin, span, &shard, kind, &archive, &mut differences)?;
        if span.is_all() {
            booked(admin, &shard, (kind, plural), &archive, &mut differences)?;
        }
    }
    Ok(Compared { records: all.requests, total: all.cost, differences })
}

/// The records in the archive, each counted once.
fn archived(remote: &Remote, span: &Span<'_>, shard: &str) -> Result<(Sums, Sum)> {
    let (mut sums, mut all) = (Sums::new(), Sum::default());
    let mut seen: HashSet<String> = HashSet::new();
    let wants = |name: &str| {
        let day = name.split('/').nth(1).and_then(|part| part.strip_prefix("date=")).unwrap_or_default();
        shard_of(name) == shard && span.has(day)
    };
    each_line(remote, "v1/date=", &wants, &mut |_, line| {
        let record: Value = serde_json::from_str(line).context("a line is no JSON")?;
        if record["kind"] == "request" && seen.insert(record["id"].as_str().unwrap_or_default().to_owned()) {
            let cost: Money = record["cost"].as_str().unwrap_or_default().parse()?;
            for (kind, _) in KINDS {
                let id = record[kind].as_str().unwrap_or_default().to_owned();
                add(sums.entry((kind, id)).or_default(), cost);
            }
            add(&mut all, cost);
        }
        Ok(())
    })?;
    Ok((sums, all))
}

fn add(sum: &mut Sum, cost: Money) {
    sum.requests += 1;
    sum.cost = sum.cost.plus(cost);
}

/// The reports' sums by `kind`.
fn reported(
    admin: &Admin<'_>,
    span: &Span<'_>,
    shard: &str,
    kind: &'static str,
    archive: &Sums,
    differences: &mut Vec<Difference>,
) -> Result<()> {
    let (from, to) = (span.from.unwrap_or("1970-01-01"), span.to.unwrap_or("2999-12-31"));
    let path = format!("/admin/v1/spend?from={from}&to={to}&shard={shard}&by={kind}");
    let report = admin.call(Method::GET, &path, None)?;
    let mut rows: BTreeMap<String, Sum> = BTreeMap::new();
    for row in report["rows"].as_array().into_iter().flatten() {
        let cost = row["cost"].as_str().unwrap_or_default().parse()?;
        let sum = Sum { requests: row["requests"].as_u64().unwrap_or(0), cost };
        rows.insert(row[kind].as_str().unwrap_or_default().to_owned(), sum);
    }
    let mine = archive.keys().filter(|(known, _)| *known == kind).map(|(_, id)| id.clone());
    let ids: BTreeSet<String> = mine.chain(rows.keys().cloned()).collect();
    for id in ids {
        let archived = archive.get(&(kind, id.clone())).copied().unwrap_or_default();
        let reported = rows.get(&id).copied().unwrap_or_default();
        let of = format!("{kind}/{id}");
        if archived.requests != reported.requests {
            let (archive, elsewhere) = (archived.requests.to_string(), reported.requests.to_string());
            differences.push(Difference {
                of: of.clone(),
                what: "requests",
                archive,
                place: "report",
                elsewhere,
            });
        }
        if archived.cost != reported.cost {
            let (archive, elsewhere) = (archived.cost.to_string(), reported.cost.to_string());
            differences.push(Difference { of, what: "USD", archive, place: "report", elsewhere });
        }
    }
    Ok(())
}

/// What the accounts of `kind` were charged in all.
fn booked(
    admin: &Admin<'_>,
    shard: &str,
    (kind, plural): (&'static str, &str),
    archive: &Sums,
    differences: &mut Vec<Difference>,
) -> Result<()> {
    let accounts = admin.all_of(plural, &format!("&shard={shard}"))?;
    for account in accounts[plural].as_array().into_iter().flatten() {
        let id = account["id"].as_str().unwrap_or_default();
        let spent: Money = account["usage"]["spent"].as_str().unwrap_or_default().parse()?;
        // Of what was spent elsewhere there is no record here.
        let opening = account["opening"].as_str().map(str::parse::<Money>).transpose()?;
        let spent = spent.minus(opening.unwrap_or_default());
        let unnamed = kind == "org" && id == DEFAULT_ORG;
        let named = if unnamed { String::new() } else { id.to_owned() };
        let archived = archive.get(&(kind, named)).copied().unwrap_or_default().cost;
        // These are charged from when somebody has given them limits: the ledger may have less than the archive, never more.
        let less = (unnamed || kind == "customer") && spent < archived;
        if archived != spent && !less {
            let (archive, elsewhere) = (archived.to_string(), spent.to_string());
            let of = format!("{kind}/{id}");
            differences.push(Difference { of, what: "USD", archive, place: "ledger", elsewhere });
        }
    }
    Ok(())
}
