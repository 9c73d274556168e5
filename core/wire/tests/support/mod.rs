//! What the tests of wire share: the fixtures, and ways through the crate.
#![allow(
    clippy::allow_attributes,
    reason = "each test takes what it needs of this, and lints differ with that"
)]
#![allow(dead_code, unreachable_pub, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]
#![allow(clippy::disallowed_methods, reason = "fixtures are files")]

use std::path::{Path, PathBuf};

use gatelet_wire::dialect::Reading;
use gatelet_wire::frame::{Framing, eventstream};
use gatelet_wire::{Dialect, DialectId, Encoder, EncoderOptions, Event, Loss, Malformed, TargetHints};

pub fn dialect(id: DialectId) -> &'static dyn Dialect {
    id.dialect()
}

/// One file under `fixtures/<dialect>/<kind>/`.
pub struct Fixture {
    pub dialect: DialectId,
    pub case: String,
    pub path: PathBuf,
    /// What a reader gets.
    pub bytes: Vec<u8>,
}

impl Fixture {
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// As [`hints`](Self::hints), for a target whose dialect must know whose model it is.
    pub fn hints_for(&self, to: DialectId) -> TargetHints {
        let mut hints = self.hints();
        if to == DialectId::Bedrock && hints.model == "target-model" {
            "anthropic.claude-target-v1:0".clone_into(&mut hints.model);
        }
        hints
    }

    /// What the case says of its target, in words of `<case>.hints`; else a model that nobody knows.
    pub fn hints(&self) -> TargetHints {
        let mut hints = TargetHints::unknown("target-model");
        hints.max_output_tokens = Some(64_000);
        let words = std::fs::read_to_string(self.path.with_extension("hints")).unwrap_or_default();
        for word in words.split_whitespace() {
            match word {
                "schema" => hints.native_schema = true,
                "adaptive" => hints.adaptive_thinking = true,
                "no-sampling" => hints.sampling = false,
                "mid-system" => hints.mid_system = true,
                other => match other.strip_prefix("model:") {
                    Some(model) => model.clone_into(&mut hints.model),
                    None => panic!("unknown hint {other}"),
                },
            }
        }
        hints
    }
}

pub fn fixtures(dialect: DialectId, kind: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(dialect.name()).join(kind);
    let mut fixtures: Vec<Fixture> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let endings = ["json", "sse", "ndjson", "events"];
            path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
        })
        .map(|path| Fixture {
            dialect,
            case: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            bytes: from_file(&path),
            path,
        })
        .collect();
    fixtures.sort_by(|left, right| left.case.cmp(&right.case));
    assert!(fixtures.len() >= 5, "{} holds too few fixtures", folder.display());
    fixtures
}

/// A fixture's bytes: those of its file, but for binary streams (`.events`), which stand there as text.
fn from_file(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "events") { binary(&bytes) } else { bytes }
}

/// The binary event stream that `text` means. Its lines are `event: name`, `exception: name` or `error: code`, then
/// `data: payload`, and a blank one after each message; `cut: 7` takes the last seven bytes away. Others mean nothing.
pub fn binary(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut head: Option<(eventstream::Kind, String)> = None;
    let mut data = Vec::new();
    for line in text.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        let (word, rest) = line.iter().position(|byte| *byte == b':').map_or((line, &b""[..]), |colon| {
            let rest = &line[colon + 1..];
            (&line[..colon], rest.strip_prefix(b" ").unwrap_or(rest))
        });
        let name = || String::from_utf8_lossy(rest).into_owned();
        match word {
            b"event" => head = Some((eventstream::Kind::Event, name())),
            b"exception" => head = Some((eventstream::Kind::Exception, name())),
            b"error" => head = Some((eventstream::Kind::Error, name())),
            b"data" => data.extend_from_slice(rest),
            b"cut" => out.truncate(out.len() - name().trim().parse::<usize>().unwrap_or(0).min(out.len())),
            b"" => {
                if let Some((kind, name)) = head.take() {
                    eventstream::write(&mut out, kind, &name, |out| out.append(&mut data));
                }
            }
            _ => {}
        }
    }
    out
}

