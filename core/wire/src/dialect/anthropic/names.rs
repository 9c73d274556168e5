//! Names of tools and ids of calls, as this dialect takes them.

use crate::Restore;
use crate::chat::ToolKind;
use crate::dialect::names::{CallIds, conforming, sent_name_within};

/// The longest name of a tool.
const MOST_NAME: usize = 128;

/// The name under which a tool is sent.
pub(super) fn tool(name: &str, kind: ToolKind, key: Option<&'static str>, restore: &mut Restore) -> String {
    sent_name_within(MOST_NAME, name, kind, key, restore)
}

/// The ids of a conversation's calls.
pub(super) fn call_ids() -> CallIds {
    CallIds::of(|id| conforming(id, usize::MAX).into_owned())
}
