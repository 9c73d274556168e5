//! A stream from an upstream to a caller as a machine without input and output of its own: bytes in, bytes out.

use std::collections::VecDeque;

use bytes::Bytes;
use gatelet_wire::dialect::EncoderOptions;
use gatelet_wire::event::{Delta, PartKind};
use gatelet_wire::frame::Framer;
use gatelet_wire::restore::RestoreStream;
use gatelet_wire::tape::Tape;
use gatelet_wire::{
    Decoder, Encoder, ErrorKind, Event, Loss, Malformed, PublicError, Restore, UpstreamError, Usage,
};

use super::receive::Received;
use super::spoken::Spoken;
use super::tally::Tally;
use crate::guard::{GuardStream, Note};
use crate::policy::{Provider, Target};
use crate::record::content::Transcript;
use crate::registry::StatedCost;
use gatelet_wire::DialectId;

/// Reads what the upstream says, counts it, and makes of it what the caller reads.
#[derive(Debug)]
pub(super) struct Flow {
    framer: Framer,
    /// None: nobody reads what passes.
    decoder: Option<Box<dyn Decoder>>,
    /// What cannot be read passes all the same.
    lenient: bool,
    writer: Writer,
    caller: DialectId,
    events: Vec<Event>,
    /// What may be the last piece of a stream without a terminator: it leaves with the next one, or with the end.
    held: Bytes,
    /// Where its events say what it costs, where they do.
    stated: Option<StatedCost>,
    repeats: Option<Repeats>,
    /// What the caller reads is recorded here.
    tape: Option<Box<Tape>>,
    guard: Option<Box<GuardStream>>,
    /// What was said, where another attempt may go on from it.
    spoken: Option<Box<Spoken>>,
    pub(super) seen: Seen,
}

/// Watches for a model that has begun to say one and the same piece again and again.
#[derive(Debug)]
struct Repeats {
    most: u32,
    last: String,
    count: u32,
    /// It has: the stream ends with an error of ours.
    exceeded: bool,
}

impl Repeats {
    /// Blanks and single signs are repeated in tables and code; what is no piece of text neither counts nor begins anew.
    const SHORTEST: usize = 3;

    fn see(&mut self, events: &[Event]) {
        for event in events {
            let Event::Delta { delta: Delta::Text(text) | Delta::Thinking(text), .. } = event else {
                continue;
            };
            if text.is_empty() {
                continue;
            }
            if *text != self.last {
                self.count = 0;
                self.last.clone_from(text);
            }
            self.count += 1;
            self.exceeded |= self.count > self.most && text.len() >= Self::SHORTEST;
        }
    }
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) content: bool,
    pub(super) end: bool,
    pub(super) error: Option<UpstreamError>,
}

#[derive(Debug)]
enum Writer {
    /// Same dialect: the bytes as they come.
    Verbatim,
    /// Same dialect, but for the usage chunk that only we asked for.
    HideUsage,
    /// Same dialect, its frames as the elements of one JSON list; whether there was any.
    List(bool),
    Translate {
        encoder: Box<dyn Encoder>,
        restore: Box<RestoreStream>,
        restored: Vec<Event>,
        loss: Loss,
        unsaid: Unsaid,
    },
    /// Nobody reads it as it is: what it means, for another stream to go on with.
    Collect { restore: Box<RestoreStream>, events: Vec<Event> },
}

/// How a stream is to be written.
pub(super) enum Writing {
    Verbatim { hide_usage: bool, list: bool },
    Translate { restore: Restore, encoder: Box<dyn Encoder>, unsaid: Unsaid },
    Collect { restore: Restore },
}

/// What is told of an answer whose upstream does not say it, as some dialects do not.
#[derive(Debug)]
pub(super) struct Unsaid {
    id: String,
    model: String,
}

impl Unsaid {
    pub(super) fn of(received: &Received<'_>, target: &Target) -> Self {
        Self { id: received.arrived.id.as_str().to_owned(), model: target.model.to_string() }
    }

