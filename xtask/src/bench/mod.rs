//! `cargo xtask bench [server|worker|lambda|admission] [--rounds N] [--long]`: what a request costs, beside what the least of proxies
//! costs; how long a Lambda function takes to start; and what admission alone takes.
//!
//! Everything runs on this machine's loopback, and writes below cargo's target folder alone. Wall-clock figures of a
//! busy machine mean little; processor time a request, as a ratio within one run, means most.

use anyhow::{Context as _, Result, bail, ensure};

mod admission;
mod cold;
mod lambda;
mod load;
mod machine;
mod server;
mod table;
mod worker;

/// What the command line asked for.
struct Wish {
    of: Of,
    /// How often everything is measured; the table has medians.
    rounds: usize,
    /// Watch the memory over a million requests as well.
    long: bool,
}

/// What is measured.
enum Of {
    Server,
    Worker,
    Lambda,
    Admission,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut wish = Wish { of: Of::Server, rounds: 3, long: false };
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "worker" => wish.of = Of::Worker,
            "server" => wish.of = Of::Server,
            "lambda" => wish.of = Of::Lambda,
            "admission" => wish.of = Of::Admission,
            "--long" => wish.long = true,
            "--rounds" => {
                wish.rounds = arguments.next().and_then(|count| count.parse().ok()).context("--rounds N")?;
            }
            _ => bail!("usage: cargo xtask bench [server|worker|lambda|admission] [--rounds N] [--long]"),
        }
    }
    ensure!(wish.rounds > 0, "--rounds N: at least 1");
    ensure!(cfg!(target_os = "linux"), "the bench reads processor times from Linux's /proc");
    match wish.of {
        Of::Server => server::run(&wish),
        Of::Worker => worker::run(&wish),
        Of::Lambda => lambda::run(&wish),
        Of::Admission => admission::run(),
    }
}
