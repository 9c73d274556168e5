//! The three programs of the bench, in one binary; `cargo xtask bench` starts them.
//!
//! ```text
//! gatelet-bench mock PORT            an upstream that answers at once, in OpenAI's and Anthropic's words
//! gatelet-bench floor PORT UPSTREAM  the least that a proxy can do: hyper on both sides, and nothing between
//! gatelet-bench load NAME=VALUE …    asks, and prints what it saw as `name=value` lines; see load.rs
//! ```
//!
//! All of them live on one thread and on 127.0.0.1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks on its terminal")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

mod floor;
mod load;
mod mock;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gatelet-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    match words.as_slice() {
        ["mock", port] => local.block_on(&runtime, mock::serve(loopback(port)?)),
        ["floor", port, upstream] => {
            local.block_on(&runtime, floor::serve(loopback(port)?, loopback(upstream)?))
        }
        ["load", settings @ ..] => {
            let plan = load::Plan::read(settings)?;
            let seen = local.block_on(&runtime, load::run(plan))?;
            println!("{seen}");
            Ok(())
        }
        _ => bail!("usage: mock PORT | floor PORT UPSTREAM | load NAME=VALUE …"),
    }
}

fn loopback(port: &str) -> Result<SocketAddr> {
    let port: u16 = port.parse().with_context(|| format!("{port} is no port"))?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}
