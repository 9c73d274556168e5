//! All ports in memory, with a hand-turned clock: for tests and examples.
//!
//! Nothing moves by itself: [`HandClock::advance`] turns the clock, [`HeldWork::run_all`] runs what was deferred, and
//! [`Script`] answers what was put on it.

mod answers;
mod over;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::future::{BoxFuture, poll_fn};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

pub use answers::MemoryAnswers;
pub use over::{OverLedger, OverStore};

use super::{
    Archive, Body, Chance, Cipher, Clock, Defer, Entry, Expect, Fault, FaultKind, Ledger, Log, MOST_KEPT,
    Outcome, Packer, Page, Ports, Reach, Signer, Store, Transaction, Upstream, Versioned, Written,
};
use crate::domain::account::{Account, distinct, transact};
use crate::domain::{AccountId, Notice, Notices, ShardId, Timestamp};

/// The same ports as [`Ports`], by their own types, to look into and to steer.
#[derive(Clone, Debug)]
pub struct Handles {
    pub store: Arc<MemoryStore>,
    pub ledger: Arc<MemoryLedger>,
    pub upstream: Arc<Script>,
    pub archive: Arc<MemoryArchive>,
    pub clock: Arc<HandClock>,
    pub chance: Arc<Seed>,
    pub defer: Arc<HeldWork>,
    pub log: Arc<MemoryLog>,
    pub answers: Arc<MemoryAnswers>,
}

/// A whole host in memory. It is 2026-01-01T00:00:00Z, and chance is the same every time.
pub fn ports() -> (Ports, Handles) {
    let handles = Handles {
        store: Arc::default(),
        ledger: Arc::default(),
        upstream: Arc::default(),
        archive: Arc::default(),
        clock: Arc::new(HandClock::at(Timestamp::from_seconds(1_767_225_600))),
        chance: Arc::new(Seed::new(1)),
        defer: Arc::default(),
        log: Arc::default(),
        answers: Arc::default(),
    };
    let ports = Ports {
        store: handles.store.clone(),
        ledger: handles.ledger.clone(),
        upstream: handles.upstream.clone(),
        archive: handles.archive.clone(),
        clock: handles.clock.clone(),
        chance: handles.chance.clone(),
        defer: handles.defer.clone(),
        log: handles.log.clone(),
        signer: Arc::new(Ring),
        packer: Arc::new(Gzip),
        answers: handles.answers.clone(),
    };
    (ports, handles)
}

/// Signs with the library that native hosts have.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

#[async_trait]
impl Signer for Ring {
    async fn rs256(&self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, Fault> {
        let denied = |why: String| Fault::new(FaultKind::Denied, "signer.rs256", why);
        let pair = RsaKeyPair::from_pkcs8(key).map_err(|error| denied(error.to_string()))?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|error| denied(error.to_string()))?;
        Ok(signature)
    }

    async fn aes256_gcm(
        &self,
        cipher: Cipher,
        key: &[u8; 32],
        nonce: &[u8; 12],
        context: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let denied = |_| Fault::new(FaultKind::Denied, "signer.aes256_gcm", "it does not open");
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(denied)?);
        let (nonce, context, mut data) =
            (Nonce::assume_unique_for_key(*nonce), Aad::from(context), data.to_vec());
        match cipher {
            Cipher::Seal => key.seal_in_place_append_tag(nonce, context, &mut data).map_err(denied)?,
            Cipher::Open => {
                let length = key.open_in_place(nonce, context, &mut data).map_err(denied)?.len();
                data.truncate(length);
            }
        }
        Ok(data)
    }
}

/// Packs with the library that native hosts have.
#[derive(Clone, Copy, Debug)]
pub struct Gzip;

