//! Requests: writing what this dialect can say, and noting what it cannot.

use crate::chat::{CacheMark, Request};
use crate::dialect::turns::{Composer, Conversation};
use crate::object::{ObjectWriter, object};
use crate::{DialectId, Json, Loss, Malformed, Restore, TargetHints, Written};

use super::block::{Block, Body, write_content};
use super::compose::Words;
use super::limits::Limits;
use super::names;
use super::tools::{Ready, Shape, Tools};

const HERE: DialectId = DialectId::Anthropic;

const MOST_MARKS: usize = 4;

pub(super) fn write(request: &Request, hints: &TargetHints, loss: &mut Loss) -> Result<Written, Malformed> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Malformed::field("n", "1: this model's API gives one answer a call"));
    }
    let mut restore = Restore::default();
    let shape = Shape::of(request.format.as_ref(), hints, loss)?;
    let mut tools = Tools::of(request, hints, &shape, loss, &mut restore)?;
    let keys = |name: &str| tools.keys.iter().find(|(known, _)| known == name).and_then(|(_, key)| *key);
    let composer = Composer {
        speech: Words,
        keys: &keys,
        ids: names::call_ids(),
        mid_system: hints.mid_system,
        loss,
        restore: &mut restore,
    };
    let mut conversation = composer.compose(&request.messages)?;
    let own = request.extra.of(HERE).iter().any(|(name, _)| name == "thinking");
    let limits = Limits::of(request, hints, conversation.history(), own, loss)?;
    tools.complete(&conversation);
    let choice = tools.choice(request, hints, &limits, &shape, loss, &mut restore);
    // A mark on the whole request counts as one.
    let whole = request.extra.of(HERE).iter().any(|(name, _)| name == "cache_control");
    limit_marks(&mut tools, &mut conversation, MOST_MARKS - usize::from(whole), loss);
    note_foreign(request, loss);

    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        object.string("model", if hints.model.is_empty() { &request.model } else { &hints.model });
        object.count("max_tokens", limits.max_tokens);
        if !conversation.system.is_empty() {
            write_content(object, "system", &conversation.system);
        }
        object.list("messages", |list| {
            for turn in &conversation.turns {
                list.object(|object| {
                    object.string("role", turn.speaker.name());
                    write_content(object, "content", &turn.blocks);
                });
            }
        });
        tools.write(object);
        if let Some(choice) = &choice {
            choice.write(object);
        }
        limits.write(object);
        write_output_config(object, &limits, &shape, request);
        sampling(object, request, hints, &limits, loss);
        write_stop(object, request, loss);
        write_metadata(object, request);
        service_tier(object, request, loss);
        if request.stream {
            object.flag("stream", true);
        }
        for (name, json) in request.extra.of(HERE).iter().filter(|(name, _)| !name.contains('.')) {
            object.json(name, json);
        }
    });
    Ok(Written { body, restore })
}

fn write_output_config(object: &mut ObjectWriter<'_>, limits: &Limits, shape: &Shape, request: &Request) {
    let own: Vec<_> = nested(request, "output_config.").collect();
    let effort = limits.effort.as_ref().filter(|_| !own.iter().any(|(name, _)| *name == "effort"));
    let schema = match shape {
        Shape::Native(schema) => Some(schema),
        Shape::Free | Shape::Tool { .. } => None,
    };
    if own.is_empty() && effort.is_none() && schema.is_none() {
        return;
    }
    object.object("output_config", |object| {
        if let Some(effort) = effort {
            object.string("effort", effort);
        }
        if let Some(schema) = schema {
            object.object("format", |object| {
                object.string("type", "json_schema");
                object.json("schema", schema);
            });
        }
        for (name, json) in &own {
            object.json(name, json);
        }
    });
}

/// The kept fields that stand inside another.
fn nested<'a>(request: &'a Request, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Json)> {
    let fields = request.extra.of(HERE).iter();
    fields.filter_map(move |(name, json)| name.strip_prefix(prefix).map(|name| (name, json)))
}

