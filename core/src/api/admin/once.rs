//! `Idempotency-Key`: a call that is sent again is done once.
//!
//! What a call makes up (ids, secrets, its moment) is drawn from a seed that is kept before anything is done. So whoever sends
//! it again, because it broke off or its answer was lost, does the very same once more, and the ledger takes what is the same
//! as done. When it was done its answer is kept in place of the seed, and given again. Both are sealed with a key that is made
//! of the caller's own credential and idempotency key: who reads the store alone opens neither.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::call::{Call, Dice};
use super::documents::invalid;
use crate::domain::account::{Carried, Grant, Limits, Op, OutputBound, Reserve, Settle};
use crate::domain::{AccountId, Actor, HoldId, Money, Rate, ShardId, Timestamp};
use crate::pipeline;
use crate::port::{Body, Cipher, FaultKind, Transaction};
use crate::record::audit;
use crate::refusal::{Refusal, Repeated};

static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is given again.
const REMEMBERED: Duration = Duration::from_hours(24);
/// Who draws the seed of a call has it kept by then, or is gone.
const LEASE: Duration = Duration::from_secs(10);
/// Of what is kept together.
const PIECE: usize = 256 << 10;
const NONCE: usize = 12;

/// A call that has a name.
#[derive(Clone)]
pub(super) struct Once {
    shard: ShardId,
    /// Whose it is: what is kept of somebody is kept together.
    home: String,
    name: String,
    /// What it is sealed with.
    seal: [u8; 32],
    /// Of what was asked.
    print: [u8; 32],
    lock: HoldId,
}

/// Whether a call was made before.
pub(super) enum Made {
    /// Nobody knows: it is to be made with these.
    Now(Once, Dice, Timestamp),
    Before(Response<Body>),
}