    pub(super) fn fill(&self, id: &mut String, model: &mut String) {
        for (said, own) in [(id, &self.id), (model, &self.model)] {
            if said.is_empty() {
                said.clone_from(own);
            }
        }
    }
}

impl Flow {
    pub(super) fn new(upstream: &Provider, caller: DialectId, writing: Writing) -> Self {
        let dialect = upstream.dialect.dialect();
        let writer = match writing {
            Writing::Verbatim { list: true, .. } => Writer::List(false),
            Writing::Verbatim { hide_usage: false, .. } => Writer::Verbatim,
            Writing::Verbatim { hide_usage: true, .. } => Writer::HideUsage,
            Writing::Translate { restore, encoder, unsaid } => Writer::Translate {
                encoder,
                restore: Box::new(restore.stream()),
                restored: Vec::new(),
                loss: Loss::default(),
                unsaid,
            },
            Writing::Collect { restore } => {
                Writer::Collect { restore: Box::new(restore.stream()), events: Vec::new() }
            }
        };
        Self {
            framer: dialect.conventions().framing.framer(),
            decoder: Some(dialect.decoder(upstream.reading())),
            lenient: false,
            writer,
            caller,
            events: Vec::new(),
            held: Bytes::new(),
            stated: None,
            repeats: None,
            tape: None,
            guard: None,
            spoken: None,
            seen: Seen::default(),
        }
    }

    /// Another attempt may go on with it.
    #[must_use]
    pub(super) fn resumable(self, may: bool) -> Self {
        Self { spoken: may.then(Box::default), ..self }
    }

    /// What was said, where another attempt may go on from that.
    pub(super) fn unfinished(&self) -> Option<&str> {
        let passes = |error: &UpstreamError| {
            let temporary = matches!(
                error.kind,
                ErrorKind::RateLimit | ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Api
            );
            temporary && error.code.as_deref() != Some(REPEATS)
        };
        let again = !self.seen.end && self.seen.error.as_ref().is_none_or(passes);
        let writes = matches!(self.writer, Writer::Translate { .. }) && self.guard.is_none();
        self.spoken.as_ref().filter(|_| again && writes)?.text()
    }

    /// Another attempt goes on; those before it have used so much.
    pub(super) fn goes_on(&mut self, used: Usage) {
        self.tape = None;
        if let Some(spoken) = &mut self.spoken {
            spoken.goes_on(used);
        }
    }

    /// Whether what it says begins with a text.
    pub(super) fn begins_with_text(&self) -> bool {
        let Writer::Collect { events, .. } = &self.writer else { return false };
        let first = events.iter().find_map(|event| match event {
            Event::PartStart { choice, part, kind, .. } => Some((choice, part, kind)),
            _ => None,
        });
        matches!(first, Some((0, 0, PartKind::Text)))
    }

    /// Writes what another attempt, which goes on with this one, has said since it was asked last.
    pub(super) fn follow(&mut self, other: &mut Self, tally: &mut Tally) -> Bytes {
        let Writer::Collect { events, .. } = &mut other.writer else { return Bytes::new() };
        if let Some(spoken) = &mut self.spoken {
            spoken.follow(events);
        }
        let mut out = Vec::new();
        self.writer.translate(events, None, Taps::of(&mut self.tape, tally), &mut out);
        self.seen.end = other.seen.end;
        self.seen.error = other.seen.error.take();
        out.into()
    }

    /// What the caller reads is recorded.
    #[must_use]
    pub(super) fn recorded(self, tape: Option<Box<Tape>>) -> Self {
        Self { tape, ..self }
    }

    /// The record of an answer that came to its end.
    pub(super) fn take_tape(&mut self) -> Option<Box<Tape>> {
        self.tape.take().filter(|_| self.seen.end)
    }

    /// What the model says passes its guards; where the bytes pass as they are, they only watch.
    #[must_use]
    pub(super) fn guarded(self, guard: Option<Box<GuardStream>>) -> Self {
        Self { guard, ..self }
    }

    /// What guards said of it.
    pub(super) fn judged(&self) -> &[Note] {
        self.guard.as_ref().map_or(&[], |guard| guard.case().notes())
    }

