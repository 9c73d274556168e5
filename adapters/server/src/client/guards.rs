//! `gatelet guards test`: whether guards still say what is expected of them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::show::table;
use super::{Admin, WrongUsage, print};
use crate::cli::{Guards, Remote};

/// A case of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// A guard, or a group of them.
    guard: String,
    text: Option<String>,
    on: Option<String>,
    tool: Option<String>,
    request: Option<Map<String, Value>>,
    path: Option<String>,
    expect: Expectation,
}

/// What is expected; what is not said may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expectation {
    /// The gravest outcome of all guards that judged.
    outcome: Option<String>,
    /// Kinds that are found, and no others.
    found: Option<Vec<String>>,
    /// What is sent on.
    sent: Option<Value>,
    /// What occurs nowhere in what is sent on.
    hides: Vec<String>,
}

pub fn guards(remote: &Remote, command: &Guards) -> Result<()> {
    let Guards::Test { file } = command;
    let cases = read(file)?;
    let admin = Admin::of(remote)?;
    let mut done = Vec::new();
    let mut failed = 0_usize;
    for (nth, case) in cases.iter().enumerate() {
        let path = format!("/admin/v1/guards/{}/test", utf8_percent_encode(&case.guard, NON_ALPHANUMERIC));
        let mut wish = Map::new();
        for (name, said) in
            [("text", &case.text), ("on", &case.on), ("tool", &case.tool), ("path", &case.path)]
        {
            wish.extend(said.clone().map(|said| (name.to_owned(), Value::String(said))));
        }
        wish.extend(case.request.clone().map(|body| ("request".to_owned(), Value::Object(body))));
        let told = admin.call(Method::POST, &path, Some(wish.into()))?;
        let wrong = case.expect.differs(&told);
        failed += usize::from(!wrong.is_empty());
        done.push(json!({ "case": nth + 1, "guard": case.guard, "ok": wrong.is_empty(), "wrong": wrong,
            "verdicts": told["verdicts"] }));
    }
    print(remote, &Value::Array(done), shown)?;
    if failed > 0 {
        bail!("{failed} of {} cases are not as expected", cases.len());
    }
    Ok(())
}

/// A list of cases, in JSON.
fn read(file: &Path) -> Result<Vec<Case>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let wrong = |error: String| WrongUsage(format!("{}: expected a list of cases: {error}", file.display()));
    let cases: Vec<Case> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if cases.is_empty() {
        return Err(wrong("it is empty".to_owned()).into());
    }
    Ok(cases)
}

impl Expectation {
    /// What of an answer is otherwise.
    fn differs(&self, told: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(outcome) = &self.outcome {
            let gravest = gravest(told);
            if gravest != outcome.as_str() {
                wrong.push(format!("expected {outcome}, it is {gravest}"));
            }
        }
        if let Some(found) = &self.found {
            let list = told["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut kinds: Vec<&str> = list.iter().filter_map(|one| one["kind"].as_str()).collect();
            let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
            for kinds in [&mut kinds, &mut found] {
                kinds.sort_unstable();
                kinds.dedup();
            }
            if kinds != found {
                wrong.push(format!("expected to find {found:?}, found are {kinds:?}"));
            }
        }
        if self.sent.as_ref().is_some_and(|sent| *sent != told["sent"]) {
            wrong.push(format!("it would send {}", told["sent"]));
        }
        let sent = match &told["sent"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for hidden in self.hides.iter().filter(|hidden| sent.contains(hidden.as_str())) {
            wrong.push(format!("{hidden:?} would be sent"));
        }
        wrong
    }
}

/// The gravest word of all verdicts.
fn gravest(told: &Value) -> &str {
    const ORDER: [&str; 7] = ["passed", "unread", "failed", "shadowed", "flagged", "masked", "blocked"];
    let said = told["verdicts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said = said.iter().filter_map(|verdict| verdict["outcome"].as_str());
    said.max_by_key(|word| ORDER.iter().position(|known| known == word)).unwrap_or("passed")
}

fn shown(done: &Value) -> String {
    let mut rows = vec![["CASE", "GUARD", "", "WHY"].map(str::to_owned).to_vec()];
    rows.extend(done.as_array().into_iter().flatten().map(|one| {
        let why = one["wrong"].as_array().map(Vec::as_slice).unwrap_or_default();
        let why: Vec<&str> = why.iter().filter_map(Value::as_str).collect();
        let ok = if one["ok"] == true { "ok" } else { "FAILED" };
        let guard = one["guard"].as_str().unwrap_or_default();
        vec![one["case"].to_string(), guard.to_owned(), ok.to_owned(), why.join("; ")]
    }));
    table(&rows)
}