/// The caller's name for a call.
pub(super) fn key(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let Some(value) = call.parts.headers.get(&KEY) else { return Ok(None) };
    let good =
        |text: &&str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = value.to_str().ok().filter(good);
    let wrong = || invalid("idempotency-key", "expected 1 to 255 printable characters");
    text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Once {
    /// Finds the call under its name. Refuses another one under the same name.
    pub(super) async fn begin(call: &Call<'_>, key: &str, body: &[u8]) -> Result<Made, Refusal> {
        let principal = call.permit.principal();
        let home = match principal.actor() {
            Actor::Root => "once/root".to_owned(),
            Actor::Key { shard, id } => format!("once/{shard}/{id}"),
        };
        let shown = pipeline::key_text(call.parts).unwrap_or_default();
        let mut random = [0; 16];
        call.dice.fill(&mut random);
        let seal = digest(&[b"gatelet idempotency", shown.as_bytes(), key.as_bytes()]);
        let uri = &call.parts.uri;
        let path = uri.path_and_query().map_or(uri.path(), |whole| whole.as_str());
        let once = Self {
            shard: principal.shard().unwrap_or(&call.core.settings.shard).clone(),
            seal,
            print: digest(&[&seal, path.as_bytes(), body]),
            lock: HoldId::new(format!("{:032x}", u128::from_be_bytes(random))),
            name: audit::hash(&format!("{home}\n{key}")),
            home,
        };
        if let Some(made) = once.kept(call).await? {
            return Ok(made);
        }
        if !once.locked(call).await? {
            return Err(Refusal::Repeated(Repeated::UnderWay));
        }
        if let Some(made) = once.kept(call).await? {
            return Ok(made);
        }
        let mut seed = [0; 32];
        call.dice.fill(&mut seed);
        let words = [&seed[..], &call.now.micros().to_be_bytes()].concat();
        once.keep(call, 0, &words).await?;
        Ok(Made::Now(once, Dice::new(seed), call.now))
    }

    /// Keeps what became of it. What was refused was not done, and may be tried under the same name.
    pub(super) async fn end(
        &self,
        call: &Call<'_>,
        answered: Result<Response<Body>, Refusal>,
    ) -> Result<Response<Body>, Refusal> {
        match answered {
            Ok(response) => {
                let Body::Full(bytes) = response.body() else { return Ok(response) };
                let tag = response.headers().get(ETAG).map_or(&b""[..], HeaderValue::as_bytes);
                let head = [response.status().as_u16(), u16::try_from(tag.len()).unwrap_or(0)];
                let words = [&head[0].to_be_bytes()[..], &head[1].to_be_bytes(), tag, bytes].concat();
                if let Err(Refusal::Internal(fault)) = self.keep(call, 1, &words).await {
                    call.core
                        .ports
                        .log
                        .failed("the answer of a call that may be sent again was not kept", &fault);
                }
                Ok(response)
            }
            // Whether it was done is not known: whoever sends it again does the same.
            Err(refusal @ Refusal::Internal(_)) => Err(refusal),
            Err(refusal) => {
                let ports = &call.core.ports;
                let settle =
                    Settle { hold: self.lock.clone(), tokens: 0, output_tokens: 0, cost: Money::ZERO };
                let accounts = vec![self.account()];
                let open = Transaction::new(accounts, Op::Settle(settle), Vec::new());
                let done = match ports.store.discard(&self.home, &self.name).await {
                    Ok(()) => ports.ledger.transact(&self.shard, open, call.now).await.map(drop),
                    Err(fault) => Err(fault),
                };
                if let Err(fault) = done {
                    ports.log.failed("a call that was refused keeps its name for a while", &fault);
                }
                Err(refusal)
            }
        }
    }

    fn account(&self) -> AccountId {
        AccountId::new(["once/", &self.name].concat())
    }

    /// Whether this one draws the seed: of several at a time one does. An account that lets one in at a time is what all hosts
    /// have for that.
    async fn locked(&self, call: &Call<'_>) -> Result<bool, Refusal> {
        let limits = Limits { parallel: Some(1), ..Limits::NONE };
        let reserve = Reserve {
            hold: self.lock.clone(),
            versions: vec![0],
            carried: vec![Carried { place: 0, limits }],
            input_tokens: 0,
            input_cost: Money::ZERO,
            output: OutputBound { tokens: 0, rate: Rate::ZERO, elastic: false },
            expires: call.now.after(LEASE),
        };
        let accounts = vec![self.account()];
        let transaction = Transaction::new(accounts, Op::Reserve(reserve), Vec::new());
        let outcome = call.core.ports.ledger.transact(&self.shard, transaction, call.now).await?;
        Ok(matches!(outcome.grant, Grant::Held { .. }))
    }

    /// Keeps `words` under what they are of: 0: a seed and a moment; 1: an answer.
    async fn keep(&self, call: &Call<'_>, kind: u8, words: &[u8]) -> Result<(), Refusal> {
        let ports = &call.core.ports;
        let mut nonce = [0; NONCE];
        ports.chance.fill(&mut nonce);
        let sealed = ports.signer.aes256_gcm(Cipher::Seal, &self.seal, &nonce, &[kind], words).await?;
        let until = call.now.after(REMEMBERED);
        let pieces: Vec<&[u8]> = sealed.chunks(PIECE).collect();
        let count = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
        // The first one last: with it, all are there.
        for (place, piece) in pieces.iter().enumerate().rev() {
            let (name, bytes) = match place {
                0 => (self.name.clone(), [&self.print[..], &[kind, count], &nonce, piece].concat()),
                _ => (format!("{}/{place}", self.name), piece.to_vec()),
            };
            ports.store.keep(&self.home, &name, bytes.into(), until).await?;
        }
        Ok(())
    }

    /// What is kept of the call.
    async fn kept(&self, call: &Call<'_>) -> Result<Option<Made>, Refusal> {
        const HEAD: usize = 34 + NONCE;
        let ports = &call.core.ports;
        let Some(kept) = ports.store.kept(&self.home, &self.name, call.now).await? else { return Ok(None) };
        let broken =
            || crate::port::Fault::new(FaultKind::Corrupt, "idempotency", "what is kept cannot be read");
        let (head, first) = kept.split_at_checked(HEAD).ok_or_else(broken)?;
        if !head.starts_with(&self.print) {
            return Err(Refusal::Repeated(Repeated::Otherwise));
        }
        let (kind, count) = (head[32], head[33]);
        let nonce: [u8; NONCE] = head[34..].try_into().map_err(|_| broken())?;
        let mut sealed = first.to_vec();
        for place in 1..count {
            let name = format!("{}/{place}", self.name);
            let piece = ports.store.kept(&self.home, &name, call.now).await?;
            sealed.extend_from_slice(&piece.ok_or_else(broken)?);
        }
        let words = ports.signer.aes256_gcm(Cipher::Open, &self.seal, &nonce, &[kind], &sealed).await?;
        if kind == 0 {
            let (seed, moment) = words.split_at_checked(32).ok_or_else(broken)?;
            let seed: [u8; 32] = seed.try_into().map_err(|_| broken())?;
            let moment = i64::from_be_bytes(moment.try_into().map_err(|_| broken())?);
            return Ok(Some(Made::Now(self.clone(), Dice::new(seed), Timestamp::from_micros(moment))));
        }
        let number = |at: usize| Some(u16::from_be_bytes([*words.get(at)?, *words.get(at + 1)?]));
        let (status, tag) = number(0).zip(number(2)).ok_or_else(broken)?;
        let rest =
            words.get(4..).and_then(|rest| rest.split_at_checked(usize::from(tag))).ok_or_else(broken)?;
        let mut response = Response::new(Body::Full(Bytes::copy_from_slice(rest.1)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(tag) = HeaderValue::from_bytes(rest.0)
            && !tag.is_empty()
        {
            headers.insert(ETAG, tag);
        }
        headers.insert(&REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(Made::Before(response)))
    }
}
