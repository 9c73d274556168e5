//! What stands in a text that may not leave, or may not come in: pure functions from text to findings.
//!
//! - [`scan`] finds personal data and secrets in one walk over the bytes. Time is linear in the text's length,
//!   whatever the text: nothing here goes back further than a bound.
//! - [`open`] says from where on a text that is still growing could belong to a finding: what a stream may not release yet.
//! - [`injection::judge`] scores attempts to take a model's instructions away.
//! - [`language`] tells languages, code and gibberish; [`link::scan`] lists addresses of the web.
//!
//! Ranges are bytes, and on the boundaries of characters. Scores are percent: how sure it is that the finding is what its kind
//! says. Nothing reads a clock or a file, nothing panics.

mod bytes;
mod check;
pub mod injection;
mod kind;
pub mod language;
pub mod link;
mod open;
mod personal;
mod secret;
mod walk;
mod words;

pub use kind::{Family, Kind, Kinds, Severity};
pub use open::{CONTEXT, open, window};
pub use secret::formats as secret_formats;

/// A thing that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    /// Which form of the kind it is: `us-ssn`, `github-token`, `visa`; the kind's own name where there is one form.
    pub label: &'static str,
    /// Byte of the text at which it begins.
    pub start: usize,
    /// Byte of the text after its last.
    pub end: usize,
    /// How sure it is, in percent. What is below 50 is not reported.
    pub score: u8,
    pub severity: Severity,
}

/// Finds what is wanted in a text: in order, not overlapping. Of two that overlap the surer one stays, then the longer one.
///
/// Kinds of [`Family::Injection`] are not looked for: they have [`injection::judge`].
pub fn scan(text: &str, wanted: Kinds) -> Vec<Finding> {
    let mut found = walk::walk(text, wanted, wanted);
    settle(&mut found);
    found
}

/// What [`scan`] finds of each of several sets, in one walk: each set's findings do not overlap. The sets have no family in common,
/// so that what one of them wants hides nothing from another.
pub fn scan_each(text: &str, sets: &[Kinds]) -> Vec<Vec<Finding>> {
    if let [wanted] = sets {
        return vec![scan(text, *wanted)];
    }
    let all = sets.iter().fold(Kinds::NONE, |all, set| all.union(*set));
    let found = walk::walk(text, all, Kinds::NONE);
    let of = |set: &Kinds| {
        let mut own: Vec<Finding> = found.iter().filter(|one| set.has(one.kind)).copied().collect();
        settle(&mut own);
        own
    };
    sets.iter().map(of).collect()
}

/// Sorts, and leaves of overlapping findings the surest.
fn settle(found: &mut Vec<Finding>) {
    found.sort_unstable_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end)));
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found.drain(..) {
        let weight = |finding: &Finding| (finding.score, finding.end - finding.start);
        let mut wins = true;
        while let Some(last) = kept.last() {
            if last.end <= finding.start {
                break;
            }
            if weight(last) >= weight(&finding) {
                wins = false;
                break;
            }
            kept.pop();
        }
        if wins {
            kept.push(finding);
        }
    }
    *found = kept;
}

#[cfg(test)]
mod tests;
