//! Replays recorded traffic and prints what its own words and ours disagree about.
//!
//! `cargo run --release -p gatelet-wire --example replay -- exchanges.ndjson`, where each line is one exchange:
//! `{"source", "dialect", "uri", "request", "status", "content_type", "response"}`, both bodies in base64. Every request
//! and answer is read, written in its own dialect, and compared with the original, field by field; then written in every
//! other dialect and read there. A disagreement is a line; the counts come last. Nothing here asserts: a person judges.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a tool for the command line")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatelet_wire::dialect::{Addressed, Reading};
use gatelet_wire::event::Grammar;
use gatelet_wire::fold::fold;
use gatelet_wire::{Dialect, DialectId, EncoderOptions, Event, Fields, Loss, Malformed, TargetHints};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Exchange {
    source: String,
    dialect: String,
    uri: String,
    request: String,
    status: u16,
    content_type: String,
    response: String,
}

/// What was found, each kind of disagreement with its count and its first place.
#[derive(Default)]
struct Report {
    counts: BTreeMap<String, u64>,
    found: BTreeMap<String, (u64, String)>,
}

impl Report {
    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn disagree(&mut self, what: String, source: &str) {
        self.found.entry(what).or_insert_with(|| (0, source.to_owned())).0 += 1;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("say which file to replay")?;
    let mut report = Report::default();
    for line in std::fs::read_to_string(path)?.lines() {
        let exchange: Exchange = serde_json::from_str(line)?;
        let Some(id) = DialectId::ALL.iter().copied().find(|id| id.name() == exchange.dialect) else {
            report.count(format!("{} (no such dialect)", exchange.dialect));
            continue;
        };
        report.count(format!("{} exchanges", id.name()));
        request(id, &exchange, &mut report)?;
        answer(id, &exchange, &mut report)?;
    }
    for (what, (times, source)) in &report.found {
        println!("{times:6}  {what}\n        first in {source}");
    }
    for (what, times) in &report.counts {
        println!("{times:6}  {what}");
    }
    Ok(())
}

fn request(
    id: DialectId,
    exchange: &Exchange,
    report: &mut Report,
) -> Result<(), Box<dyn std::error::Error>> {
    let (dialect, source) = (id.dialect(), exchange.source.as_str());
    let body = STANDARD.decode(&exchange.request)?;
    if body.is_empty() || exchange.status >= 400 {
        return Ok(());
    }
    let addressed = Addressed { model: model_of(&exchange.uri), stream: None, list: false };
    if let Err(error) = Fields::read(&body).and_then(|fields| dialect.peek(&fields, &addressed).map(|_| ())) {
        report.disagree(format!("{} request: not peeked: {error}", id.name()), source);
    }
    let request = match dialect.read_request(&body) {
        Ok(request) => request,
        Err(error) => {
            report.disagree(format!("{} request: not read: {error}", id.name()), source);
            return Ok(());
        }
    };
    report.count(format!("{} requests read", id.name()));
    for to in DialectId::ALL.iter().copied() {
        let hints =
            TargetHints { max_output_tokens: Some(64_000), ..TargetHints::unknown(request.model.clone()) };
        let mut loss = Loss::default();
        let written = match to.dialect().write_request(&request, &hints, &mut loss) {
            Ok(written) => written,
            Err(error) => {
                report.disagree(format!("{} request to {}: refused: {error}", id.name(), to.name()), source);
                continue;
            }
        };
        if let Err(error) = to.dialect().read_request(&written.body) {
            report
                .disagree(format!("{} request to {}: not read again: {error}", id.name(), to.name()), source);
        }
        if to == id {
            compare(&format!("{} request", id.name()), &body, &written.body, &loss, source, report)?;
        }
    }
    Ok(())
}

fn answer(id: DialectId, exchange: &Exchange, report: &mut Report) -> Result<(), Box<dyn std::error::Error>> {
    let (dialect, source) = (id.dialect(), exchange.source.as_str());
    let body = STANDARD.decode(&exchange.response)?;
    let framing = dialect.conventions().framing;
    if exchange.status >= 400 {
        let error = dialect.read_error(exchange.status, &body);
        report.count(format!("{} errors read as {:?}", id.name(), error.kind));
        if error.message.is_empty() {
            report.disagree(format!("{} error: no message", id.name()), source);
        }
        return Ok(());
    }
    if exchange.content_type.starts_with(framing.content_type()) {
        stream(id, &body, source, report);
        return Ok(());
    }
    let response = match dialect.read_response(&body, Reading::default()) {
        Ok(response) => response,
        Err(error) => {
            report.disagree(format!("{} answer: not read: {error}", id.name()), source);
            return Ok(());
        }
    };
    report.count(format!("{} answers read", id.name()));
    match dialect.read_usage(&body, Reading::default()) {
        Ok((usage, _)) if usage == response.usage => {}
        other => {
            report.disagree(format!("{} answer: usage read alone differs: {other:?}", id.name()), source);
        }
    }
    if response.usage.total() == 0 {
        report.disagree(format!("{} answer: no usage", id.name()), source);
    }
    for to in DialectId::ALL.iter().copied() {
        let mut loss = Loss::default();
        let written = to.dialect().write_response(&response, &mut loss);
        match to.dialect().read_response(&written, Reading::default()) {
            Ok(again) if again.usage.total() == response.usage.total() => {}
            Ok(_) => report.disagree(format!("{} answer to {}: other usage", id.name(), to.name()), source),
            Err(error) => {
                report.disagree(format!("{} answer to {}: not read: {error}", id.name(), to.name()), source);
            }
        }
        if to == id {
            compare(&format!("{} answer", id.name()), &body, &written, &loss, source, report)?;
        }
    }
    Ok(())
}

fn stream(id: DialectId, body: &[u8], source: &str, report: &mut Report) {
    let (events, error) = decode(id.dialect(), body);
    report.count(format!("{} streams read", id.name()));
    report.count(format!("{} events", id.name()));
    if let Some(error) = error {
        report.disagree(format!("{} stream: {error}", id.name()), source);
    }
    if let Err(breach) = Grammar::check(&events) {
        report.disagree(format!("{} stream: grammar: {breach}", id.name()), source);
    }
    for event in &events {
        if let Event::Foreign { name, .. } = event {
            report.disagree(format!("{} stream: foreign event {name:?}", id.name()), source);
        }
    }
    let whole = said(&events);
    for to in DialectId::ALL.iter().copied() {
        let options = EncoderOptions { usage: true, created: 1, ..EncoderOptions::default() };
        let (mut encoder, mut out, mut loss) = (to.dialect().encoder(options), Vec::new(), Loss::default());
        for event in &events {
            encoder.push(event, &mut out, &mut loss);
        }
        let (again, error) = decode(to.dialect(), &out);
        if let Some(error) = error {
            report.disagree(format!("{} stream to {}: {error}", id.name(), to.name()), source);
        }
        if let Err(breach) = Grammar::check(&again) {
            report.disagree(format!("{} stream to {}: grammar: {breach}", id.name(), to.name()), source);
        }
        if loss.is_empty() && said(&again) != whole {
            report.disagree(format!("{} stream to {}: says something else", id.name(), to.name()), source);
        }
    }
}

/// What a stream says, in words that every dialect has: its text, its calls, its usage.
fn said(events: &[Event]) -> String {
    use gatelet_wire::chat::Content;
    let response = fold(events);
    let mut said = String::new();
    for part in response.choices.iter().flat_map(|choice| &choice.parts) {
        match &part.content {
            Content::Text { text, .. } => said.push_str(text),
            Content::ToolCall(call) => {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
                let _infallible = write!(said, "\n{}({arguments})", call.name);
            }
            _ => {}
        }
    }
    let _infallible =
        write!(said, "\n{} in, {} out", response.usage.input_total(), response.usage.output_total());
    said
}

fn decode(dialect: &dyn Dialect, body: &[u8]) -> (Vec<Event>, Option<Malformed>) {
    let mut framer = dialect.conventions().framing.framer();
    let (mut decoder, mut events) = (dialect.decoder(Reading::default()), Vec::new());
    framer.push(body);
    while let Some(frame) = framer.next() {
        if let Err(error) = frame.and_then(|frame| decoder.push(&frame, &mut events)) {
            return (events, Some(error));
        }
    }
    while let Some(frame) = framer.finish() {
        if let Err(error) = frame.and_then(|frame| decoder.push(&frame, &mut events)) {
            return (events, Some(error));
        }
    }
    let error = decoder.finish(&mut events).err();
    (events, error)
}

/// Names every field that the original has and the written one has not, or has with another value.
fn compare(
    what: &str,
    original: &[u8],
    written: &[u8],
    loss: &Loss,
    source: &str,
    report: &mut Report,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(&serde_json::from_slice(original)?, String::new(), &mut before);
    leaves(&serde_json::from_slice(written)?, String::new(), &mut after);
    let noted: BTreeSet<String> = loss.items().map(places).collect();
    for (path, values) in &before {
        let there = after.get(path);
        if there == Some(values) || noted.iter().any(|item| path.contains(item.as_str())) {
            continue;
        }
        let how = if there.is_none() { "left out" } else { "changed" };
        report.disagree(format!("{what}: {path} {how}"), source);
    }
    for path in after.keys().filter(|path| !before.contains_key(*path)) {
        report.disagree(format!("{what}: {path} added"), source);
    }
    Ok(())
}

/// What was lost, as paths are written here: any place of a list is `[]`.
fn places(item: &str) -> String {
    let mut out = String::new();
    for (nth, piece) in item.replace(".*", "[]").split('[').enumerate() {
        let after = piece.split_once(']').map_or(piece, |(_, after)| after);
        out.push_str(if nth == 0 { "" } else { "[]" });
        out.push_str(after);
    }
    out
}

/// The values under each path, where a list's places count as one; nulls and empty things are nothing.
fn leaves(value: &Value, path: String, out: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                leaves(value, format!("{path}.{key}"), out);
            }
        }
        Value::Array(items) => {
            for item in items {
                leaves(item, format!("{path}[]"), out);
            }
        }
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        // Numbers that mean the same are the same: `1` and `1.0`.
        Value::Number(number) => {
            let number = number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string());
            out.entry(path).or_default().push(number);
        }
        other => out.entry(path).or_default().push(other.to_string()),
    }
}

/// The model, for dialects whose addresses name it.
fn model_of(uri: &str) -> Option<String> {
    let after = |word: &str| uri.split_once(word).map(|(_, rest)| rest);
    let name = after("/models/").or_else(|| after("/model/"))?;
    let end = name.find([':', '/', '?']).unwrap_or(name.len());
    Some(name.get(..end)?.to_owned()).filter(|name| !name.is_empty())
}
