//! Names of tools and ids of calls, for dialects that take letters, digits, `_` and `-`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::Restore;
use crate::chat::ToolKind;

/// The longest name of a tool in most dialects.
const MOST_NAME: usize = 64;

/// `text` if it is made of letters, digits, `_` and `-` and no longer than `most`. Else every other character becomes
/// `_`, and a hash of the whole is appended, so that different texts stay different.
pub(super) fn conforming(text: &str, most: usize) -> Cow<'_, str> {
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    if !text.is_empty() && text.len() <= most && text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    let changed: String = text
        .chars()
        .take(most.saturating_sub(9))
        .map(|character| if fits(character) { character } else { '_' })
        .collect();
    Cow::Owned(format!("{changed}_{:08x}", hash(text)))
}

/// FNV-1a: stable over versions, and collisions among a few names are no matter of attack.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A tool's name as most dialects take it.
pub(super) fn sent_name(
    name: &str,
    kind: ToolKind,
    key: Option<&'static str>,
    restore: &mut Restore,
) -> String {
    sent_name_within(MOST_NAME, name, kind, key, restore)
}

/// A tool's name of at most `most` characters, noted for its way back where it differs or where its arguments are wrapped
/// under `key`. The same name always becomes the same, so that calls of the history and choices still mean their tool.
pub(super) fn sent_name_within(
    most: usize,
    name: &str,
    kind: ToolKind,
    key: Option<&'static str>,
    restore: &mut Restore,
) -> String {
    let sent = conforming(name, most);
    if sent != name || key.is_some() {
        restore.tool(&sent, name, kind, key);
    }
    sent.into_owned()
}

/// The ids of calls in one conversation: each sent once, though the caller (or its last provider) repeats itself.
///
/// An id is a function of the conversation up to it, so that a growing conversation keeps its prefix, and its cache.
#[derive(Debug)]
pub(super) struct CallIds {
    /// An id as the target takes it; a function of it alone.
    form: fn(&str) -> String,
    sent: BTreeSet<String>,
    open: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    id: String,
    sent: String,
    path: String,
    answered: bool,
}

impl CallIds {
    /// For a target that takes ids of this form.
    pub(super) fn of(form: fn(&str) -> String) -> Self {
        Self { form, sent: BTreeSet::new(), open: Vec::new() }
    }

    /// A call, with the path of its message; gives the id to send.
    pub(super) fn call(&mut self, id: &str, path: &str) -> String {
        let conforming = (self.form)(id);
        let mut sent = conforming.clone();
        let mut copy = 2;
        while !self.sent.insert(sent.clone()) {
            sent = (self.form)(&format!("{conforming}_{copy}"));
            copy += 1;
        }
        self.open.push(Call {
            id: id.to_owned(),
            sent: sent.clone(),
            path: path.to_owned(),
            answered: false,
        });
        sent
    }

    /// The id to send with the result of the call `id`, if that call stands directly before and has none yet.
    pub(super) fn result(&mut self, id: &str) -> Option<String> {
        let call = self.open.iter_mut().find(|call| call.id == id && !call.answered)?;
        call.answered = true;
        Some(call.sent.clone())
    }

    /// The first call without a result: its id and its message.
    pub(super) fn unanswered(&self) -> Option<(&str, &str)> {
        self.open.iter().find(|call| !call.answered).map(|call| (call.id.as_str(), call.path.as_str()))
    }

    /// A new turn of the assistant begins.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }
}
