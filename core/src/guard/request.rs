//! Whole texts past the guards, of requests and of answers alike.

use std::sync::Arc;

use gatelet_wire::chat;
use gatelet_wire::sort::sort_by;

use super::case::Case;
use super::channel::Channel;
use super::external::{Grounds, Question, Verdict};
use super::json::JsonChannel;
use super::note::{Direction, Outcome};
use super::plain::{PlainTexts, Slot, Slots};
use super::scan::Detector;
use super::{Action, Check, Guard, Site};

impl Case {
    /// Judges a request with what is on board. True: something in it was replaced.
    pub fn request(&mut self, request: &mut chat::Request) -> bool {
        let mut slots = Slots::of_request(request);
        self.slots(&mut slots)
    }

    /// The same of a request that is no conversation.
    pub fn plain(&mut self, texts: &mut PlainTexts) -> bool {
        let mut slots = texts.slots();
        self.slots(&mut slots)
    }

    /// What a service is asked about this request.
    pub fn question(&self, nth: usize, request: &mut chat::Request) -> Question {
        self.ask(nth, &Slots::of_request(request))
    }

    pub fn plain_question(&self, nth: usize, texts: &mut PlainTexts) -> Question {
        self.ask(nth, &texts.slots())
    }

    /// What a service has said of this request. True: something in it was replaced.
    pub fn answered(&mut self, nth: usize, verdict: Verdict, request: &mut chat::Request) -> bool {
        let mut slots = Slots::of_request(request);
        self.apply(nth, verdict, &mut slots)
    }

    pub fn plain_answered(&mut self, nth: usize, verdict: Verdict, texts: &mut PlainTexts) -> bool {
        self.apply(nth, verdict, &mut texts.slots())
    }

    pub(super) fn slots(&mut self, slots: &mut Slots<'_>) -> bool {
        let mut changed = false;
        for nth in 0..slots.places.len() {
            let Some(slot) = slots.places.get_mut(nth) else { break };
            if self.blocked.is_some() {
                break;
            }
            let before = slot.read();
            self.reading(Some((nth, slot.site)));
            if let Some(text) = self.whole(&before, slot.site, slot.is_json()) {
                self.edits.push(slot.replace(text));
                changed = true;
            }
        }
        self.reading(None);
        if self.direction == Direction::In {
            changed |= self.joints(&mut slots.places);
        }
        for (what, site) in slots.unread.drain(..) {
            self.unread(what, site);
        }
        self.passed();
        changed
    }

    /// One text; what becomes of it, if it is changed.
    pub(super) fn whole(&mut self, text: &str, site: Site, is_json: bool) -> Option<String> {
        let mut out = String::new();
        let changed = if is_json {
            let mut channel = JsonChannel::new(site);
            channel.push(text, self, &mut out);
            if self.blocked.is_none() {
                channel.finish(self, &mut out);
            }
            channel.changed
        } else {
            let mut channel: Channel = self.channel(site);
            if channel.is_idle() {
                return None;
            }
            channel.push(text, self, &mut out);
            if self.blocked.is_none() {
                channel.finish(self, &mut out);
            }
            channel.changed
        };
        (changed && self.blocked.is_none()).then_some(out)
    }

    /// What stands over the joint of two texts that follow one another.
    fn joints(&mut self, slots: &mut [Slot<'_>]) -> bool {
        let mut changed = false;
        for nth in 1..slots.len() {
            let Some([before, after]) = slots.get_mut(nth - 1..=nth) else { break };
            let joined = before.speaker == after.speaker && before.speaker != 0 && before.site == after.site;
            if joined && !before.is_json() && !after.is_json() && self.blocked.is_none() {
                changed |= self.joint(before, after);
            }
        }
        changed
    }

    fn joint(&mut self, before: &mut Slot<'_>, after: &mut Slot<'_>) -> bool {
        /// More than anything with a form has.
        const REACH: usize = 128;
        let (mut one, mut other) = (before.read(), after.read());
        let from = one.char_indices().rev().nth(REACH - 1).map_or(0, |(at, _)| at);
        let upto = other.char_indices().nth(REACH).map_or(other.len(), |(at, _)| at);
        let tail = one.get(from..).unwrap_or_default().to_owned();
        let window = format!("{tail}{}", other.get(..upto).unwrap_or_default());
        let mut found = Vec::new();
        for (guard, rule) in self.guards.iter().enumerate() {
            if let Check::Texts(detector) = &rule.check
                && rule.reads(before.site, self.direction)
                && detector.reads(before.site)
                && !matches!(detector, Detector::Length(..) | Detector::Whole(..))
            {
                let over = |span: &super::Span| span.start < tail.len() && span.end > tail.len();
                let all =
                    detector.find(&window, before.site).into_iter().filter(|finding| over(&finding.span));
                found.extend(all.map(|finding| (guard, finding)));
            }
        }
        // One joint, one thing: the first.
        let Some((guard, finding)) = found.into_iter().min_by_key(|(_, finding)| finding.span.start) else {
            return false;
        };
        if self.found(guard, &finding.kind) != Action::Mask {
            return false;
        }
        let Some(rule) = self.guards.get(guard).cloned() else { return false };
        let value = window.get(finding.span.start..finding.span.end).unwrap_or_default();
        let placeholder =
            self.vault.hide(&finding.kind, value, &rule.masking, self.direction == Direction::In);
        one.truncate(from + finding.span.start);
        one.push_str(&placeholder);
        other.drain(..finding.span.end - tail.len());
        self.edits.push(before.replace(one));
        self.edits.push(after.replace(other));
        true
    }

    pub(super) fn ask(&self, nth: usize, slots: &Slots<'_>) -> Question {
        let guard = self.guards.get(nth);
        // What a question is about is told by what is said, and not by what tools are called.
        let said = guard.is_some_and(|guard| matches!(guard.check, Check::Topics(_)));
        let reads = |slot: &&Slot<'_>| {
            guard.is_some_and(|guard| guard.reads(slot.site, self.direction))
                && (!said || (slot.site == Site::Input && slot.speaker != 0))
        };
        let texts = slots.places.iter().filter(reads).map(Slot::read).collect();
        Question { texts, direction: self.direction, grounds: self.grounds.clone() }
    }

