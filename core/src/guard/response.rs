//! Whole answers past the guards.

use gatelet_wire::chat::{Content, Format, Part, Request, Response, Stop, ToolCall, ToolKind};

use super::case::{Blocked, Case};
use super::external::{Question, Verdict};
use super::plain::Slots;
use super::tools::Fate;

/// Whether an answer's text is JSON, because that was asked for.
pub(super) fn is_json(request: &Request) -> bool {
    matches!(request.format, Some(Format::JsonObject | Format::JsonSchema { .. }))
}

impl Case {
    /// Judges an answer with what is on board. True: something in it was replaced or taken out.
    pub fn response(&mut self, response: &mut Response, json: bool) -> bool {
        let mut changed = self.calls(response);
        if self.blocked.is_none() {
            changed |= self.slots(&mut Slots::of_response(response, json));
        }
        if changed {
            // They repeat the text.
            for choice in &mut response.choices {
                choice.logprobs = None;
            }
        }
        changed
    }

    pub fn response_question(&self, nth: usize, response: &mut Response, json: bool) -> Question {
        self.ask(nth, &Slots::of_response(response, json))
    }

    pub fn response_answered(
        &mut self,
        nth: usize,
        verdict: Verdict,
        response: &mut Response,
        json: bool,
    ) -> bool {
        self.apply(nth, verdict, &mut Slots::of_response(response, json))
    }

    /// What stands for values becomes the values again. True: there was something.
    pub fn restore(&self, response: &mut Response, json: bool) -> bool {
        let Some(unmask) = self.unmask() else { return false };
        let mut changed = false;
        let mut slots = Slots::of_response(response, json);
        for slot in &mut slots.places {
            let mut text = slot.read();
            if unmask.text(&mut text, slot.is_json()) {
                slot.write(text);
                changed = true;
            }
        }
        changed
    }

    fn calls(&mut self, response: &mut Response) -> bool {
        let mut changed = false;
        for choice in &mut response.choices {
            let mut left = false;
            for part in &mut choice.parts {
                let Content::ToolCall(call) = &mut part.content else { continue };
                match self.call(call) {
                    Fate::Goes => {}
                    Fate::Other(arguments) => {
                        call.arguments = arguments;
                        changed = true;
                    }
                    Fate::Out(words) => {
                        part.content = Content::Text { text: words, citations: Vec::new() };
                        changed = true;
                        continue;
                    }
                    Fate::Blocks => return changed,
                }
                left = true;
            }
            if changed && !left && choice.stop == Some(Stop::ToolUse) {
                choice.stop = Some(Stop::EndTurn);
            }
        }
        changed
    }

    /// What becomes of a call that is there whole.
    pub(super) fn call(&mut self, call: &ToolCall) -> Fate {
        let arguments = match call.kind {
            ToolKind::Function | ToolKind::Custom => Some(call.arguments.as_str()),
        };
        self.permit(&call.name, arguments).unwrap_or(Fate::Goes)
    }
}

impl Blocked {
    /// The words in an answer's place.
    pub fn words(&self) -> String {
        match &self.message {
            Some(message) => message.to_string(),
            None => format!("This answer was stopped by the guard `{}` of the gateway.", self.guard),
        }
    }

    /// The answer that stands for one that may not leave: a refusal, in no particular dialect.
    pub fn refuse(&self, response: &mut Response) {
        for choice in &mut response.choices {
            choice.parts = vec![Part::from(Content::Refusal { text: self.words() })];
            choice.stop = Some(Stop::Refusal);
            choice.logprobs = None;
        }
        response.extra = gatelet_wire::chat::Extra::default();
    }
}

/// Whether the text of the answer to this will be JSON.
pub fn answers_json(request: &Request) -> bool {
    is_json(request)
}
