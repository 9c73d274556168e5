//! The Worker beside a plain JavaScript pass-through, both in one workerd.
//!
//! What is measured is the process that runs them. wrangler's own proxy before it is another one; what wrangler adds
//! inside it (storage on the local disk, an entry of its own) is the same program for both. Its tracing is switched off
//! ([`WRANGLER_QUIET`]): it doubles the cost of every step, of the pass-through's as well.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::load::{Generator, Seen};
use super::machine::{Core, Process, at, description, free_port, listens_on, on, programs_below};
use super::server::{ADMIN_KEY, Programs, config, create_key, first_answer};
use super::table::{markdown, median};
use super::{Wish, cold};
use crate::project::{WRANGLER_QUIET, root, target};
use crate::{setup, worker};

/// Before the worker's own entry: requests below `/plain` go to the upstream as they are, those below `/one` after one
/// durable write, those below `/two` between two: what books that survive everything cost at least, one request at a
/// time. The writes are as large as the gateway's own: an account, and an account with a record.
const ENTRY: &str = r#"import { DurableObject } from "cloudflare:workers";
import gatelet from "./entry.mjs";
export { Shard } from "./entry.mjs";
const upstream = "http://127.0.0.1:UPSTREAM";
const ACCOUNT = "a".repeat(400);
const RECORD = "r".repeat(900);
export class Floor extends DurableObject {
  constructor(context, env) {
    super(context, env);
    this.sql = context.storage.sql;
    this.sql.exec("create table if not exists kept (id integer primary key, text text not null)");
  }
  keep(account, record) {
    this.sql.exec("insert into kept values (0, ?) on conflict (id) do update set text = excluded.text", account);
    if (record !== undefined) this.sql.exec("insert into kept (text) values (?)", record);
  }
}
const floors = {
  plain: (request, url) => fetch(url, request),
  async one(request, url, env) {
    await env.FLOOR.getByName("floor").keep(ACCOUNT);
    return fetch(url, request);
  },
  async two(request, url, env) {
    await env.FLOOR.getByName("floor").keep(ACCOUNT);
    const response = await fetch(url, request);
    await env.FLOOR.getByName("floor").keep(ACCOUNT, RECORD);
    return response;
  },
};
export default {
  fetch(request, env, context) {
    const [, floor, path] = /^\w+:\/\/[^/]+\/(plain|one|two)(\/.*)/.exec(request.url) ?? [];
    if (floor === undefined) return gatelet.fetch(request, env, context);
    return floors[floor](request, upstream + path, env);
  },
  scheduled: gatelet.scheduled,
};
"#;

const BINDING: &str = r#"
[[durable_objects.bindings]]
name = "FLOOR"
class_name = "Floor"

[[migrations]]
tag = "floor"
new_sqlite_classes = ["Floor"]
"#;

/// Where the columns of the table ask.
const SIDES: [(&str, &str); 4] = [
    ("plain JS", "/plain/v1/chat/completions"),
    ("and a durable write", "/one/v1/chat/completions"),
    ("and two", "/two/v1/chat/completions"),
    ("gatelet", "/v1/chat/completions"),
];
const FLOORS: &[usize] = &[0, 1, 2, 3];
const ENDS: &[usize] = &[0, 3];
/// Until compilers inside workerd have done their work.
const WARM: &str = "model=bench/chat connections=8 requests=1500 seconds=10";

const MEASURES: [(&str, &[usize], &str); 4] = [
    ("whole answers, 16 callers", FLOORS, "model=bench/chat connections=16 requests=4000 seconds=12"),
    // Nobody's transaction has company.
    ("whole answers, 1 caller", FLOORS, "model=bench/chat connections=1 requests=600 seconds=6"),
    (
        "streams of 100 chunks, 8 callers",
        ENDS,
        "model=bench/chunks-100-0 stream=1 connections=8 requests=300 seconds=12",
    ),
    (
        "questions of 200 KB, 4 callers",
        ENDS,
        "model=bench/chat pad=200000 connections=4 requests=300 seconds=10",
    ),
];

/// After this no further round begins.
const ENOUGH: Duration = Duration::from_secs(150);

