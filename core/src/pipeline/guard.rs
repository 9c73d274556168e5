//! Between admission and the upstream: the guards. Whoever relays has what this stage made.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use gatelet_wire::{DialectId, Operation, TargetHints, chat};

use super::admit::Admitted;
use super::books::Ending;
use super::receive::{Arrived, Received};
use super::residency::Pins;
use super::topics::Asker;
use crate::domain::Caller;
use crate::guard::external::{Question, Verdict};
use crate::guard::{
    Case, Check, Direction, Duty, Guard, GuardStream, Note, Outcome, PlainTexts, When, answers_json,
    plain_fields, rewritten,
};
use crate::policy::{Policy, Whom};
use crate::port::{Fault, FaultKind};
use crate::refusal::Refusal;
use crate::shared::Core;
use crate::together::together;

/// A request that its guards let pass, as they left it.
pub(super) struct Guarded<'a> {
    pub(super) admitted: Admitted<'a>,
    pub(super) guarding: Option<Box<Guarding>>,
    pub(super) beside: Option<Box<Beside>>,
}

/// What guards have to do with the answer.
pub(super) struct Guarding {
    pub(super) case: Case,
    /// The answer's text is JSON, as was asked for.
    pub(super) json: bool,
}

/// Services that judge the request while the model is called; the answer waits for them.
pub(super) struct Beside {
    case: Case,
    judging: Option<BoxFuture<'static, Vec<Judged>>>,
}

/// What a service said: which guard's, and how long it took.
struct Judged {
    nth: usize,
    verdict: Result<Verdict, Fault>,
    ms: f64,
}

/// What of a request its guards read.
pub(super) enum Texts {
    Chat(Box<chat::Request>),
    Plain(Box<PlainTexts>),
}

/// How much longer guards may make a request than it was held for: its own length once more, and a page.
pub(super) const ROOM: u64 = 4_096;

/// The guards of a request, by whom and what it is; empty for most.
pub(super) fn chosen(
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    model: &str,
) -> Result<Vec<Arc<Guard>>, Refusal> {
    let guards = policy.guards();
    let asks = received.arrived.knobs.guards.as_deref();
    let demanded: Vec<&str> = caller.guards().collect();
    if guards.is_empty() && asks.is_none() && demanded.is_empty() {
        return Ok(Vec::new());
    }
    let key = &caller.key;
    let whom = Whom {
        organisation: key.org.as_deref(),
        team: key.team.as_deref(),
        key: &key.id,
        alias: key.alias.as_deref(),
        tags: &key.tags,
        more_tags: &received.arrived.knobs.tags,
        model,
        demanded: &demanded,
        asks,
    };
    let param = if asks.is_some() { "x-gatelet-guards" } else { "guards" };
    let refused = |problem| Refusal::Invalid { param: param.to_owned(), problem };
    guards.chosen(&whom).map_err(refused)
}

impl Guarded<'_> {
    /// What is kept of a request that is to be masked is what its guards have left.
    pub(super) fn passed(mut self) -> Self {
        if let Some(keeper) = self.admitted.books.keeper() {
            keeper.passed(&self.admitted.received.arrived.body);
        }
        self
    }
}

/// `room` keeps the request as it was left, if anything in it was replaced.
pub(super) async fn guard<'a>(
    core: &Arc<Core>,
    admitted: Admitted<'a>,
    room: &'a mut Option<Box<Arrived>>,
) -> Result<Guarded<'a>, Refusal> {
    if admitted.guards.is_empty() {
        return Ok(Guarded { admitted, guarding: None, beside: None });
    }
    Box::pin(judge(core, admitted, room)).await
}

async fn judge<'a>(
    core: &Arc<Core>,
    mut admitted: Admitted<'a>,
    room: &'a mut Option<Box<Arrived>>,
) -> Result<Guarded<'a>, Refusal> {
    let mut case = case(core, &mut admitted);
    let outcome = judged(core, &mut admitted, &mut case, room).await;
    let refusal = match (outcome, case.blocked()) {
        (Err(refusal), _) => refusal,
        (Ok(_), Some(blocked)) => Refusal::Guarded(Box::new(blocked.clone())),
        (Ok(read), None) => {
            case.at(Direction::In);
            let json = read.json;
            let beside = beside(core, &case, read).map(Box::new);
            case.turn();
            if let Some(keeper) = admitted.books.keeper() {
                keeper.hides(&case);
            }
            admitted.books.guarded(case.notes());
            let guarding = Some(Box::new(Guarding { case, json }));
            return Ok(Guarded { admitted, guarding, beside });
        }
    };
    admitted.books.guarded(case.notes());
    let status = refusal.public(&admitted.received.arrived.id).status;
    admitted.books.close(Ending::refused(&refusal, status)).await.map_err(Refusal::Internal)?;
    Err(refusal)
}

