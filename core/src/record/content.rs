//! Prompts and answers, where the configuration wants them kept.
//!
//! They are no part of a record, which is small and is kept for long. Before a request's books are closed its content is put
//! beside the outbox (`content/<shard>` of the store, by the id of the outbox's entry), so that a record that says `"content":
//! "kept"` is true whatever dies; whoever archives the records moves it into an object of the same name under `content/`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use gatelet_detect::{Family, Kind, Kinds};
use gatelet_wire::Event;
use gatelet_wire::event::{Delta, PartKind};
use gatelet_wire::json::each_field;
use memchr::memmem;
use serde_json::{Value, json};

use super::Record;
use crate::domain::trace::trace_of;
use crate::domain::{ShardId, Timestamp};
use crate::policy::Mode;
use crate::port::{Entry, Fault, MOST_KEPT, Ports};
use crate::together::together;

/// What a request said and was answered, as far as it is known.
#[derive(Clone, Debug)]
pub struct Content {
    pub mode: Mode,
    /// Bytes of the prompt at the most, and of the answer.
    pub most: usize,
    /// The request's body. None: nothing that may be kept.
    pub prompt: Option<Bytes>,
    /// Values that guards hid, and what stands for each.
    pub hidden: Vec<(Box<str>, Box<str>)>,
    pub answer: Option<Transcript>,
}

/// What a model says, piece by piece; never more than so many bytes of it.
#[derive(Clone, Debug)]
pub struct Transcript {
    said: Vec<Said>,
    left: usize,
    cut: bool,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Said {
    choice: u32,
    part: u32,
    what: What,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Text,
    Thinking,
    Refusal,
    Call { id: String, name: String },
}

impl Transcript {
    pub fn new(most: usize) -> Self {
        Self { said: Vec::new(), left: most, cut: false, ended: false }
    }

    /// A whole answer that is only text, such as what was heard in a sound.
    pub fn text(most: usize, text: &str) -> Self {
        let mut this = Self { ended: true, ..Self::new(most) };
        this.append(0, 0, What::Text, text);
        this
    }

    pub fn push(&mut self, event: &Event) {
        match event {
            Event::PartStart { choice, part, kind: PartKind::ToolCall { id, name, .. }, .. } => {
                let what = What::Call { id: id.clone(), name: name.clone() };
                self.append(*choice, *part, what, "");
            }
            Event::Delta { choice, part, delta } => match delta {
                Delta::Text(text) => self.append(*choice, *part, What::Text, text),
                Delta::Thinking(text) => self.append(*choice, *part, What::Thinking, text),
                Delta::Refusal(text) => self.append(*choice, *part, What::Refusal, text),
                Delta::Arguments(text) => self.argue(*choice, *part, text),
                Delta::Signature(_) | Delta::Citation(_) => {}
            },
            Event::End => self.ended = true,
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartStop { .. }
            | Event::Stop { .. }
            | Event::Usage(_)
            | Event::Meta { .. }
            | Event::Ping
            | Event::Logprobs { .. }
            | Event::Foreign { .. }
            | Event::Error(_) => {}
        }
    }

    fn argue(&mut self, choice: u32, part: u32, text: &str) {
        let place = self.said.iter().rposition(|said| (said.choice, said.part) == (choice, part));
        let text = self.room(text).to_owned();
        if let Some(said) = place.and_then(|place| self.said.get_mut(place)) {
            said.text.push_str(&text);
        }
    }

    fn append(&mut self, choice: u32, part: u32, what: What, text: &str) {
        const MOST_PARTS: usize = 512;
        let text = self.room(text);
        let many = self.said.len() >= MOST_PARTS;
        match self.said.last_mut() {
            Some(last) if (last.choice, last.part) == (choice, part) && last.what == what => {
                last.text.push_str(text);
            }
            _ if many => self.cut = true,
            _ => self.said.push(Said { choice, part, what, text: text.to_owned() }),
        }
    }

    /// As much of a text as there is room for.
    fn room<'t>(&mut self, text: &'t str) -> &'t str {
        let fits = text.floor_char_boundary(self.left);
        self.cut |= fits < text.len();
        self.left -= fits;
        text.get(..fits).unwrap_or_default()
    }

    /// `{"text": …, "thinking": …, "tool_calls": [ … ]}` of the first choice, and `others`.
    fn json(&self) -> Value {
        let last = self.said.iter().map(|said| said.choice).max().unwrap_or(0).min(127);
        let mut choices: Vec<Value> = (0..=last).map(|choice| self.choice(choice)).collect();
        let mut first = choices.remove(0);
        if !choices.is_empty() {
            first["others"] = choices.into();
        }
        if !self.ended {
            first["partial"] = true.into();
        }
        first
    }

    fn choice(&self, choice: u32) -> Value {
        let mine = || self.said.iter().filter(move |said| said.choice == choice);
        let joined = |what: &What| -> String {
            mine().filter(|said| said.what == *what).map(|said| said.text.as_str()).collect()
        };
        let mut value = json!({ "text": joined(&What::Text) });
        for (name, what) in [("thinking", What::Thinking), ("refusal", What::Refusal)] {
            let text = joined(&what);
            if !text.is_empty() {
                value[name] = text.into();
            }
        }
        let calls = mine().filter_map(|said| match &said.what {
            What::Call { id, name } => Some(json!({ "id": id, "name": name, "arguments": said.text })),
            What::Text | What::Thinking | What::Refusal => None,
        });
        let calls: Vec<Value> = calls.collect();
        if !calls.is_empty() {
            value["tool_calls"] = calls.into();
        }
        value
    }
}

