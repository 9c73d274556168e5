//! Patterns at work.

use std::sync::Arc;

use super::super::scan::{Scanner, Span};
use super::syntax::{Node, Place, Set};

/// What a pattern is made into.
#[derive(Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
    longest: usize,
    /// No match can be longer than that anyway.
    bounded: bool,
    /// Whether a match can begin with this byte; those above 127 stand for all other characters.
    first: [bool; 256],
    /// Whether a match that has begun can go on with this byte, or end before it.
    second: [bool; 256],
}

#[derive(Debug)]
enum Step {
    One(Set),
    At(Place),
    /// The first is preferred.
    Fork(u32, u32),
    Jump(u32),
    Match,
}

/// More than patterns need that people write.
const MOST_STEPS: usize = 4_000;

impl Program {
    pub(super) fn of(node: &Node, longest: usize) -> Result<Self, String> {
        let program = Self::whole(node, longest)?;
        if program.matches_nothing() {
            return Err("it matches where there is nothing".to_owned());
        }
        Ok(program)
    }

    /// One that may match where there is nothing.
    pub(super) fn whole(node: &Node, longest: usize) -> Result<Self, String> {
        let bounded = node.most_letters().is_some_and(|letters| letters.saturating_mul(4) <= longest);
        let mut program =
            Self { steps: Vec::new(), longest, bounded, first: [false; 256], second: [true; 256] };
        program.add(node)?;
        program.push(Step::Match)?;
        program.begin();
        Ok(program)
    }

    fn here(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    fn push(&mut self, step: Step) -> Result<u32, String> {
        if self.steps.len() == MOST_STEPS {
            return Err(format!("it is too large: written out it has more than {MOST_STEPS} steps"));
        }
        let here = self.here();
        self.steps.push(step);
        Ok(here)
    }

    fn set(&mut self, at: u32, step: Step) {
        if let Some(place) = self.steps.get_mut(at as usize) {
            *place = step;
        }
    }

    fn add(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Empty => {}
            Node::One(set) => drop(self.push(Step::One(set.clone()))?),
            Node::At(place) => drop(self.push(Step::At(*place))?),
            Node::Row(row) => row.iter().try_for_each(|node| self.add(node))?,
            Node::Either(ways) => {
                let mut ends = Vec::new();
                for (nth, way) in ways.iter().enumerate() {
                    if nth + 1 == ways.len() {
                        self.add(way)?;
                        break;
                    }
                    let fork = self.push(Step::Match)?;
                    self.add(way)?;
                    ends.push(self.push(Step::Match)?);
                    let next = self.here();
                    self.set(fork, Step::Fork(fork + 1, next));
                }
                let end = self.here();
                for at in ends {
                    self.set(at, Step::Jump(end));
                }
            }
            Node::Repeat { node, least, most, greedy } => {
                for _ in 0..*least {
                    self.add(node)?;
                }
                let fork = |into: u32, past: u32| {
                    if *greedy { Step::Fork(into, past) } else { Step::Fork(past, into) }
                };
                let Some(most) = most else {
                    let again = self.push(Step::Match)?;
                    self.add(node)?;
                    self.push(Step::Jump(again))?;
                    let past = self.here();
                    self.set(again, fork(again + 1, past));
                    return Ok(());
                };
                let mut forks = Vec::new();
                for _ in *least..*most {
                    forks.push(self.push(Step::Match)?);
                    self.add(node)?;
                }
                let past = self.here();
                for at in forks {
                    self.set(at, fork(at + 1, past));
                }
            }
        }
        Ok(())
    }

    /// Finds out with what a match can begin, and go on.
    fn begin(&mut self) {
        let begins = self.letters(vec![0]);
        let mut first = [false; 256];
        let mut later = Vec::new();
        for at in begins.iter().flatten() {
            if let Some(Step::One(set)) = self.steps.get(*at as usize) {
                take(set, &mut first);
                later.push(at + 1);
            }
        }
        self.first = first;
        // A match of one letter goes on with anything.
        if let Some(follows) = self.letters(later) {
            let mut second = [false; 256];
            for at in follows {
                if let Some(Step::One(set)) = self.steps.get(at as usize) {
                    take(set, &mut second);
                }
            }
            self.second = second;
        }
    }