#[async_trait]
impl Packer for Gzip {
    async fn pack(&self, bytes: Bytes) -> Result<Bytes, Fault> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = gzip.write_all(&bytes).and_then(|()| gzip.finish());
        packed
            .map(Bytes::from)
            .map_err(|error| Fault::new(FaultKind::Corrupt, "gzip.pack", error.to_string()))
    }

    async fn unpack(&self, packed: Bytes, most: usize) -> Result<Bytes, Fault> {
        let mut bytes = Vec::new();
        let read = GzDecoder::new(&*packed).read_to_end(&mut bytes);
        let corrupt = |why: String| Fault::new(FaultKind::Corrupt, "gzip.unpack", why);
        read.map_err(|error| corrupt(error.to_string()))?;
        if bytes.len() > most { Err(corrupt(format!("more than {most} bytes"))) } else { Ok(bytes.into()) }
    }
}

/// What is under the lock is consistent between any two statements of ours: a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys of `map` that begin with `prefix`, in order, after `after`.
fn names<'a, V>(map: &'a BTreeMap<String, V>, prefix: &'a str, after: Option<&'a str>) -> Vec<&'a String> {
    let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
    map.range(from.to_owned()..)
        .map(|(name, _)| name)
        .skip_while(|name| after == Some(name.as_str()))
        .take_while(|name| name.starts_with(prefix))
        .collect()
}

#[derive(Debug, Default)]
pub struct MemoryStore {
    documents: Mutex<Documents>,
    /// By home and name: until when, and what.
    kept: Mutex<BTreeMap<(String, String), (Timestamp, Bytes)>>,
}

#[derive(Debug, Default)]
struct Documents {
    /// Versions rise over the whole store, so that a name that was deleted never has the same one again.
    last: u64,
    by_name: BTreeMap<String, Versioned>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        Ok(lock(&self.documents).by_name.get(name).cloned())
    }

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        let mut documents = lock(&self.documents);
        let stands = documents.by_name.get(name).map(|document| document.version);
        let holds = match expect {
            Expect::Anything => true,
            Expect::Absent => stands.is_none(),
            Expect::Version(version) => stands == Some(version),
        };
        if !holds {
            return Err(Fault::new(FaultKind::Conflict, "store.put", name));
        }
        documents.last += 1;
        let version = documents.last;
        documents.by_name.insert(name.to_owned(), Versioned { version, bytes });
        Ok(version)
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        lock(&self.documents).by_name.remove(name);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        let documents = lock(&self.documents);
        let all = names(&documents.by_name, prefix, after);
        let names: Vec<String> = all.iter().take(limit).map(|name| (*name).clone()).collect();
        let next = names.last().filter(|_| names.len() < all.len()).cloned();
        Ok(Page { names, next })
    }

    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        if bytes.len() > MOST_KEPT {
            return Err(Fault::new(FaultKind::TooLarge, "store.keep", name));
        }
        lock(&self.kept).insert((home.to_owned(), name.to_owned()), (until, bytes));
        Ok(())
    }

    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        let mut kept = lock(&self.kept);
        kept.retain(|_, (until, _)| *until > now);
        Ok(kept.get(&(home.to_owned(), name.to_owned())).map(|(_, bytes)| bytes.clone()))
    }

    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        lock(&self.kept).remove(&(home.to_owned(), name.to_owned()));
        Ok(())
    }
}

