//! `cargo xtask <command>`: everything that builds, tests and measures Gatelet beyond plain cargo.
//!
//! One file per command; each exposes `run`. Nothing here ships.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks on its terminal")]

use std::process::ExitCode;

use anyhow::Result;

mod bench;
mod catalogue;
mod dev;
mod fuzz_api;
mod guards;
mod order;
mod project;
mod setup;
mod size;
mod test;
mod trim;
mod worker;
mod zones;

struct Command {
    name: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        does: "install what the tests need into folders that git ignores",
        run: setup::run,
    },
    Command { name: "test", does: "set up, then format check, clippy and every test", run: test::run },
    Command { name: "worker", does: "build the Cloudflare Worker into build/worker", run: worker::run },
    Command {
        name: "dev",
        does: "dev worker|lambda|server: run that host locally, rebuilt on change",
        run: dev::run,
    },
    Command {
        name: "bench",
        does: "bench [server|worker] [--rounds N] [--long]: what a request costs, beside the least of proxies",
        run: bench::run,
    },
    Command {
        name: "catalogue",
        does: "catalogue [--check]: models and prices from the packages that publish them, compared and written",
        run: catalogue::run,
    },
    Command {
        name: "zones",
        does: "zones FOLDER: the table of time zones, from compiled ones such as those of PyPI's tzdata",
        run: zones::run,
    },
    Command {
        name: "fuzz-api",
        does: "fuzz-api [EXAMPLES [SEED]]: thousands of calls of the admin API, made from its description",
        run: fuzz_api::run,
    },
    Command {
        name: "guards",
        does: "what the detectors find of generated data, false hits in source code, and speed",
        run: guards::run,
    },
    Command { name: "size", does: "sizes of the artefacts, against their budgets", run: size::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        println!("cargo xtask <command>\n");
        for Command { name, does, .. } in COMMANDS {
            println!("  {name:<9} {does}");
        }
        return ExitCode::from(if matches!(name, "help" | "-h" | "--help") { 0 } else { 2 });
    };
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
