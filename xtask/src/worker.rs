//! `cargo xtask worker`: gatelet-worker as wasm, its JavaScript bindings and our entry, in `build/worker`.
//!
//! The bindings come from wasm-bindgen's own library, pinned to the version in `Cargo.lock`: nothing is downloaded.
//!
//! `build/worker` is complete in itself. To run it without building anything (tests, measurements), from the root:
//!
//! ```text
//! CI=1 CLOUDFLARE_CF_FETCH_ENABLED=false WRANGLER_HIDE_BANNER=true WRANGLER_SEND_ERROR_REPORTS=false \
//! WRANGLER_SEND_METRICS=false WRANGLER_WRITE_LOGS=false PATH="$PWD/node_modules/.bin:$PATH" \
//! node_modules/.bin/wrangler dev --config build/worker/wrangler.toml --local --ip 127.0.0.1 --port PORT \
//!     --inspector-port 0 --persist-to FRESH_FOLDER --var NAME:VALUE --var NAME:VALUE …
//! ```
//!
//! End it with SIGINT to that process (its children follow). A `FRESH_FOLDER` per run: state is not compatible between
//! versions of wrangler.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

use crate::project::{cargo, root, run as finish, target};
use crate::{order, setup, trim};

/// Functions that are called once stay functions unless they are tiny: compression finds one again beside those that it
/// resembles, not in the middle of its caller. A fiftieth less to upload. LLVM weighs each instruction against a bonus of
/// 15,000 for taking in a function's only call; here each counts two hundred times as much as it does by default.
const LIKE_WITH_LIKE: &str = "-Cllvm-args=-inline-instr-cost=1000";

pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    setup::wasm_target()?;
    let built = target().join("wasm");
    finish(
        cargo()
            .args(["rustc", "--package", "gatelet-worker", "--lib", "--profile", "worker"])
            .args(["--target", "wasm32-unknown-unknown", "--target-dir"])
            .arg(&built)
            .args(["--", LIKE_WITH_LIKE]),
    )?;
    let out = root().join("build/worker");
    // Snippets are named by a hash: without this, old ones would stay.
    match fs::remove_dir_all(&out) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("build/worker");
        }
        _ => {}
    }
    bindings(&built.join("wasm32-unknown-unknown/worker/gatelet_worker.wasm"), &out)?;
    fs::copy(root().join("adapters/worker/entry.mjs"), out.join("entry.mjs"))
        .context("adapters/worker/entry.mjs")?;
    fs::write(out.join("wrangler.toml"), prepared(&fs::read_to_string(root().join("wrangler.toml"))?)?)?;
    Ok(())
}

fn bindings(wasm: &Path, out: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    let trimmed = trim::trimmed(&fs::read(wasm).with_context(|| wasm.display().to_string())?)?;
    bindgen.input_bytes("index", trimmed).typescript(false).remove_name_section(true);
    // What lets `entry.mjs` start afresh after a trap in wasm instead of failing until the isolate is replaced.
    bindgen.reset_state_function(true).force_enable_abort_handler(true);
    bindgen.module(true)?;
    bindgen.generate(out).context("wasm-bindgen")?;
    let module = out.join("index_bg.wasm");
    fs::write(&module, order::ordered(&fs::read(&module)?)?)?;
    // workerd takes a plain import of a .wasm file as a module, and does not know source phase imports.
    let script = out.join("index.js");
    let text = fs::read_to_string(&script)?;
    ensure!(
        text.contains("import source "),
        "wasm-bindgen no longer writes source phase imports: drop this rewrite"
    );
    fs::write(script, text.replace("import source ", "import "))?;
    Ok(())
}

/// The root's `wrangler.toml`, changed to run what was just built: no build step, and an entry beside the file.
fn prepared(config: &str) -> Result<String> {
    let mut kept = String::from("# Written by `cargo xtask worker`.\n");
    let mut in_build = false;
    for line in config.lines() {
        if line.starts_with('[') {
            in_build = line.trim() == "[build]";
        }
        if in_build || line.trim_start().starts_with('#') {
            continue;
        }
        kept.push_str(if line.starts_with("main = ") { "main = \"entry.mjs\"" } else { line });
        kept.push('\n');
    }
    ensure!(kept.contains("main = \"entry.mjs\""), "wrangler.toml has no line `main = …`");
    Ok(kept)
}
