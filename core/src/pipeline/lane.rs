//! Which lane a request takes to a target, and what is sent there.

use std::borrow::Cow;

use bytes::Bytes;
use gatelet_wire::dialect::TargetHints;
use gatelet_wire::edit::MessageEdit;
use gatelet_wire::{
    DialectId, Draft, Edit, Fields, Idiom, Json, Loss, Malformed, Operation, Piece, Restore, Written, chat,
    completion, marks,
};

use super::betas;
use super::fetch;
use super::receive::Received;
use super::task;
use crate::policy::Target;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::registry::{Capability, StreamUsage};

/// How words travel. The first two never build a tree: what nobody rewrites keeps its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Same dialect, nothing to rewrite but the model's name.
    Verbatim,
    /// Same dialect, with declared edits.
    Edited,
    /// Another dialect, through the canonical form.
    Translated,
}

impl Lane {
    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verbatim => "verbatim",
            Self::Edited => "edited",
            Self::Translated => "translated",
        }
    }
}

/// A request as a target will read it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// After the provider's base.
    pub(super) path: Cow<'static, str>,
    pub(super) lane: Lane,
    /// Empty, full or in pieces.
    pub(super) body: Body,
    pub(super) loss: Loss,
    /// We asked for a usage chunk that the caller did not: it is taken out of the stream again.
    pub(super) hide_usage: bool,
    /// What must be undone in the answer.
    pub(super) restore: Restore,
    /// It is sent where conversations go, and answered as one.
    pub(super) conversation: bool,
}

/// A request in no particular dialect, and what of it could not be said so.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) request: Box<chat::Request>,
    loss: Loss,
}

/// What the request says in no particular dialect, if `target` cannot read the caller's own words; none if it can.
pub(super) fn spoken(received: &Received<'_>, target: &Target) -> Result<Option<Spoken>, Refusal> {
    match received.arrived.operation {
        Operation::Chat => {}
        Operation::Completion if !target.completes => {
            let mut loss = Loss::default();
            let request = Box::new(completion::read_request(&received.fields, &mut loss)?);
            return Ok(Some(Spoken { request, loss }));
        }
        _ => return Ok(None),
    }
    let same = received.arrived.dialect == target.provider.dialect;
    let bytes_only = target.provider.quirks.bytes_only && received.fields.may_have_media();
    if same && !bytes_only {
        return Ok(None);
    }
    let mut request = match read(received) {
        Ok(request) => request,
        // Its own provider judges what nobody here must read.
        Err(_) if same => return Ok(None),
        Err(malformed) => return Err(malformed.into()),
    };
    // Without anything to fetch, the same dialect keeps its bytes.
    let needed = !same || !fetch::wanted(&mut request, target).is_empty();
    Ok(needed.then(|| Spoken { request: Box::new(request), loss: Loss::default() }))
}

/// A conversation in no particular dialect.
pub(super) fn read(received: &Received<'_>) -> Result<chat::Request, Malformed> {
    let caller = received.arrived.dialect.dialect();
    // What the address names need not stand in the body, where the dialect has its place.
    let unnamed = !caller.conventions().model_in_path && received.fields.get("model").is_none();
    if unnamed {
        caller.read_request(&received.fields.splice(&[("model", Json::of(&received.asked.model).as_str())]))
    } else {
        caller.read_request(&received.arrived.body)
    }
}

pub(super) fn prepare(
    received: &Received<'_>,
    target: &Target,
    output_cap: Option<u64>,
    marks: Option<u64>,
    spoken: Option<Spoken>,
) -> Result<Prepared, Refusal> {
    let prepared = match spoken {
        Some(spoken) => translated(received, target, output_cap, marks, spoken),
        None if received.arrived.operation == Operation::Chat => {
            same_dialect(received, target, output_cap, marks)
        }
        None => task::prepare(received, target),
    }?;
    match target.provider.quirks.idiom {
        Some(idiom) if prepared.conversation => in_idiom(idiom, prepared),
        _ => Ok(prepared),
    }
}

