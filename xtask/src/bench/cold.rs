//! Starts of workerd itself, without wrangler: with the Worker, and with the least that asks KV and answers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::machine::{Core, Process, at, free_port, on, running_micros};
use super::table::median;
use crate::project::{root, run as finish, wrangler};

/// What one kind of start took, in milliseconds: from the fork until the first answer was read.
#[derive(Default)]
pub(super) struct Starts {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Starts {
    pub(super) fn wall(&self) -> f64 {
        median(&self.wall)
    }

    pub(super) fn cpu(&self) -> f64 {
        median(&self.cpu)
    }
}

/// The least of Workers: as much as is asked of ours before its first answer.
const PLAIN: &str = r#"export default {
  async fetch(request, env) {
    await env.DOCUMENTS.get("config");
    return new Response("ok");
  },
};
"#;

/// A store without anything.
const EMPTY: &str = "export default { fetch: () => new Response(null, { status: 404 }) };\n";

const TIMES: usize = 9;

/// The plain one's and the Worker's, by turns.
pub(super) fn starts(bundle: &Path, folder: &Path) -> Result<[Starts; 2]> {
    let folder = folder.join("cold");
    let upload = folder.join("gatelet");
    finish(
        wrangler()
            .args(["deploy", "--dry-run", "--config"])
            .arg(bundle.join("wrangler.toml"))
            .arg("--outdir")
            .arg(&upload)
            .stdout(std::process::Stdio::null()),
    )?;
    let mut names = fs::read_dir(&upload)?.flatten().map(|entry| entry.file_name());
    let wasm = names.find(|name| Path::new(name).extension().is_some_and(|kind| kind == "wasm"));
    let wasm = wasm.context("wrangler left no wasm")?.to_string_lossy().into_owned();
    let plain = folder.join("plain");
    fs::create_dir_all(&plain)?;
    fs::write(plain.join("entry.js"), PLAIN)?;
    let modules = format!(r#", (name = "./{wasm}", wasm = embed "{wasm}")"#);
    let mut starts = [Starts::default(), Starts::default()];
    for _ in 0..TIMES {
        for (side, (place, modules, rest)) in
            [(&plain, "", "]"), (&upload, modules.as_str(), OURS)].into_iter().enumerate()
        {
            let (wall, cpu) = start(place, modules, rest)?;
            starts[side].wall.push(wall);
            starts[side].cpu.push(cpu);
        }
    }
    Ok(starts)
}

/// What ours is bound to, beside the documents, and what it keeps.
const OURS: &str = r#"
        (name = "RECORDS", r2Bucket = "empty"),
        (name = "SHARDS", durableObjectNamespace = "Shard"),
        (name = "GATELET_ADMIN_KEY", text = "admin-key-of-the-bench-0123456789"),
      ],
      durableObjectNamespaces = [(className = "Shard", uniqueKey = "shard", enableSql = true)],
      durableObjectStorage = (localDisk = "disk")"#;

fn start(folder: &Path, modules: &str, rest: &str) -> Result<(f64, f64)> {
    let disk = folder.join("disk");
    let _ = fs::remove_dir_all(&disk);
    fs::create_dir_all(&disk)?;
    let port = free_port()?;
    let config = folder.join("workerd.capnp");
    fs::write(folder.join("empty.js"), EMPTY)?;
    fs::write(
        &config,
        format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "entry.js", esModule = embed "entry.js"){modules}],
      compatibilityDate = "2026-11-01",
      compatibilityFlags = ["enable_request_signal"],
      bindings = [
        (name = "DOCUMENTS", kvNamespace = "empty"),{rest},
    )),
    (name = "disk", disk = (path = "{}", writable = true)),
    (name = "empty", worker = (
      modules = [(name = "empty.js", esModule = embed "empty.js")],
      compatibilityDate = "2026-11-01",
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")],
);
"#,
            disk.display()
        ),
    )?;
    let log = folder.join("log");
    let began = Instant::now();
    let mut command = on(Core::Measured, &root().join("node_modules/.bin/workerd"));
    let mut process = Process::start(command.arg("serve").arg(&config), &log, "TERM")?;
    let listening = process.until_listening(at(port), Duration::from_mins(1));
    listening.with_context(|| format!("workerd:\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
    let mut stream = TcpStream::connect(at(port))?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let wall = began.elapsed().as_secs_f64() * 1e3;
    ensure!(answer.starts_with("HTTP/1.1 200"), "the first answer after a start: {answer}");
    Ok((wall, running_micros(process.id()) / 1e3))
}