fn sampling(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    hints: &TargetHints,
    limits: &Limits,
    loss: &mut Loss,
) {
    let thinks = limits.thinks();
    if let Some(temperature) = request.temperature {
        let clamped = temperature.clamp(0.0, 1.0);
        let neutral = (clamped - 1.0).abs() < f64::EPSILON;
        if clamped.total_cmp(&temperature).is_ne() {
            loss.note("temperature");
        }
        if hints.sampling && (!thinks || neutral) {
            object.number("temperature", clamped);
        } else if !neutral {
            loss.note("temperature");
        }
    }
    if let Some(top_p) = request.top_p {
        // The newer models refuse the two together; thinking ones take only the top.
        if hints.sampling && request.temperature.is_none() && (!thinks || top_p >= 0.95) {
            object.number("top_p", top_p.clamp(0.0, 1.0));
        } else if top_p < 1.0 {
            loss.note("top_p");
        }
    }
    if let Some(top_k) = request.top_k {
        if hints.sampling && !thinks {
            object.count("top_k", top_k);
        } else {
            loss.note("top_k");
        }
    }
    for (name, penalty) in
        [("frequency_penalty", request.frequency_penalty), ("presence_penalty", request.presence_penalty)]
    {
        if penalty.is_some_and(|penalty| penalty.abs() > 0.0) {
            loss.note(name);
        }
    }
    if request.seed.is_some() {
        loss.note("seed");
    }
    if request.logprobs == Some(true) {
        loss.note("logprobs");
    }
    if request.top_logprobs.is_some() {
        loss.note("top_logprobs");
    }
}

fn write_stop(object: &mut ObjectWriter<'_>, request: &Request, loss: &mut Loss) {
    let (said, blank): (Vec<_>, Vec<_>) = request.stop.iter().partition(|stop| !stop.trim().is_empty());
    if !blank.is_empty() {
        loss.note("stop");
    }
    if !said.is_empty() {
        object.list("stop_sequences", |list| said.iter().for_each(|stop| list.string(stop)));
    }
}

fn write_metadata(object: &mut ObjectWriter<'_>, request: &Request) {
    let own: Vec<_> = nested(request, "metadata.").collect();
    if request.user.is_none() && own.is_empty() {
        return;
    }
    object.object("metadata", |object| {
        if let Some(user) = &request.user {
            object.string("user_id", user);
        }
        for (name, json) in &own {
            object.json(name, json);
        }
    });
}

fn service_tier(object: &mut ObjectWriter<'_>, request: &Request, loss: &mut Loss) {
    match request.service_tier.as_deref() {
        None => {}
        Some(tier @ ("auto" | "standard_only")) => object.string("service_tier", tier),
        Some("default" | "standard") => object.string("service_tier", "standard_only"),
        Some("priority") => object.string("service_tier", "auto"),
        Some(_) => loss.note("service_tier"),
    }
}

/// At most so many marks, the longer-lived before the others. The last ones stay: each covers all that stands before it.
fn limit_marks(tools: &mut Tools, conversation: &mut Conversation<Body>, most: usize, loss: &mut Loss) {
    let raw_marks =
        tools.ready.iter().filter(|tool| matches!(tool, Ready::Raw(json) if is_marked(json))).count()
            + conversation
                .system
                .iter()
                .chain(conversation.turns.iter().flat_map(|turn| &turn.blocks))
                .filter(|block| matches!(&block.body, Body::Raw(json) if is_marked(json)))
                .count();
    let mut marks: Vec<&mut Option<CacheMark>> = tools
        .ready
        .iter_mut()
        .filter_map(|tool| match tool {
            Ready::Function { cache, .. } => cache.is_some().then_some(cache),
            Ready::Raw(_) => None,
        })
        .collect();
    marks.append(&mut marks_of(conversation));
    let surplus = marks.len().saturating_sub(most.saturating_sub(raw_marks));
    for mark in marks.drain(..surplus) {
        loss.note("cache_control");
        *mark = None;
    }
    let mut short = false;
    for mark in marks.into_iter().filter_map(Option::as_mut) {
        let lifetime = match mark.lifetime.as_deref() {
            Some("5m") => Some("5m"),
            Some("1h" | "12h") if !short => Some("1h"),
            None | Some(_) => None,
        };
        if lifetime != mark.lifetime.as_deref() {
            loss.note("cache_control.ttl");
        }
        short |= lifetime != Some("1h");
        mark.lifetime = lifetime.map(str::to_owned);
    }
}

/// Whether a block in its own words carries a mark.
fn is_marked(json: &Json) -> bool {
    let fields = crate::Fields::read(json.as_str().as_bytes());
    fields.is_ok_and(|fields| fields.present("cache_control").is_some())
}

fn note_foreign(request: &Request, loss: &mut Loss) {
    loss.note_extra(&request.extra, HERE, "");
}

/// The marks of the conversation in the order in which the prompt is read.
fn marks_of(conversation: &mut Conversation<Body>) -> Vec<&mut Option<CacheMark>> {
    fn collect<'a>(block: &'a mut Block, marks: &mut Vec<&'a mut Option<CacheMark>>) {
        if let Body::Result { content, .. } = &mut block.body {
            for block in content {
                collect(block, marks);
            }
        }
        if block.cache.is_some() {
            marks.push(&mut block.cache);
        }
    }
    let mut marks = Vec::new();
    conversation.blocks_mut().for_each(|block| collect(block, &mut marks));
    marks
}
