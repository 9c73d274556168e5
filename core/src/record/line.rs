//! Records as JSON.
//!
//! By hand: every request writes two of them, and a serialiser that escapes each name of a field anew takes three times as
//! long. Each function takes its record apart, so that none of its fields can be forgotten.

use gatelet_wire::Usage;
use serde::Serialize;

use super::{Attempt, Record};
use crate::domain::RequestId;

/// Writes one request's line, without the line feed.
pub(super) fn request(record: &Record, out: &mut Vec<u8>) {
    let Record {
        v,
        kind,
        id,
        at,
        shard,
        key,
        alias,
        org,
        team,
        project,
        user,
        tags,
        customer,
        session,
        operation,
        dialect,
        model,
        target,
        stream,
        outcome,
        status,
        attempts,
        usage,
        usage_estimated,
        cost: _,
        cost_stated: _,
        price: _,
        cost_parts: _,
        total_ms,
        first_content_ms,
        loss,
        output_cap,
        soft_passed,
        shadowed,
        fell_to,
        content,
        trace: _,
        strategy: _,
        queue_ms: _,
        upstream_ms: _,
        overhead_ms: _,
        finish: _,
        fault: _,
        request_bytes: _,
        answer_bytes: _,
        residency,
        cache: _,
        saved: _,
        copy_of: _,
        unbilled: _,
        guards,
    } = record;
    let mut line = Line { out };
    line.begin("{\"v\":").json(v);
    line.begin(",\"kind\":").plain(kind);
    line.begin(",\"id\":").text(id.as_str());
    line.begin(",\"at\":").shown(at);
    line.begin(",\"shard\":").text(shard.as_str());
    line.begin(",\"key\":").text(key);
    for (name, text) in [
        (",\"alias\":", alias),
        (",\"org\":", org),
        (",\"team\":", team),
        (",\"project\":", project),
        (",\"user\":", user),
    ] {
        line.said(name, text.as_deref());
    }
    line.list(",\"tags\":", tags);
    line.said(",\"customer\":", customer.as_deref());
    line.said(",\"session\":", session.as_deref());
    line.begin(",\"operation\":").plain(operation);
    line.begin(",\"dialect\":").plain(dialect);
    line.begin(",\"model\":").text(model);
    line.begin(",\"target\":").maybe(target.as_deref());
    line.begin(",\"stream\":").json(stream);
    line.begin(",\"outcome\":").plain(outcome);
    line.begin(",\"status\":").json(status);
    line.begin(",\"attempts\":").json(attempts);
    line.usage(usage);
    line.begin(",\"usage_estimated\":").json(usage_estimated);
    costs(record, &mut line);
    line.begin(",\"total_ms\":").json(total_ms);
    line.begin(",\"first_content_ms\":").json(first_content_ms);
    line.list(",\"loss\":", loss);
    if let Some(cap) = output_cap {
        line.begin(",\"output_cap\":").json(cap);
    }
    line.list(",\"soft_passed\":", soft_passed);
    line.list(",\"shadowed\":", shadowed);
    line.said(",\"fell_to\":", fell_to.as_deref());
    course(record, &mut line);
    line.word(",\"content\":", *content);
    line.list(",\"residency\":", residency);
    if !guards.is_empty() {
        line.begin(",\"guards\":").json(guards);
    }
    line.begin("}");
}

/// What it cost, by which price, and of what that is made.
fn costs(record: &Record, line: &mut Line<'_>) {
    line.begin(",\"cost\":").shown(&record.cost);
    if record.cost_stated {
        line.begin(",\"cost_stated\":").json(&record.cost_stated);
    }
    if let Some(version) = record.price {
        line.begin(",\"price\":").shown(&format_args!("{version:08x}"));
    }
    for (place, (name, money)) in record.cost_parts.iter().enumerate() {
        line.begin(if place == 0 { ",\"cost_parts\":{" } else { "," }).plain(name);
        line.begin(":").shown(&money);
    }
    if record.cost_parts.iter().next().is_some() {
        line.begin("}");
    }
}

