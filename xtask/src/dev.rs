//! `cargo xtask dev worker|lambda|server`: one host on this machine, rebuilt when its sources change.

use anyhow::{Result, bail};

use crate::project::{cargo, run as finish, wrangler};
use crate::setup;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some((host, rest)) = arguments.split_first() else { bail!("which host? dev worker|lambda|server") };
    match host.as_str() {
        "worker" => {
            setup::worker()?;
            // wrangler.toml names the build command and the folders to watch.
            finish(
                wrangler()
                    .args([
                        "dev",
                        "--local",
                        "--ip",
                        "127.0.0.1",
                        "--inspector-port",
                        "0",
                        "--test-scheduled",
                    ])
                    .args(rest),
            )
        }
        "server" => finish(cargo().args(["run", "--package", "gatelet", "--"]).args(rest)),
        "lambda" => finish(cargo().args(["run", "--package", "gatelet-lambda", "--"]).args(rest)),
        other => bail!("no host is called {other}: worker, lambda or server"),
    }
}
