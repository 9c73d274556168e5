//! Commands about the books: what was spent.

use std::io::Write as _;

use anyhow::Result;
use http::Method;
use serde_json::Value;

use super::show::{table, word};
use super::{Admin, WrongUsage, fetch, print};
use crate::cli::{Remote, SpendWish};

pub fn spend(remote: &Remote, wish: &SpendWish) -> Result<()> {
    let admin = Admin::of(remote)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("by", &wish.by);
    for (name, value) in [("from", &wish.from), ("to", &wish.to), ("shard", &remote.shard)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    for only in &wish.only {
        let (name, value) = only.split_once('=').ok_or_else(|| {
            WrongUsage(format!("--only takes a word and a value, such as team=search: {only:?}"))
        })?;
        query.append_pair(name, value);
    }
    if wish.csv {
        query.append_pair("format", "csv");
    }
    let path = format!("/admin/v1/spend?{}", query.finish());
    if wish.csv {
        let text = fetch(remote, admin.key, Method::GET, &path, None)?;
        std::io::stdout().write_all(&text)?;
        return Ok(());
    }
    print(remote, &admin.call(Method::GET, &path, None)?, spent)
}

/// A row for each sum, and all of them in the last one.
fn spent(report: &Value) -> String {
    const COUNTS: [(&str, &str); 7] = [
        ("cost", "COST USD"),
        ("requests", "REQUESTS"),
        ("attempts", "ATTEMPTS"),
        ("refusals", "REFUSED"),
        ("failures", "FAILED"),
        ("input", "INPUT"),
        ("output", "OUTPUT"),
    ];
    let by: Vec<&str> = report["by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut rows = vec![
        by.iter().map(|name| name.to_uppercase()).chain(COUNTS.map(|(_, title)| title.to_owned())).collect(),
    ];
    let counts = |row: &Value| COUNTS.map(|(name, _)| word(&row[name]));
    for row in report["rows"].as_array().into_iter().flatten() {
        rows.push(by.iter().map(|name| word(&row[*name])).chain(counts(row)).collect::<Vec<String>>());
    }
    if !by.is_empty() {
        let all = (0..by.len()).map(|place| if place == 0 { "all" } else { "" }.to_owned());
        rows.push(all.chain(counts(&report["total"])).collect());
    }
    let days =
        format!("{} to {}, as of {}", word(&report["from"]), word(&report["to"]), word(&report["as_of"]));
    format!("{}\n{days}", table(&rows))
}
