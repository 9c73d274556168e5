//! `cargo xtask fuzz-api [EXAMPLES [SEED]]`: calls of the admin API, made from its description by schemathesis against a
//! server of their own. The test of the same name makes few of them; here it is up to EXAMPLES for each operation.

use anyhow::Result;

use crate::project::{cargo, run as finish};
use crate::setup;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::api_packages()?;
    let word = |place: usize, unset: &str| arguments.get(place).cloned().unwrap_or_else(|| unset.to_owned());
    finish(
        cargo()
            .args(["test", "--package", "gatelet-tests", "--test", "admin_api", "--", "--nocapture"])
            .env("GATELET_API_EXAMPLES", word(0, "100"))
            .env("GATELET_API_SEED", word(1, "1"))
            .env("GATELET_API_PHASES", "examples,coverage,fuzzing,stateful"),
    )
}
