//! What few models have: what happens beside their answers.

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

/// Every key below those of a model, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    COPY.to_vec()
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
    (Extras { copies: copies.into_iter().map(|(copy, _)| copy).collect(), affinity }, names)
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
