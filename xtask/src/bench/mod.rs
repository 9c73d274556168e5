//! `cargo xtask bench [worker] [--rounds N] [--long]`: what a request costs, beside what the least of proxies costs.
//!
//! Everything runs on this machine's loopback, and writes below cargo's target folder alone. Wall-clock figures of a
//! busy machine mean little; processor time a request, as a ratio within one run, means most.

use anyhow::{Context as _, Result, bail, ensure};

mod cold;
mod load;
mod machine;
mod server;
mod table;
mod worker;

/// What the command line asked for.
struct Wish {
    worker: bool,
    /// How often everything is measured; the table has medians.
    rounds: usize,
    /// Watch the memory over a million requests as well.
    long: bool,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut wish = Wish { worker: false, rounds: 3, long: false };
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "worker" => wish.worker = true,
            "server" => wish.worker = false,
            "--long" => wish.long = true,
            "--rounds" => {
                wish.rounds = arguments.next().and_then(|count| count.parse().ok()).context("--rounds N")?;
            }
            _ => bail!("usage: cargo xtask bench [server|worker] [--rounds N] [--long]"),
        }
    }
    ensure!(wish.rounds > 0, "--rounds N: at least 1");
    ensure!(cfg!(target_os = "linux"), "the bench reads processor times from Linux's /proc");
    if wish.worker { worker::run(&wish) } else { server::run(&wish) }
}
