//! Measures over files: `cargo run --release -p gatelet-detect --example measure -- speed|secrets|injection|personal FILE...`
//!
//! `secrets` prints what is found in source code, a hit a megabyte; `injection` reads lines of JSON with `text`, `label`,
//! `source`, `split`, as `train/collect.py` writes them, and prints the rates of the held-out ones by source.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a tool that measures and prints")]

use std::collections::BTreeMap;
use std::time::Instant;

use gatelet_detect::{Kind, Kinds, injection, scan};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((what, files)) = arguments.split_first() else { return };
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read(file).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
    match what.as_str() {
        "speed" => speed(&texts.collect::<Vec<_>>()),
        "secrets" => secrets(&texts.collect::<Vec<_>>()),
        "injection" => texts.for_each(|text| attempts(&text)),
        "personal" => texts.for_each(|text| personal(&text)),
        other => println!("no measure {other}"),
    }
}

fn speed(texts: &[String]) {
    let all: usize = texts.iter().map(String::len).sum();
    let time = |name: &str, run: &dyn Fn(&str)| {
        for text in texts {
            run(text);
        }
        let begin = Instant::now();
        for text in texts {
            run(text);
        }
        #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
        let each = begin.elapsed().as_secs_f64() * 1e6 / (all as f64 / 1024.0);
        println!("{name:<12} {each:7.2} us/KB");
    };
    let drop_all = |wanted: Kinds| move |text: &str| drop(std::hint::black_box(scan(text, wanted)));
    time("personal", &drop_all(Kinds::PERSONAL));
    time("secrets", &drop_all(Kinds::SECRETS));
    time("scan of all", &drop_all(Kinds::ALL));
    time("injection", &|text| {
        std::hint::black_box(injection::judge(text, injection::Source::User));
    });
}

fn secrets(texts: &[String]) {
    let (mut bytes, mut hits) = (0, 0);
    for text in texts {
        bytes += text.len();
        for finding in scan(text, Kinds::SECRETS) {
            hits += 1;
            println!(
                "{} {} {:?}",
                finding.label,
                finding.score,
                text.get(finding.start..finding.end.min(finding.start + 60))
            );
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
    let megabytes = bytes as f64 / 1e6;
    println!("{hits} hits in {megabytes:.1} MB: {:.2} a MB", f64::from(hits) / megabytes);
}

/// Kinds that have a form of their own: what is found of others is not counted as wrong.
const FORMED: [Kind; 11] = [
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
];

/// What is found of values whose places are known, as `tests/guards/generate.py` writes them: a line of JSON for each kind and
/// locale with how many there are, how many of them were found, and how many findings lie elsewhere.
fn personal(lines: &str) {
    let shown = std::env::var("MISSED").is_ok();
    let wanted: Kinds = FORMED.into_iter().collect();
    let mut groups: BTreeMap<(String, String), [usize; 3]> = BTreeMap::new();
    for line in lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let (kind, text) = (word("kind"), word("text"));
        let found = scan(&text, wanted);
        let spans: Vec<(usize, usize)> = (line["spans"].as_array().into_iter().flatten())
            .filter_map(|span| Some((span[0].as_u64()?, span[1].as_u64()?)))
            .filter_map(|(start, end)| Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?)))
            .collect();
        // Nothing of the value may be left over.
        let hit = |(start, end): &&(usize, usize)| {
            found.iter().any(|one| one.kind.name() == kind && one.start <= *start && one.end >= *end)
        };
        let hits = spans.iter().filter(hit).count();
        let apart = |one: &&gatelet_detect::Finding| {
            !spans.iter().any(|(start, end)| one.start < *end && *start < one.end)
        };
        let wrong = found.iter().filter(apart).count();
        if shown && (hits < spans.len() || wrong > 0) {
            println!("{kind} {hits}/{} {wrong} {text:?} {found:?}", spans.len());
        }
        let group = groups.entry((kind, word("locale"))).or_default();
        for (sum, more) in group.iter_mut().zip([spans.len(), hits, wrong]) {
            *sum += more;
        }
    }
    for ((kind, locale), [all, hits, wrong]) in groups {
        println!(
            "{}",
            serde_json::json!({ "kind": kind, "locale": locale, "all": all, "found": hits, "wrong": wrong })
        );
    }
}

fn attempts(lines: &str) {
    let mut groups: BTreeMap<(bool, String), (u32, u32)> = BTreeMap::new();
    for line in lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        if line["split"] != "test" {
            continue;
        }
        let attempt = line["label"] == 1;
        let score = injection::judge(line["text"].as_str().unwrap_or(""), injection::Source::User).score;
        for name in [line["source"].as_str().unwrap_or(""), "= all"] {
            let group = groups.entry((attempt, name.to_owned())).or_default();
            group.0 += 1;
            group.1 += u32::from(score >= injection::THRESHOLD);
        }
    }
    for ((attempt, name), (all, flagged)) in groups {
        let share = 100.0 * f64::from(flagged) / f64::from(all);
        println!(
            "{} {name:<28} {all:>5} texts {share:6.2} % flagged",
            if attempt { "attempts" } else { "ordinary" }
        );
    }
}
