//! `gatelet import litellm-rows`: organisations, budgets, teams, users, customers and keys out of LiteLLM's database, made at
//! a running gateway. What was made already stays as it is, so that an import that broke off is run again. What they have spent of
//! budgets that have not renewed since counts here in all that they have, from the start.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use gatelet_core::api::says_nothing;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::Clock as _;
use gatelet_tokio::SystemClock;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::{Admin, status};
use crate::cli::Remote;

type Row = Map<String, Value>;

/// A table of theirs, in the order in which they refer to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Organization,
    Budget,
    Team,
    User,
    Customer,
    Key,
}

impl Table {
    /// The table of a row, by the columns that no other has.
    fn of(row: &Row) -> Option<Self> {
        let has = |column: &str| row.contains_key(column);
        Some(match () {
            () if has("token") => Self::Key,
            () if has("organization_alias") => Self::Organization,
            () if has("team_alias") => Self::Team,
            () if has("user_role") || has("user_email") => Self::User,
            () if has("user_id") && has("blocked") => Self::Customer,
            () if has("budget_id") && has("max_budget") => Self::Budget,
            () => return None,
        })
    }

    fn path(self) -> &'static str {
        match self {
            Self::Organization => "/organization/new",
            Self::Budget => "/budget/new",
            Self::Team => "/team/new",
            Self::User => "/user/new",
            Self::Customer => "/customer/new",
            Self::Key => "/key/generate",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Organization => "organisations",
            Self::Budget => "budgets",
            Self::Team => "teams",
            Self::User => "users",
            Self::Customer => "customers",
            Self::Key => "keys",
        }
    }

    /// Columns that are carried, by the routes that have the same words; beside [`LIMITS`], which most have.
    fn carried(self) -> &'static [&'static str] {
        match self {
            Self::Organization => {
                &["organization_id", "organization_alias", "budget_id", "models", "metadata"]
            }
            Self::Budget => &["budget_id"],
            Self::Team => &["team_id", "team_alias", "models", "metadata", "members_with_roles", "blocked"],
            Self::User => {
                &["user_id", "user_alias", "user_email", "user_role", "teams", "models", "metadata"]
            }
            Self::Customer => &["user_id", "alias", "blocked", "budget_id"],
            Self::Key => &[
                "token",
                "key_alias",
                "expires",
                "models",
                "user_id",
                "team_id",
                "project_id",
                "organization_id",
                "budget_id",
                "metadata",
                "blocked",
                "tags",
            ],
        }
    }
}

const LIMITS: [&str; 7] = [
    "max_budget",
    "soft_budget",
    "budget_duration",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
];

/// Their own bookkeeping, which has no meaning here.
const BOOKKEEPING: [&str; 14] = [
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
    "key_name",
    "budget_reset_at",
    "budget_started_at",
    "last_active",
    "last_refreshed_at",
    "model_spend",
    "model_id",
    "rotation_count",
    "allowed_model_region",
    "litellm_budget_table",
];

pub fn litellm_rows(remote: &Remote, files: &[PathBuf]) -> Result<()> {
    let admin = Admin::of(remote)?;
    let mut rows = Vec::new();
    for file in files {
        for row in read(file)? {
            let table = Table::of(&row);
            let columns = || row.keys().cloned().collect::<Vec<_>>().join(", ");
            let table = table.with_context(|| {
                format!("{}: a row of no table that is known, with the columns {}", file.display(), columns())
            })?;
            rows.push((table, row));
        }
    }
    rows.sort_by_key(|(table, _)| *table);
    let mut report = Report::default();
    for (table, row) in rows {
        report.make(&admin, table, row);
    }
    report.print()
}

/// What became of the rows.
#[derive(Default)]
struct Report {
    made: BTreeMap<&'static str, u64>,
    there: BTreeMap<&'static str, u64>,
    /// Columns that say something and are not carried.
    left: BTreeMap<String, u64>,
    failed: Vec<String>,
}

