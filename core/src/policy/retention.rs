//! `retention`: for how long what is in the archive stays there.

use std::time::Duration;

use super::read::{At, Reader};
use crate::domain::Span;

/// For how long records and content are kept, and whose are kept all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// None: for ever.
    pub records: Option<Duration>,
    /// Never longer than records. None: for ever.
    pub content: Option<Duration>,
    /// Legal hold: what is these ones' is neither deleted when its time is over nor on request. The record's field, and its value.
    pub hold: Vec<(Box<str>, Box<str>)>,
}

impl Retention {
    /// Whether anything is ever deleted by itself.
    pub fn ends(&self) -> bool {
        self.records.is_some() || self.content.is_some()
    }
}

/// Of whom records say that they are.
const WHOSE: [&str; 6] = ["org", "team", "project", "user", "key", "customer"];

/// `customer/ann`, as a record's field and its value.
pub fn whose(text: &str) -> Option<(&'static str, &str)> {
    let (kind, id) = text.split_once('/')?;
    let kind = WHOSE.into_iter().find(|known| *known == kind)?;
    (!id.is_empty() && id.len() <= 256).then_some((kind, id))
}

pub(super) const RETENTION: [&str; 3] = ["records", "content", "hold"];

/// The section `retention`.
pub(super) fn retention(reader: &mut Reader<'_>, at: &At<'_>) -> Retention {
    const DAY: Duration = Duration::from_hours(24);
    const MOST: usize = 256;
    let Some(fields) = reader.fields(at, &RETENTION, &[]) else { return Retention::default() };
    let mut time = |name: &str, least: u32, expected: &str| {
        let read = |text: &str| Span::parse(text).map(Span::duration).filter(|time| *time >= DAY * least);
        fields.get(name).and_then(|at| reader.parsed(at, expected, read))
    };
    // Sinks are told what the archive has, and are waited for.
    let records = time("records", 7, "a time of at least a week, such as 400d");
    let content = time("content", 1, "a time of at least a day, such as 30d");
    let list = fields.get("hold").map(At::list).unwrap_or_default();
    if list.len() > MOST {
        reader.note(&fields.spot, format!("expected at most {MOST} in `hold`"));
    }
    let owner = |text: &str| whose(text).map(|(kind, id)| (kind.into(), id.into()));
    let hold = list.iter().filter_map(|at| reader.parsed(at, "whose it is, such as customer/ann", owner));
    let hold = hold.collect();
    let content = match (content, records) {
        (Some(content), Some(records)) => Some(content.min(records)),
        (content, records) => content.or(records),
    };
    Retention { records, content, hold }
}