/// Texts longer than this are cut before anything looks at them.
const TEXT: usize = 16 << 10;

impl Content {
    /// The line of a request's content; none: there is nothing.
    fn line(&self, record: &Record, most: usize) -> Option<String> {
        let prompt = self.prompt.as_ref().and_then(|body| gatelet_wire::json::read::<Value>(body).ok());
        if prompt.is_none() && self.answer.is_none() {
            return None;
        }
        let mut cut = self.answer.as_ref().is_some_and(|answer| answer.cut);
        let trace = record.trace.as_ref().map_or_else(|| trace_of(&record.id), |trace| trace.id);
        let mut line = json!({ "v": super::VERSION, "kind": "content", "id": record.id.as_str(),
            "at": record.at.to_string(), "trace_id": format!("{trace:032x}"), "mode": self.mode.name(), "key": record.key });
        let owners = [
            ("org", &record.org),
            ("team", &record.team),
            ("project", &record.project),
            ("user", &record.user),
            ("customer", &record.customer),
        ];
        for (name, owner) in owners {
            if let Some(owner) = owner {
                line[name] = owner.as_str().into();
            }
        }
        let answer = self.answer.as_ref().map(Transcript::json);
        for (name, value) in [("prompt", prompt), ("answer", answer)] {
            if let Some(value) = value {
                line[name] = self.fit(value, most, &mut cut);
            }
        }
        if cut {
            line["cut"] = true.into();
        }
        Some(line.to_string())
    }

    /// A value as it may be kept, in at most about so many bytes.
    fn fit(&self, mut value: Value, most: usize, cut: &mut bool) -> Value {
        let mut longest = TEXT.min(most);
        self.clean(&mut value, longest, cut);
        while longest > 64 && value.to_string().len() > most {
            longest /= 2;
            each_text(&mut value, &mut |text| *cut |= shorten(text, longest));
        }
        let text = value.to_string();
        if text.len() <= most {
            return value;
        }
        // Thousands of short ones: the beginning of what was written.
        *cut = true;
        text.get(..text.floor_char_boundary(most)).unwrap_or_default().into()
    }

    fn clean(&self, value: &mut Value, longest: usize, cut: &mut bool) {
        if self.mode == Mode::Full {
            return each_text(value, &mut |text| *cut |= shorten(text, longest));
        }
        let kinds: Kinds = Kind::ALL
            .iter()
            .copied()
            .filter(|kind| matches!(kind.family(), Family::Personal | Family::Secret))
            .collect();
        each_number(value, &mut |number| {
            // A card's number need not stand in quotes.
            let text = number.to_string();
            (text.len() > 8 && !gatelet_detect::scan(&text, kinds).is_empty()).then(|| mask(&text, kinds))
        });
        each_text(value, &mut |text| {
            for (hidden, word) in &self.hidden {
                if text.contains(&**hidden) {
                    *text = text.replace(&**hidden, word);
                }
            }
            if text.len() > longest {
                // What may be the beginning of something is not kept without its end.
                let end = text.floor_char_boundary(longest);
                let open = gatelet_detect::open(text.get(..end).unwrap_or_default(), kinds);
                *cut |= shorten(text, open.min(end));
            }
            *text = mask(text, kinds);
        });
    }
}

/// A text with the names of kinds in place of what was found.
pub fn mask(text: &str, kinds: Kinds) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for found in gatelet_detect::scan(text, kinds) {
        out.push_str(text.get(at..found.start).unwrap_or_default());
        out.push('[');
        out.extend(found.kind.name().chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }));
        out.push(']');
        at = found.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn shorten(text: &mut String, most: usize) -> bool {
    let end = text.floor_char_boundary(most);
    let left = text.len() - end;
    if left > 0 {
        text.truncate(end);
        let _infallible = write!(text, "… [{left} bytes cut]");
    }
    left > 0
}

