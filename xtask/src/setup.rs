//! `cargo xtask setup`: the wasm target, the npm packages, the Python packages; all pinned, all below the root.
//!
//! Each step remembers in `.tools/<step>.stamp` what it installed from, and does nothing while that stays the same.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::project::{program, root, run as finish};

pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    wasm_target()?;
    for folder in ["", "tests"] {
        node_packages(&root().join(folder), if folder.is_empty() { "npm" } else { "npm-tests" })?;
    }
    python_packages("requirements.txt", "venv", "python")?;
    // It wants other versions of the packages that are tested themselves.
    python_packages("requirements-litellm.txt", "venv-litellm", "python-litellm")?;
    guard_packages()?;
    // What records are told to.
    python_packages("requirements-sinks.txt", "venv-sinks", "python-sinks")?;
    api_packages()
}

/// What judges the admin API.
pub(crate) fn api_packages() -> Result<()> {
    python_packages("requirements-api.txt", "venv-api", "python-api")
}

/// What makes sentences for the detectors, and a real analyzer to be asked.
pub(crate) fn guard_packages() -> Result<()> {
    python_packages("requirements-guards.txt", "venv-guards", "python-guards")
}

/// The archives with the texts on which detectors are measured, and where they are. They are read and never installed: what they
/// depend on is a hundred times as large.
pub(crate) fn guard_texts() -> Result<PathBuf> {
    let requirements = root().join("tests/requirements-guard-texts.txt");
    let folder = root().join(".tools/guard-texts");
    let stamp = Stamp::new("guard-texts", &[&requirements], "python3", &["--version"])?;
    if !(stamp.holds() && folder.is_dir()) {
        println!("fetching texts for the guards into .tools/guard-texts");
        finish(
            program("python3")
                .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
                .args(["--only-binary", ":all:", "--requirement"])
                .arg(&requirements)
                .arg("--dest")
                .arg(&folder),
        )?;
        stamp.write()?;
    }
    Ok(folder)
}

/// Only what the Worker needs: no Python.
pub(crate) fn worker() -> Result<()> {
    wasm_target()?;
    node_packages(&root(), "npm")
}

/// rustup adds the target by itself from `rust-toolchain.toml`; a cargo from elsewhere must bring it along.
pub(crate) fn wasm_target() -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let installed = || -> Result<bool> {
        let output = program("rustc")
            .args(["--print", "target-libdir", "--target", TARGET])
            .output()
            .context("rustc")?;
        Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
    };
    if installed()? {
        return Ok(());
    }
    finish(program("rustup").args(["target", "add", TARGET]))
        .context("the wasm32 target is missing, and rustup could not add it")?;
    if !installed()? {
        bail!("rustc still has no {TARGET}");
    }
    Ok(())
}

fn node_packages(folder: &Path, step: &str) -> Result<()> {
    let lock = folder.join("package-lock.json");
    if !lock.is_file() {
        return Ok(());
    }
    let stamp = Stamp::new(step, &[&lock], "npm", &["--version"])?;
    if stamp.holds() && folder.join("node_modules").is_dir() {
        return Ok(());
    }
    println!("installing npm packages in {}", folder.display());
    // The packages that need install scripts (node, esbuild, workerd) fetch only their own platform package.
    finish(program("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder))
        .context("npm ci (Node.js 20 or later with npm is needed)")?;
    stamp.write()
}

/// Installs `tests/<requirements>` in `.tools/<folder>`.
fn python_packages(requirements: &str, folder: &str, step: &str) -> Result<()> {
    let requirements = root().join("tests").join(requirements);
    let stamp = Stamp::new(step, &[&requirements], "python3", &["--version"])?;
    let folder = format!(".tools/{folder}");
    let python = root().join(&folder).join("bin/python");
    if stamp.holds() && python.is_file() {
        return Ok(());
    }
    println!("installing Python packages in {folder}");
    finish(program("python3").args(["-m", "venv", "--clear", &folder])).context(
        "python3 -m venv (Python 3.10 or later is needed; on Debian and Ubuntu its package python3-venv)",
    )?;
    finish(
        Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )?;
    stamp.write()
}

/// Proof of an installation: a hash of the files that it was made from and of the installing tool's version.
struct Stamp {
    path: PathBuf,
    value: String,
}

impl Stamp {
    fn new(step: &str, sources: &[&Path], tool: &str, version: &[&str]) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        for source in sources {
            fs::read(source).with_context(|| source.display().to_string())?.hash(&mut hasher);
        }
        let output = program(tool)
            .args(version)
            .stderr(Stdio::null())
            .output()
            .with_context(|| format!("{tool} is missing"))?;
        output.stdout.hash(&mut hasher);
        Ok(Self {
            path: root().join(format!(".tools/{step}.stamp")),
            value: format!("{:016x}", hasher.finish()),
        })
    }

    fn holds(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|old| old == self.value)
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(root().join(".tools"))?;
        fs::write(&self.path, &self.value).with_context(|| self.path.display().to_string())
    }
}
