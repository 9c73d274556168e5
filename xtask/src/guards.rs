//! `cargo xtask guards`: what the gateway's own detectors find, and what all guards on board cost. Fails below its thresholds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::project::{cargo, program, root, run as finish, target};
use crate::setup;

/// Of values with a form of each kind and locale so many are found, and of what is found so much is right.
const FORMED: f64 = 0.98;
/// What has no form of its own and cannot be known by it alone: how much is found is shown, and what is found is held to be right.
const FORMLESS: &str = "address";
/// Of names, recall and precision together. Organisations and places are shown and not yet held to it.
const NAMES: f64 = 0.80;
/// Attempts that are found, and ordinary texts that are taken for attempts.
const INJECTION: (f64, f64) = (0.90, 0.01);
/// Hits in a megabyte of source code that has no secrets.
const HITS: f64 = 1.0;
/// Microseconds a KB of all guards together on one core, and how often that in wasm.
const COST: (f64, f64) = (25.0, 3.0);

/// Sentences for each kind and locale.
const SENTENCES: &str = "300";

pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    setup::guard_packages()?;
    let archives = setup::guard_texts()?;
    let folder = target().join("guards");
    fs::create_dir_all(&folder)?;
    let measure = built()?;
    let generated = made(&folder, "generate.py", &[SENTENCES])?;
    let held_out = |what: &str| made(&folder, "held_out.py", &[what, &archives.to_string_lossy()]);
    let mut below = Vec::new();

    println!("## Personal data in sentences with Faker's values, in eight locales\n");
    personal(&said(&measure, "personal", &generated)?, FORMED, &mut below);
    println!("\n## Tokens by the forms of detect-secrets, in lines of programs\n");
    personal(&said(&measure, "secrets", &held_out("secrets")?)?, FORMED, &mut below);
    println!("\n## Names in presidio-evaluator's sentences\n");
    names(&said(&measure, "names", &held_out("names")?)?, &mut below);
    println!("\n## Attempts and ordinary texts of authors of whom nothing was learnt\n");
    attempts(&said(&measure, "injection", &held_out("injection")?)?, &mut below);
    let source = source(&folder)?;
    println!("\n## Secrets in source code that has none\n");
    hits(&said(&measure, "source", &source)?, &mut below)?;
    println!("\n## Microseconds a KB on one core of this machine, as busy as it is\n");
    speed(&measure, &generated, &source, &mut below)?;
    ensure!(below.is_empty(), "below what is promised:\n{}", below.join("\n"));
    Ok(())
}

fn built() -> Result<PathBuf> {
    finish(cargo().args(["build", "--quiet", "--release", "-p", "gatelet-measure"]))?;
    Ok(target().join("release/gatelet-measure"))
}

/// What one of the scripts writes, as a file.
fn made(folder: &Path, script: &str, arguments: &[&str]) -> Result<PathBuf> {
    let file = folder.join(format!("{script}.{}.jsonl", arguments.first().unwrap_or(&"")));
    let mut python = Command::new(root().join(".tools/venv-guards/bin/python"));
    python.arg(root().join("tests/guards").join(script)).args(arguments);
    let output = python.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "tests/guards/{script} failed");
    fs::write(&file, output.stdout)?;
    Ok(file)
}

/// The Rust files of packages that ours are made with, as one file of some 16 MB.
fn source(folder: &Path) -> Result<PathBuf> {
    const MOST: usize = 16 << 20;
    let output = cargo().args(["metadata", "--format-version", "1"]).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut all = String::new();
    for package in packages.iter().filter(|package| package["source"].is_string()) {
        let manifest = Path::new(package["manifest_path"].as_str().context("no manifest")?);
        rust_files(&manifest.with_file_name("src"), &mut all, MOST);
    }
    let file = folder.join("source.txt");
    fs::write(&file, all)?;
    Ok(file)
}