/// The request's guards, of which those judge that it falls to, where it may go.
fn case(core: &Core, admitted: &mut Admitted<'_>) -> Case {
    let policy = core.policy();
    let pins = Pins::of(&policy, &admitted.caller);
    let places = admitted.guards.iter().filter_map(|guard| match &guard.check {
        Check::External(service) => Some((format!("guards/{}", guard.name), service.region.as_deref())),
        Check::Texts(_) | Check::Tools(_) | Check::Shape(_) | Check::Topics(_) => None,
    });
    let kept = pins.kept(places);
    let case = Case::new(&admitted.guards, |guard| match &guard.check {
        _ if !sampled(core, guard) => Duty::Unsampled,
        Check::External(service) if !pins.keep_in(service.region.as_deref()) => Duty::Outside,
        // What is asked for vectors is a model, which the same pins bind.
        _ => Duty::Judges,
    });
    admitted.books.kept(kept);
    case
}

fn sampled(core: &Core, guard: &Guard) -> bool {
    if guard.sample >= 1_000 {
        return true;
    }
    let mut bytes = [0; 4];
    core.ports.chance.fill(&mut bytes);
    u32::from_le_bytes(bytes) % 1_000 < u32::from(guard.sample)
}

/// The request as its guards can read it; none: they cannot.
fn texts(received: &Received<'_>) -> Option<Texts> {
    let arrived = received.arrived;
    let caller = arrived.dialect.dialect();
    if caller.conventions().model_in_path || received.fields.get("model").is_some() {
        return Texts::of(arrived.dialect, arrived.operation, &arrived.body);
    }
    let model = gatelet_wire::Json::of(&received.asked.model);
    let body = received.fields.splice(&[("model", model.as_str())]);
    Texts::of(arrived.dialect, arrived.operation, &body)
}

/// What was read in a request, beside what its guards have found.
#[derive(Default)]
struct Read {
    /// The answer's text is to be JSON.
    json: bool,
    /// What is asked of services while the model is called.
    questions: Vec<(usize, Arc<Guard>, Question)>,
    /// Whose request it is, where a guard asks for vectors.
    asker: Option<Arc<Asker>>,
}

/// Runs what judges before the call.
async fn judged<'a>(
    core: &Arc<Core>,
    admitted: &mut Admitted<'a>,
    case: &mut Case,
    room: &'a mut Option<Box<Arrived>>,
) -> Result<Read, Refusal> {
    let received = &admitted.received;
    let Some(mut texts) = texts(received) else {
        case.unreadable("body");
        unreadable_answers(case, admitted);
        return Ok(Read::default());
    };
    let mut json = false;
    if let Texts::Chat(request) = &texts {
        json = answers_json(request);
        case.expects(request);
    }
    let alone = alone(received);
    let topical = case.guards().iter().any(|guard| matches!(guard.check, Check::Topics(_)));
    let asker = topical.then(|| Arc::new(Asker::of(core, received, &admitted.caller)));
    let changed = texts.judge(core, case, alone, asker.as_deref()).await;
    if let Texts::Chat(request) = &mut texts {
        case.grounds(request);
    }
    let questions = if alone { Vec::new() } else { texts.beside(case) };
    if case.blocked().is_none() {
        unreadable_answers(case, admitted);
    }
    let read = Read { json, questions, asker };
    if !changed || case.blocked().is_some() {
        return Ok(read);
    }
    let arrived = admitted.received.arrived;
    let body = texts.write(arrived.dialect, &arrived.body, case)?;
    let before = arrived.body.len() as u64;
    if body.len() as u64 > before.saturating_mul(2).saturating_add(ROOM) {
        // More than the ledger holds for it.
        return Err(Refusal::BodyTooLarge { most: usize::try_from(before).unwrap_or(usize::MAX) });
    }
    let arrived: &'a Arrived = room.insert(Box::new(arrived.again(body.into())));
    admitted.received = arrived.read()?;
    Ok(read)
}

impl Texts {
    /// Reads what an operation is asked with; none: guards cannot.
    pub(super) fn of(dialect: DialectId, operation: Operation, body: &[u8]) -> Option<Self> {
        if let Some(fields) = plain_fields(operation) {
            return PlainTexts::read(body, fields).map(|texts| Self::Plain(Box::new(texts)));
        }
        match operation {
            Operation::Chat | Operation::TokenCount => {
                let request = dialect.dialect().read_request(body).ok()?;
                Some(Self::Chat(Box::new(request)))
            }
            _ => None,
        }
    }

