//! Requests: writing what this dialect can say, and noting what it cannot.

use crate::chat::{CacheMark, Request};
use crate::dialect::names::CallIds;
use crate::dialect::turns::Composer;
use crate::object::{ObjectWriter, object};
use crate::{Json, Loss, Malformed, Restore, TargetHints, Written, tool_id};

use super::HERE;
use super::compose::Words;
use super::family::{Family, Forced};
use super::fields::Additional;
use super::tools::{Shape, Tools};
use super::turn::{Conversation, write_blocks};

const MOST_MARKS: usize = 4;

pub(super) fn write(request: &Request, hints: &TargetHints, loss: &mut Loss) -> Result<Written, Malformed> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Malformed::field("n", "1: this model's API gives one answer a call"));
    }
    let family = Family::of(if hints.model.is_empty() { &request.model } else { &hints.model });
    let mut restore = Restore::default();
    let shape = Shape::of(request.format.as_ref(), hints, family, loss)?;
    let mut tools = Tools::of(request, hints, family, &shape, loss, &mut restore)?;
    let keys = |name: &str| tools.keys.iter().find(|(known, _)| known == name).and_then(|(_, key)| *key);
    let composer = Composer {
        speech: Words::of(family),
        keys: &keys,
        ids: CallIds::of(if family == Family::Mistral { tool_id::nine } else { tool_id::conforming }),
        mid_system: hints.mid_system,
        loss,
        restore: &mut restore,
    };
    let mut conversation = composer.compose(&request.messages)?;
    let additional = Additional::of(request, hints, family, conversation.history(), loss)?;
    tools.complete(&conversation, loss);
    let unforced = additional.budgeted || !hints.forced_tool;
    let forced = if unforced { Forced::Nothing } else { family.forced() };
    let choice = tools.choice(request, &shape, forced, loss, &mut restore);
    limit_marks(&mut tools, &mut conversation, family, loss);
    note_lost(request, loss);

    let mut body = Vec::with_capacity(1024);
    object(&mut body, |object| {
        object.list("messages", |list| {
            for turn in &conversation.turns {
                list.object(|object| {
                    object.string("role", turn.speaker.name());
                    object.list("content", |list| write_blocks(list, &turn.blocks));
                });
            }
        });
        if !conversation.system.is_empty() {
            object.list("system", |list| write_blocks(list, &conversation.system));
        }
        write_inference(object, request, hints, family, &additional, loss);
        tools.write(object, choice.as_ref(), request);
        write_output(object, &additional, &shape, request);
        additional.write(object, request);
        write_service_tier(object, request, loss);
        for (name, json) in request.extra.of(HERE).iter().filter(|(name, _)| !name.contains('.')) {
            object.json(name, json);
        }
    });
    Ok(Written { body, restore })
}

/// The kept fields that stand inside another.
pub(super) fn nested<'a>(request: &'a Request, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Json)> {
    let fields = request.extra.of(HERE).iter();
    fields.filter_map(move |(name, json)| name.strip_prefix(prefix).map(|name| (name, json)))
}

fn write_inference(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    hints: &TargetHints,
    family: Family,
    additional: &Additional,
    loss: &mut Loss,
) {
    let (temperature, top_p) = sampling(request, hints, family, additional.thinks, loss);
    let (said, blank): (Vec<_>, Vec<_>) = request.stop.iter().partition(|stop| !stop.trim().is_empty());
    if !blank.is_empty() {
        loss.note("stop");
    }
    let own: Vec<_> = nested(request, "inferenceConfig.").collect();
    let capped = additional.max_tokens.is_some();
    if !capped && temperature.is_none() && top_p.is_none() && said.is_empty() && own.is_empty() {
        return;
    }
    object.object("inferenceConfig", |object| {
        if let Some(most) = additional.max_tokens {
            object.count("maxTokens", most);
        }
        if let Some(temperature) = temperature {
            object.number("temperature", temperature);
        }
        if let Some(top_p) = top_p {
            object.number("topP", top_p);
        }
        if !said.is_empty() {
            object.list("stopSequences", |list| said.iter().for_each(|stop| list.string(stop)));
        }
        for (name, json) in own {
            object.json(name, json);
        }
    });
}

