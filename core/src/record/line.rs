//! Records as JSON.
//!
//! By hand: every request writes two of them, and a serialiser that escapes each name of a field anew takes three times as
//! long. Each function takes its record apart, so that none of its fields can be forgotten.

use gatelet_wire::Usage;
use gatelet_wire::json::push_string;
use serde::Serialize;

use super::{Attempt, Record};
use crate::domain::{Money, RequestId, Timestamp};

/// Writes one request's line, without the line feed.
#[expect(clippy::too_many_lines, reason = "each field once, so that none is forgotten")]
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
        prompt,
        prompt_version,
        content: _,
        trace: _,
        carried: _,
        strategy: _,
        queue_ms: _,
        upstream_ms: _,
        overhead_ms: _,
        finish: _,
        fault: _,
        request_bytes: _,
        answer_bytes: _,
        residency: _,
        kept_in: _,
        left_out: _,
        cache: _,
        saved: _,
        similarity: _,
        copy_of: _,
        lookup_for: _,
        unbilled: _,
        guards,
    } = record;
    let mut line = Line { out };
    line.begin("{\"v\":").count((*v).into());
    line.begin(",\"kind\":").plain(kind);
    line.begin(",\"id\":").text(id.as_str());
    line.begin(",\"at\":").moment(*at);
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
    line.begin(",\"stream\":").flag(*stream);
    line.begin(",\"outcome\":").plain(outcome);
    line.begin(",\"status\":").count((*status).into());
    line.begin(",\"attempts\":").count((*attempts).into());
    line.usage(usage);
    line.begin(",\"usage_estimated\":").flag(*usage_estimated);
    costs(record, &mut line);
    line.begin(",\"total_ms\":").millis(*total_ms);
    line.begin(",\"first_content_ms\":").maybe_millis(*first_content_ms);
    line.list(",\"loss\":", loss);
    if let Some(cap) = output_cap {
        line.begin(",\"output_cap\":").count(*cap);
    }
    line.list(",\"soft_passed\":", soft_passed);
    line.list(",\"shadowed\":", shadowed);
    line.said(",\"fell_to\":", fell_to.as_deref());
    line.said(",\"prompt\":", prompt.as_deref());
    if let Some(version) = prompt_version {
        line.begin(",\"prompt_version\":").count(*version);
    }
    course(record, &mut line);
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
    if let Some(carried) = &record.carried {
        line.said(",\"trace_state\":", Some(&*carried.state).filter(|state| !state.is_empty()));
        line.list(",\"baggage\":", &carried.baggage);
    }
    line.word(",\"strategy\":", record.strategy);
    if let Some(millis) = &record.queue_ms {
        line.begin(",\"queue_ms\":").millis(*millis);
    }
    line.begin(",\"upstream_ms\":").millis(record.upstream_ms);
    line.begin(",\"overhead_ms\":").millis(record.overhead_ms);
    line.word(",\"finish\":", record.finish);
    line.word(",\"fault\":", record.fault);
    line.begin(",\"request_bytes\":").count(record.request_bytes);
    line.begin(",\"answer_bytes\":").count(record.answer_bytes);
    line.word(",\"cache\":", record.cache);
    if let Some(similarity) = &record.similarity {
        line.begin(",\"similarity\":").json(similarity);
    }
    if let Some(saved) = &record.saved {
        line.begin(",\"saved\":").money(*saved);
    }
    line.said(",\"copy_of\":", record.copy_of.as_ref().map(RequestId::as_str));
    line.said(",\"lookup_for\":", record.lookup_for.as_ref().map(RequestId::as_str));
    if let Some(unbilled) = &record.unbilled {
        line.begin(",\"unbilled\":").money(*unbilled);
    }
    line.word(",\"content\":", record.content);
    line.list(",\"residency\":", &record.residency);
    line.list(",\"kept_in\":", &record.kept_in);
    line.list(",\"left_out\":", &record.left_out);
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
        cost,
    } = record;
    let mut line = Line { out };
    line.begin("{\"v\":").count((*v).into());
    line.begin(",\"kind\":").plain(kind);
    line.begin(",\"id\":").text(id.as_str());
    line.begin(",\"at\":").moment(*at);
    line.begin(",\"attempt\":").count((*attempt).into());
    line.begin(",\"target\":").text(target);
    if let Some(region) = region {
        line.begin(",\"region\":").text(region);
    }
    line.begin(",\"lane\":").plain(lane);
    line.begin(",\"status\":").maybe_count(status.map(u64::from));
    line.begin(",\"outcome\":").plain(outcome);
    line.begin(",\"head_ms\":").maybe_millis(*head_ms);
    line.begin(",\"total_ms\":").millis(*total_ms);
    if let Some(billed) = billed {
        line.begin(",\"billed\":").text(billed);
    }
    line.word(",\"why\":", *why);
    line.word(",\"fault\":", *fault);
    if let Some(cost) = cost {
        line.begin(",\"cost\":").shown(cost);
    }
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

    /// A whole number, most of which have one digit.
    fn count(&mut self, mut number: u64) {
        const LONGEST: usize = 20;
        let mut digits = [b'0'; LONGEST];
        let mut first = LONGEST;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(first..).unwrap_or_default());
    }

    fn maybe_count(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.count(number),
            None => self.null(),
        }
    }

    fn flag(&mut self, flag: bool) {
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    /// Milliseconds, which were counted in microseconds: what a float's own writer would write, at a third of its price.
    fn millis(&mut self, millis: f64) {
        const MOST: f64 = 1e15;
        let micros = millis * 1_000.0 + 0.5;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; judged below"
        )]
        let whole = micros as u64;
        #[expect(clippy::cast_precision_loss, reason = "it is judged here whether there was any")]
        let same = (0.0..MOST).contains(&micros) && (whole as f64 / 1_000.0).to_bits() == millis.to_bits();
        if !same {
            return self.json(&millis);
        }
        self.count(whole / 1_000);
        let parts = whole % 1_000;
        let digits = [parts / 100, parts / 10, parts].map(|digits| b'0' + (digits % 10) as u8);
        let length = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        self.out.push(b'.');
        self.out.extend_from_slice(digits.get(..length).unwrap_or_default());
    }

    fn maybe_millis(&mut self, millis: Option<f64>) {
        match millis {
            Some(millis) => self.millis(millis),
            None => self.null(),
        }
    }

    fn moment(&mut self, at: Timestamp) {
        let (text, length) = at.text();
        self.quoted(text.get(..length).unwrap_or_default());
    }

    fn money(&mut self, money: Money) {
        let (text, place) = money.text();
        self.quoted(text.get(place).unwrap_or_default());
    }

    /// What there is nothing to escape in.
    fn quoted(&mut self, text: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(text);
        self.out.push(b'"');
    }

    /// Lists, and numbers of other kinds. Writing into memory does not fail.
    fn json(&mut self, value: &impl Serialize) {
        let _infallible = serde_json::to_writer(&mut *self.out, value);
    }

    fn text(&mut self, text: &str) {
        push_string(self.out, text);
    }

    /// A word of ours, in which there is nothing to escape.
    fn plain(&mut self, word: &str) {
        self.quoted(word.as_bytes());
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
            None => self.null(),
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
        self.begin(",\"usage\":{\"input\":").count(*input);
        self.begin(",\"cache_read\":").count(*cache_read);
        self.begin(",\"cache_write_5m\":").count(*cache_write_5m);
        self.begin(",\"cache_write_1h\":").count(*cache_write_1h);
        self.begin(",\"cache_write_12h\":").count(*cache_write_12h);
        self.begin(",\"audio_input\":").count(*audio_input);
        self.begin(",\"image_input\":").count(*image_input);
        self.begin(",\"output\":").count(*output);
        self.begin(",\"reasoning\":").count(*reasoning);
        self.begin(",\"audio_output\":").count(*audio_output);
        if *image_output > 0 {
            self.begin(",\"image_output\":").count(*image_output);
        }
        self.begin(",\"web_searches\":").count(*web_searches);
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
