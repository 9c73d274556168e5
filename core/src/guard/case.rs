//! One request before its guards.

use std::sync::Arc;

use super::channel::Channel;
use super::external::Grounds;
use super::mask::Vault;
use super::note::{Direction, Note, Outcome};
use super::scan::{Finding, Kind, Span};
use super::shape::Form;
use super::unmask::Unmask;
use super::{Action, Check, Guard, Site};

/// A request's guards, what they found so far, and what they hid.
#[derive(Clone, Debug)]
pub struct Case {
    /// In their order. Those that do not judge are among the notes alone.
    pub(super) guards: Arc<[Arc<Guard>]>,
    pub(super) vault: Vault,
    pub(super) direction: Direction,
    pub(super) notes: Vec<Note>,
    /// The first that blocked; nothing is said any more.
    pub(super) blocked: Option<Blocked>,
    /// Whole texts that were changed, and what became of them.
    pub(super) edits: Vec<(String, String)>,
    /// The form that the answer is asked to have.
    pub(super) form: Form,
    /// What it can stand on.
    pub(super) grounds: Option<Arc<Grounds>>,
    /// Where each thing was found, for somebody who tries guards.
    pub(super) trace: Option<Box<Trace>>,
}

/// What is found, with its places.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    /// The text that is being read: its number, and where it stands.
    at: Option<(usize, Site)>,
    found: Vec<Found>,
}

/// A thing that was found, and where: never the thing itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub guard: Arc<str>,
    pub kind: Kind,
    pub action: Action,
    /// Number and site of the text; none: it is of all of them.
    pub text: Option<(usize, Site)>,
    /// Bytes of the text, or of the string in it where the text is JSON.
    pub span: Option<Span>,
}

/// Why a request or an answer goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub guard: Arc<str>,
    /// What was found; none: the guard could not judge.
    pub kind: Option<Kind>,
    pub direction: Direction,
    /// The guard's own words for it.
    pub message: Option<Arc<str>>,
}

/// What part a guard has in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    Judges,
    /// Chance has left it out.
    Unsampled,
    /// It judges where the request may not go.
    Outside,
}

impl Case {
    /// `part` is asked for each guard.
    pub fn new(guards: &[Arc<Guard>], mut part: impl FnMut(&Guard) -> Duty) -> Self {
        let mut case = Self {
            guards: Arc::from([]),
            vault: Vault::default(),
            direction: Direction::In,
            notes: Vec::new(),
            blocked: None,
            edits: Vec::new(),
            form: Form::default(),
            grounds: None,
            trace: None,
        };
        let mut judging = Vec::new();
        for guard in guards {
            let note = fresh(guard, Direction::In);
            match part(guard) {
                Duty::Judges => judging.push(guard.clone()),
                Duty::Unsampled => case.notes.push(Note { outcome: Outcome::Unsampled, ..note }),
                Duty::Outside => {
                    let outcome = if guard.shuts() { Outcome::Blocked } else { Outcome::Failed };
                    case.notes.push(Note { outcome, unread: vec!["region"], ..note });
                    if guard.shuts() {
                        case.block(guard, None);
                    }
                }
            }
        }
        case.guards = judging.into();
        case
    }

