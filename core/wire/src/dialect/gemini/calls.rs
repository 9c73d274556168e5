//! Calls and their results, which this dialect pairs by id where it has one, else by name and order.

/// Ids that were made up for a reader who needs some begin so; the provider never sees them.
const MADE: &str = "gcall_";

/// Whether an id was made here.
pub(super) fn is_made(id: &str) -> bool {
    id.starts_with(MADE)
}

/// The id of the `nth` call of the answer `seed`.
pub(super) fn made(seed: &str, choice: u32, nth: u32) -> String {
    // Some readers take only letters, digits, `_` and `-`, and few of them.
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    let seed: String = seed.chars().filter(plain).take(24).collect();
    if choice == 0 { format!("{MADE}{seed}_{nth}") } else { format!("{MADE}{seed}_{choice}_{nth}") }
}

/// The calls of a conversation that is being read.
#[derive(Debug, Default)]
pub(super) struct Ids {
    open: Vec<(String, String)>,
    calls: usize,
}

impl Ids {
    /// A call's id: its own, or one that depends on nothing but its place, so that a growing conversation keeps it.
    pub(super) fn call(&mut self, name: &str, said: Option<String>) -> String {
        let id = said.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{MADE}{}", self.calls));
        self.calls += 1;
        self.open.push((id.clone(), name.to_owned()));
        id
    }

    /// The id of the call that a result answers: the one it names, else the first open one of its function.
    pub(super) fn result(&mut self, name: &str, said: Option<String>) -> String {
        let said = said.filter(|id| !id.is_empty());
        let by_id = said.as_ref().and_then(|said| self.open.iter().position(|(id, _)| id == said));
        let found = by_id.or_else(|| self.open.iter().position(|(_, open)| open == name));
        match found {
            Some(at) => self.open.remove(at).0,
            // Whoever writes it says that there is no such call.
            None => said.unwrap_or_else(|| format!("{MADE}{name}")),
        }
    }

    /// The model speaks anew: what is still open stays unanswered.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }
}