    /// Whether a guard has ended it: nobody reads on.
    pub(super) fn is_cut(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.is_over())
    }

    /// The stream is ended when it says one piece of text more often than `most` times in a row.
    #[must_use]
    pub(super) fn bounded(self, most: Option<u32>) -> Self {
        let repeats = most.map(|most| Repeats { most, last: String::new(), count: 0, exceeded: false });
        Self { repeats, ..self }
    }

    /// What the target's events say that they cost is taken down.
    #[must_use]
    pub(super) fn stating(self, target: &Target) -> Self {
        Self { stated: target.stated.clone(), ..self }
    }

    /// Bytes that pass as they are and are counted by `decoder` as long as it understands them.
    pub(super) fn tap(dialect: DialectId, decoder: Box<dyn Decoder>) -> Self {
        Self { decoder: Some(decoder), ..Self::bytes(dialect) }
    }

    /// Bytes that pass as they are. `dialect` is the one in which errors are said.
    pub(super) fn bytes(dialect: DialectId) -> Self {
        Self {
            framer: dialect.dialect().conventions().framing.framer(),
            decoder: None,
            lenient: true,
            writer: Writer::Verbatim,
            caller: dialect,
            events: Vec::new(),
            held: Bytes::new(),
            stated: None,
            repeats: None,
            tape: None,
            guard: None,
            spoken: None,
            seen: Seen::default(),
        }
    }

    /// Events that pass as they are, but for the usage that only we asked for.
    pub(super) fn hiding(dialect: DialectId, decoder: Box<dyn Decoder>) -> Self {
        Self { lenient: false, writer: Writer::HideUsage, ..Self::tap(dialect, decoder) }
    }

    /// Whether it passes bytes of whatever kind, among which no error can be said.
    pub(super) fn is_foreign(&self) -> bool {
        self.lenient
    }

    /// Takes a chunk and gives what the caller reads for it, which may be nothing.
    pub(super) fn push(&mut self, chunk: Bytes, tally: &mut Tally) -> Result<Bytes, Malformed> {
        if self.lenient {
            self.watch(&chunk, tally);
            return Ok(chunk);
        }
        let Some(decoder) = self.decoder.as_mut() else { return Ok(chunk) };
        self.framer.push(&chunk);
        let mut out = Vec::new();
        while let Some(frame) = self.framer.next() {
            let frame = frame?;
            self.events.clear();
            decoder.push(&frame, &mut self.events)?;
            self.seen.note(&self.events, tally);
            if let Some(spoken) = &mut self.spoken {
                spoken.see(&self.events);
            }
            if let Some(repeats) = &mut self.repeats {
                repeats.see(&self.events);
                if repeats.exceeded && self.seen.error.is_none() {
                    self.seen.error = Some(repeating(repeats.most));
                }
            }
            tally.state(self.stated.as_ref(), frame.data);
            self.writer.record(&self.events, Taps::of(&mut self.tape, tally));
            match &mut self.writer {
                Writer::Verbatim => {}
                Writer::HideUsage => {
                    // The chunk of usage means exactly this; usage beside other things is the upstream's own way.
                    if !matches!(self.events.as_slice(), [Event::Usage(_)]) {
                        out.extend_from_slice(frame.raw);
                    }
                }
                Writer::List(begun) => {
                    if self.seen.error.is_none() {
                        element(begun, frame.data, &mut out);
                    }
                }
                Writer::Translate { .. } => {
                    self.writer.translate(
                        &mut self.events,
                        self.guard.as_deref_mut(),
                        Taps::of(&mut self.tape, tally),
                        &mut out,
                    );
                }
                Writer::Collect { .. } => self.writer.collect(&mut self.events),
            }
            if let Some(guard) = &mut self.guard {
                watch(guard, &mut self.events)?;
                if guard.is_over() {
                    self.seen.end = true;
                    return Ok(out.into());
                }
            }
        }
        if !matches!(self.writer, Writer::Verbatim) {
            return Ok(out.into());
        }
        let held = std::mem::take(&mut self.held);
        if self.decoder.as_ref().is_some_and(|decoder| decoder.may_end()) {
            self.held = chunk;
            return Ok(held);
        }
        Ok(if held.is_empty() { chunk } else { [held, chunk].concat().into() })
    }

    /// Counts what passes, until something is not understood.
    fn watch(&mut self, chunk: &[u8], tally: &mut Tally) {
        self.seen.content |= !chunk.is_empty();
        tally.pass(chunk.len());
        let Some(decoder) = self.decoder.as_mut() else { return };
        self.framer.push(chunk);
        self.events.clear();
        while let Some(frame) = self.framer.next() {
            let read = frame.and_then(|frame| {
                tally.state(self.stated.as_ref(), frame.data);
                decoder.push(&frame, &mut self.events)
            });
            if read.is_err() {
                self.decoder = None;
                break;
            }
        }
        for event in &self.events {
            tally.see(event);
            if let Some(transcript) = &mut tally.transcript {
                transcript.push(event);
            }
        }
    }

    /// The upstream's bytes ended: the rest of what the caller reads.
    ///
    /// # Errors
    /// The answer was not complete.
    pub(super) fn finish(&mut self, tally: &mut Tally) -> Result<Bytes, Malformed> {
        let mut out = Vec::from(std::mem::take(&mut self.held));
        self.events.clear();
        let Some(decoder) = self.decoder.as_mut().filter(|_| !self.lenient) else {
            self.seen.end = true;
            return Ok(Bytes::new());
        };
        // What follows an end, as far as it came, makes nothing incomplete.
        let over = self.seen.end || self.seen.error.is_some();
        if let Some(frame) = self.framer.finish().filter(|frame| !over || frame.is_ok()) {
            let frame = frame?;
            decoder.push(&frame, &mut self.events)?;
            tally.state(self.stated.as_ref(), frame.data);
            match &mut self.writer {
                Writer::HideUsage => out.extend_from_slice(frame.raw),
                Writer::List(begun) => element(begun, frame.data, &mut out),
                Writer::Verbatim | Writer::Translate { .. } | Writer::Collect { .. } => {}
            }
        }
        if !over {
            decoder.finish(&mut self.events)?;
        }
        self.seen.note(&self.events, tally);
        if let Writer::List(begun) = self.writer
            && self.seen.error.is_none()
        {
            out.extend_from_slice(if begun { b"]" } else { b"[]" });
        }
        self.writer.record(&self.events, Taps::of(&mut self.tape, tally));
        self.writer.collect(&mut self.events);
        let (guard, taps) = (self.guard.as_deref_mut(), Taps::of(&mut self.tape, tally));
        self.writer.translate(&mut self.events, guard, taps, &mut out);
        if let Some(guard) = &mut self.guard {
            watch(guard, &mut self.events)?;
        }
        Ok(out.into())
    }

    /// An error inside the stream, in the caller's words.
    pub(super) fn error(&mut self, error: &PublicError) -> Bytes {
        let mut out = Vec::from(std::mem::take(&mut self.held));
        match &mut self.writer {
            Writer::List(begun) => {
                let body = self.caller.dialect().write_error(error);
                element(begun, std::str::from_utf8(&body).unwrap_or("null"), &mut out);
                out.push(b']');
            }
            Writer::Verbatim | Writer::HideUsage => {
                self.caller.dialect().encoder(EncoderOptions::default()).error(error, &mut out);
            }
            Writer::Translate { encoder, .. } => encoder.error(error, &mut out),
            Writer::Collect { .. } => {}
        }
        out.into()
    }

    /// What the translation could not carry so far.
    pub(super) fn loss(&self) -> Option<&Loss> {
        match &self.writer {
            Writer::Verbatim | Writer::HideUsage | Writer::List(_) | Writer::Collect { .. } => None,
            Writer::Translate { loss, .. } => Some(loss),
        }
    }

    /// Whether the caller has read the upstream's own error already, in its bytes.
    pub(super) fn passes_errors(&self) -> bool {
        match self.writer {
            _ if self.repeats.as_ref().is_some_and(|repeats| repeats.exceeded) => false,
            Writer::Verbatim | Writer::HideUsage => true,
            Writer::List(_) | Writer::Translate { .. } | Writer::Collect { .. } => false,
        }
    }
}