#[derive(Debug, Default)]
pub struct MemoryLedger {
    shards: Mutex<BTreeMap<ShardId, Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    accounts: BTreeMap<AccountId, Account>,
    outbox: BTreeMap<String, Entry>,
    notices: Notices,
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let mut shards = lock(&self.shards);
        let shard = shards.entry(shard.clone()).or_default();
        let mut accounts: Vec<(AccountId, Account)> = distinct(&transaction.accounts)
            .into_iter()
            .map(|id| {
                let account = shard.accounts.get(&id).cloned().unwrap_or_default();
                (id, account)
            })
            .collect();
        let grant = transact(&mut accounts, &transaction.op, now);
        if grant.changes() {
            // What is over is forgotten, and what was only looked at never came to be.
            for (id, account) in accounts {
                if account.is_blank() {
                    shard.accounts.remove(&id);
                } else {
                    shard.accounts.insert(id, account);
                }
            }
        }
        for entry in transaction.entries {
            shard.outbox.insert(entry.id.to_string(), entry);
        }
        shard.notices.tell(&transaction.notices, now);
        Ok(Outcome { grant, notices: shard.notices.heard(now) })
    }

    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        Ok(lock(&self.shards).get(shard).map(|shard| shard.notices.heard(now)).unwrap_or_default())
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        Ok(lock(&self.shards).get(shard).and_then(|shard| shard.accounts.get(account).cloned()))
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        let shards = lock(&self.shards);
        let accounts = shards.get(shard).into_iter().flat_map(|shard| &shard.accounts);
        Ok(accounts
            .filter(|(id, _)| id.as_str().starts_with(prefix) && after.is_none_or(|after| *id > after))
            .take(limit)
            .map(|(id, account)| (id.clone(), account.clone()))
            .collect())
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        let shards = lock(&self.shards);
        let entries = shards.get(shard).into_iter().flat_map(|shard| shard.outbox.values());
        Ok(entries.take(limit).cloned().collect())
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        if let Some(shard) = lock(&self.shards).get_mut(shard) {
            for entry in entries {
                shard.outbox.remove(entry);
            }
        }
        Ok(())
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        let shards = lock(&self.shards);
        let used = |shard: &Shard| !shard.accounts.is_empty() || !shard.outbox.is_empty();
        Ok(shards.iter().filter(|(_, shard)| used(shard)).map(|(id, _)| id.clone()).collect())
    }
}

#[derive(Debug, Default)]
pub struct MemoryArchive {
    blobs: Mutex<BTreeMap<String, Bytes>>,
}

#[async_trait]
impl Archive for MemoryArchive {
    async fn write(&self, name: &str, bytes: Bytes) -> Result<Written, Fault> {
        let mut blobs = lock(&self.blobs);
        if blobs.contains_key(name) {
            return Ok(Written::Existed);
        }
        blobs.insert(name.to_owned(), bytes);
        Ok(Written::New)
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        Ok(lock(&self.blobs).get(name).cloned())
    }

    async fn replace(&self, name: &str, bytes: Option<Bytes>) -> Result<(), Fault> {
        let mut blobs = lock(&self.blobs);
        match bytes {
            Some(bytes) => blobs.insert(name.to_owned(), bytes),
            None => blobs.remove(name),
        };
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let blobs = lock(&self.blobs);
        Ok(names(&blobs, prefix, after).into_iter().take(limit).cloned().collect())
    }
}

/// A clock that stands until it is turned. Whoever sleeps wakes when it is turned to the end of the sleep or past it.
#[derive(Debug)]
pub struct HandClock {
    hands: Mutex<Hands>,
}

#[derive(Debug)]
struct Hands {
    now: Timestamp,
    sleepers: Vec<Waker>,
}

impl HandClock {
    pub fn at(now: Timestamp) -> Self {
        Self { hands: Mutex::new(Hands { now, sleepers: Vec::new() }) }
    }