    /// The steps that want a letter, behind these: places are taken to be anywhere. None: a match may end there.
    fn letters(&self, mut open: Vec<u32>) -> Option<Vec<u32>> {
        let mut seen = vec![false; self.steps.len()];
        let mut found = Vec::new();
        let mut ends = false;
        while let Some(at) = open.pop() {
            if std::mem::replace(seen.get_mut(at as usize).unwrap_or(&mut true), true) {
                continue;
            }
            match self.steps.get(at as usize) {
                Some(Step::One(_)) => found.push(at),
                Some(Step::At(_)) => open.push(at.saturating_add(1)),
                Some(Step::Fork(one, other)) => open.extend([*one, *other]),
                Some(Step::Jump(to)) => open.push(*to),
                Some(Step::Match) => ends = true,
                None => {}
            }
        }
        (!ends).then_some(found)
    }

    /// How many of these bytes nothing can begin with, by each of them and the one behind it.
    fn skips(&self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(more) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|byte| self.begins(*byte)))
        {
            at += more;
            match bytes.get(at..) {
                Some([one, other, ..]) if one.is_ascii() && !self.second[usize::from(*other)] => at += 1,
                _ => return at,
            }
        }
        bytes.len()
    }

    fn begins(&self, byte: u8) -> bool {
        self.first[usize::from(byte)]
    }

    /// Whether it matches anywhere in a text, of whatever length; none: more work than there is left.
    pub(super) fn is_in(&self, text: &str, work: &mut usize) -> Option<bool> {
        let mut reached = vec![0_usize; self.steps.len()];
        let mut open = Vec::new();
        let mut next = Vec::new();
        let mut before = None;
        let mut letters = text.chars();
        for round in 1.. {
            let letter = letters.next();
            // A match may begin anywhere.
            open.push(0_u32);
            while let Some(at) = open.pop() {
                *work = work.checked_sub(1)?;
                let Some(reached) = reached.get_mut(at as usize).filter(|reached| **reached != round) else {
                    continue;
                };
                *reached = round;
                match self.steps.get(at as usize)? {
                    Step::One(set) if letter.is_some_and(|letter| set.has(letter)) => next.push(at + 1),
                    Step::At(place) if place.is_between(before, letter) => open.push(at + 1),
                    Step::One(_) | Step::At(_) => {}
                    Step::Fork(one, other) => open.extend([*other, *one]),
                    Step::Jump(to) => open.push(*to),
                    Step::Match => return Some(true),
                }
            }
            if letter.is_none() {
                break;
            }
            before = letter;
            std::mem::swap(&mut open, &mut next);
        }
        Some(false)
    }

    /// Whether a match can be of no length.
    fn matches_nothing(&self) -> bool {
        let mut seen = vec![false; self.steps.len()];
        let mut open = vec![0_u32];
        while let Some(at) = open.pop() {
            if std::mem::replace(seen.get_mut(at as usize).unwrap_or(&mut true), true) {
                continue;
            }
            match self.steps.get(at as usize) {
                Some(Step::Match) => return true,
                Some(Step::At(_)) => open.push(at + 1),
                Some(Step::Fork(one, other)) => open.extend([*one, *other]),
                Some(Step::Jump(to)) => open.push(*to),
                Some(Step::One(_)) | None => {}
            }
        }
        false
    }
}

/// Notes the bytes with which a set's letters begin.
fn take(set: &Set, bytes: &mut [bool; 256]) {
    for (byte, can) in (0_u8..=255).zip(bytes) {
        *can |= byte >= 128 || set.has(char::from(byte));
    }
}

/// A pattern that is being looked for in one text.
///
/// Threads stand in the order of their beginnings. Where two are at one step, what follows is the same for both, and
/// the earlier one covers the later.
#[derive(Debug)]
pub struct Machine {
    program: Arc<Program>,
    /// Before the character that comes next.
    threads: Vec<Thread>,
    ready: Vec<Thread>,
    stack: Vec<u32>,
    /// In which round each step was reached last.
    reached: Vec<u32>,
    /// Where the last of the threads began that are at each step, where that may matter.
    latest: Vec<usize>,
    round: u32,
    before: Option<char>,
    at: usize,
    /// Matches that may grow yet, or be covered by one that began before.
    open: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    step: u32,
    start: usize,
    /// Where the last of those began that it covers: it goes on for them when it has become too long itself.
    latest: usize,
}

impl Machine {
    pub(super) fn of(program: Arc<Program>) -> Self {
        let reached = vec![0; program.steps.len()];
        let latest = if program.bounded { Vec::new() } else { vec![0; program.steps.len()] };
        Self {
            program,
            threads: Vec::new(),
            ready: Vec::new(),
            stack: Vec::new(),
            reached,
            latest,
            round: 0,
            before: None,
            at: 0,
            open: Vec::new(),
        }
    }