fn each_text(value: &mut Value, edit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => edit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, edit)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, edit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn each_number(value: &mut Value, edit: &mut dyn FnMut(&serde_json::Number) -> Option<String>) {
    match value {
        Value::Number(number) => {
            if let Some(text) = edit(number) {
                *value = text.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_number(item, edit)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_number(field, edit)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// What a line says whose content is beside it.
pub(super) const MARK: &str = "\"content\":\"kept\"";
/// As a record says it.
pub const KEPT: &str = "kept";
/// The store would not take it.
pub const LOST: &str = "lost";
/// How long content waits for whoever archives its record.
const WAITS: std::time::Duration = std::time::Duration::from_hours(30 * 24);
/// The largest, unpacked.
const LARGEST: usize = 4 << 20;

/// Puts content beside the outbox, before its record goes there. False: there is none.
pub async fn keep(ports: &Ports, record: &Record, content: &Content, now: Timestamp) -> Result<bool, Fault> {
    let mut most = content.most;
    loop {
        let Some(line) = content.line(record, most) else { return Ok(false) };
        let packed = ports.packer.pack(line.into()).await?;
        if packed.len() > MOST_KEPT && most > 1_024 {
            most /= 4;
            continue;
        }
        let (home, name) = (home(&record.shard), super::entry_id(record));
        ports.store.keep(&home, &name, packed, now.after(WAITS)).await?;
        return Ok(true);
    }
}

fn home(shard: &ShardId) -> String {
    format!("content/{shard}")
}

/// Whether an entry's record says that its content is kept. Each is asked, and few are.
fn is_kept(entry: &Entry) -> bool {
    static KEPT: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(MARK));
    KEPT.find(entry.line.as_bytes()).is_some()
}

/// The content of an entry that waits in the outbox.
pub(super) async fn waiting(ports: &Ports, shard: &ShardId, entry: &Entry) -> Result<Option<String>, Fault> {
    if !is_kept(entry) {
        return Ok(None);
    }
    let kept = ports.store.kept(&home(shard), &entry.id, ports.clock.now()).await?;
    let Some(packed) = kept else { return Ok(None) };
    let text = ports.packer.unpack(packed, LARGEST).await?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Calls of the store at a time.
const AT_ONCE: usize = 16;
/// Contents of one object, and bytes of them.
const MOST_OF_BATCH: usize = 200;
const BYTES_OF_BATCH: usize = 16 << 20;

/// The contents of a batch's entries, each with its place there; the batch is made shorter where they are too much for one object.
pub(super) async fn gather(
    ports: &Ports,
    shard: &ShardId,
    batch: &mut Vec<Entry>,
) -> Result<Vec<(usize, String)>, Fault> {
    let marked: Vec<usize> =
        batch.iter().enumerate().filter(|(_, entry)| is_kept(entry)).map(|(nth, _)| nth).collect();
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for some in marked.chunks(AT_ONCE) {
        if lines.len() + AT_ONCE > MOST_OF_BATCH || bytes > BYTES_OF_BATCH {
            batch.truncate(some.first().copied().unwrap_or_default());
            break;
        }
        let asked = some.iter().filter_map(|nth| batch.get(*nth)).map(|entry| waiting(ports, shard, entry));
        for (nth, line) in some.iter().zip(together(asked).await) {
            let Some(line) = line? else { continue };
            bytes += line.len();
            lines.push((*nth, line));
        }
    }
    Ok(lines)
}

/// Forgets what stands in the archive now.
pub(super) async fn clear(ports: &Ports, shard: &ShardId, moved: &[&Entry]) -> Result<(), Fault> {
    let home = home(shard);
    for some in moved.chunks(AT_ONCE) {
        let gone = together(some.iter().map(|entry| ports.store.discard(&home, &entry.id))).await;
        gone.into_iter().collect::<Result<(), Fault>>()?;
    }
    Ok(())
}

/// The object in which the contents of a records' object are.
pub(super) fn name_of(records: &str) -> String {
    format!("content/{records}")
}

/// What the chain says of a line of content: all of it but what was said, and its hash. A line that was written before there was a
/// chain has what it has.
pub(super) fn link(line: &str) -> Option<String> {
    const SAID: [&str; 10] =
        ["id", "at", "trace_id", "mode", "key", "org", "team", "project", "user", "customer"];
    let mut entry = String::from("{\"kind\":\"content\"");
    each_field(line, &mut |name, value| {
        if let Some(name) = SAID.iter().find(|said| name == **said) {
            let _infallible = write!(entry, ",\"{name}\":{}", Value::from(&*value));
        }
    })?;
    let _infallible = write!(entry, ",\"sha256\":\"{}\"}}", super::audit::hash(line));
    Some(entry)
}

/// Of lines of contents the one of a request.
pub(super) fn find<'t>(text: &'t str, id: &str) -> Option<&'t str> {
    text.lines().find(|line| {
        let mut mine = false;
        let read = line
            .contains(id)
            .then(|| each_field(line, &mut |name, value| mine |= name == "id" && value == id));
        read.flatten().is_some() && mine
    })
}

#[cfg(test)]
mod tests;
