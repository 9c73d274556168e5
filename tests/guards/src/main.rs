//! What the detectors find of texts of which it is known, and what all guards on board cost: `cargo xtask guards` reads what this
//! prints.
//!
//! `measure WHAT FILE…`: `personal`, `names`, `secrets` and `injection` read lines of JSON as `tests/guards/*.py` write them, and
//! `source` reads programs without secrets. Without arguments it lets all guards judge a text of its own once: that is what is measured
//! in wasm, where somebody else has the clock.
#![expect(clippy::print_stdout, reason = "a tool that measures and prints")]

mod speed;

use std::collections::BTreeMap;
use std::process::ExitCode;

use gatelet_detect::{Finding, Kind, Kinds, injection, scan};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((what, files)) = arguments.split_first() else { return speed::once() };
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                println!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        match what.as_str() {
            "personal" => personal(&text, &FORMED, Found::Whole),
            "names" => personal(&text, &NAMED, Found::Touched),
            "secrets" => personal(&text, &SECRET, Found::Whole),
            "injection" => attempts(&text),
            "source" => source(&text),
            "speed" => speed::speed(&text),
            _ => return ExitCode::from(2),
        }
    }
    ExitCode::SUCCESS
}

fn source(text: &str) {
    let found = scan(text, Kinds::SECRETS);
    for finding in &found {
        let line = text.get(finding.start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        println!("{}", json!({ "label": finding.label, "line": line.chars().take(60).collect::<String>() }));
    }
    println!("{}", json!({ "hits": found.len(), "bytes": text.len() }));
}

/// Kinds that have a form of their own: what is found of others is not counted as wrong.
const FORMED: [Kind; 12] = [
    Kind::Email,
    Kind::Phone,
    Kind::Card,
    Kind::Iban,
    Kind::Ip,
    Kind::Mac,
    Kind::Ssn,
    Kind::NationalId,
    Kind::Passport,
    Kind::Medical,
    Kind::BankAccount,
    Kind::Address,
];

/// Kinds that lists and what stands around them tell.
const NAMED: [Kind; 3] = [Kind::Person, Kind::Organisation, Kind::Place];

const SECRET: [Kind; 6] =
    [Kind::Secret, Kind::Entropy, Kind::Jwt, Kind::PrivateKey, Kind::CredentialUrl, Kind::ConnectionString];

/// When a value counts as found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing of it is left over, and it is of its kind, or, of secrets, of any.
    Whole,
    /// A finding of its kind lies over most of it.
    Touched,
}

/// A value in a text: its kind and its bytes.
struct Known {
    kind: String,
    start: usize,
    end: usize,
}

/// What is found of values whose places are known: a line of JSON for each kind and locale with how many there are, how many of them
/// were found, and how many findings lie where no value of any kind is.
fn personal(lines: &str, wanted: &[Kind], when: Found) {
    let shown = std::env::var("MISSED").is_ok();
    let kinds: Kinds = wanted.iter().copied().collect();
    let mut groups: BTreeMap<(String, String), [usize; 3]> = BTreeMap::new();
    for line in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let (kind, text, locale) = (word("kind"), word("text"), word("locale"));
        let found = scan(&text, kinds);
        let values: Vec<Known> =
            line["spans"].as_array().into_iter().flatten().filter_map(|span| value(span, &kind)).collect();
        let is_of = |one: &Finding, value: &Known| value.kind == "secret" || one.kind.name() == value.kind;
        let hit = |value: &&Known| found.iter().any(|one| is_of(one, value) && covers(one, value, when));
        for value in values
            .iter()
            .filter(|value| value.kind == "secret" || wanted.iter().any(|kind| kind.name() == value.kind))
        {
            let group = groups.entry((value.kind.clone(), locale.clone())).or_default();
            group[0] += 1;
            group[1] += usize::from(hit(&value));
            if shown && !hit(&value) {
                println!(
                    "missed {} {:?} in {text:?}: {found:?}",
                    value.kind,
                    text.get(value.start..value.end)
                );
            }
        }
        for one in &found {
            // What lies over a value of another kind is wrong of neither: a street is called after somebody.
            if !values.iter().any(|value| one.start < value.end && value.start < one.end) {
                let kind = if values.is_empty() { "none" } else { one.kind.name() };
                groups.entry((kind.to_owned(), locale.clone())).or_default()[2] += 1;
                if shown {
                    println!("wrong {} {:?} in {text:?}", one.kind.name(), text.get(one.start..one.end));
                }
            }
        }
    }
    for ((kind, locale), [all, hits, wrong]) in groups {
        println!("{}", json!({ "kind": kind, "locale": locale, "all": all, "found": hits, "wrong": wrong }));
    }
}

/// `[start, end]` of the line's own kind, or `[kind, start, end]`.
fn value(span: &Value, kind: &str) -> Option<Known> {
    let place = |at: usize| usize::try_from(span[at].as_u64()?).ok();
    match span[0].as_str() {
        Some(kind) => Some(Known { kind: kind.to_owned(), start: place(1)?, end: place(2)? }),
        None => Some(Known { kind: kind.to_owned(), start: place(0)?, end: place(1)? }),
    }
}

fn covers(one: &Finding, value: &Known, when: Found) -> bool {
    match when {
        Found::Whole => one.start <= value.start && one.end >= value.end,
        Found::Touched => {
            let common = one.end.min(value.end).saturating_sub(one.start.max(value.start));
            common * 2 >= value.end - value.start
        }
    }
}

/// A line of JSON for each source and label: how many texts, and how many of them were taken for attempts.
fn attempts(lines: &str) {
    let shown = std::env::var("MISSED").is_ok();
    let mut groups: BTreeMap<(bool, String), [u32; 2]> = BTreeMap::new();
    for line in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (attempt, text) = (line["label"] == 1, line["text"].as_str().unwrap_or_default());
        let flagged = injection::judge(text, injection::Source::User).score >= injection::THRESHOLD;
        let group =
            groups.entry((attempt, line["source"].as_str().unwrap_or_default().to_owned())).or_default();
        group[0] += 1;
        group[1] += u32::from(flagged);
        if shown && flagged != attempt {
            println!("{attempt} {text:?}");
        }
    }
    for ((attempt, source), [all, flagged]) in groups {
        println!("{}", json!({ "attempt": attempt, "source": source, "texts": all, "flagged": flagged }));
    }
}