    /// Takes all threads over the place before `next`, and over it.
    fn step(&mut self, next: Option<char>) {
        let fresh = Thread { step: 0, start: self.at, latest: self.at };
        if !self.program.bounded {
            self.begin_round();
            for nth in (0..=self.threads.len()).rev() {
                let thread = self.threads.get(nth).copied().unwrap_or(fresh);
                self.follow(thread, next, true);
            }
        }
        self.begin_round();
        self.ready.clear();
        let mut matched = None;
        for nth in 0..=self.threads.len() {
            let thread = self.threads.get(nth).copied().unwrap_or(fresh);
            // What is left of a beginning that has matched is of lower rank.
            if matched == Some(thread.start) {
                continue;
            }
            if self.follow(thread, next, false) && self.at > thread.start {
                matched = Some(thread.start);
                self.matched(thread.start);
            }
        }
        self.threads.clear();
        let Some(letter) = next else { return };
        let end = self.at + letter.len_utf8();
        for thread in &self.ready {
            let Some(Step::One(set)) = self.program.steps.get(thread.step as usize) else { continue };
            let latest = self.latest.get(thread.step as usize).copied().unwrap_or(thread.start);
            let fits = |start: &usize| end - start <= self.program.longest;
            if let Some(start) = [thread.start, latest].into_iter().find(fits)
                && set.has(letter)
            {
                self.threads.push(Thread { step: thread.step + 1, start, latest });
            }
        }
        self.before = Some(letter);
        self.at = end;
    }

    fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.reached.fill(0);
            self.round = 1;
        }
    }

    /// Follows a thread to where it wants a character; true: to a match, and then no further. Or only notes how late those
    /// began that come there.
    fn follow(&mut self, thread: Thread, next: Option<char>, notes: bool) -> bool {
        self.stack.clear();
        self.stack.push(thread.step);
        while let Some(at) = self.stack.pop() {
            let Some(reached) = self.reached.get_mut(at as usize) else { continue };
            if *reached == self.round {
                continue;
            }
            *reached = self.round;
            match self.program.steps.get(at as usize) {
                Some(Step::One(_)) if notes => {
                    if let Some(latest) = self.latest.get_mut(at as usize) {
                        *latest = thread.latest;
                    }
                }
                Some(Step::One(_)) => self.ready.push(Thread { step: at, ..thread }),
                Some(Step::At(place)) if place.is_between(self.before, next) => self.stack.push(at + 1),
                Some(Step::Fork(one, other)) => self.stack.extend([*other, *one]),
                Some(Step::Jump(to)) => self.stack.push(*to),
                Some(Step::Match) if notes => {}
                Some(Step::Match) => {
                    // It was reached by the thread that began first: others that end here may too.
                    *self.reached.get_mut(at as usize).unwrap_or(&mut 0) = 0;
                    return true;
                }
                Some(Step::At(_)) | None => {}
            }
        }
        false
    }

    fn matched(&mut self, start: usize) {
        if let Some((_, end)) = self.open.iter_mut().rev().find(|(known, _)| *known == start) {
            *end = self.at;
        } else {
            let place = self.open.partition_point(|(known, _)| *known < start);
            self.open.insert(place, (start, self.at));
        }
    }

    /// Where the first of all threads began.
    fn alive(&self) -> Option<usize> {
        self.threads.iter().map(|thread| thread.start).min()
    }

    /// Gives out the matches that nothing can change any more.
    fn settle(&mut self, out: &mut Vec<Span>) {
        let alive = self.alive().unwrap_or(usize::MAX);
        let settled = self.open.partition_point(|(start, _)| *start < alive);
        out.extend(self.open.drain(..settled).map(|(start, end)| Span { start, end }));
    }
}

impl Scanner for Machine {
    fn push(&mut self, text: &str, out: &mut Vec<Span>) {
        let mut rest = text;
        loop {
            if self.threads.is_empty() {
                self.settle(out);
                // Nothing has begun: on to where something can.
                // A byte inside of a character is above 127 too, so that what is found is where one begins.
                let skipped = self.program.skips(rest.as_bytes());
                let (passed, more) = rest.split_at_checked(skipped).unwrap_or((rest, ""));
                self.before = passed.chars().next_back().or(self.before);
                self.at += passed.len();
                rest = more;
            }
            let Some(letter) = rest.chars().next() else { break };
            self.step(Some(letter));
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
        self.settle(out);
    }

    fn finish(&mut self, out: &mut Vec<Span>) {
        self.step(None);
        self.settle(out);
    }

    fn settled(&self) -> usize {
        let thread = self.alive().unwrap_or(self.at);
        self.open.first().map_or(thread, |(start, _)| thread.min(*start))
    }
}