/// How it went on its way.
fn course(record: &Record, line: &mut Line<'_>) {
    if let Some(trace) = &record.trace {
        line.begin(",\"trace_id\":").shown(&format_args!("{:032x}", trace.id));
        line.begin(",\"parent_span_id\":").shown(&format_args!("{:016x}", trace.parent));
    }
    line.word(",\"strategy\":", record.strategy);
    if let Some(millis) = &record.queue_ms {
        line.begin(",\"queue_ms\":").json(millis);
    }
    line.begin(",\"upstream_ms\":").json(&record.upstream_ms);
    line.begin(",\"overhead_ms\":").json(&record.overhead_ms);
    line.word(",\"finish\":", record.finish);
    line.word(",\"fault\":", record.fault);
    line.begin(",\"request_bytes\":").json(&record.request_bytes);
    line.begin(",\"answer_bytes\":").json(&record.answer_bytes);
    line.word(",\"cache\":", record.cache);
    if let Some(saved) = &record.saved {
        line.begin(",\"saved\":").shown(saved);
    }
    line.said(",\"copy_of\":", record.copy_of.as_ref().map(RequestId::as_str));
    if let Some(unbilled) = &record.unbilled {
        line.begin(",\"unbilled\":").shown(unbilled);
    }
}

/// Writes one attempt's line, without the line feed.
pub(super) fn attempt(record: &Attempt, out: &mut Vec<u8>) {
    let Attempt {
        v,
        kind,
        id,
        at,
        attempt,
        target,
        region,
        lane,
        status,
        outcome,
        head_ms,
        total_ms,
        billed,
        why,
        fault,
    } = record;
    let mut line = Line { out };
    line.begin("{\"v\":").json(v);
    line.begin(",\"kind\":").plain(kind);
    line.begin(",\"id\":").text(id.as_str());
    line.begin(",\"at\":").shown(at);
    line.begin(",\"attempt\":").json(attempt);
    line.begin(",\"target\":").text(target);
    if let Some(region) = region {
        line.begin(",\"region\":").text(region);
    }
    line.begin(",\"lane\":").plain(lane);
    line.begin(",\"status\":").json(status);
    line.begin(",\"outcome\":").plain(outcome);
    line.begin(",\"head_ms\":").json(head_ms);
    line.begin(",\"total_ms\":").json(total_ms);
    if let Some(billed) = billed {
        line.begin(",\"billed\":").text(billed);
    }
    line.word(",\"why\":", *why);
    line.word(",\"fault\":", *fault);
    line.begin("}");
}

/// The line as far as it is written.
struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    /// Writes what stands before a value: its name.
    fn begin(&mut self, name: &'static str) -> &mut Self {
        self.out.extend_from_slice(name.as_bytes());
        self
    }

    /// Numbers and the like. Writing into memory does not fail.
    fn json(&mut self, value: &impl Serialize) {
        let _infallible = serde_json::to_writer(&mut *self.out, value);
    }

    fn text(&mut self, text: &str) {
        if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            return self.json(&text);
        }
        self.plain(text);
    }

    /// A word of ours, in which there is nothing to escape.
    fn plain(&mut self, word: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// A word of ours under its name; nothing if there is none.
    fn word(&mut self, name: &'static str, word: Option<&'static str>) {
        if let Some(word) = word {
            self.begin(name).plain(word);
        }
    }

    /// A text under its name; nothing if there is none.
    fn said(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.begin(name).text(text);
        }
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// What is written as it is shown, which has nothing to escape.
    fn shown(&mut self, value: &impl std::fmt::Display) {
        use std::io::Write as _;
        self.out.push(b'"');
        let _infallible = write!(self.out, "{value}");
        self.out.push(b'"');
    }

    fn usage(&mut self, usage: &Usage) {
        let Usage {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            cache_write_12h,
            audio_input,
            image_input,
            output,
            reasoning,
            audio_output,
            image_output,
            web_searches,
            units,
        } = usage;
        self.begin(",\"usage\":{\"input\":").json(input);
        self.begin(",\"cache_read\":").json(cache_read);
        self.begin(",\"cache_write_5m\":").json(cache_write_5m);
        self.begin(",\"cache_write_1h\":").json(cache_write_1h);
        self.begin(",\"cache_write_12h\":").json(cache_write_12h);
        self.begin(",\"audio_input\":").json(audio_input);
        self.begin(",\"image_input\":").json(image_input);
        self.begin(",\"output\":").json(output);
        self.begin(",\"reasoning\":").json(reasoning);
        self.begin(",\"audio_output\":").json(audio_output);
        if *image_output > 0 {
            self.begin(",\"image_output\":").json(image_output);
        }
        self.begin(",\"web_searches\":").json(web_searches);
        if !units.is_empty() {
            self.begin(",\"units\":").json(units);
        }
        self.begin("}");
    }

    /// A list of texts; nothing if it is empty.
    fn list(&mut self, name: &'static str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.begin(name).out.push(b'[');
        for (nth, item) in items.iter().enumerate() {
            if nth > 0 {
                self.out.push(b',');
            }
            self.text(item);
        }
        self.out.push(b']');
    }
}