/// Temperature and top-p, as far as the model takes them.
fn sampling(
    request: &Request,
    hints: &TargetHints,
    family: Family,
    thinks: bool,
    loss: &mut Loss,
) -> (Option<f64>, Option<f64>) {
    let mut temperature = None;
    if let Some(asked) = request.temperature {
        let clamped = asked.clamp(0.0, 1.0);
        let neutral = (clamped - 1.0).abs() < f64::EPSILON;
        if clamped.total_cmp(&asked).is_ne() {
            loss.note("temperature");
        }
        if hints.sampling && (!thinks || neutral) {
            temperature = Some(clamped);
        } else if !neutral {
            loss.note("temperature");
        }
    }
    let mut top_p = None;
    if let Some(asked) = request.top_p {
        let alone = !family.takes_one_of_sampling() || request.temperature.is_none();
        if hints.sampling && alone && (!thinks || asked >= 0.95) {
            top_p = Some(asked.clamp(0.0, 1.0));
        } else if asked < 1.0 {
            loss.note("top_p");
        }
    }
    (temperature, top_p)
}

fn write_output(object: &mut ObjectWriter<'_>, additional: &Additional, shape: &Shape, request: &Request) {
    let own: Vec<_> = nested(request, "outputConfig.").collect();
    let said = |name: &str| own.iter().any(|(known, _)| *known == name);
    let effort = additional.effort.as_ref().filter(|_| !said("effort"));
    let native = match shape {
        Shape::Native { schema, name, description } if !said("textFormat") => {
            Some((schema, name, description))
        }
        Shape::Native { .. } | Shape::Free | Shape::Tool { .. } => None,
    };
    if own.is_empty() && effort.is_none() && native.is_none() {
        return;
    }
    object.object("outputConfig", |object| {
        if let Some((schema, name, description)) = native {
            object.object("textFormat", |object| {
                object.string("type", "json_schema");
                object.object("structure", |object| {
                    object.object("jsonSchema", |object| {
                        object.string("schema", schema.as_str());
                        if let Some(name) = name {
                            object.string("name", name);
                        }
                        if let Some(description) = description {
                            object.string("description", description);
                        }
                    });
                });
            });
        }
        if let Some(effort) = effort {
            object.string("effort", effort);
        }
        for (name, json) in own {
            object.json(name, json);
        }
    });
}

fn write_service_tier(object: &mut ObjectWriter<'_>, request: &Request, loss: &mut Loss) {
    let tier = match request.service_tier.as_deref() {
        // The provider's choice, as without a word.
        None | Some("auto") => return,
        Some(tier @ ("priority" | "flex" | "reserved" | "default")) => tier,
        Some("standard" | "standard_only") => "default",
        Some(_) => return loss.note("service_tier"),
    };
    object.object("serviceTier", |object| object.string("type", tier));
}

/// At most so many marks, of lifetimes that are known, the longer-lived before the others. The last ones stay: each
/// covers all that stands before it.
fn limit_marks(tools: &mut Tools, conversation: &mut Conversation, family: Family, loss: &mut Loss) {
    let mut marks: Vec<&mut Option<CacheMark>> = tools.marks().collect();
    marks.extend(conversation.blocks_mut().map(|block| &mut block.cache));
    marks.retain(|mark| mark.is_some());
    let most = if family.caches() { MOST_MARKS } else { 0 };
    let surplus = marks.len().saturating_sub(most);
    for mark in marks.drain(..surplus) {
        loss.note("cache_control");
        *mark = None;
    }
    let mut short = false;
    for mark in marks.into_iter().filter_map(Option::as_mut) {
        let lifetime = match mark.lifetime.as_deref() {
            Some("5m") => Some("5m"),
            Some("1h" | "12h") if !short && family != Family::Nova => Some("1h"),
            None | Some(_) => None,
        };
        if lifetime != mark.lifetime.as_deref() {
            loss.note("cache_control.ttl");
        }
        short |= lifetime != Some("1h");
        mark.lifetime = lifetime.map(str::to_owned);
    }
}

fn note_lost(request: &Request, loss: &mut Loss) {
    loss.note_extra(&request.extra, HERE, "");
    for (name, penalty) in
        [("frequency_penalty", request.frequency_penalty), ("presence_penalty", request.presence_penalty)]
    {
        if penalty.is_some_and(|penalty| penalty.abs() > 0.0) {
            loss.note(name);
        }
    }
    for (name, said) in [
        ("seed", request.seed.is_some()),
        ("user", request.user.is_some()),
        ("logprobs", request.logprobs == Some(true)),
        ("top_logprobs", request.top_logprobs.is_some_and(|count| count > 0)),
    ] {
        if said {
            loss.note(name);
        }
    }
}
