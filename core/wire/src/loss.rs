//! What a translation could not carry.

use std::borrow::Cow;

use crate::DialectId;
use crate::chat::Extra;

/// The parts of a request or an answer that the target dialect has no place for.
///
/// Nothing is dropped silently: every writer notes here what it leaves out or changes, as a short path such as
/// `logit_bias`, `messages[3].name` or `tools[0].strict`, and the caller is told in a header and in the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    items: Vec<Cow<'static, str>>,
}

impl Loss {
    /// More than this many items are only counted as "more": a hostile request must not grow a header without end.
    pub const MOST: usize = 32;

    /// Notes one item, once.
    pub fn note(&mut self, item: impl Into<Cow<'static, str>>) {
        let item = item.into();
        if self.items.contains(&item) {
            return;
        }
        if self.items.len() < Self::MOST {
            self.items.push(item);
        } else if self.items.len() == Self::MOST {
            self.items.push(Cow::Borrowed("more"));
        }
    }

    /// Notes the fields of `extra` that are in another dialect's words, each below `path`.
    pub(crate) fn note_extra(&mut self, extra: &Extra, here: DialectId, path: &str) {
        for name in extra.foreign_to(here) {
            self.note(if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") });
        }
    }

    /// Notes all that another one has.
    pub fn join(&mut self, other: &Self) {
        other.items.iter().for_each(|item| self.note(item.clone()));
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(AsRef::as_ref)
    }
}
