//! models.dev, as the program of opencode carries it: one object literal of providers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use gatelet_catalogue::{Capability, Entry, Meter, Mode};
use serde_json::Value;

use super::source::{Found, Names, entry, picos, pictures, settled, whole};
use super::{Catalogue, literal};

/// The providers' part of a program, as one object literal.
pub(super) fn cut(program: &[u8]) -> Result<Vec<u8>> {
    const MARK: &[u8] = b"anthropic:{id:\"anthropic\",env:[";
    const FIRST: &[u8] = b":{id:\"";
    let mark = find(program, MARK, 0).context("no snapshot in the program")?;
    // Back to the brace that opens it: the last one before the mark from which a literal can be read that reaches it.
    let from = mark.saturating_sub(4 << 20);
    let mut start = from;
    while let Some(at) = find(&program[..mark + MARK.len()], FIRST, start) {
        start = at + 1;
        let Some(open) = program[..at].iter().rposition(|byte| *byte == b'{') else { continue };
        if let Ok((value, length)) = literal::read(&program[open..])
            && open + length > mark
            && value.get("anthropic").is_some()
        {
            return Ok(program[open..open + length].to_vec());
        }
    }
    anyhow::bail!("the snapshot's beginning is not found")
}

fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| at + from)
}

pub(super) fn read(file: &Path, names: &Names) -> Result<Catalogue> {
    let (providers, _) = literal::read(&fs::read(file)?)?;
    let mut catalogue = Catalogue::new();
    for (name, provider) in providers.as_object().into_iter().flatten() {
        let models = provider["models"].as_object().into_iter().flatten();
        let entries: BTreeMap<String, Entry> = models
            .filter(|(id, _)| !id.contains(char::is_whitespace))
            .map(|(id, model)| (id.clone(), of(id, model)))
            .collect();
        if !entries.is_empty() {
            catalogue.entry(names.of(name)).or_default().extend(entries);
        }
    }
    Ok(catalogue)
}

fn of(id: &str, model: &Value) -> Entry {
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (input, output) = (list(&model["modalities"]["input"]), list(&model["modalities"]["output"]));
    let has = |list: &[String], word: &str| list.iter().any(|known| known == word);
    let only = |word: &str| output.len() == 1 && has(&output, word);
    let mode = match () {
        () if only("image") => Mode::Image,
        () if only("video") => Mode::Video,
        () if only("audio") => Mode::Speech,
        () if id.to_lowercase().contains("embed") => Mode::Embedding,
        () if id.to_lowercase().contains("rerank") => Mode::Rerank,
        () => Mode::Chat,
    };
    let mut entry = entry(id, mode);
    entry.context = whole(model["limit"].get("context"));
    entry.max_output = whole(model["limit"].get("output"));
    let says = |key: &str, value: bool| model.get(key).and_then(Value::as_bool) == Some(value);
    let capabilities = [
        (Capability::Tools, says("tool_call", true)),
        (Capability::Schema, says("structured_output", true)),
        (Capability::NoSchema, says("structured_output", false)),
        (Capability::Reasoning, says("reasoning", true)),
        (Capability::NoTemperature, says("temperature", false)),
        (Capability::Vision, has(&input, "image")),
        (Capability::Pdf, has(&input, "pdf")),
        (Capability::AudioInput, has(&input, "audio")),
        (Capability::AudioOutput, has(&output, "audio")),
        (Capability::VideoInput, has(&input, "video")),
    ];
    entry.capabilities = settled(
        capabilities.into_iter().filter(|(_, true_)| *true_).map(|(capability, _)| capability).collect(),
    );
    let mut found = Found::default();
    let cost = &model["cost"];
    rates(&mut found, "", 0, cost);
    match cost["tiers"].as_array() {
        Some(tiers) => {
            for tier in tiers {
                rates(&mut found, "", whole(tier["tier"].get("size")), tier);
            }
        }
        // The older way to say the one tier that there was.
        None => rates(&mut found, "", 200_000, &cost["context_over_200k"]),
    }
    for (service, mode) in model["experimental"]["modes"].as_object().into_iter().flatten() {
        rates(&mut found, service, 0, &mode["cost"]);
    }
    pictures(&mut found, id, mode);
    entry.prices = found.price();
    entry
}

fn rates(found: &mut Found, service: &str, mark: u64, cost: &Value) {
    for (name, meter) in [
        ("input", Meter::Input),
        ("output", Meter::Output),
        ("cache_read", Meter::CacheRead),
        ("cache_write", Meter::CacheWrite5m),
        ("reasoning", Meter::Reasoning),
        ("input_audio", Meter::AudioInput),
        ("output_audio", Meter::AudioOutput),
    ] {
        if let Some(picos) = cost.get(name).and_then(Value::as_f64).and_then(|usd| picos(usd, 1_000_000)) {
            found.add(service, mark, meter, picos);
        }
    }
}
