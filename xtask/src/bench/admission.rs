//! What admission takes on the server, and what a request asks of what other hosts bill by the call.

use anyhow::{Context as _, Result, ensure};

use super::machine::description;
use super::table::markdown;
use crate::project::{cargo, target};

/// How the table's test of costs says what a request in five scopes uses, with one caller and with some.
const UNITS: &str = " units of writing and ";

pub(super) fn run() -> Result<()> {
    let mut bench = cargo();
    bench.args(["bench", "--profile", "release", "--package", "gatelet", "--bench", "admission"]);
    let text = output(bench.arg("--target-dir").arg(target()))?;
    let figure = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.split_once('=').filter(|(found, _)| *found == name));
        let (_, figure) = line.with_context(|| format!("the bench says nothing of {name}"))?;
        figure.parse().with_context(|| format!("{name}={figure} is no number"))
    };
    let one = figure("one")?;
    let row = |what: &str, figure: String, target: &str| vec![what.to_owned(), figure, target.to_owned()];
    let micros = |name: &str| figure(name).map(|figure| format!("{figure:.1}"));
    let flat = |name: &str| figure(name).map(|figure| format!("{figure:.1} ({:.2}x)", figure / one));
    let mut rows = vec![
        row("until admitted, key without limits, µs", micros("plain")?, ""),
        row("until admitted, five scopes in force, µs", micros("one")?, "<= 15 µs"),
        row("of that the ledger, µs", micros("ledger")?, ""),
        row("the same, 100,000 keys, 1,000 of them busy, µs", flat("many")?, "flat"),
        row("the same, 100,000 keys, all of them busy, µs", flat("all")?, ""),
        row(
            "transactions of the ledger a request (Workers: calls of a Durable Object)",
            format!("{:.2}", figure("transactions")?),
            "<= 2",
        ),
        row("accounts read beside them a request", format!("{:.3}", figure("accounts")?), ""),
        row("documents read a request (Workers: KV)", format!("{:.3}", figure("documents")?), "<= 0.1"),
    ];
    for (callers, writing, reading) in units()? {
        rows.push(row(&format!("DynamoDB, {callers}: units of writing a request"), writing, "<= 4"));
        rows.push(row(&format!("DynamoDB, {callers}: units of reading a request"), reading, ""));
    }
    println!("\n{}", markdown(&["", "gatelet", "target"], &rows));
    println!("{}", description());
    Ok(())
}

/// What the table bills for a request, by its own word (its emulator's), as the test of Lambda's ledger sums it up: who asks,
/// units of writing, units of reading.
fn units() -> Result<Vec<(String, String, String)>> {
    let mut costs = cargo();
    costs.args(["test", "--package", "gatelet-lambda", "--test", "costs", "--", "--nocapture"]);
    let text = output(&mut costs)?;
    let line = |line: &str| {
        let (callers, units) = line.split_once(": ")?;
        let (writing, rest) = units.split_once(UNITS)?;
        let (reading, _) = rest.split_once(' ')?;
        Some((callers.to_owned(), writing.to_owned(), reading.to_owned()))
    };
    let units: Vec<_> = text.lines().filter_map(line).collect();
    ensure!(!units.is_empty(), "the test of costs says nothing of units:\n{text}");
    Ok(units)
}

fn output(command: &mut std::process::Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
