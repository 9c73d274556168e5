//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::Result;

use crate::project::{cargo, run as finish, target};
use crate::{setup, worker};

pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    setup::run(&[])?;
    step("format", || finish(cargo().args(["fmt", "--all", "--check"])))?;
    step("clippy", || {
        finish(cargo().args([
            "clippy",
            "--workspace",
            "--exclude",
            "gatelet-worker",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    })?;
    step("clippy, Worker", || {
        finish(
            cargo()
                .args([
                    "clippy",
                    "--package",
                    "gatelet-worker",
                    "--target",
                    "wasm32-unknown-unknown",
                    "--target-dir",
                ])
                .arg(target().join("wasm"))
                .args(["--", "--deny", "warnings"]),
        )
    })?;
    step("build the Worker", || worker::run(&[]))?;
    step("tests", || finish(cargo().args(["test", "--workspace", "--exclude", "gatelet-worker"])))
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    work()
}
