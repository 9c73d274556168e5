//! Fallbacks must lead somewhere, and not in a ring.

use std::collections::BTreeMap;

use super::document::ModelEntry;
use super::read::Reader;
use crate::registry::near_names;

/// Notes every fallback that no model answers to, and every ring of fallbacks, once.
pub(super) fn check(reader: &mut Reader<'_>, entries: &[ModelEntry]) {
    let mut walk = Walk {
        places: entries.iter().enumerate().map(|(place, entry)| (entry.name.as_str(), place)).collect(),
        marks: vec![Mark::New; entries.len()],
        way: Vec::new(),
        entries,
    };
    for start in 0..entries.len() {
        walk.from(reader, start);
    }
}

/// The longest way through fallbacks of fallbacks.
const LONGEST: usize = 32;

/// Depth first. Places are those of `entries`, and `marks` is as long.
struct Walk<'e> {
    entries: &'e [ModelEntry],
    places: BTreeMap<&'e str, usize>,
    marks: Vec<Mark>,
    /// From the start to here.
    way: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    /// On the way.
    Open,
    Done,
}

impl Walk<'_> {
    fn from(&mut self, reader: &mut Reader<'_>, here: usize) {
        if self.marks[here] != Mark::New {
            return;
        }
        self.marks[here] = Mark::Open;
        self.way.push(here);
        let ModelEntry { fallbacks, context_window, content_policy, .. } = &self.entries[here];
        for (fallback, spot) in fallbacks.iter().chain(context_window).chain(content_policy) {
            let Some(next) = self.find(fallback.as_str()) else {
                let near = near_names(fallback.as_str(), self.places.keys().copied());
                let near = near.first().map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
                reader.note(spot, format!("no model `{fallback}` in `models`{near}"));
                continue;
            };
            if self.marks[next] == Mark::Open {
                let ring = self.way.iter().skip_while(|place| **place != next).chain([&next]);
                let ring: Vec<&str> = ring.map(|place| self.entries[*place].name.as_str()).collect();
                reader.note(spot, format!("fallbacks lead in a ring: {}", ring.join(" -> ")));
            } else if self.way.len() == LONGEST {
                reader.note(spot, format!("expected a way of at most {LONGEST} fallbacks"));
            } else {
                self.from(reader, next);
            }
        }
        self.way.pop();
        self.marks[here] = Mark::Done;
    }

    /// The entry that a name resolves to: its own, or that of the longest fitting wildcard.
    fn find(&self, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name).filter(|_| !name.ends_with('*')) {
            return Some(*place);
        }
        let prefixes = (0..name.len()).rev().filter_map(|end| name.get(..end));
        prefixes
            .map(|prefix| format!("{prefix}*"))
            .find_map(|wildcard| self.places.get(wildcard.as_str()).copied())
    }
}
