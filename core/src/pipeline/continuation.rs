//! A stream that broke off after its caller had read some of it goes on, where the model's configuration asks for that: a target
//! that takes the beginning of its answer is sent the conversation with what was said so far, and what it says further is
//! written as if nothing had happened.
//!
//! Only plain text is gone on with: half a call of a tool, or reasoning that is signed, is nobody's to finish. Each attempt has a
//! hold of its own and is charged for itself.

use std::sync::Arc;

use gatelet_wire::json::string;
use gatelet_wire::{DialectId, Draft, Edit, Fields, Json, Loss, Operation, Usage};
use serde_json::{Value, json};

use super::attempt::{Answer, attempt};
use super::books::Books;
use super::bound;
use super::fetch::Fetched;
use super::flow::Flow;
use super::hedge::Spare;
use super::receive::{Arrived, Received};
use super::relay::{Call, How, own};
use super::route::Plan;
use crate::domain::account::{Grant, Op, OutputBound, Reserve};
use crate::domain::{HoldId, ShardId, Timestamp};
use crate::policy::{Model, Target, Timeouts};
use crate::port::{ByteStream, Transaction};
use crate::registry::Capability;
use crate::shared::Core;

/// What it takes to go on with a stream.
pub(super) struct Continuation {
    arrived: Box<Arrived>,
    /// Those that take the beginning of their answer, in the order of the plan.
    targets: Vec<Arc<Target>>,
    /// Further attempts that may be made.
    left: u32,
    /// Holds that were asked for.
    holds: u32,
    spare: Box<Spare>,
    shard: ShardId,
    timeouts: Timeouts,
    repeats: Option<u32>,
    marks: Option<u64>,
    deadline: Timestamp,
    /// The caller's cap on output, or the one that was sent in its place.
    cap: Option<u64>,
}

/// A stream of which some was said.
pub(super) struct Broken {
    pub(super) text: String,
    pub(super) target: Arc<str>,
    /// What all attempts so far have used.
    pub(super) used: Usage,
}

/// How it went.
pub(super) struct Continued {
    pub(super) books: Box<Books>,
    pub(super) continuation: Box<Continuation>,
    /// Who goes on, and what it says; none: nobody does.
    pub(super) by: Option<(ByteStream, Box<Flow>, Arc<str>)>,
}

/// Where turns stand in the bodies of all dialects.
const TURNS: [&str; 3] = ["messages", "contents", "input"];
/// Where callers of all dialects bound the output.
const CAPS: [&str; 9] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig.maxOutputTokens",
    "generationConfig.max_output_tokens",
    "generation_config.maxOutputTokens",
    "generation_config.max_output_tokens",
    "inferenceConfig.maxTokens",
    "options.num_predict",
];