/// A stream as a reader of snapshots wants it: text as it is, binary messages in the words of [`binary`].
pub fn readable(framing: Framing, bytes: &[u8]) -> String {
    if framing != Framing::EventStream {
        return String::from_utf8(bytes.to_vec()).expect("these streams are UTF-8");
    }
    let mut framer = framing.framer();
    framer.push(bytes);
    let mut out = String::new();
    while let Some(frame) = framer.next() {
        let frame = frame.expect("what is written is whole");
        let message = eventstream::Message::read(frame.raw).expect("what is written is well-formed");
        let kind = match message.kind {
            eventstream::Kind::Event => "event",
            eventstream::Kind::Exception => "exception",
            eventstream::Kind::Error => "error",
        };
        out.extend([kind, ": ", message.name, "\ndata: ", message.data, "\n\n"]);
    }
    assert!(framer.finish().is_none(), "what is written is whole");
    out
}

/// One frame of a stream.
pub fn framed(framing: Framing, name: &str, data: &str) -> Vec<u8> {
    match framing {
        Framing::Sse => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
        Framing::Ndjson => format!("{data}\n").into_bytes(),
        Framing::EventStream => binary(format!("event: {name}\ndata: {data}\n\n").as_bytes()),
    }
}

/// Decodes a stream whose bytes arrive in `chunks`. What went wrong stands beside what was read before it.
pub fn decode<'a>(
    dialect: &dyn Dialect,
    reading: Reading,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Option<Malformed>) {
    let mut framer = dialect.conventions().framing.framer();
    let mut decoder = dialect.decoder(reading);
    let mut events = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            if let Err(error) = frame.and_then(|frame| decoder.push(&frame, &mut events)) {
                return (events, Some(error));
            }
        }
    }
    // What follows an end, as far as it came, is nobody's matter.
    if matches!(events.last(), Some(Event::End | Event::Error(_))) {
        return (events, None);
    }
    while let Some(frame) = framer.finish() {
        if let Err(error) = frame.and_then(|frame| decoder.push(&frame, &mut events)) {
            return (events, Some(error));
        }
    }
    let error = decoder.finish(&mut events).err();
    (events, error)
}

/// Encodes into a dialect whose streams are text.
pub fn encode(encoder: &mut dyn Encoder, events: &[Event]) -> (String, Loss) {
    let (out, loss) = encode_bytes(encoder, events);
    (String::from_utf8(out).expect("streams are UTF-8"), loss)
}

pub fn encode_bytes(encoder: &mut dyn Encoder, events: &[Event]) -> (Vec<u8>, Loss) {
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    for event in events {
        encoder.push(event, &mut out, &mut loss);
    }
    (out, loss)
}

pub fn options() -> EncoderOptions {
    EncoderOptions { usage: true, created: 1_750_000_000, ..EncoderOptions::default() }
}

/// One line for each item that was lost.
pub fn lines(loss: &Loss) -> String {
    loss.items().flat_map(|item| ["lost: ", item, "\n"]).collect()
}

/// JSON laid out over lines, every other byte as it was; bytes that are no JSON as text.
pub fn pretty(json: &[u8]) -> String {
    let text = std::str::from_utf8(json).expect("UTF-8 is written");
    serde_json::from_str::<serde::de::IgnoredAny>(text).expect("JSON is written");
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0_usize, false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if quoted {
            out.push(character);
            (quoted, escaped) = (character != '"' || escaped, character == '\\' && !escaped);
            continue;
        }
        let line = |depth: usize, out: &mut String| {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        };
        match character {
            '"' => {
                quoted = true;
                out.push(character);
            }
            '{' | '[' => {
                out.push(character);
                if let Some(end) = characters.next_if(|next| *next == '}' || *next == ']') {
                    out.push(end);
                } else {
                    depth += 1;
                    line(depth, &mut out);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(depth, &mut out);
                out.push(character);
            }
            ',' => {
                out.push(character);
                line(depth, &mut out);
            }
            ':' => out.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}