fn rust_files(folder: &Path, all: &mut String, most: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rust_files(&path, all, most);
        } else if path.extension().is_some_and(|ending| ending == "rs") && all.len() < most {
            all.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

/// What `measure` says of a file, line by line.
fn said(measure: &Path, what: &str, file: &Path) -> Result<Vec<Value>> {
    let output = Command::new(measure).arg(what).arg(file).output()?;
    ensure!(output.status.success(), "measure {what} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_default()
}

fn word<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

fn personal(lines: &[Value], least: f64, below: &mut Vec<String>) {
    println!("| kind | where | values | recall | precision |\n| --- | --- | ---: | ---: | ---: |");
    for line in lines {
        let (kind, locale) = (word(line, "kind"), word(line, "locale"));
        let [all, found, wrong] = ["all", "found", "wrong"].map(|name| count(line, name));
        let (recall, precision) = (share(found, all), share(found, found + wrong));
        if all > 0 {
            println!("| {kind} | {locale} | {all} | {recall:.3} | {precision:.3} |");
        } else {
            // Sentences without any value: whatever is found there is wrong.
            println!("| {kind} | {locale} | 0 | | {wrong} wrong |");
        }
        let missed = kind != FORMLESS && recall < least;
        if if all > 0 { missed || precision < least } else { wrong > 0 } {
            below.push(format!("{kind} {locale}: {found} of {all}, {wrong} wrong"));
        }
    }
}

fn names(lines: &[Value], below: &mut Vec<String>) {
    println!("| kind | values | recall | precision | F1 |\n| --- | ---: | ---: | ---: | ---: |");
    for line in lines {
        let kind = word(line, "kind");
        let [all, found, wrong] = ["all", "found", "wrong"].map(|name| count(line, name));
        if all == 0 {
            println!("| sentences without any | 0 | | {wrong} wrong | |");
            continue;
        }
        let (recall, precision) = (share(found, all), share(found, found + wrong));
        let f1 = 2.0 * recall * precision / (recall + precision).max(f64::MIN_POSITIVE);
        println!("| {kind} | {all} | {recall:.3} | {precision:.3} | {f1:.3} |");
        if kind == "person" && f1 < NAMES {
            below.push(format!("{kind}: F1 {f1:.3}, where {NAMES} is the least"));
        }
    }
}

fn attempts(lines: &[Value], below: &mut Vec<String>) {
    println!("| | source | texts | taken for attempts |\n| --- | --- | ---: | ---: |");
    let mut sums: BTreeMap<bool, [u64; 2]> = BTreeMap::new();
    let name = |attempt: bool| if attempt { "attempts" } else { "ordinary" };
    for line in lines {
        let attempt = line["attempt"] == true;
        let [texts, flagged] = ["texts", "flagged"].map(|name| count(line, name));
        let part = 100.0 * share(flagged, texts);
        println!("| {} | {} | {texts} | {part:.1} % |", name(attempt), word(line, "source"));
        let sum = sums.entry(attempt).or_default();
        *sum = [sum[0] + texts, sum[1] + flagged];
    }
    for (attempt, [texts, flagged]) in sums {
        let part = share(flagged, texts);
        println!("| {} | all | {texts} | {:.2} % |", name(attempt), 100.0 * part);
        if if attempt { part < INJECTION.0 } else { part > INJECTION.1 } {
            below.push(format!("{}: {flagged} of {texts} taken for attempts", name(attempt)));
        }
    }
}

fn hits(lines: &[Value], below: &mut Vec<String>) -> Result<()> {
    let (last, found) = lines.split_last().context("nothing was measured")?;
    #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
    let megabytes = count(last, "bytes") as f64 / 1e6;
    #[expect(clippy::cast_precision_loss, reason = "counts of hits")]
    let each = count(last, "hits") as f64 / megabytes.max(1e-6);
    println!("{} hits in {megabytes:.1} MB: {each:.2} a MB", count(last, "hits"));
    for line in found {
        println!("- {}: `{}`", word(line, "label"), word(line, "line"));
    }
    if each > HITS || megabytes < 1.0 {
        below.push(format!("{each:.2} hits a megabyte in {megabytes:.1} MB, where {HITS} is the most"));
    }
    Ok(())
}

fn speed(measure: &Path, generated: &Path, source: &Path, below: &mut Vec<String>) -> Result<()> {
    println!("| guard | sentences with personal data | source code |\n| --- | ---: | ---: |");
    let each = |line: &Value| line["each"].as_f64().unwrap_or(f64::INFINITY);
    let (sentences, programs) = (said(measure, "speed", generated)?, said(measure, "speed", source)?);
    for (one, other) in sentences.iter().zip(&programs) {
        println!("| {} | {:.2} | {:.2} |", word(one, "guard"), each(one), each(other));
        if word(one, "guard") == "all" && each(one).max(each(other)) > COST.0 {
            below.push(format!(
                "all guards: {:.1} us a KB, where {} is the most",
                each(one).max(each(other)),
                COST.0
            ));
        }
    }
    let native = sentences.last().map_or(f64::INFINITY, each);
    let wasm = in_wasm()?;
    println!(
        "\nOf one text of documentation and code: {native:.2} on the server, {wasm:.2} in wasm ({:.1} times)",
        wasm / native
    );
    if wasm > native * COST.1 {
        below.push(format!("wasm takes {:.1} times as long", wasm / native));
    }
    Ok(())
}

/// Lets Node run the module as it is made for Workers, with the clock outside: microseconds a KB of `measure`'s own text.
fn in_wasm() -> Result<f64> {
    /// The program's `main` is exported under its own name. It ends with 0 if all judged.
    const CLOCK: &str = r"
        const { instance } = await WebAssembly.instantiate(require('fs').readFileSync(process.argv[1]), {});
        const once = () => {
            const begin = process.cpuUsage();
            for (let run = 0; run < 10; run++) {
                if (instance.exports.main(0, 0) !== 0) throw new Error('not judged');
            }
            const spent = process.cpuUsage(begin);
            return (spent.user + spent.system) / 10;
        };
        // The first runs compile it.
        console.log(Math.min(...Array.from({ length: 5 }, once)));
    ";
    setup::wasm_target()?;
    let folder = target().join("wasm");
    let build = [
        "build",
        "--quiet",
        "--profile",
        "worker",
        "--target",
        "wasm32-unknown-unknown",
        "-p",
        "gatelet-measure",
    ];
    finish(cargo().args(build).arg("--target-dir").arg(&folder))?;
    let module = folder.join("wasm32-unknown-unknown/worker/gatelet-measure.wasm");
    let script = format!("(async () => {{{CLOCK}}})()");
    let output = program("node").arg("-e").arg(script).arg(module).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "node could not run the module");
    let micros: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let texts =
        ["core/ARCHITECTURE.md", "core/src/guard/stream.rs"].map(|file| fs::metadata(root().join(file)));
    let mut bytes = 0;
    for text in texts {
        bytes += text?.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
    Ok(micros / (bytes as f64 / 1024.0))
}

fn share(part: u64, all: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of texts")]
    if all == 0 { 1.0 } else { part as f64 / all as f64 }
}