impl Continuation {
    /// None: the model's configuration does not ask for it, or nobody could go on with what will be said.
    pub(super) fn of(
        model: &Model,
        received: &Received<'_>,
        plan: &Plan,
        spare: Option<&Spare>,
        shard: &ShardId,
        deadline: Timestamp,
    ) -> Option<Box<Self>> {
        let (rules, spare) = model.extras.resume.zip(spare)?;
        let arrived = received.arrived;
        let streams = arrived.operation == Operation::Chat && received.asked.stream;
        if !streams || received.asked.choices > 1 || turns(&received.fields).is_none() {
            return None;
        }
        let takes = |target: &&Arc<Target>| rules.prefill || target.has(Capability::Prefill);
        let targets = plan.asked.iter().map(|turn| &turn.target).filter(|target| own(model, target));
        let targets: Vec<_> = targets.filter(takes).cloned().collect();
        if targets.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            arrived: Box::new(arrived.again(arrived.body.clone())),
            targets,
            left: rules.times,
            holds: 0,
            spare: Box::new(spare.clone()),
            shard: shard.clone(),
            timeouts: model.timeouts,
            repeats: model.repeats,
            marks: model.extras.marks,
            deadline,
            cap: received.asked.max_output,
        }))
    }

    /// The same of a stream that was sent with this cap on output, because the caller gave none.
    #[must_use]
    pub(super) fn capped(mut self: Box<Self>, cap: Option<u64>) -> Box<Self> {
        self.cap = self.cap.or(cap);
        self
    }

    /// Whether another attempt may be made; and the hold that it will have.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<HoldId> {
        if self.left == 0 || now >= self.deadline {
            return None;
        }
        self.holds += 1;
        Some(self.hold())
    }

    /// When an attempt that begins now is over, whatever it says.
    pub(super) fn ends(&self, now: Timestamp) -> Timestamp {
        self.timeouts.attempt.map_or(self.deadline, |attempt| now.after(attempt).min(self.deadline))
    }

    fn hold(&self) -> HoldId {
        HoldId::new(format!("{}/resume{}", self.arrived.id, self.holds))
    }

    /// Goes on with a stream. Dropped, its books close as those of a caller who left.
    pub(super) async fn go_on(
        mut self: Box<Self>,
        core: Arc<Core>,
        mut books: Box<Books>,
        broken: Broken,
    ) -> Continued {
        // What is kept of the answer is all of it.
        let transcript = books.tally.transcript.take();
        let by = self.ask(&core, &mut books, &broken).await;
        books.tally.transcript = transcript;
        Continued { books, continuation: self, by }
    }

    async fn ask(
        &mut self,
        core: &Arc<Core>,
        books: &mut Books,
        broken: &Broken,
    ) -> Option<(ByteStream, Box<Flow>, Arc<str>)> {
        let cap = match self.cap {
            None => None,
            Some(cap) => Some(cap.checked_sub(broken.used.output_total()).filter(|left| *left > 0)?),
        };
        let arrived = self.arrived.again(self.body(&broken.text, cap)?.into());
        let received = arrived.read().ok()?;
        let output_cap = self.held(core, &received, cap).await?;
        let after = self.targets.iter().position(|target| *target.name() == broken.target);
        let order = self.targets.iter().cycle().skip(after.map_or(0, |place| place + 1));
        let mut call = Call {
            received: &received,
            books,
            output_cap: None,
            timeouts: self.timeouts,
            repeats: self.repeats,
            marks: self.marks,
            deadline: self.deadline,
            fetched: Fetched::default(),
            guarding: None,
            why: Some("resume"),
            keeping: None,
            how: How::After,
        };
        for target in order {
            if self.left == 0 || core.ports.clock.now() >= self.deadline {
                break;
            }
            self.left -= 1;
            call.output_cap = output_cap.map(|cap| target.max_output.map_or(cap, |most| cap.min(most)));
            match attempt(core, &mut call, target).await {
                Ok(Answer::Stream { upstream, flow, .. }) if flow.begins_with_text() => {
                    return Some((upstream, flow, target.name().clone()));
                }
                // Whatever this is, it does not go on with a text, and has its price all the same.
                Ok(_) => break,
                Err(_) => {}
            }
        }
        None
    }

    /// Whether the ledger holds what going on may cost; and the cap on output that is sent where the caller gave none.
    async fn held(&self, core: &Core, received: &Received<'_>, cap: Option<u64>) -> Option<Option<u64>> {
        let Spare { accounts, reserve, capped } = &*self.spare;
        let (input_tokens, input_cost, rate) = bound::input(received, &self.targets);
        let tokens = cap.map_or(reserve.output.tokens, |cap| cap.min(reserve.output.tokens));
        let output = OutputBound { tokens, rate: rate.max(reserve.output.rate), ..reserve.output };
        let reserve = Reserve { hold: self.hold(), input_tokens, input_cost, output, ..reserve.clone() };
        let transaction = Transaction::new(accounts.clone(), Op::Reserve(reserve), Vec::new());
        let outcome =
            core.ports.ledger.transact(&self.shard, transaction, core.ports.clock.now()).await.ok()?;
        let Grant::Held { output_tokens, .. } = outcome.grant else { return None };
        Some(capped.then(|| cap.map_or(output_tokens, |cap| cap.min(output_tokens))))
    }

    /// The request with what was said as the last turn, and with what is left of its cap on output.
    fn body(&self, said: &str, cap: Option<u64>) -> Option<Vec<u8>> {
        let fields = Fields::read(&self.arrived.body).ok()?;
        let mut draft = Draft::from(&fields);
        let (name, mut turns) = turns(&fields)?;
        let text = json!({ "text": said });
        let turn = match self.arrived.dialect {
            DialectId::Openai | DialectId::Anthropic | DialectId::Cohere | DialectId::Ollama => {
                json!({ "role": "assistant", "content": said })
            }
            DialectId::Gemini => json!({ "role": "model", "parts": [text] }),
            DialectId::Bedrock => json!({ "role": "assistant", "content": [text] }),
            DialectId::OpenaiResponses => json!({ "type": "message", "role": "assistant", "content": [
                { "type": "output_text", "text": said, "annotations": [] }] }),
        };
        turns.push(Json::of(&turn));
        draft.set(name, Json::of(&turns));
        if let Some(cap) = cap {
            #[expect(clippy::cast_precision_loss, reason = "no answer has so many tokens")]
            let edits = CAPS.map(|path| Edit::Clamp(path.to_owned(), 1.0, cap as f64));
            draft.apply(&edits, &mut Loss::default()).ok()?;
        }
        Some(draft.write())
    }
}

/// A request's turns, and the field that they stand in; none: the last one is the model's, so that the caller has begun the
/// answer itself.
fn turns(fields: &Fields<'_>) -> Option<(&'static str, Vec<Json>)> {
    let (name, raw) = TURNS.iter().find_map(|name| Some((*name, fields.present(name)?)))?;
    if let Some(text) = string(raw) {
        return Some((name, vec![Json::of(&json!({ "role": "user", "content": text }))]));
    }
    let turns: Vec<Json> = gatelet_wire::json::from_str(raw.get()).ok()?;
    let role = turns.last()?.to_value()["role"].take();
    let begun = |role: &Value| matches!(role.as_str(), Some("assistant" | "model"));
    (!begun(&role)).then_some((name, turns))
}