pub(super) fn run(wish: &Wish) -> Result<()> {
    setup::worker()?;
    let bundle = bundle()?;
    let programs = Programs::build()?;
    let folder = target().join("bench-run");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;

    let [plain, ours] = cold::starts(&bundle, &folder)?;
    let (mock_port, port) = (free_port()?, free_port()?);
    let mut mock = Process::start(
        on(Core::Load, &programs.bench).args(["mock", &mock_port.to_string()]),
        &folder.join("mock.log"),
        "TERM",
    )?;
    mock.until_listening(at(mock_port), Duration::from_secs(20)).context("the mock")?;
    let wrangler = start(&bundle, &folder, mock_port, port)?;
    let measured = measured(wrangler.id(), port)?;
    let key = create_key(&programs, port)?;
    first_answer(at(port), &key)?;

    let generator = Generator { program: programs.bench.clone(), mock: mock.id() };
    let ask = |path: &str, settings: &str| -> Result<Seen> {
        let mut settings: Vec<String> = settings.split(' ').map(str::to_owned).collect();
        settings.extend([format!("address={}", at(port)), format!("path={path}"), format!("key={key}")]);
        generator.run(measured, &settings)
    };
    let (began, mut rounds) = (Instant::now(), 0);
    let mut samples: BTreeMap<(usize, usize), Vec<Seen>> = BTreeMap::new();
    for (_, path) in SIDES {
        ask(path, WARM)?;
    }
    while rounds < wish.rounds && (rounds == 0 || began.elapsed() < ENOUGH) {
        for (row, (what, sides, settings)) in MEASURES.iter().enumerate() {
            let mut sides = sides.to_vec();
            if rounds % 2 == 1 {
                sides.reverse();
            }
            for side in sides {
                let path = SIDES[side].1;
                let seen = ask(path, settings).with_context(|| format!("{what}, {path}"))?;
                samples.entry((row, side)).or_default().push(seen);
            }
        }
        rounds += 1;
        eprintln!("round {rounds} of {} after {} s", wish.rounds, began.elapsed().as_secs());
    }
    let each = |row, side| -> Vec<f64> {
        samples.get(&(row, side)).into_iter().flatten().map(|seen| seen.cpu / seen.done).collect()
    };
    let mut rows: Vec<Vec<String>> = MEASURES
        .iter()
        .enumerate()
        .map(|(row, (what, ..))| {
            let plain = each(row, 0);
            let mut cells = vec![format!("CPU a request, {what}, µs")];
            for side in 0..SIDES.len() {
                let seen = each(row, side);
                let ratios: Vec<f64> = plain.iter().zip(&seen).map(|(plain, seen)| seen / plain).collect();
                cells.push(match (side, seen.is_empty()) {
                    (_, true) => String::new(),
                    (0, false) => format!("{:.0}", median(&seen)),
                    (_, false) => format!("{:.0} = {:.2}x", median(&seen), median(&ratios)),
                });
            }
            cells.push(if row == 0 { "<= 1.60x" } else { "" }.to_owned());
            cells
        })
        .collect();
    for (what, plain, ours, target) in [
        ("start of workerd to the first answer, ms", plain.wall(), ours.wall(), "<= +50"),
        ("CPU of that, ms", plain.cpu(), ours.cpu(), ""),
    ] {
        let added = format!("{ours:.0} = +{:.0}", ours - plain);
        rows.push([what, &format!("{plain:.0}"), "", "", &added, target].map(str::to_owned).to_vec());
    }
    let mut head = vec!["one workerd"];
    head.extend(SIDES.map(|(name, _)| name));
    head.push("target");
    println!("\n{}", markdown(&head, &rows));
    let foreign: Vec<f64> = samples.values().flatten().map(|seen| seen.foreign).collect();
    println!(
        "{}; medians of {rounds} rounds; wrangler's proxy and others kept {:.2} processors busy meanwhile",
        description(),
        median(&foreign)
    );
    drop(wrangler);
    fs::remove_dir_all(&folder).context("bench-run")
}

/// The built Worker; `GATELET_WORKER` names the folder of another than that of this tree.
fn bundle() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("GATELET_WORKER") {
        return Ok(folder.into());
    }
    worker::run(&[])?;
    Ok(root().join("build/worker"))
}

/// wrangler with a copy of the built Worker, whose entry the pass-through stands before.
fn start(built: &Path, folder: &Path, mock: u16, port: u16) -> Result<Process> {
    let bundle = folder.join("worker");
    copy(built, &bundle)?;
    fs::write(bundle.join("bench.mjs"), ENTRY.replace("UPSTREAM", &mock.to_string()))?;
    let file = bundle.join("wrangler.toml");
    let prepared = fs::read_to_string(&file)?;
    let changed = prepared.replace("main = \"entry.mjs\"", "main = \"bench.mjs\"");
    ensure!(changed != prepared, "{} has no entry.mjs", file.display());
    fs::write(&file, changed + BINDING)?;
    let mut command: Command = on(Core::Measured, &root().join("node_modules/.bin/wrangler"));
    let mut path = vec![root().join("node_modules/.bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    command
        .args(["dev", "--config"])
        .arg(&file)
        .args(["--local", "--ip", "127.0.0.1", "--port", &port.to_string(), "--inspector-port", "0"])
        .arg("--persist-to")
        .arg(folder.join("state"))
        .args(["--var", &format!("GATELET_ADMIN_KEY:{ADMIN_KEY}")])
        .args(["--var", &format!("GATELET_CONFIG:{}", config(mock))])
        .env("PATH", std::env::join_paths(path)?)
        .envs(WRANGLER_QUIET)
        .current_dir(&bundle);
    let log = folder.join("wrangler.log");
    let mut process = Process::start(&mut command, &log, "INT")?;
    process
        .until_listening(at(port), Duration::from_mins(2))
        .with_context(|| format!("wrangler:\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
    Ok(process)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        if name == ".wrangler" {
            continue;
        }
        let to = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The workerd that runs the Worker: of wrangler's two the one that does not listen where callers come in.
fn measured(wrangler: u32, port: u16) -> Result<u32> {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let all = programs_below(wrangler, "workerd");
        let inner: Vec<u32> = all.iter().copied().filter(|process| !listens_on(*process, port)).collect();
        if let [process] = inner.as_slice()
            && all.len() == 2
        {
            return Ok(*process);
        }
        if Instant::now() > end {
            bail!("wrangler runs {} workerd, {} of them behind its proxy", all.len(), inner.len());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