    /// Lets all judge that read requests. `alone`: those too that would be asked beside a call. `asker`: whose request it is.
    /// True: something was replaced.
    pub(super) async fn judge(
        &mut self,
        core: &Core,
        case: &mut Case,
        alone: bool,
        asker: Option<&Asker>,
    ) -> bool {
        let mut changed = match self {
            Self::Chat(request) => case.request(request),
            Self::Plain(texts) => case.plain(texts),
        };
        let services: Vec<usize> = case.services().map(|(nth, _)| nth).collect();
        for nth in services {
            let Some(guard) = case.guards().get(nth).cloned() else { continue };
            if case.blocked().is_some() || (guard.when == When::Beside && !alone) {
                continue;
            }
            let question = match self {
                Self::Chat(request) => case.question(nth, request),
                Self::Plain(texts) => case.plain_question(nth, texts),
            };
            let judged = ask(core, &guard, question, asker, nth).await;
            case.timed(nth, judged.ms);
            changed |= match (judged.verdict, &mut *self) {
                (Ok(verdict), Self::Chat(request)) => case.answered(nth, verdict, request),
                (Ok(verdict), Self::Plain(texts)) => case.plain_answered(nth, verdict, texts),
                (Err(fault), _) => {
                    case.failed(nth, why(&fault), Outcome::Failed);
                    false
                }
            };
        }
        changed
    }

    /// What services are asked beside the call: of the texts as those before it have left them.
    fn beside(&mut self, case: &Case) -> Vec<(usize, Arc<Guard>, Question)> {
        let services = case.services().filter(|(_, guard)| guard.when == When::Beside);
        services
            .map(|(nth, guard)| {
                let question = match self {
                    Self::Chat(request) => case.question(nth, request),
                    Self::Plain(texts) => case.plain_question(nth, texts),
                };
                (nth, guard.clone(), question)
            })
            .collect()
    }

    /// The body with what was replaced in it: the caller's own bytes but for that, or else written anew. What reads otherwise
    /// than what the guards left is never sent.
    pub(super) fn write(
        &self,
        dialect: DialectId,
        before: &[u8],
        case: &mut Case,
    ) -> Result<Vec<u8>, Refusal> {
        let request = match self {
            Self::Plain(texts) => return Ok(texts.write()),
            Self::Chat(request) => request,
        };
        let dialect = dialect.dialect();
        let same = |body: &[u8]| dialect.read_request(body).is_ok_and(|read| read == **request);
        let edits = case.edits();
        for spares in [false, true] {
            if let Some(body) = rewritten(before, &edits, spares).filter(|body| same(body)) {
                return Ok(body);
            }
        }
        let hints = TargetHints {
            model: request.model.clone(),
            max_output_tokens: None,
            adaptive_thinking: true,
            native_schema: true,
            sampling: true,
            forced_tool: true,
            mid_system: true,
            reasoning_field: Some("reasoning_content".to_owned()),
        };
        let mut loss = gatelet_wire::Loss::default();
        let written = dialect.write_request(request, &hints, &mut loss)?;
        let whole = written.restore == gatelet_wire::Restore::default() && same(&written.body);
        whole.then_some(written.body).ok_or_else(|| Refusal::Invalid {
            param: "body".to_owned(),
            problem: "something in it must be replaced where it cannot be without changing more".to_owned(),
        })
    }
}

/// Some answers are not conversations, or travel as they are: guards that must read them are not passed over in silence.
fn unreadable_answers(case: &mut Case, admitted: &Admitted<'_>) {
    let arrived = admitted.received.arrived;
    let texts = match arrived.operation {
        Operation::Transcription | Operation::Translation | Operation::Native => true,
        Operation::Completion => admitted.plan.asked.iter().any(|turn| turn.target.completes),
        Operation::Chat => false,
        Operation::Embedding
        | Operation::Rerank
        | Operation::Moderation
        | Operation::Image
        | Operation::ImageEdit
        | Operation::Speech
        | Operation::TokenCount => return,
    };
    let native = arrived.native.is_some();
    if (texts || native) && case.reads_answers() {
        case.turn();
        case.unreadable("answer");
    }
}

/// Whether there is nothing that a service could be asked beside: it is asked before, then.
fn alone(received: &Received<'_>) -> bool {
    received.arrived.native.is_some() || received.arrived.operation == Operation::TokenCount
}

async fn ask(core: &Core, guard: &Guard, question: Question, asker: Option<&Asker>, nth: usize) -> Judged {
    let started = core.ports.clock.now();
    let verdict = match (&guard.check, asker) {
        (Check::External(external), _) => external.judge(&core.ports, &question, guard.timeout).await,
        (Check::Topics(topics), Some(asker)) => asker.judge(topics, &question, guard.timeout).await,
        (Check::Topics(_), None) => {
            Err(Fault::new(FaultKind::Unavailable, "topics", "it is nobody's request"))
        }
        (Check::Texts(_) | Check::Tools(_) | Check::Shape(_), _) => Ok(Verdict::default()),
    };
    let ms = crate::record::millis(started, core.ports.clock.now());
    Judged { nth, verdict, ms }
}

