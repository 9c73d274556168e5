//! `cargo xtask size`: what each host weighs, against its budget. Fails when one is over.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::project::{cargo, root, run as finish, target};
use crate::worker;

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

/// Scripts and wasm, gzipped: what Cloudflare counts. (Bundling and minifying make the upload a little smaller.)
fn worker_bundle() -> Result<usize> {
    worker::run(&[])?;
    let mut total = 0;
    let mut folders = vec![root().join("build/worker")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("js" | "mjs" | "wasm") => total += gzipped(&path)?,
                _ => {}
            }
        }
    }
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
