//! One shard of the ledger: a Durable Object with its own database, which empties its own outbox.
//!
//! An ask is answered in one synchronous turn, inside one transaction of the database: that is all the atomicity the
//! ledger asks of a host.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gatelet_core::domain::account::Account;
use gatelet_core::domain::{AccountId, Notice, Notices, ShardId, Timestamp};
use gatelet_core::port::{Entry, Fault, FaultKind, Ledger, Outcome, Ports, Transaction, feed};
use gatelet_core::record;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::send::SendWrapper;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::ask::{self, Ask, Blob, Transact, Transacted};
use crate::books::{Books, Failed};
use crate::{kv, ports};

#[wasm_bindgen]
#[derive(Debug)]
pub struct Shard {
    name: Option<String>,
    env: Env,
    books: Rc<Books>,
    /// The directory knows this shard.
    known: Cell<bool>,
    /// The newest version of the configuration that it was told.
    configured: Cell<u64>,
    alarm: Cell<Alarm>,
    /// A drain from outside may be under way until then.
    lent: Cell<Timestamp>,
    /// The alarm drains: nobody else may, or the archive would have lines twice.
    draining: Cell<bool>,
    /// What isolates have told of targets. An object that rests forgets them: by then most are over.
    notices: RefCell<Notices>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    /// Nothing to do.
    Off,
    /// To be set to this moment.
    Due(Timestamp),
    /// It will ring, or is ringing.
    Set,
}

/// How long records wait for company before they are archived together: each object costs a write.
const GATHER: Duration = Duration::from_secs(10);
/// How long a drain from outside may take before the alarm drains by itself again.
const LOAN: Duration = Duration::from_mins(1);

#[wasm_bindgen]
impl Shard {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Result<Self, JsValue> {
        let state = State::from(state);
        let books = Books::open(state.storage().sql());
        let known = books.is_known().map_err(|error| thrown(&error))?;
        let configured = books.configured().map_err(|error| thrown(&error))?;
        Ok(Self {
            name: state.id().name(),
            env,
            books: Rc::new(books),
            known: Cell::new(known),
            configured: Cell::new(configured),
            alarm: Cell::new(Alarm::Off),
            lent: Cell::new(Timestamp::EPOCH),
            draining: Cell::new(false),
            notices: RefCell::default(),
        })
    }

    /// Answers one [`Ask`]. The caller wraps it in a transaction that an error rolls back.
    pub fn ask(&self, ask: &str) -> Result<String, JsValue> {
        self.answer(ask).map_err(|error| {
            self.books.forget();
            thrown(&error)
        })
    }

    /// Answers transactions, [`frames`](ask::frames) for frames in the same order: each of them is done or not done by
    /// itself. The caller wraps it in a transaction that an error rolls back.
    pub fn transact(&self, asks: &[u8]) -> Result<Vec<u8>, JsValue> {
        self.transact_all(asks).map_err(|error| {
            self.books.forget();
            thrown(&error)
        })
    }

    /// The moment to set the alarm to, in milliseconds since 1970; none: leave it as it is.
    pub fn due(&self) -> Option<f64> {
        let Alarm::Due(at) = self.alarm.get() else { return None };
        self.alarm.set(Alarm::Set);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
        Some(at.micros().div_euclid(1_000) as f64)
    }

    /// Moves the outbox to the archive and late documents to KV. What fails is tried again later.
    pub async fn alarm(&self) {
        let now = ports::now();
        self.alarm.set(Alarm::Set);
        let again = if now < self.lent.get() {
            Some(LOAN)
        } else {
            self.draining.set(true);
            let worked = self.work().await;
            self.draining.set(false);
            match worked {
                Ok(()) => None,
                Err(error) => {
                    worker::console_error!("alarm of {:?}: {error}", self.name);
                    Some(LOAN)
                }
            }
        };
        // What came in while the alarm rang has found it "set".
        let left = self.books.outbox(1).is_ok_and(|entries| !entries.is_empty());
        // What is kept here and over is nobody's any more.
        let keeps = self.name.as_deref().is_some_and(|name| name.starts_with(ask::KEEPERS));
        let over = if keeps {
            self.books.sweep(now).and_then(|()| self.books.next_over()).unwrap_or(None)
        } else {
            None
        };
        self.alarm.set(match (again.or(left.then_some(GATHER)), over) {
            (Some(wait), _) => Alarm::Due(ports::now().after(wait)),
            (None, Some(at)) => Alarm::Due(at),
            (None, None) => Alarm::Off,
        });
    }
}

