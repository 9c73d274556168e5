//! One run of the load generator, with the processor time of whom it asks.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::machine::{Core, cpu_micros, machine_micros, on};

/// The generator, and the upstream that shares its core.
pub(super) struct Generator {
    pub(super) program: PathBuf,
    pub(super) mock: u32,
}

/// What one run showed. Times are in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) done: f64,
    pub(super) seconds: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) first50: f64,
    pub(super) first99: f64,
    pub(super) words50: f64,
    pub(super) words99: f64,
    /// Of the process that was measured, until it has nothing left to do.
    pub(super) cpu: f64,
    /// Processors that others kept busy meanwhile.
    pub(super) foreign: f64,
}

impl Generator {
    /// Asks as `settings` say, while `process` is watched. One request that fails makes the figures worthless.
    ///
    /// What a process does after its answers (records go to the archive once a second) is part of their cost.
    pub(super) fn run(&self, process: u32, settings: &[String]) -> Result<Seen> {
        let (machine, mock, before) = (machine_micros(), cpu_micros(self.mock)?, cpu_micros(process)?);
        let mut command = on(Core::Load, &self.program);
        command.arg("load").args(settings).stderr(Stdio::inherit());
        let output = command.output().context("the load generator could not be started")?;
        ensure!(output.status.success(), "the load generator ended with {}", output.status);
        let cpu = cpu_micros(process)? - before;
        let (machine, mock) = (machine_micros() - machine, cpu_micros(self.mock)? - mock);
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.split_once('=').filter(|(found, _)| *found == name))
                .map(|it| it.1)
        };
        let number = |name: &str| value(name).and_then(|value| value.parse().ok()).unwrap_or(f64::NAN);
        let failed = number("failed");
        ensure!(failed == 0.0, "{failed} requests failed: {}", value("why").unwrap_or("no reason given"));
        ensure!(number("done") > 0.0, "no request was answered in time");
        let (seconds, own) = (number("seconds"), number("cpu"));
        let watched = if process == self.mock { 0.0 } else { cpu };
        let foreign = ((machine - watched - mock - own) / (seconds * 1e6)).max(0.0);
        let later = if process == self.mock { 0.0 } else { until_quiet(process)? };
        Ok(Seen {
            done: number("done"),
            seconds,
            p50: number("p50"),
            p99: number("p99"),
            first50: number("first50"),
            first99: number("first99"),
            words50: number("words50"),
            words99: number("words99"),
            cpu: cpu + later,
            foreign,
        })
    }
}

/// Waits until a process rests, and answers the processor time that it took meanwhile.
fn until_quiet(process: u32) -> Result<f64> {
    /// Longer than the second at which what is done regularly is done.
    const WINDOW: Duration = Duration::from_millis(1_100);
    const REST_MICROS: f64 = 30_000.0;
    let (start, end) = (cpu_micros(process)?, Instant::now() + Duration::from_secs(12));
    let mut last = start;
    loop {
        std::thread::sleep(WINDOW);
        let now = cpu_micros(process)?;
        if now - last <= REST_MICROS || Instant::now() > end {
            return Ok(now - start);
        }
        last = now;
    }
}