    /// Keeps what the answer can stand on, as guards have left it, where one of them asks for that.
    pub fn grounds(&mut self, request: &mut chat::Request) {
        let asks =
            |guard: &Arc<Guard>| matches!(&guard.check, Check::External(service) if service.is_of_grounds());
        if !self.guards.iter().any(asks) {
            return;
        }
        let slots = Slots::of_request(request);
        let of = |sites: &[Site]| -> Vec<String> {
            let mut left = Grounds::MOST;
            let mut sources = Vec::new();
            // The newest first, as many as fit.
            for slot in slots.places.iter().rev().filter(|slot| sites.contains(&slot.site)) {
                let text: String = slot.read().chars().take(left).collect();
                left -= text.chars().count();
                if !text.is_empty() {
                    sources.push(text);
                }
            }
            sources
        };
        let mut sources = of(&[Site::Document, Site::ToolResults]);
        if sources.is_empty() {
            sources = of(&[Site::Instructions]);
        }
        let said = slots.places.iter().rfind(|slot| slot.site == Site::Input && slot.speaker != 0);
        let asked = said.map(Slot::read).unwrap_or_default();
        self.grounds = Some(Arc::new(Grounds { sources, asked }));
    }

    /// Does with texts what a service said of them.
    pub(super) fn apply(&mut self, nth: usize, verdict: Verdict, slots: &mut Slots<'_>) -> bool {
        let Some(guard) = self.guards.get(nth).cloned() else { return false };
        let Verdict { found, spans, replaced } = verdict;
        let mut masks = false;
        for kind in &found {
            match self.found(nth, kind) {
                Action::Block => return false,
                Action::Mask => masks = true,
                Action::Flag | Action::Shadow => {}
            }
        }
        if replaced.is_some() && found.is_empty() && guard.action != Action::Mask {
            // It would have replaced something, and may not: that alone is what it found.
            let same = |texts: &Vec<String>| *texts == self.ask(nth, slots).texts;
            if !replaced.as_ref().is_some_and(same) && self.found(nth, &"intervened".into()) == Action::Block
            {
                return false;
            }
        }
        let direction = self.direction;
        let mut places = Vec::new();
        let mut numbers = Vec::new();
        for (number, slot) in slots.places.iter_mut().enumerate() {
            if guard.reads(slot.site, direction) {
                numbers.push((number, slot.site));
                places.push(slot);
            }
        }
        let mut changed = false;
        if let Some(replaced) = replaced.filter(|_| masks || guard.action == Action::Mask) {
            // Other texts than were asked about are no answer.
            if replaced.len() != places.len() {
                self.failed(nth, "answer", Outcome::Failed);
                return false;
            }
            for (slot, text) in places.iter_mut().zip(replaced) {
                if slot.read() == text {
                    continue;
                }
                if slot.is_json() && gatelet_wire::Json::parse(&text).is_err() {
                    self.failed(nth, "answer", Outcome::Failed);
                    return changed;
                }
                self.edits.push(slot.replace(text));
                changed = true;
            }
            if changed
                && !masks
                && let Some(note) = self.note(nth)
            {
                note.outcome = note.outcome.max(Outcome::Masked);
            }
            return changed;
        }
        for (place, mut findings) in spans {
            let Some(slot) = places.get_mut(place) else { continue };
            sort_by(&mut findings, |one, other| {
                (one.span.start, other.span.end).cmp(&(other.span.start, one.span.end))
            });
            self.reading(numbers.get(place).copied());
            let text = slot.read();
            let mut out = String::new();
            let mut at = 0;
            for finding in findings {
                let Some(value) = text.get(finding.span.start..finding.span.end) else {
                    // Outside of the text: nothing that it says is to be trusted.
                    self.failed(nth, "answer", Outcome::Failed);
                    return changed;
                };
                if finding.span.start < at || value.is_empty() {
                    continue;
                }
                match self.found_in(nth, &finding) {
                    Action::Block => return changed,
                    Action::Mask => {
                        out.push_str(text.get(at..finding.span.start).unwrap_or_default());
                        out.push_str(&self.vault.hide(
                            &finding.kind,
                            value,
                            &guard.masking,
                            direction == Direction::In,
                        ));
                        at = finding.span.end;
                    }
                    Action::Flag | Action::Shadow => {}
                }
            }
            if at > 0 {
                out.push_str(text.get(at..).unwrap_or_default());
                self.edits.push(slot.replace(out));
                changed = true;
            }
        }
        changed
    }
}