    pub fn guards(&self) -> &Arc<[Arc<Guard>]> {
        &self.guards
    }

    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The texts of the request that were changed, as they were and as they are; they are forgotten here.
    pub fn edits(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.edits)
    }

    pub fn blocked(&self) -> Option<&Blocked> {
        self.blocked.as_ref()
    }

    /// Whether any guard masks in requests, so that the answer's words may stand for something.
    pub fn has_hidden(&self) -> bool {
        self.vault.restores()
    }

    /// What was hidden so far, with what stands for it; the longest first.
    pub fn hidden(&self) -> Vec<(Box<str>, Box<str>)> {
        self.vault.hidden()
    }

    /// Whether an answer has to pass before anybody reads it: it may be changed.
    pub fn changes_answers(&self) -> bool {
        self.has_hidden() || self.guards.iter().any(|guard| guard.on.of_answers() && guard.changes())
    }

    /// Whether anybody reads answers at all.
    pub fn reads_answers(&self) -> bool {
        self.has_hidden() || self.guards.iter().any(|guard| guard.on.of_answers())
    }

    /// The services that judge this direction, with their places among the guards.
    pub fn services(&self) -> impl Iterator<Item = (usize, &Arc<Guard>)> {
        let direction = self.direction;
        self.guards.iter().enumerate().filter(move |(_, guard)| {
            let reads = match direction {
                Direction::In => guard.on.of_requests(),
                Direction::Out => guard.on.of_answers(),
            };
            reads && guard.is_service()
        })
    }

    /// From the request to its answer.
    pub fn turn(&mut self) {
        self.direction = Direction::Out;
    }

    /// A text at `site` that is about to come.
    pub(super) fn channel(&self, site: Site) -> Channel {
        let readers = self.guards.iter().enumerate().filter_map(|(nth, guard)| match &guard.check {
            Check::Texts(detector) if guard.reads(site, self.direction) && detector.reads(site) => {
                Some((nth, guard.changes(), detector.scan(site)))
            }
            Check::Texts(_) | Check::Tools(_) | Check::External(_) | Check::Shape(_) | Check::Topics(_) => {
                None
            }
        });
        Channel::new(readers.collect())
    }

    /// What becomes of words that stand for something.
    pub(super) fn unmask(&self) -> Option<Unmask> {
        self.has_hidden().then(|| Unmask::of(self.vault.restored()))
    }

    /// The note of a guard for this direction; made where there is none.
    pub(super) fn note(&mut self, nth: usize) -> Option<&mut Note> {
        let guard = self.guards.get(nth)?;
        let direction = self.direction;
        let known =
            self.notes.iter().position(|note| note.guard == guard.name && note.direction == direction);
        let place = known.unwrap_or_else(|| {
            self.notes.push(fresh(guard, direction));
            self.notes.len() - 1
        });
        self.notes.get_mut(place)
    }

    /// A service has judged, in so many milliseconds.
    pub fn timed(&mut self, nth: usize, ms: f64) {
        if let Some(note) = self.note(nth) {
            note.ms = Some(ms);
        }
    }

    /// What a service said that was asked beside the call: nothing can be replaced any more.
    pub fn judged(&mut self, nth: usize, verdict: &super::external::Verdict) {
        let spans = verdict.spans.iter().flat_map(|(_, findings)| findings).map(|finding| &finding.kind);
        for kind in verdict.found.iter().chain(spans) {
            self.found(nth, kind);
        }
        if verdict.replaced.is_some() && verdict.found.is_empty() {
            self.found(nth, &"intervened".into());
        }
    }

    /// Something was found in the text that is being read: what follows.
    pub(super) fn found_in(&mut self, nth: usize, finding: &Finding) -> Action {
        let action = self.found(nth, &finding.kind);
        let last = self.trace.as_mut().and_then(|trace| trace.found.last_mut());
        if let Some(found) = last {
            found.span = Some(finding.span);
        }
        action
    }

    /// Something was found: what follows.
    pub(super) fn found(&mut self, nth: usize, kind: &Kind) -> Action {
        let Some(guard) = self.guards.get(nth).cloned() else { return Action::Flag };
        let action = guard.action(kind);
        if let Some(trace) = &mut self.trace {
            let (guard, kind) = (guard.name.clone(), kind.clone());
            trace.found.push(Found { guard, kind, action, text: trace.at, span: None });
        }
        let outcome = match action {
            Action::Block => Outcome::Blocked,
            Action::Mask => Outcome::Masked,
            Action::Flag => Outcome::Flagged,
            Action::Shadow => Outcome::Shadowed,
        };
        if let Some(note) = self.note(nth) {
            note.outcome = note.outcome.max(outcome);
            match note.found.iter_mut().find(|(known, _)| known == kind) {
                Some((_, count)) => *count += 1,
                None => note.found.push((kind.clone(), 1)),
            }
        }
        if action == Action::Block {
            self.block(&guard, Some(kind.clone()));
        }
        action
    }

    pub(super) fn block(&mut self, guard: &Guard, kind: Option<Kind>) {
        let direction = self.direction;
        self.blocked.get_or_insert_with(|| Blocked {
            guard: guard.name.clone(),
            kind,
            direction,
            message: guard.message.clone(),
        });
    }

    /// A guard could not judge, or there is something that it cannot read.
    pub fn failed(&mut self, nth: usize, why: &'static str, outcome: Outcome) {
        let Some(guard) = self.guards.get(nth).cloned() else { return };
        let shut = guard.shuts();
        if let Some(note) = self.note(nth) {
            note.outcome = note.outcome.max(if shut { Outcome::Blocked } else { outcome });
            if !note.unread.contains(&why) {
                note.unread.push(why);
            }
        }
        if shut {
            self.block(&guard, None);
        }
    }

    /// Something here can be read by no guard, such as an image. The rest is judged; the note of each says that this was not
    /// read, and not that it passed.
    pub fn unread(&mut self, what: &'static str, site: Site) {
        for nth in 0..self.guards.len() {
            let reads = self.guards.get(nth).is_some_and(|guard| {
                guard.reads(site, self.direction) && !matches!(guard.check, Check::Tools(_))
            });
            if reads && let Some(note) = self.note(nth) {
                note.outcome = note.outcome.max(Outcome::Unread);
                if !note.unread.contains(&what) {
                    note.unread.push(what);
                }
            }
        }
    }

    /// Nothing of a whole body can be read: guards that fail closed refuse it.
    pub fn unreadable(&mut self, what: &'static str) {
        for nth in 0..self.guards.len() {
            let reads = self.guards.get(nth).is_some_and(|guard| match self.direction {
                Direction::In => guard.on.of_requests(),
                Direction::Out => guard.on.of_answers(),
            });
            if reads {
                self.failed(nth, what, Outcome::Unread);
            }
        }
    }

    /// From here on places are kept, too.
    pub fn trace(&mut self) {
        self.trace = Some(Box::default());
    }

    /// What was found since, with its places.
    pub fn traced(&self) -> &[Found] {
        self.trace.as_ref().map(|trace| trace.found.as_slice()).unwrap_or_default()
    }

    /// The text that is read from here on, or what is of none.
    pub(super) fn reading(&mut self, text: Option<(usize, Site)>) {
        if let Some(trace) = &mut self.trace {
            trace.at = text;
        }
    }

    /// All was read: guards that found nothing say so.
    pub fn passed(&mut self) {
        for nth in 0..self.guards.len() {
            let reads = self.guards.get(nth).is_some_and(|guard| match self.direction {
                Direction::In => guard.on.of_requests() && !matches!(guard.check, Check::Tools(_)),
                Direction::Out => guard.on.of_answers(),
            });
            if reads {
                self.note(nth);
            }
        }
    }
}

fn fresh(guard: &Guard, direction: Direction) -> Note {
    Note {
        guard: guard.name.clone(),
        version: guard.version.clone(),
        direction,
        outcome: Outcome::Passed,
        found: Vec::new(),
        unread: Vec::new(),
        ms: None,
    }
}

impl Case {
    /// Whose words are judged from here on.
    pub fn at(&mut self, direction: Direction) {
        self.direction = direction;
    }
}
