//! `gatelet-compact`: the archive of a running gateway as Parquet.
//!
//! ```text
//! INTO/requests/date=2026-11-22/main.parquet       a row for each request, each once
//! INTO/attempts/date=2026-11-22/main.parquet       a row for each call of a provider
//! INTO/scores/date=2026-11-22/main.parquet         a row for each score that was given on that day
//! ```
//!
//! It asks the admin API, so that any host's archive can be read. A day is one file of each kind, in place of thousands of objects; it
//! appears under its name when it is whole, and what is compacted again is the same. Not a part of `gatelet`, since what writes
//! Parquet is as large as all that a server asks at night.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use gatelet_core::domain::Timestamp;
use gatelet_core::record::SCHEMA;
use gatelet_core::record::audit::hash;
use gatelet_server::cli::Remote;
use gatelet_server::client::{each_line, shard_of};
use parquet::basic::{Compression, GzipLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use serde_json::{Map, Value};

use crate::columns::Columns;

mod columns;

/// Kinds of records, as their schema names them.
const KINDS: [&str; 3] = ["request", "attempt", "score"];
/// Rows that are gathered before they are written: they are what it holds in memory.
const GROUP: usize = 50_000;

/// Write the archive's records as Parquet, a file for each day
#[derive(Debug, Parser)]
#[command(version)]
struct Wish {
    #[command(flatten)]
    remote: Remote,
    /// The first day, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    from: String,
    /// The last day; without it the first alone
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    to: Option<String>,
    /// The folder that the files go into
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
}

fn day(text: &str) -> Result<String, String> {
    match Timestamp::parse(&format!("{text}T00:00:00Z")) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected a day, such as 2026-11-22".to_owned()),
    }
}

fn main() -> ExitCode {
    match compact(&Wish::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _no_terminal = writeln!(std::io::stderr(), "gatelet-compact: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compact(wish: &Wish) -> Result<()> {
    let last = wish.to.as_ref().unwrap_or(&wish.from);
    ensure!(*last >= wish.from, "--to is before --from");
    let schema: Value = serde_json::from_str(SCHEMA)?;
    let mut at = Timestamp::parse(&format!("{}T00:00:00Z", wish.from)).context("--from is no day")?;
    loop {
        let date = at.utc();
        let date = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
        if date > *last {
            return Ok(());
        }
        one_day(wish, &schema, &date)?;
        at = at.after(std::time::Duration::from_hours(24));
    }
}

fn one_day(wish: &Wish, schema: &Value, date: &str) -> Result<()> {
    let shard = wish.remote.shard.as_deref().unwrap_or("main");
    let mut tables = Vec::new();
    for kind in KINDS {
        tables.push((kind, Table::open(&wish.into, kind, Columns::of(schema, kind)?, date, shard)?));
    }
    // An object that was written twice has the same hour, so no more than an hour's lines have to be remembered.
    let (mut hour, mut seen) = (String::new(), HashSet::new());
    let objects = format!("v1/date={date}/");
    each_line(&wish.remote, &objects, &|name| shard_of(name) == shard, &mut |name, line| {
        let folder = name.rsplit_once('/').map_or(name, |(folder, _)| folder);
        if hour != folder {
            folder.clone_into(&mut hour);
            seen.clear();
        }
        if !seen.insert(hash(line)) {
            return Ok(());
        }
        let line: Map<String, Value> = serde_json::from_str(line).context("a line is no record")?;
        let kind = line.get("kind").and_then(Value::as_str).unwrap_or_default();
        match tables.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, table)) => table.push(line),
            None => bail!("a record of the kind {kind:?}: this program is older than the gateway"),
        }
    })?;
    let mut told = Vec::new();
    for (kind, table) in tables {
        told.push(format!("{} {kind}s", table.close()?));
    }
    writeln!(std::io::stdout(), "{date}: {}", told.join(", "))?;
    Ok(())
}

/// One file that is written.
struct Table {
    columns: Columns,
    file: SerializedFileWriter<BufWriter<File>>,
    rows: usize,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Table {
    fn open(into: &Path, kind: &str, columns: Columns, date: &str, shard: &str) -> Result<Self> {
        let folder = into.join(format!("{kind}s")).join(format!("date={date}"));
        fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        let path = folder.join(format!("{shard}.parquet"));
        let unfinished = path.with_extension("unfinished");
        let file = File::create(&unfinished).with_context(|| format!("{}", unfinished.display()))?;
        let settings = WriterProperties::builder().set_compression(Compression::GZIP(GzipLevel::default()));
        let file = SerializedFileWriter::new(
            BufWriter::new(file),
            columns.schema(kind)?,
            Arc::new(settings.build()),
        )?;
        Ok(Self { columns, file, rows: 0, unfinished, path })
    }

    fn push(&mut self, line: Map<String, Value>) -> Result<()> {
        self.columns.push(line)?;
        self.rows += 1;
        if self.columns.rows() >= GROUP {
            self.columns.write(&mut self.file)?;
        }
        Ok(())
    }

    /// Answers how many rows the file has.
    fn close(mut self) -> Result<usize> {
        if self.columns.rows() > 0 {
            self.columns.write(&mut self.file)?;
        }
        self.file.finish()?;
        self.file.inner_mut().flush()?;
        self.file.inner().get_ref().sync_all()?;
        fs::rename(&self.unfinished, &self.path)?;
        Ok(self.rows)
    }
}
