//! Where things are, and how programs are started from there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The repository's root, whatever folder the command was started in.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo's target folder. Wasm and release builds get folders of their own below it, so that no two kinds of build wait
/// for each other's lock or throw out each other's flags.
pub(crate) fn target() -> PathBuf {
    let base = root();
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| base.join("target"), |folder| base.join(folder))
}

pub(crate) fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program started from the root, with `node_modules/.bin` first on its path: wrangler asks for a newer Node than the
/// machine may have, and the one it wants is installed there.
pub(crate) fn program(name: impl Into<OsString>) -> Command {
    let mut command = Command::new(name.into());
    command.current_dir(root());
    let mut folders = vec![root().join("node_modules/.bin")];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command
}

/// `wrangler` with everything switched off that would reach for the network or ask a question.
pub(crate) fn wrangler() -> Command {
    let mut command = program(root().join("node_modules/.bin/wrangler"));
    command.envs(WRANGLER_QUIET);
    command
}

/// What keeps wrangler off the network and off the keyboard. Whoever starts wrangler in a test sets the same.
pub(crate) const WRANGLER_QUIET: [(&str, &str); 7] = [
    ("CI", "1"),
    ("CLOUDFLARE_CF_FETCH_ENABLED", "false"),
    ("WRANGLER_HIDE_BANNER", "true"),
    ("WRANGLER_SEND_ERROR_REPORTS", "false"),
    ("WRANGLER_SEND_METRICS", "false"),
    ("WRANGLER_WRITE_LOGS", "false"),
    // wrangler's own tracing of every step, which costs as much as what it traces.
    ("X_LOCAL_OBSERVABILITY", "false"),
];

/// Runs to the end; anything but success is an error that names the program.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("could not start {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}
