//! `gatelet logs` and `gatelet score`: what became of requests, and what they were worth.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::show::{table, word};
use super::{Admin, WrongUsage, print};
use crate::cli::{LogsWish, Remote};

/// How often a gateway is asked for what is new.
const PAUSE: Duration = Duration::from_secs(1);
/// Ids of requests that were shown lately: the same may be in the outbox and in the archive.
const REMEMBERED: usize = 10_000;
const COLUMNS: [&str; 9] =
    ["at", "id", "outcome", "status", "model", "target", "cost", "total_ms", "first_content_ms"];

pub fn logs(remote: &Remote, wish: &LogsWish) -> Result<()> {
    let admin = Admin::of(remote)?;
    if let Some(id) = &wish.id {
        let path = format!("/admin/v1/requests/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
        return print(remote, &admin.call(Method::GET, &path, None)?, one);
    }
    let mut shown = Shown::default();
    let mut from = wish.from.clone();
    let newest = records(&admin, wish, from.as_deref(), wish.limit)?;
    shown.print(remote, &newest, true)?;
    if !wish.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(PAUSE);
        // Requests end in another order than they began: each look goes back as far as the last one.
        from = shown.newest.pop_front().or(from);
        let newest = records(&admin, wish, from.as_deref(), REMEMBERED)?;
        shown.print(remote, &newest, false)?;
    }
}

/// The newest records, the oldest of them first.
fn records(admin: &Admin<'_>, wish: &LogsWish, from: Option<&str>, limit: usize) -> Result<Vec<Value>> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for only in &wish.only {
        let (name, value) = only.split_once('=').ok_or_else(|| {
            WrongUsage(format!("--only takes a field and a value, such as status=429: {only:?}"))
        })?;
        query.append_pair(name, value);
    }
    for (name, value) in [("from", from), ("to", wish.to.as_deref())] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let mut records: Vec<Value> = Vec::new();
    let mut after = String::new();
    while records.len() < limit {
        let page = (limit - records.len()).min(1_000);
        let path = format!("/admin/v1/requests?limit={page}&{query}{after}");
        let mut page = admin.call(Method::GET, &path, None)?;
        if let Value::Array(more) = page["requests"].take() {
            records.extend(more);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
            None => break,
        }
    }
    records.reverse();
    Ok(records)
}

/// What was shown of those that may come again.
#[derive(Default)]
struct Shown {
    ids: BTreeSet<String>,
    order: VecDeque<String>,
    /// The moments of the newest of the last looks.
    newest: VecDeque<String>,
}

impl Shown {
    fn print(&mut self, remote: &Remote, records: &[Value], first: bool) -> Result<()> {
        let fresh: Vec<&Value> = records.iter().filter(|record| self.is_new(record)).collect();
        if let Some(newest) = records.last().and_then(|record| record["at"].as_str()) {
            self.newest.push_back(newest.to_owned());
        }
        let mut out = std::io::stdout().lock();
        if remote.json {
            for record in fresh {
                writeln!(out, "{record}")?;
            }
            return Ok(out.flush()?);
        }
        let titles = first.then(|| COLUMNS.iter().map(|name| name.to_uppercase()).collect());
        let cells = |record: &&Value| COLUMNS.iter().map(|name| word(&record[*name])).collect();
        let rows: Vec<Vec<String>> = titles.into_iter().chain(fresh.iter().map(cells)).collect();
        if !rows.is_empty() {
            writeln!(out, "{}", table(&rows))?;
        }
        Ok(out.flush()?)
    }

    fn is_new(&mut self, record: &Value) -> bool {
        let Some(id) = record["id"].as_str() else { return false };
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// All that is known of one request: its record, its attempts, its scores.
fn one(shown: &Value) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (name, value) in shown["request"].as_object().into_iter().flatten() {
        rows.push(vec![name.replace('_', " "), word(value)]);
    }
    let mut text = table(&rows);
    for (what, columns) in [
        ("attempts", &["attempt", "target", "outcome", "status", "why", "fault", "head_ms", "total_ms"][..]),
        ("scores", &["at", "name", "value", "by", "comment"][..]),
    ] {
        let list = shown[what].as_array().map(Vec::as_slice).unwrap_or_default();
        if list.is_empty() {
            continue;
        }
        let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|name| name.to_uppercase()).collect()];
        rows.extend(list.iter().map(|item| columns.iter().map(|name| word(&item[*name])).collect()));
        text.extend(["\n\n", &*table(&rows)]);
    }
    text
}

/// Says what an answer is worth. `true`, `false` and numbers are that; everything else is a word.
pub fn score(remote: &Remote, id: &str, name: &str, value: &str, comment: Option<&str>) -> Result<()> {
    let value: Value = match serde_json::from_str(value) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        _ => json!(value),
    };
    let path = format!("/admin/v1/requests/{}/scores", utf8_percent_encode(id, NON_ALPHANUMERIC));
    let score = json!({ "name": name, "value": value, "comment": comment });
    let made = Admin::of(remote)?.call(Method::POST, &path, Some(score))?;
    print(remote, &made, |made| format!("{} {}", word(&made["name"]), word(&made["value"])))
}
