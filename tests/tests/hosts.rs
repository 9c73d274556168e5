//! Every scenario on every host: `cargo test -p gatelet-tests --test hosts -- server/` for one of them.

use std::process::ExitCode;

use gatelet_tests::harness;
use gatelet_tests::host::Kind;

fn main() -> ExitCode {
    harness::run(&Kind::ALL)
}
