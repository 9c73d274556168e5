//! What of a request's prompt and answer is kept beside its record, gathered on its way.

use std::sync::Arc;

use bytes::Bytes;
use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, Fields, Operation, fold};

use super::books::PAUSES;
use super::receive::Received;
use crate::domain::Caller;
use crate::guard::Case;
use crate::policy::{Mode, Target};
use crate::port::{Entry, Transaction};
use crate::record::content::{self, Content, Transcript};
use crate::record::{self, Attempt, Record};
use crate::shared::Core;

/// Content on its way.
#[derive(Debug)]
pub(super) struct Keeper {
    content: Content,
    operation: Operation,
    dialect: DialectId,
    /// A whole answer as its caller reads it, and whether it is a stream: read only when the books are closed.
    answer: Option<(Bytes, bool)>,
}

impl Keeper {
    /// None: the configuration wants nothing kept of this request.
    pub(super) fn of(core: &Core, received: &Received<'_>, caller: &Caller) -> Option<Box<Self>> {
        let arrived = received.arrived;
        let policy = core.policy();
        let (mode, most) = policy.contents().of(&caller.key, &arrived.id)?;
        let content = Content { mode, most, prompt: None, hidden: Vec::new(), answer: None };
        let asks = arrived.operation != Operation::TokenCount;
        asks.then(|| {
            let (operation, dialect) = (arrived.operation, arrived.dialect);
            Box::new(Self { content, operation, dialect, answer: None })
        })
    }

    /// The request may be made.
    pub(super) fn asked(&mut self, body: &Bytes) {
        if self.content.mode == Mode::Full {
            self.content.prompt = Some(body.clone());
        }
    }

    /// Its guards have let it pass, and left it so.
    pub(super) fn passed(&mut self, body: &Bytes) {
        if self.content.mode == Mode::Masked {
            self.content.prompt = Some(body.clone());
        }
    }

    /// What guards hid becomes itself again in the answer, for the caller alone.
    pub(super) fn hides(&mut self, case: &Case) {
        if self.content.mode == Mode::Masked {
            self.content.hidden = case.hidden();
        }
    }

    /// What a stream says is taken down here.
    pub(super) fn transcript(&self) -> Transcript {
        Transcript::new(self.content.most)
    }

    /// The answer as its caller reads it.
    pub(super) fn answered(&mut self, body: &Bytes, stream: bool) {
        self.answer = Some((body.clone(), stream));
    }

    /// All that there is to keep. `said`: what a stream said.
    pub(super) fn done(self, said: Option<Box<Transcript>>, target: Option<&Target>) -> Content {
        let Self { mut content, operation, dialect, answer } = self;
        let reading = target.map(|target| target.provider.reading()).unwrap_or_default();
        content.answer = match answer {
            Some((body, stream)) => read(operation, dialect, reading, &body, stream, content.most),
            None => said.map(|said| *said),
        };
        content
    }
}

/// A whole answer as what was said; none: it says nothing, as vectors and pictures do.
fn read(
    operation: Operation,
    dialect: DialectId,
    reading: Reading,
    body: &Bytes,
    stream: bool,
    most: usize,
) -> Option<Transcript> {
    let mut transcript = Transcript::new(most);
    if stream {
        let mut framer = dialect.dialect().conventions().framing.framer();
        let mut decoder = match operation {
            Operation::Chat => dialect.dialect().decoder(reading),
            other => other.tap(),
        };
        let mut events = Vec::new();
        framer.push(body);
        while let Some(Ok(frame)) = framer.next() {
            decoder.push(&frame, &mut events).ok()?;
        }
        let _ended = decoder.finish(&mut events);
        for event in &events {
            transcript.push(event);
        }
        return Some(transcript);
    }
    match operation {
        Operation::Chat => {
            let response = dialect.dialect().read_response(body, reading).ok()?;
            for event in &fold::unfold(&response) {
                transcript.push(event);
            }
            Some(transcript)
        }
        Operation::Completion => {
            let value: serde_json::Value = gatelet_wire::json::read(body).ok()?;
            Some(Transcript::text(most, value["choices"][0]["text"].as_str()?))
        }
        Operation::Transcription | Operation::Translation => {
            let fields = Fields::read(body).ok()?;
            let text = gatelet_wire::json::string(fields.get("text")?)?;
            Some(Transcript::text(most, &text))
        }
        Operation::TokenCount
        | Operation::Embedding
        | Operation::Rerank
        | Operation::Moderation
        | Operation::Image
        | Operation::ImageEdit
        | Operation::Speech
        | Operation::Native => None,
    }
}

/// Keeps a request's content, and then writes its record into the transaction that closes its books.
pub(super) async fn written(
    core: &Arc<Core>,
    content: &Content,
    mut record: Record,
    attempts: &[Attempt],
    mut transaction: Transaction,
) -> Transaction {
    let ports = &core.ports;
    let mut kept = content::keep(ports, &record, content, ports.clock.now()).await;
    for pause in PAUSES {
        if !kept.as_ref().is_err_and(|fault| fault.kind.is_temporary()) {
            break;
        }
        ports.clock.sleep(pause).await;
        kept = content::keep(ports, &record, content, ports.clock.now()).await;
    }
    record.content = match kept {
        Ok(kept) => kept.then_some(content::KEPT),
        Err(fault) => {
            // The charge and the record do not wait for what was said.
            ports.log.failed("what a request said could not be kept", &fault);
            Some(content::LOST)
        }
    };
    for entry in &mut transaction.entries {
        *entry = Entry { settle: entry.settle.take(), ..record::entry(&record, attempts) };
    }
    transaction
}
