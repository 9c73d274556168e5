//! Watching an answer's stream go by: its last word is what is kept.

use bytes::Bytes;
use gatelet_wire::frame::{Frame, Framer, Framing};
use gatelet_wire::{Fields, Json, Malformed};

/// What the gateway says of an answer instead of whoever made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// The id under which it was promised.
    pub id: Option<String>,
    /// What it goes on from, which the target was not told.
    pub previous: Option<String>,
    pub background: bool,
}

impl Patch {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The answer's object with it.
    pub fn apply(&self, response: &Fields<'_>) -> Vec<u8> {
        let (id, previous) = (self.id.as_ref().map(Json::of), self.previous.as_ref().map(Json::of));
        let mut values = Vec::new();
        if let Some(id) = &id {
            values.push(("id", id.as_str()));
        }
        if let Some(previous) = &previous {
            values.push(("previous_response_id", previous.as_str()));
        }
        if self.background {
            values.push(("background", "true"));
        }
        response.splice(&values)
    }
}

/// What was seen in a piece of a stream.
#[derive(Debug, Default)]
pub struct Seen {
    /// The whole answer: nothing follows it.
    pub answer: Option<Json>,
    /// An error that ended the stream, as it was said.
    pub error: Option<Json>,
}

/// Watches one stream.
#[derive(Debug)]
pub struct Watch {
    framer: Framer,
    patch: Patch,
}

impl Watch {
    pub fn new(patch: Patch) -> Self {
        Self { framer: Framing::Sse.framer(), patch }
    }

    /// Takes a piece and gives what the caller reads for it.
    ///
    /// # Errors
    /// It is no stream of events.
    pub fn push(&mut self, chunk: &Bytes) -> Result<(Bytes, Seen), Malformed> {
        let mut seen = Seen::default();
        let mut out = Vec::new();
        self.framer.push(chunk);
        while let Some(frame) = self.framer.next() {
            let frame = frame?;
            look(&frame, &self.patch, &mut seen, &mut out);
        }
        let out = if self.patch.is_empty() { chunk.clone() } else { out.into() };
        Ok((out, seen))
    }

    /// What is left when the stream ends.
    ///
    /// # Errors
    /// It ended inside of an event.
    pub fn finish(&mut self) -> Result<(Bytes, Seen), Malformed> {
        let mut seen = Seen::default();
        let mut out = Vec::new();
        if let Some(frame) = self.framer.finish() {
            look(&frame?, &self.patch, &mut seen, &mut out);
        }
        Ok((if self.patch.is_empty() { Bytes::new() } else { out.into() }, seen))
    }
}

/// The events that carry the whole answer.
const LAST: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];
const FIRST: [&str; 3] = ["response.created", "response.in_progress", "response.queued"];

fn look(frame: &Frame<'_>, patch: &Patch, seen: &mut Seen, out: &mut Vec<u8>) {
    let patching = !patch.is_empty();
    // Some servers leave out the names of events, and say them in their data alone.
    let named = frame.name.map(str::to_owned).or_else(|| {
        let short = frame.data.get(..frame.data.len().min(96))?;
        (short.contains("\"response.") || short.contains("\"error\"")).then(|| kind(frame.data)).flatten()
    });
    let name = named.as_deref().unwrap_or_default();
    let last = LAST.contains(&name);
    if !(last || name == "error" || patching && FIRST.contains(&name)) {
        if patching {
            out.extend_from_slice(frame.raw);
        }
        return;
    }
    if name == "error" {
        seen.error = Json::parse(frame.data).ok();
        out.extend_from_slice(frame.raw);
        return;
    }
    let response = Fields::read(frame.data.as_bytes())
        .ok()
        .and_then(|data| data.present("response").map(|raw| (data.clone(), Json::from(raw))));
    let Some((data, response)) = response else {
        out.extend_from_slice(frame.raw);
        return;
    };
    let patched = Fields::of(response.as_ref(), "response").ok().filter(|_| patching).and_then(|fields| {
        String::from_utf8(patch.apply(&fields)).ok().and_then(|text| Json::parse(&text).ok())
    });
    let response = patched.unwrap_or(response);
    if patching {
        let text = Json::parse(&String::from_utf8_lossy(&data.splice(&[("response", response.as_str())])));
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        out.extend_from_slice(text.as_ref().map_or(frame.data, Json::as_str).as_bytes());
        out.extend_from_slice(b"\n\n");
    }
    if last {
        seen.answer = Some(response);
    }
}

fn kind(data: &str) -> Option<String> {
    let fields = Fields::read(data.as_bytes()).ok()?;
    gatelet_wire::json::string(fields.present("type")?).map(String::from)
}