impl Shard {
    fn answer(&self, ask: &str) -> Result<String, Failed> {
        let books = &*self.books;
        match gatelet_wire::json::from_str(ask)? {
            Ask::Read { account } => {
                let account = books.account(&account)?;
                json(&account.map(|account| account.to_bytes()).transpose()?.map(|bytes| Blob(bytes.into())))
            }
            Ask::List { prefix, after, limit } => json(&books.accounts(&prefix, after.as_ref(), limit)?),
            Ask::Outbox { .. } if self.draining.get() => json(&[(); 0]),
            Ask::Outbox { limit } => {
                self.lent.set(ports::now().after(LOAN));
                json(&books.outbox(limit)?)
            }
            Ask::Clear { entries } => json(&books.clear(&entries)?),
            Ask::Known => {
                books.set_known()?;
                self.known.set(true);
                json(&())
            }
            Ask::Configured { version } => {
                books.set_configured(version)?;
                self.configured.set(version.max(self.configured.get()));
                json(&())
            }
            Ask::Register { shard } => {
                books.register(&shard)?;
                json(&books.last_version(ask::CONFIG)?)
            }
            Ask::Shards => json(&books.shards()?),
            Ask::GetDocument { name } => json(&books.document(&name)?),
            Ask::PutDocument { name, bytes, expect } => {
                self.ring();
                json(&books.put_document(&name, &bytes, expect)?)
            }
            Ask::Published { name, version } => {
                // What is in doubt now is for the alarm.
                self.ring();
                json(&books.set_published(&name, version)?)
            }
            Ask::DeleteDocument { name } => {
                self.ring();
                json(&books.delete_document(&name)?)
            }
            Ask::ListDocuments { prefix, after, limit } => {
                json(&books.documents(&prefix, &after.unwrap_or_default(), limit)?)
            }
            Ask::Keep { name, bytes, until } => {
                books.put_kept(&name, &bytes, ports::now(), until)?;
                if self.alarm.get() == Alarm::Off {
                    self.alarm.set(Alarm::Due(until));
                }
                json(&())
            }
            Ask::Kept { name, now } => json(&books.kept(&name, now)?),
            Ask::Discard { name } => json(&books.discard(&name)?),
            Ask::Notices { now } => json(&self.notices.borrow().heard(now)),
        }
    }

    fn transact_all(&self, asks: &[u8]) -> Result<Vec<u8>, Failed> {
        let asks = ask::frames(asks)?;
        let mut batch = self.books.batch();
        let mut answers = Vec::with_capacity(asks.len() * 64);
        for bytes in asks {
            let done = Transact::from_bytes(bytes).map_err(Failed::from).and_then(|mut ask| {
                if !ask.transaction.entries.is_empty() {
                    self.ring();
                }
                let mut notices = self.notices.borrow_mut();
                notices.tell(&std::mem::take(&mut ask.transaction.notices), ask.now);
                let notices = notices.heard(ask.now);
                let outcome = Outcome { notices, ..batch.transact(ask.transaction, ask.now)? };
                Ok(Transacted { outcome, unknown: !self.known.get(), configured: self.configured.get() }
                    .to_bytes()?)
            });
            ask::frame(&mut answers, &done.unwrap_or_else(|error| ask::failed(&error)));
        }
        batch.write()?;
        Ok(answers)
    }

    /// Has the alarm ring, if it will not anyway.
    fn ring(&self) {
        if self.alarm.get() == Alarm::Off {
            self.alarm.set(Alarm::Due(ports::now().after(GATHER)));
        }
    }

    async fn work(&self) -> Result<(), Failed> {
        for name in self.books.unpublished()? {
            let (kv, version) = (crate::documents(&self.env)?, self.books.last_version(&name)?);
            match self.books.document(&name)? {
                Some(document) => kv::publish(&kv, &name, &document.bytes.0, version).await?,
                None => kv.delete(&name).await?,
            }
            self.books.set_repaired(&name, version)?;
        }
        if self.books.outbox(1)?.is_empty() {
            return Ok(());
        }
        let Some(name) = &self.name else { return Err("the runtime has not told the object's name".into()) };
        let ledger = Arc::new(Own(SendWrapper::new(Rc::clone(&self.books))));
        let (ports, shard) = (Ports { ledger, ..crate::ports(&self.env)? }, ShardId::new(name.as_str()));
        let fed = feed::is_open(&*ports.store, &shard).await?;
        record::drain(&ports, &shard, fed).await?;
        Ok(())
    }
}

/// The books of the very object that asks.
struct Own(SendWrapper<Rc<Books>>);

#[async_trait]
impl Ledger for Own {
    async fn transact(
        &self,
        _: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let mut batch = self.0.batch();
        let outcome = batch.transact(transaction, now);
        outcome
            .and_then(|outcome| batch.write().map(|()| outcome))
            .map_err(|error| fault("ledger.transact", &error))
    }

    async fn read(&self, _: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        self.0.account(account).map_err(|error| fault("ledger.read", &error))
    }

    async fn list(
        &self,
        _: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        const OPERATION: &str = "ledger.list";
        let found = self.0.accounts(prefix, after, limit).map_err(|error| fault(OPERATION, &error))?;
        found.into_iter().map(|(id, bytes)| Ok((id, crate::ledger::decode(OPERATION, &bytes)?))).collect()
    }

    async fn outbox(&self, _: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.0.outbox(limit).map_err(|error| fault("ledger.outbox", &error))
    }

    async fn clear(&self, _: &ShardId, entries: &[String]) -> Result<(), Fault> {
        self.0.clear(entries).map_err(|error| fault("ledger.clear", &error))
    }

    /// Who drains calls no target.
    async fn notices(&self, _: &ShardId, _: Timestamp) -> Result<Vec<Notice>, Fault> {
        Ok(Vec::new())
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        Ok(Vec::new())
    }
}

fn fault(operation: &'static str, error: &Failed) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, error.to_string())
}

fn thrown(error: &Failed) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}

fn json(value: &impl Serialize) -> Result<String, Failed> {
    Ok(serde_json::to_string(value)?)
}