/// Guards read what passes as it is, where it was not theirs to change; none keeps more than a whole answer may be.
fn watch(guard: &mut GuardStream, events: &mut Vec<Event>) -> Result<(), Malformed> {
    const MOST: usize = 8 << 20;
    let mut read = Vec::new();
    for event in events.drain(..) {
        guard.push(event, &mut read);
        read.clear();
    }
    if guard.held() > MOST {
        return Err(Malformed::field("answer", "one that guards can hold"));
    }
    Ok(())
}

/// The code of an answer that goes round in circles.
const REPEATS: &str = "model_repeats";

fn repeating(most: u32) -> UpstreamError {
    UpstreamError {
        kind: ErrorKind::Api,
        status: 502,
        code: Some(REPEATS.to_owned()),
        message: format!("The model said one and the same piece of text more than {most} times in a row."),
        param: None,
        context_window: false,
        content_policy: false,
        retry_after: None,
    }
}

/// Writes one element of a list; a frame without data is none.
fn element(begun: &mut bool, data: &str, out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    out.extend_from_slice(if std::mem::replace(begun, true) { b",\r\n" } else { b"[" });
    out.extend_from_slice(data.as_bytes());
}

/// Who takes down what the caller reads.
struct Taps<'t> {
    tape: Option<&'t mut Tape>,
    transcript: Option<&'t mut Transcript>,
}