    /// Turns the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        let sleepers = {
            let mut hands = lock(&self.hands);
            hands.now = now;
            std::mem::take(&mut hands.sleepers)
        };
        // Those whose time has not come lie down again.
        sleepers.into_iter().for_each(Waker::wake);
    }

    pub fn advance(&self, duration: Duration) {
        let now = self.now();
        self.set(now.after(duration));
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        lock(&self.hands).now
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.now().after(duration);
        poll_fn(|context| {
            let mut hands = lock(&self.hands);
            if hands.now >= end {
                return Poll::Ready(());
            }
            if !hands.sleepers.iter().any(|sleeper| sleeper.will_wake(context.waker())) {
                hands.sleepers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// Chance that is the same every time: splitmix64 from a seed. For tests alone: whoever knows the seed knows it all.
#[derive(Debug)]
pub struct Seed {
    state: Mutex<u64>,
}

impl Seed {
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }
}

impl Chance for Seed {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = lock(&self.state);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Deferred work, held until it is asked for.
#[derive(Default)]
pub struct HeldWork {
    work: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl HeldWork {
    /// Runs all that was deferred, and what that defers in turn, one after the other.
    pub async fn run_all(&self) {
        loop {
            let work = std::mem::take(&mut *lock(&self.work));
            if work.is_empty() {
                return;
            }
            for one in work {
                one.await;
            }
        }
    }

    /// How many pieces of work wait.
    pub fn waiting(&self) -> usize {
        lock(&self.work).len()
    }

    /// Loses all that was deferred, as the death of the process would.
    pub fn lose_all(&self) {
        lock(&self.work).clear();
    }
}

impl Defer for HeldWork {
    fn defer(&self, work: BoxFuture<'static, ()>) {
        lock(&self.work).push(work);
    }
}

impl std::fmt::Debug for HeldWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeldWork({} waiting)", self.waiting())
    }
}

/// What was logged, a line each.
#[derive(Debug, Default)]
pub struct MemoryLog(Mutex<Vec<String>>);

impl MemoryLog {
    pub fn lines(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

impl Log for MemoryLog {
    fn failed(&self, what: &str, fault: &Fault) {
        lock(&self.0).push(format!("{what}: {fault}"));
    }

    fn line(&self, line: &str) {
        lock(&self.0).push(line.to_owned());
    }
}

/// What a scripted upstream does with one request.
pub type Answer = Box<dyn FnOnce(http::Request<Body>, Reach) -> Result<http::Response<Body>, Fault> + Send>;
type Rule = Arc<dyn Fn(http::Request<Body>, Reach) -> Result<http::Response<Body>, Fault> + Send + Sync>;

/// An upstream that does as it was told: first the answers in the queue, each once, then the standing rule. Without
/// either it is unavailable.
#[derive(Default)]
pub struct Script {
    state: Mutex<ScriptState>,
}

#[derive(Default)]
struct ScriptState {
    queue: VecDeque<Answer>,
    rule: Option<Rule>,
    asked: Vec<Asked>,
}

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: http::Method,
    pub uri: http::Uri,
    pub headers: http::HeaderMap,
    /// Where it came whole.
    pub body: Option<Bytes>,
    pub reach: Reach,
}

impl Script {
    /// Puts one answer at the end of the queue.
    pub fn push(
        &self,
        answer: impl FnOnce(http::Request<Body>, Reach) -> Result<http::Response<Body>, Fault> + Send + 'static,
    ) {
        lock(&self.state).queue.push_back(Box::new(answer));
    }

    /// Puts an answer with a whole body at the end of the queue.
    pub fn push_response(&self, response: http::Response<Body>) {
        self.push(move |_, _| Ok(response));
    }

    /// What to do whenever the queue is empty.
    pub fn always(
        &self,
        rule: impl Fn(http::Request<Body>, Reach) -> Result<http::Response<Body>, Fault> + Send + Sync + 'static,
    ) {
        lock(&self.state).rule = Some(Arc::new(rule));
    }

    /// All requests so far, the oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }
}

#[async_trait]
impl Upstream for Script {
    async fn send(&self, request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault> {
        let (answer, rule) = {
            let mut state = lock(&self.state);
            state.asked.push(Asked {
                method: request.method().clone(),
                uri: request.uri().clone(),
                headers: request.headers().clone(),
                body: match request.body() {
                    Body::Empty => Some(Bytes::new()),
                    Body::Full(bytes) => Some(bytes.clone()),
                    Body::Pieces(pieces) => Some(Body::join(pieces)),
                    Body::Stream(_) => None,
                },
                reach,
            });
            (state.queue.pop_front(), state.rule.clone())
        };
        // Outside the lock: an answer may ask in turn.
        match (answer, rule) {
            (Some(answer), _) => answer(request, reach),
            (None, Some(rule)) => rule(request, reach),
            (None, None) => Err(Fault::new(FaultKind::Unavailable, "upstream.send", "nothing is scripted")),
        }
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}