impl Report {
    fn make(&mut self, admin: &Admin<'_>, table: Table, mut row: Row) {
        let mut body = Row::new();
        for column in table.carried().iter().chain(&LIMITS) {
            let Some(value) = row.remove(*column).filter(|value| !value.is_null()) else { continue };
            body.insert((*column).to_owned(), plain(column, value));
        }
        if let Some(spend) = row.remove("spend").filter(|spend| !says_nothing(spend)) {
            let renewed = has_renewed(&row);
            if table == Table::Budget || renewed {
                *self.left.entry(format!("{}.spend", table.name())).or_default() += 1;
            } else {
                body.insert("spend".to_owned(), spend);
            }
        }
        for (column, value) in row {
            if !BOOKKEEPING.contains(&column.as_str()) && !says_nothing(&value) {
                *self.left.entry(format!("{}.{column}", table.name())).or_default() += 1;
            }
        }
        if table == Table::User {
            body.insert("auto_create_key".to_owned(), Value::Bool(false));
        }
        let named = ["team_id", "user_id", "organization_id", "budget_id", "key_alias", "token"]
            .into_iter()
            .find_map(|column| body.get(column)?.as_str().map(str::to_owned))
            .unwrap_or_default();
        let counts = match admin.call(Method::POST, table.path(), Some(Value::Object(body))) {
            Ok(_) => &mut self.made,
            Err(error) if status(&error) == Some(StatusCode::CONFLICT) => &mut self.there,
            Err(error) => {
                self.failed.push(format!("{} {named}: {error:#}", table.name()));
                return;
            }
        };
        *counts.entry(table.name()).or_default() += 1;
    }

    fn print(&self) -> Result<()> {
        let mut out = std::io::stdout();
        for (name, count) in &self.made {
            writeln!(out, "made {count} {name}")?;
        }
        for (name, count) in &self.there {
            writeln!(out, "{count} {name} were there already")?;
        }
        let mut told = std::io::stderr();
        for (column, count) in &self.left {
            let spend = column.split_once('.').is_some_and(|(_, column)| column == "spend");
            let advice = if spend { ": their budgets have renewed since" } else { "" };
            writeln!(told, "not carried: {column} of {count} rows{advice}")?;
        }
        for line in &self.failed {
            writeln!(told, "{line}")?;
        }
        if !self.failed.is_empty() {
            bail!("{} rows were refused", self.failed.len());
        }
        Ok(())
    }
}

/// Whether the period is over in which it was spent, so that nothing of it counts any more.
fn has_renewed(row: &Row) -> bool {
    let reset = row.get("budget_reset_at").filter(|value| !value.is_null());
    let reset = reset.and_then(|value| Timestamp::parse(plain("expires", value.clone()).as_str()?));
    reset.is_some_and(|reset| reset <= SystemClock.now())
}

/// Rows of a file: a list, lists by table, or a row a line.
fn read(file: &Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let values: Vec<Value> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{}: expected JSON", file.display()))?;
    let mut rows = Vec::new();
    for value in values {
        add(&mut rows, value).with_context(|| format!("{}: expected rows", file.display()))?;
    }
    Ok(rows)
}

fn add(rows: &mut Vec<Row>, value: Value) -> Result<()> {
    match value {
        Value::Array(list) => list.into_iter().try_for_each(|value| add(rows, value)),
        Value::Object(tables) if !tables.is_empty() && tables.values().all(Value::is_array) => {
            tables.into_iter().try_for_each(|(_, rows_of_one)| add(rows, rows_of_one))
        }
        Value::Object(row) => {
            rows.push(row);
            Ok(())
        }
        other => bail!("{other} is none"),
    }
}

/// A column's value, without the forms that databases give it.
fn plain(column: &str, value: Value) -> Value {
    match (column, value) {
        // JSON in a text.
        ("metadata" | "members_with_roles" | "models" | "tags" | "teams", Value::String(text)) => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        // `2026-01-01 00:00:00` is in UTC.
        ("expires", Value::String(text)) => {
            let text = text.replacen(' ', "T", 1);
            let zoned = text.ends_with('Z') || text.get(10..).is_some_and(|time| time.contains(['+', '-']));
            Value::String(if zoned { text } else { text + "Z" })
        }
        (_, value) => value,
    }
}
