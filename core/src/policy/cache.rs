//! Which answers are given again, to whom, and for how long.

use std::sync::Arc;
use std::time::Duration;

use super::model::ModelName;
use super::read::{At, Reader, Spot};
use super::residency::region;
use super::semantic::{Semantic, semantic};
use crate::domain::Span;

/// How much is kept, and how long the host's level may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheBounds {
    /// Bytes in each process.
    pub memory: usize,
    /// The largest answer, in bytes.
    pub entry: usize,
    /// What the host keeps for all processes is used, too.
    pub store: bool,
    /// How long a request waits for that.
    pub wait: Duration,
    /// Bytes of vectors in each process.
    pub vectors: usize,
    /// Where that and the processes are; none: nobody knows.
    pub region: Option<Box<str>>,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            entry: 1 << 20,
            store: true,
            wait: Duration::from_millis(250),
            vectors: 16 << 20,
            region: None,
        }
    }
}

/// How a model's answers are kept.
#[derive(Clone, Debug)]
pub struct Caching {
    /// How long an answer is given again.
    pub ttl: Duration,
    /// The longest that a caller may ask for.
    pub max_ttl: Duration,
    pub share: Share,
    /// Only for requests that ask for it.
    pub on_request: bool,
    /// What callers may ask for.
    pub controls: Vec<Control>,
    /// Questions that mean the same are one, too. None: only equal ones are.
    pub semantic: Option<Arc<Semantic>>,
}

/// Who gets the same answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// The same end user of the same key.
    Customer,
    #[default]
    Key,
    /// All keys of a team; a key without one is alone.
    Team,
    /// All keys of an organisation; a key without one is alone.
    Org,
    /// Everybody.
    Public,
}

impl Share {
    pub const ALL: [Self; 5] = [Self::Customer, Self::Key, Self::Team, Self::Org, Self::Public];

    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Key => "key",
            Self::Team => "team",
            Self::Org => "org",
            Self::Public => "public",
        }
    }
}

/// What a caller may ask of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Not to be given an old answer, or none that is older than a time.
    NoCache,
    /// Not to have its answer kept.
    NoStore,
    /// How long its answer is kept.
    Ttl,
    /// A space of its own.
    Namespace,
}

impl Control {
    pub const ALL: [Self; 4] = [Self::NoCache, Self::NoStore, Self::Ttl, Self::Namespace];

    pub fn name(self) -> &'static str {
        match self {
            Self::NoCache => "no-cache",
            Self::NoStore => "no-store",
            Self::Ttl => "ttl",
            Self::Namespace => "namespace",
        }
    }
}

/// Nothing is kept for longer.
const LONGEST: Duration = Duration::from_hours(30 * 24);
const SPAN: &str = "a time from 1s to 30d, such as 10m";

fn span(text: &str) -> Option<Duration> {
    Span::parse(text).map(Span::duration).filter(|time| !time.is_zero() && *time <= LONGEST)
}

const BOUNDS: [&str; 6] = ["memory", "entry", "store", "wait", "vectors", "region"];

/// The section `cache`.
pub(super) fn bounds(reader: &mut Reader<'_>, at: &At<'_>) -> CacheBounds {
    let usual = CacheBounds::default();
    let Some(fields) = reader.fields(at, &BOUNDS, &[]) else { return usual };
    let mut size = |key, expected: &str, most: u64| {
        let read = |text: &str| bytes(text).filter(|size| *size <= most);
        let size = fields.get(key).and_then(|at| reader.parsed(at, expected, read))?;
        // Where addresses have 32 bits, no more than that is there to be used.
        Some(usize::try_from(size).unwrap_or(usize::MAX))
    };
    let memory = size("memory", "a size up to 64GB, such as 64MB, or 0", 64 << 30);
    let entry = size("entry", "a size up to 16MB, such as 1MB", 16 << 20);
    let vectors = size("vectors", "a size up to 64GB, such as 16MB, or 0", 64 << 30);
    let wait = fields.get("wait").and_then(|at| {
        let expected = "a duration from 1ms to 10s, such as 250ms";
        let within = |wait: &Duration| (1..=10_000).contains(&wait.as_millis());
        reader.parsed(at, expected, |text| super::document::duration(text).filter(within))
    });
    let store =
        fields.get("store").and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    CacheBounds {
        memory: memory.unwrap_or(usual.memory),
        entry: entry.unwrap_or(usual.entry),
        store: store.unwrap_or(usual.store),
        wait: wait.unwrap_or(usual.wait),
        vectors: vectors.unwrap_or(usual.vectors),
        region: region(reader, fields.get("region")),
    }
}

/// `512KB`, `64MB`, `2GB`, or bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let units = [("KB", 10), ("MB", 20), ("GB", 30)];
    let of_unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (count, shift) = of_unit.unwrap_or((text, 0));
    let count: u64 = count.trim_end().parse().ok()?;
    count.checked_mul(1 << shift)
}

const CACHING: [&str; 6] = ["ttl", "max_ttl", "scope", "on_request", "controls", "semantic"];

/// Every key of both sections, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    [&BOUNDS[..], &CACHING].concat()
}

/// A model's `cache`: a time, or keys and values. With the model that embeds its questions, which need not be known.
pub(super) fn caching(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(Caching, Option<(ModelName, Spot)>)> {
    let plain = |ttl| Caching {
        ttl,
        max_ttl: ttl,
        share: Share::default(),
        on_request: false,
        controls: Control::ALL.to_vec(),
        semantic: None,
    };
    if at.is_scalar() {
        return reader.parsed(at, SPAN, span).map(|ttl| (plain(ttl), None));
    }
    let fields = reader.fields(at, &CACHING, &[])?;
    let Some(ttl) = fields.get("ttl") else {
        reader.note(&fields.spot, format!("expected `ttl`: {SPAN}"));
        return None;
    };
    let ttl = reader.parsed(ttl, SPAN, span)?;
    let max_ttl = fields.get("max_ttl").and_then(|at| reader.parsed(at, SPAN, span)).unwrap_or(ttl);
    let words = Share::ALL.map(Share::name).join(", ");
    let share = |text: &str| Share::ALL.into_iter().find(|share| share.name() == text);
    let share = fields.get("scope").and_then(|at| reader.parsed(at, &format!("one of {words}"), share));
    let on_request = fields.get("on_request");
    let on_request = on_request.and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let controls = fields.get("controls").map(|at| {
        let words = Control::ALL.map(Control::name).join(", ");
        let control = |text: &str| Control::ALL.into_iter().find(|control| control.name() == text);
        let list = at.list();
        list.iter().filter_map(|at| reader.parsed(at, &format!("one of {words}"), control)).collect()
    });
    let semantic = fields.get("semantic").and_then(|at| semantic(reader, at));
    let (semantic, embedder) = match semantic {
        Some((semantic, spot)) => {
            let embedder = (semantic.model.clone(), spot);
            (Some(semantic), Some(embedder))
        }
        None => (None, None),
    };
    let caching = Caching {
        max_ttl: max_ttl.max(ttl),
        share: share.unwrap_or_default(),
        on_request: on_request.unwrap_or_default(),
        controls: controls.unwrap_or_else(|| Control::ALL.to_vec()),
        semantic,
        ..plain(ttl)
    };
    Some((caching, embedder))
}