impl<'t> Taps<'t> {
    fn of(tape: &'t mut Option<Box<Tape>>, tally: &'t mut Tally) -> Self {
        Self { tape: tape.as_deref_mut(), transcript: tally.transcript.as_deref_mut() }
    }

    fn push(&mut self, event: &Event) {
        if let Some(tape) = &mut self.tape {
            tape.push(event);
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.push(event);
        }
    }
}

impl Writer {
    /// Records what leaves in its upstream's own words.
    fn record(&self, events: &[Event], mut taps: Taps<'_>) {
        match self {
            Self::Verbatim | Self::HideUsage | Self::List(_) => {
                for event in events {
                    taps.push(event);
                }
            }
            Self::Translate { .. } | Self::Collect { .. } => {}
        }
    }

    /// Puts events away that another stream goes on with.
    fn collect(&mut self, events: &mut Vec<Event>) {
        let Self::Collect { restore, events: collected } = self else { return };
        for event in events.drain(..) {
            restore.push(event, collected);
        }
    }

    fn translate(
        &mut self,
        events: &mut Vec<Event>,
        mut guard: Option<&mut GuardStream>,
        mut taps: Taps<'_>,
        out: &mut Vec<u8>,
    ) {
        let Self::Translate { encoder, restore, restored, loss, unsaid } = self else { return };
        for mut event in events.drain(..) {
            if let Event::Start { id, model, .. } = &mut event {
                unsaid.fill(id, model);
            }
            // The upstream's error is said once, by whoever ends the stream.
            if matches!(event, Event::Error(_)) {
                continue;
            }
            restored.clear();
            restore.push(event, restored);
            if let Some(guard) = guard.as_deref_mut() {
                let said = std::mem::take(restored);
                for event in said {
                    guard.push(event, restored);
                }
            }
            for event in restored.iter() {
                taps.push(event);
                encoder.push(event, out, loss);
            }
        }
    }
}

impl Seen {
    fn note(&mut self, events: &[Event], tally: &mut Tally) {
        for event in events {
            tally.see(event);
            self.content |= event.is_content();
            match event {
                Event::End => self.end = true,
                Event::Error(error) => self.error = Some(error.clone()),
                _ => {}
            }
        }
    }
}

/// Pieces that wait until an attempt is committed.
pub(super) type Waiting = VecDeque<Bytes>;
