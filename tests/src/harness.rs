//! Runs every scenario on every host: each is a line of output, `host/name_of_the_scenario`.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::host::Kind;
use crate::scenario::{self, Scenario};
use crate::world::World;

/// Scenarios wait far more than they work, so many run at a time.
const AT_A_TIME: usize = 24;
/// No scenario may take longer; a host that hangs is a failure, not a pause.
const PATIENCE: Duration = Duration::from_mins(5);

/// A world that is started by the first scenario that needs it. A failed start is remembered: it is not tried again.
type Lazy = Arc<OnceCell<Result<Arc<World>, String>>>;

/// The `main` of a test binary. Filters and flags are those of `cargo test`.
pub fn run(kinds: &[Kind]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(_) => return ExitCode::FAILURE,
    };
    let worlds: HashMap<Kind, Lazy> = kinds.iter().map(|&kind| (kind, Lazy::default())).collect();
    let mut trials = Vec::new();
    // Scenario by scenario, so that the hosts start and work side by side.
    for scenario in scenario::all() {
        for &kind in kinds {
            let (runtime, world, scenario) =
                (Arc::clone(&runtime), Arc::clone(&worlds[&kind]), scenario.clone());
            trials.push(Trial::test(format!("{kind}/{}", scenario.name), move || {
                runtime
                    .block_on(perform(kind, &world, &scenario))
                    .map_err(|error| Failed::from(format!("{error:?}")))
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // With `-- fault_` it is the whole table.
    if let Some(table) = scenario::chaos::table() {
        let _ = writeln!(std::io::stdout(), "{table}");
    }
    // Worlds are dropped inside the runtime: their processes are stopped here, not left behind.
    let _inside = runtime.enter();
    drop(worlds);
    conclusion.exit_code()
}

async fn perform(kind: Kind, world: &Lazy, scenario: &Scenario) -> Result<()> {
    let started = world.get_or_init(|| async {
        World::start(kind).await.map(Arc::new).map_err(|error| format!("{error:?}"))
    });
    let world = started.await.as_ref().map_err(|error| anyhow!("the {kind} did not start: {error}"))?;
    let outcome = timeout(PATIENCE, (scenario.run)(Arc::clone(world)));
    let outcome = outcome.await.with_context(|| format!("not done within {PATIENCE:?}")).flatten();
    outcome.with_context(|| format!("the last lines of the {kind}'s log:\n{}", world.host.log()))
}
