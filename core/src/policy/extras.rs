//! What few models have: what happens beside their answers.

use std::time::Duration;

use super::document::duration;
use super::model::ModelName;
use super::read::{At, Fields, Reader, Spot};
use super::routing::mille;

/// All of that of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Where copies of its requests go.
    pub copies: Vec<CopyTo>,
    /// What draws its requests to one of its targets, the first of them that a request has.
    pub affinity: Vec<Affinity>,
    /// When a second target is asked beside one that says nothing.
    pub hedge: Option<Hedge>,
    /// How a stream goes on that breaks off after its first content.
    pub resume: Option<Resume>,
    /// Prompts of so many tokens at the least are marked for their providers' caches; none: no prompt is.
    pub marks: Option<u64>,
}

/// A second target is asked when the first has said nothing for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    pub after: Duration,
    /// For so many of a thousand requests at the most.
    pub mille: u16,
}

/// A stream that breaks off is gone on with by a target that takes the beginning of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Further attempts of one request at the most.
    pub times: u32,
    /// All targets of the model do, whatever is known of them.
    pub prefill: bool,
}

/// What draws requests to one of several targets that are equally good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// The session that the request names.
    Session,
    /// The beginning of its prompt, which that target's cache may hold.
    Prefix,
}

impl Affinity {
    pub const ALL: [Self; 2] = [Self::Session, Self::Prefix];

    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Prefix => "prefix",
        }
    }
}

/// A copy of some requests goes to another model, whose answers nobody gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyTo {
    /// A model that the policy knows.
    pub model: ModelName,
    /// Of so many of a thousand requests.
    pub mille: u16,
    /// The copy is held and charged in the caller's accounts, as if the caller had asked twice.
    pub billed: bool,
}

const COPY: [&str; 3] = ["to", "percent", "billed"];
/// Tokens that most models' caches begin with.
const LEAST: u64 = 1_024;
const HEDGE: [&str; 2] = ["after", "percent"];
const RESUME: [&str; 2] = ["times", "prefill"];

/// Every key below those of a model, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    COPY.into_iter().chain(HEDGE).chain(RESUME).chain(["hedge", "resume", "cache_marks"]).collect()
}

/// What a model has of it, and the names of other models in it, which need not be known.
pub(super) fn extras(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (Extras, Vec<(ModelName, Spot)>) {
    const MOST_COPIES: usize = 4;
    let listed = fields.get("copies").map(At::list).unwrap_or_default();
    if let Some(one_more) = listed.get(MOST_COPIES) {
        reader.note(&one_more.spot, format!("expected at most {MOST_COPIES} copies"));
    }
    let copies: Vec<(CopyTo, Spot)> = listed.iter().filter_map(|at| copy(reader, at)).collect();
    let names = copies.iter().map(|(copy, spot)| (copy.model.clone(), spot.clone())).collect();
    let affinity = fields.get("affinity").map(At::list).unwrap_or_default();
    let words = Affinity::ALL.map(Affinity::name).join(", ");
    let affinity = affinity.iter().filter_map(|at| {
        let known = |text: &str| Affinity::ALL.into_iter().find(|affinity| affinity.name() == text);
        reader.parsed(at, &format!("one of {words}"), known)
    });
    let affinity = affinity.collect();
    let hedge = fields.get("hedge").and_then(|at| hedge(reader, at));
    let resume = fields.get("resume").and_then(|at| resume(reader, at));
    let marks = fields.get("cache_marks").and_then(|at| {
        let read = |text: &str| match text {
            "true" => Some(Some(LEAST)),
            "false" => Some(None),
            count => count.parse().ok().filter(|count| *count > 0).map(Some),
        };
        reader.parsed(at, "true, false, or a whole number of tokens", read).flatten()
    });
    let copies = copies.into_iter().map(|(copy, _)| copy).collect();
    (Extras { copies, affinity, hedge, resume, marks }, names)
}

/// A time, or keys and values.
fn hedge(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Hedge> {
    const USUAL: u16 = 50;
    const TIME: &str = "a duration from 10ms to 10m, such as 800ms";
    let within = |time: &Duration| (10..=600_000).contains(&time.as_millis());
    let time = |text: &str| duration(text).filter(within);
    if at.is_scalar() {
        return reader.parsed(at, TIME, time).map(|after| Hedge { after, mille: USUAL });
    }
    let fields = reader.fields(at, &HEDGE, &[])?;
    let Some(after) = fields.get("after") else {
        reader.note(&fields.spot, format!("expected `after`: {TIME}"));
        return None;
    };
    let after = reader.parsed(after, TIME, time)?;
    Some(Hedge { after, mille: mille(reader, &fields, "percent").unwrap_or(USUAL) })
}

/// A number, or keys and values.
fn resume(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Resume> {
    const TIMES: &str = "a whole number from 1 to 5";
    let times = |text: &str| text.parse::<u32>().ok().filter(|times| (1..=5).contains(times));
    if at.is_scalar() {
        return reader.parsed(at, TIMES, times).map(|times| Resume { times, prefill: false });
    }
    let fields = reader.fields(at, &RESUME, &[])?;
    let said = fields.get("times");
    let times = said.and_then(|at| reader.parsed(at, TIMES, times)).unwrap_or(1);
    let prefill = fields.get("prefill");
    let prefill = prefill.and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    Some(Resume { times, prefill: prefill.unwrap_or_default() })
}

fn copy(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(CopyTo, Spot)> {
    let fields = reader.fields(at, &COPY, &[])?;
    let Some(to) = fields.get("to") else {
        reader.note(&fields.spot, "expected `to`: the name of a model");
        return None;
    };
    let model = reader.parsed(to, "the name of a model", |text| ModelName::try_from(text).ok())?;
    let billed = fields.get("billed");
    let billed = billed.and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let mille = mille(reader, &fields, "percent").unwrap_or(1_000);
    Some((CopyTo { model, mille, billed: billed.unwrap_or(false) }, to.spot.clone()))
}