fn why(fault: &Fault) -> &'static str {
    match fault.kind {
        FaultKind::Timeout => "timeout",
        FaultKind::Corrupt => "answer",
        FaultKind::Unavailable | FaultKind::Conflict | FaultKind::Denied | FaultKind::TooLarge => {
            "unreachable"
        }
    }
}

/// The services that are asked while the model is called.
fn beside(core: &Arc<Core>, case: &Case, read: Read) -> Option<Beside> {
    let Read { questions, asker, .. } = read;
    if questions.is_empty() {
        return None;
    }
    let core = core.clone();
    let judging: BoxFuture<'static, Vec<Judged>> = Box::pin(async move {
        let asked = questions.into_iter().map(|(nth, guard, question)| {
            let (core, asker) = (core.clone(), asker.clone());
            async move { ask(&core, &guard, question, asker.as_deref(), nth).await }
        });
        together(asked).await
    });
    Some(Beside { case: case.clone(), judging: Some(judging) })
}

impl Beside {
    /// Runs `work` while the services that are asked beside it judge. Whoever blocks ends it; what it gave waits for all of
    /// them.
    ///
    /// # Errors
    /// One of them blocks.
    pub(super) async fn alongside<W: Future + Send>(
        &mut self,
        mut work: Pin<&mut W>,
    ) -> Result<W::Output, Refusal> {
        let mut done = None;
        let output = poll_fn(|context| {
            if let Some(judging) = &mut self.judging
                && let Poll::Ready(judged) = judging.poll_unpin(context)
            {
                self.judging = None;
                self.heard(judged);
            }
            if self.case.blocked().is_some() {
                return Poll::Ready(None);
            }
            if done.is_none()
                && let Poll::Ready(output) = work.as_mut().poll(context)
            {
                done = Some(output);
            }
            if done.is_some() && self.judging.is_none() { Poll::Ready(done.take()) } else { Poll::Pending }
        });
        match output.await {
            Some(output) => Ok(output),
            None => Err(blocked(&self.case).unwrap_or(Refusal::Timeout)),
        }
    }

    pub(super) fn notes(&self) -> &[Note] {
        self.case.notes()
    }

    fn heard(&mut self, judged: Vec<Judged>) {
        for Judged { nth, verdict, ms } in judged {
            self.case.timed(nth, ms);
            match verdict {
                Ok(verdict) => self.case.judged(nth, &verdict),
                Err(fault) => self.case.failed(nth, why(&fault), Outcome::Failed),
            }
        }
    }
}

/// The refusal of what a guard has blocked.
pub(super) fn blocked(case: &Case) -> Option<Refusal> {
    case.blocked().map(|blocked| Refusal::Guarded(Box::new(blocked.clone())))
}

impl Guarding {
    pub(super) fn notes(&self) -> &[Note] {
        self.case.notes()
    }

    /// Whether what a model says may leave as something else.
    pub(super) fn rewrites(&self) -> bool {
        self.case.changes_answers()
    }

    /// Whether anybody reads answers.
    pub(super) fn reads(&self) -> bool {
        self.case.reads_answers()
    }

    /// Whether a service judges answers: then a stream is read to its end before anything of it leaves.
    pub(super) fn gathers(&self) -> bool {
        self.case.services().next().is_some()
    }

    /// For one stream.
    pub(super) fn stream(&self) -> Box<GuardStream> {
        Box::new(GuardStream::new(Box::new(self.case.clone()), self.json))
    }

    /// Judges a whole answer. True: it is another than it was.
    pub(super) async fn answer(&mut self, core: &Core, response: &mut chat::Response) -> bool {
        let mut changed = self.case.response(response, self.json);
        let services: Vec<usize> = self.case.services().map(|(nth, _)| nth).collect();
        for nth in services {
            let Some(guard) = self.case.guards().get(nth).cloned() else { continue };
            if self.case.blocked().is_some() {
                break;
            }
            let question = self.case.response_question(nth, response, self.json);
            let judged = ask(core, &guard, question, None, nth).await;
            self.case.timed(nth, judged.ms);
            match judged.verdict {
                Ok(verdict) => changed |= self.case.response_answered(nth, verdict, response, self.json),
                Err(fault) => self.case.failed(nth, why(&fault), Outcome::Failed),
            }
        }
        if self.case.blocked().is_none() {
            changed |= self.case.restore(response, self.json);
            self.case.shaped(response);
        }
        if let Some(blocked) = self.case.blocked() {
            blocked.refuse(response);
            return true;
        }
        changed
    }
}
