//! `cargo xtask size`: what each host weighs, against its budget. Fails when one is over.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasmparser::Parser;

use crate::project::{cargo, root, run as finish, target, wrangler};
use crate::{setup, worker};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Some way below what is promised, 1,500 KiB with all guards, so that it is noticed in time.
const WORKER: usize = 1_480 * KIB;

/// What an artefact weighs, and what of that: names and bytes.
struct Weight {
    total: usize,
    parts: Vec<(&'static str, usize)>,
}

/// Budgets in bytes of what is uploaded or downloaded: compressed where the cloud counts compressed. Why the Worker's is what
/// it is stands in core/ARCHITECTURE.md.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let only = arguments.first().map(String::as_str);
    let mut over = false;
    println!("{:<28} {:>12} {:>12}", "artefact", "size", "budget");
    for (name, measure, budget) in [
        ("worker", worker_bundle as fn() -> Result<Weight>, WORKER),
        ("lambda", lambda_zip, 6 * MIB),
        ("server", server_binary, 15 * MIB),
    ] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let Weight { total, parts } = measure()?;
        over |= total > budget;
        println!(
            "{name:<28} {:>8} KiB {:>8} KiB{}",
            total.div_ceil(KIB),
            budget / KIB,
            if total > budget { "  OVER" } else { "" }
        );
        for (part, size) in parts {
            println!("  {part:<26} {:>8} KiB", size.div_ceil(KIB));
        }
    }
    if over {
        bail!(
            "an artefact is over its budget: make it smaller, or say in core/ARCHITECTURE.md why it may weigh more"
        );
    }
    Ok(())
}

/// Scripts and wasm as wrangler bundles and minifies them, gzipped: what Cloudflare counts.
fn worker_bundle() -> Result<Weight> {
    setup::worker()?;
    worker::run(&[])?;
    let upload = target().join("sizes/worker");
    let _ = fs::remove_dir_all(&upload);
    finish(
        wrangler()
            .args(["deploy", "--dry-run", "--config"])
            .arg(root().join("build/worker/wrangler.toml"))
            .arg("--outdir")
            .arg(&upload)
            .stdout(Stdio::null()),
    )?;
    let (mut total, mut scripts, mut code, mut data) = (0, 0, 0, 0);
    for entry in fs::read_dir(&upload)? {
        let path = entry?.path();
        let bytes = || fs::read(&path).with_context(|| path.display().to_string());
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("js" | "mjs") => {
                let size = gzipped(&bytes()?)?;
                (total, scripts) = (total + size, scripts + size);
            }
            Some("wasm") => {
                let wasm = bytes()?;
                total += gzipped(&wasm)?;
                for payload in Parser::new(0).parse_all(&wasm) {
                    match payload?.as_section() {
                        Some((CODE, range)) => code += gzipped(&wasm[range])?,
                        Some((DATA, range)) => data += gzipped(&wasm[range])?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    ensure!(total > 0, "wrangler left nothing in {}", upload.display());
    let parts = vec![("code, in wasm", code), ("data, in wasm", data), ("scripts", scripts)];
    Ok(Weight { total, parts })
}

/// Numbers of sections.
const CODE: u8 = 10;
const DATA: u8 = 11;

/// The bootstrap, deflated: a zip of one file is that and some hundred bytes.
fn lambda_zip() -> Result<Weight> {
    let path = built("gatelet-lambda", "lambda", "bootstrap")?;
    Ok(Weight { total: gzipped(&fs::read(path)?)?, parts: Vec::new() })
}

fn server_binary() -> Result<Weight> {
    let path = built("gatelet", "release", "gatelet")?;
    let total = usize::try_from(fs::metadata(path)?.len()).context("size")?;
    Ok(Weight { total, parts: Vec::new() })
}

pub(crate) fn built(package: &str, profile: &str, binary: &str) -> Result<PathBuf> {
    let folder = target().join("sizes");
    finish(cargo().args(["build", "--package", package, "--profile", profile, "--target-dir"]).arg(&folder))?;
    Ok(folder.join(profile).join(binary))
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