/// A request as the target's vendor says it.
fn in_idiom(idiom: Idiom, mut prepared: Prepared) -> Result<Prepared, Refusal> {
    let body = match &prepared.body {
        Body::Full(bytes) => bytes.clone(),
        Body::Pieces(pieces) => Body::join(pieces),
        Body::Empty | Body::Stream(_) => Bytes::new(),
    };
    prepared.body = idiom.request(&body, &mut prepared.loss)?.into();
    prepared.lane = Lane::Translated;
    Ok(prepared)
}

fn same_dialect(
    received: &Received<'_>,
    target: &Target,
    output_cap: Option<u64>,
    marks: Option<u64>,
) -> Result<Prepared, Refusal> {
    let mut loss = Loss::default();
    let fields = &received.fields;
    let asked = &received.asked;
    let path = received.arrived.dialect.dialect().path(&target.model, asked.stream);
    let conventions = received.arrived.dialect.dialect().conventions();
    let hide_usage = conventions.usage_on_request
        && asked.stream
        && !asked.stream_usage
        && target.provider.quirks.stream_usage == StreamUsage::Ask;
    let cleaned = received.arrived.dialect.dialect().cleaned(fields);
    let marked = marked(target, fields, marks);
    let plain = target.edits.is_empty() && output_cap.is_none() && !hide_usage;
    if plain && cleaned.is_none() && marked.is_empty() {
        let said = received.arrived.addressed.model.is_none() && asked.model == *target.model;
        let body = if conventions.model_in_path || said {
            Body::Full(received.arrived.body.clone())
        } else {
            assembled(received, fields.splice_pieces(&[("model", target.model_json.as_str())]))
        };
        return Ok(Prepared {
            path,
            lane: Lane::Verbatim,
            body,
            loss,
            hide_usage,
            restore: Restore::default(),
            conversation: true,
        });
    }
    let mut draft = Draft::from(fields);
    for (name, json) in cleaned.into_iter().chain(marked) {
        draft.set(name, json);
    }
    if !conventions.model_in_path {
        draft.lend("model", &target.model_json);
    }
    if let Some(cap) = output_cap {
        let spellings = received.arrived.dialect.dialect().spellings().iter();
        let renames = spellings.map(|(other, own)| Edit::Rename((*other).to_owned(), (*own).to_owned()));
        draft.apply(&renames.collect::<Vec<_>>(), &mut loss)?;
        draft.apply(&[Edit::Set(cap_field(target).to_owned(), cap.into())], &mut loss)?;
    }
    if hide_usage {
        draft.set("stream_options", include_usage(fields));
    }
    take_addressed(&mut draft, &target.edits);
    betas::write(received, target, &mut draft, &mut loss);
    draft.apply(&target.edits, &mut loss)?;
    Ok(Prepared {
        path,
        lane: Lane::Edited,
        body: assembled(received, draft.pieces(fields)),
        loss,
        hide_usage,
        restore: Restore::default(),
        conversation: true,
    })
}

/// What of a request in the target's words gets marks for its provider's cache.
fn marked(target: &Target, fields: &Fields<'_>, least: Option<u64>) -> Vec<(&'static str, Json)> {
    least.map_or_else(Vec::new, |least| marks::placed(target.provider.dialect, fields, least))
}

/// A body of what was kept of the caller's, which is not copied, and of what was written anew.
fn assembled(received: &Received<'_>, pieces: Vec<Piece>) -> Body {
    let own = &received.arrived.body;
    let bytes = |piece| match piece {
        Piece::Made(bytes) => bytes.into(),
        Piece::Kept(place) => own.slice(place),
    };
    let mut pieces = pieces.into_iter().map(bytes);
    match (pieces.next(), pieces.len()) {
        (Some(only), 0) => Body::Full(only),
        (first, _) => Body::Pieces(first.into_iter().chain(pieces).collect()),
    }
}

/// Takes out what a provider has in its path and refuses in the body, the model's name and whether to stream: nothing of
/// the caller's is lost by that.
pub(super) fn take_addressed(draft: &mut Draft<'_>, edits: &[Edit]) {
    for name in ["model", "stream"] {
        if edits.iter().any(|edit| matches!(edit, Edit::Drop(path) if path == name)) {
            draft.remove(name);
        }
    }
}

