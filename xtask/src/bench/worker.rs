//! The Worker beside a plain JavaScript pass-through, both in one workerd.
//!
//! What is measured is the process that runs them. wrangler's own proxy before it is another one; what wrangler adds
//! inside it (storage on the local disk, an entry of its own) is the same program for both.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::Wish;
use super::load::{Generator, Seen};
use super::machine::{Core, Process, at, description, free_port, listens_on, on, programs_below};
use super::server::{ADMIN_KEY, Programs, config, create_key, first_answer};
use super::table::{markdown, median};
use crate::project::{WRANGLER_QUIET, root, target};
use crate::{setup, worker};

/// Before the worker's own entry: requests below `/plain` go to the upstream as they are.
const ENTRY: &str = r#"import gatelet from "./entry.mjs";
export { Shard } from "./entry.mjs";
const upstream = "http://127.0.0.1:UPSTREAM";
export default {
  fetch(request, env, context) {
    const plain = request.url.indexOf("/plain/");
    if (plain < 0) return gatelet.fetch(request, env, context);
    return fetch(upstream + request.url.slice(plain + 6), request);
  },
  scheduled: gatelet.scheduled,
};
"#;

const PLAIN: &str = "/plain/v1/chat/completions";
const OURS: &str = "/v1/chat/completions";
/// Until compilers inside workerd have done their work.
const WARM: &str = "model=bench/chat connections=8 requests=1500 seconds=10";

const MEASURES: [(&str, &str); 3] = [
    ("whole answers, 16 callers", "model=bench/chat connections=16 requests=4000 seconds=12"),
    (
        "streams of 100 chunks, 8 callers",
        "model=bench/chunks-100-0 stream=1 connections=8 requests=300 seconds=12",
    ),
    ("questions of 200 KB, 4 callers", "model=bench/chat pad=200000 connections=4 requests=300 seconds=10"),
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
    let mut samples: BTreeMap<(usize, &str), Vec<Seen>> = BTreeMap::new();
    for path in [PLAIN, OURS] {
        ask(path, WARM)?;
    }
    while rounds < wish.rounds && (rounds == 0 || began.elapsed() < ENOUGH) {
        for (row, (what, settings)) in MEASURES.iter().enumerate() {
            for path in if rounds % 2 == 0 { [PLAIN, OURS] } else { [OURS, PLAIN] } {
                let seen = ask(path, settings).with_context(|| format!("{what}, {path}"))?;
                samples.entry((row, path)).or_default().push(seen);
            }
        }
        rounds += 1;
        eprintln!("round {rounds} of {} after {} s", wish.rounds, began.elapsed().as_secs());
    }
    let rows: Vec<Vec<String>> = MEASURES
        .iter()
        .enumerate()
        .map(|(row, (what, _))| {
            let each = |path| -> Vec<f64> {
                samples.get(&(row, path)).into_iter().flatten().map(|seen| seen.cpu / seen.done).collect()
            };
            let (plain, ours) = (each(PLAIN), each(OURS));
            let ratios: Vec<f64> = plain.iter().zip(&ours).map(|(plain, ours)| ours / plain).collect();
            let target = if row == 0 { "<= 1.60x" } else { "" };
            vec![
                format!("CPU a request, {what}, µs"),
                format!("{:.0}", median(&plain)),
                format!("{:.0}", median(&ours)),
                format!("{:.2}x", median(&ratios)),
                target.to_owned(),
            ]
        })
        .collect();
    println!("\n{}", markdown(&["one workerd", "plain JS", "gatelet", "", "target"], &rows));
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
    fs::write(&file, changed)?;
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
