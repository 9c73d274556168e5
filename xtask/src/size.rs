//! `cargo xtask size`: what each host weighs, against its budget. Fails when one is over.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::project::{cargo, root, run as finish, target, wrangler};
use crate::{setup, worker};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Budgets in bytes of what is uploaded or downloaded: compressed where the cloud counts compressed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let only = arguments.first().map(String::as_str);
    let mut over = false;
    println!("{:<28} {:>12} {:>12}", "artefact", "size", "budget");
    for (name, measure, budget) in [
        ("worker", worker_bundle as fn() -> Result<usize>, MIB),
        ("lambda", lambda_zip, 6 * MIB),
        ("server", server_binary, 15 * MIB),
    ] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let size = measure()?;
        over |= size > budget;
        println!(
            "{name:<28} {:>8} KiB {:>8} KiB{}",
            size / KIB,
            budget / KIB,
            if size > budget { "  OVER" } else { "" }
        );
    }
    if over {
        bail!("an artefact is over its budget");
    }
    Ok(())
}

/// Scripts and wasm as wrangler bundles and minifies them, gzipped: what Cloudflare counts.
fn worker_bundle() -> Result<usize> {
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
    let mut total = 0;
    for entry in fs::read_dir(&upload)? {
        let path = entry?.path();
        if let Some("js" | "mjs" | "wasm") = path.extension().and_then(|extension| extension.to_str()) {
            total += gzipped(&path)?;
        }
    }
    ensure!(total > 0, "wrangler left nothing in {}", upload.display());
    Ok(total)
}

/// The bootstrap, deflated: a zip of one file is that and some hundred bytes.
fn lambda_zip() -> Result<usize> {
    gzipped(&built("gatelet-lambda", "lambda", "bootstrap")?)
}

fn server_binary() -> Result<usize> {
    let path = built("gatelet", "release", "gatelet")?;
    usize::try_from(fs::metadata(path)?.len()).context("size")
}

fn built(package: &str, profile: &str, binary: &str) -> Result<PathBuf> {
    let folder = target().join("sizes");
    finish(cargo().args(["build", "--package", package, "--profile", profile, "--target-dir"]).arg(&folder))?;
    Ok(folder.join(profile).join(binary))
}

fn gzipped(path: &Path) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&fs::read(path).with_context(|| path.display().to_string())?)?;
    Ok(encoder.finish()?.len())
}
