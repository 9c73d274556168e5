//! Targets: which are in, which are out, and why.

use anyhow::Result;
use serde_json::Value;

use super::show::{table, word};
use super::{Admin, print};
use crate::cli::Remote;

/// Those whose names have every word.
pub fn targets(remote: &Remote, words: &[String], out: bool) -> Result<()> {
    let mut answer = Admin::of(remote)?.all_of("targets", "")?;
    if let Some(list) = answer["targets"].as_array_mut() {
        list.retain(|target| {
            let name = target["target"].as_str().unwrap_or_default().to_lowercase();
            words.iter().all(|word| name.contains(&word.to_lowercase()))
                && !(out && target["standing"] == "in")
        });
    }
    print(remote, &answer, shown)
}

fn shown(answer: &Value) -> String {
    const COLUMNS: [&str; 4] = ["target", "standing", "in_flight", "requests"];
    let list = answer["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return "None: a target is known once it was asked.".to_owned();
    }
    let titles = ["TARGET", "STANDING", "IN FLIGHT", "REQUESTS/MIN", "FIRST MS", "WHY"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(list.iter().map(|target| {
        let mut row: Vec<String> = COLUMNS.iter().map(|name| word(&target[*name])).collect();
        let first = [&target["first_ms"], &target["answer_ms"]].into_iter().find(|time| time.is_number());
        row.push(first.map(word).unwrap_or_default());
        row.push(why(target));
        row
    }));
    table(&rows)
}

fn why(target: &Value) -> String {
    let fault = target["fault"].as_str().map(|fault| format!("{fault} at fault"));
    let until = target["until"].as_str().map(|until| format!("until {until}"));
    let share =
        target["share"].as_f64().map(|share| format!("takes {:.0} of 100 of its turns", share * 100.0));
    let faults = target["faults_in_a_row"].as_u64().filter(|faults| *faults > 0);
    let faults = faults.map(|faults| format!("{faults} faults in a row"));
    [fault, until, share, faults].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
