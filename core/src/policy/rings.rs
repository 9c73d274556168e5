//! Fallbacks, rules and other names of models must lead somewhere, and not in a ring.

use gatelet_wire::SmallMap;

use super::document::ModelEntry;
use super::model::ModelName;
use super::read::{Reader, Spot};
use crate::registry::near_names;

/// Notes every fallback and every rule's model that no model answers to, and every ring of fallbacks and of rules, once.
pub(super) fn check(reader: &mut Reader<'_>, entries: &[ModelEntry]) {
    // A rule may lead to a model that falls back to where the rule stands: what falls back asks no rules.
    walk(reader, entries, "fallbacks", |entry| {
        entry.fallbacks.iter().chain(&entry.context_window).chain(&entry.content_policy).collect()
    });
    walk(reader, entries, "rules", |entry| entry.rules.iter().map(|(_, to)| to).collect());
    walk(reader, entries, "copies", |entry| entry.copied.iter().collect());
    walk(reader, entries, "semantic caches", |entry| entry.embedder.iter().collect());
}

/// Where a model leads.
type Edges = fn(&ModelEntry) -> Vec<&(ModelName, Spot)>;

fn walk(reader: &mut Reader<'_>, entries: &[ModelEntry], what: &'static str, edges: Edges) {
    let places = entries.iter().enumerate().map(|(place, entry)| (entry.name.as_str(), place)).collect();
    let mut walk =
        Walk { what, edges, places, marks: vec![Mark::New; entries.len()], way: Vec::new(), entries };
    for start in 0..entries.len() {
        walk.from(reader, start);
    }
}

/// The longest way through fallbacks of fallbacks, and through rules.
const LONGEST: usize = 32;

/// Depth first. Places are those of `entries`, and `marks` is as long.
struct Walk<'e> {
    what: &'static str,
    edges: Edges,
    entries: &'e [ModelEntry],
    places: SmallMap<&'e str, usize>,
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
        for (name, spot) in (self.edges)(&self.entries[here]) {
            let Some(next) = self.find(name.as_str()) else {
                let near = near_names(name.as_str(), self.places.keys().copied());
                let near = near.first().map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
                reader.note(spot, format!("no model `{name}` in `models`{near}"));
                continue;
            };
            if self.marks[next] == Mark::Open {
                let ring = self.way.iter().skip_while(|place| **place != next).chain([&next]);
                let ring: Vec<&str> = ring.map(|place| self.entries[*place].name.as_str()).collect();
                reader.note(spot, format!("{} lead in a ring: {}", self.what, ring.join(" -> ")));
            } else if self.way.len() == LONGEST {
                reader.note(spot, format!("expected a way of at most {LONGEST} {}", self.what));
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