/// The target's own name for the cap on output.
///
/// What is known of a provider is in its edits, which rename the dialect's newest word where it is not taken. Of a
/// server that only the configuration names nothing is known: the older word is the one that all of them keep.
fn cap_field(target: &Target) -> &'static str {
    match target.provider.dialect {
        DialectId::Openai if target.provider.follows.is_none() => "max_tokens",
        dialect => dialect.dialect().conventions().output_cap,
    }
}

/// The caller's `stream_options` with `include_usage` on.
pub(super) fn include_usage(fields: &Fields<'_>) -> Json {
    let own = fields.present("stream_options").and_then(|raw| Fields::of(raw, "stream_options").ok());
    let text = own.map_or_else(
        || Cow::Borrowed(r#"{"include_usage":true}"#),
        |own| {
            let spliced = own.splice(&[("include_usage", "true")]);
            String::from_utf8(spliced).map_or(Cow::Borrowed("{}"), Cow::Owned)
        },
    );
    Json::parse(&text).unwrap_or_else(|_| Json::of(&serde_json::json!({ "include_usage": true })))
}

/// Where an assistant's reasoning stands in requests, before the target's edits put it where the provider wants it.
fn reasoning_field(target: &Target) -> Option<&'static str> {
    let mut edits = target.edits.iter().rev().filter_map(|edit| match edit {
        Edit::Messages(edit) if edit.keeps_reasoning() => Some(edit),
        _ => None,
    });
    edits.next().map(|edit| match edit {
        // The proofs are wanted too.
        MessageEdit::ReasoningToThinking | MessageEdit::ReasoningToSummary => "thinking_blocks",
        _ => "reasoning_content",
    })
}

fn translated(
    received: &Received<'_>,
    target: &Target,
    output_cap: Option<u64>,
    marks: Option<u64>,
    spoken: Spoken,
) -> Result<Prepared, Refusal> {
    let Spoken { mut request, mut loss } = spoken;
    request.model = target.model.to_string();
    // Some dialects say it in the address.
    request.stream = received.asked.stream;
    if let Some(cap) = output_cap {
        request.max_output_tokens = Some(cap);
    }
    // Usage is always asked for: the books need it.
    request.stream_usage = request.stream && target.provider.quirks.stream_usage == StreamUsage::Ask;
    let hints = TargetHints {
        model: target.model.to_string(),
        max_output_tokens: target.max_output,
        adaptive_thinking: target.has(Capability::AdaptiveThinking),
        native_schema: target.has(Capability::Schema),
        sampling: !target.has(Capability::NoSampling),
        forced_tool: !target.has(Capability::NoForcedTool),
        mid_system: target.has(Capability::SystemAnywhere),
        // A provider that wants reasoning where it was lost takes it where it was not.
        reasoning_field: reasoning_field(target).map(str::to_owned),
    };
    let dialect = target.provider.dialect.dialect();
    let path = dialect.path(&target.model, request.stream);
    let Written { mut body, restore } = dialect.write_request(&request, &hints, &mut loss)?;
    let newest_word = target.provider.dialect == DialectId::Openai && cap_field(target) == "max_tokens";
    let marks = marks.filter(|_| marks::wanted(target.provider.dialect));
    if !target.edits.is_empty() || newest_word || marks.is_some() {
        let edited = {
            let fields = Fields::read(&body)?;
            let mut draft = Draft::from(&fields);
            for (name, json) in marked(target, &fields, marks) {
                draft.set(name, json);
            }
            if newest_word {
                draft
                    .apply(&[Edit::Rename("max_completion_tokens".into(), "max_tokens".into())], &mut loss)?;
            }
            take_addressed(&mut draft, &target.edits);
            draft.apply(&target.edits, &mut loss)?;
            draft.write()
        };
        body = edited;
    }
    Ok(Prepared {
        path,
        lane: Lane::Translated,
        body: body.into(),
        loss,
        hide_usage: false,
        restore,
        conversation: true,
    })
}
