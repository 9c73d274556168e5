//! Checks of targets that nobody has asked for: what is broken is known before a caller meets it, and what is back again does
//! not wait for a caller to find it out.
//!
//! A check says nothing of how fast a target is, and is in nobody's books.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gatelet_wire::dialect::Written;
use gatelet_wire::{DialectId, Draft, Fields, Loss, TargetHints};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::attempt::{failure, no_answer, refused, within};
use super::receive::collect;
use super::route::blame;
use crate::domain::account::{Op, Settle};
use crate::domain::{HoldId, Money, ShardId, Timestamp};
use crate::policy::{Probe, Target};
use crate::port::{Body, Reach, Transaction};
use crate::refusal::{Refusal, UpstreamFailure};
use crate::route::{Blame, Standing};
use crate::shared::Core;
use crate::together::together;

/// The longest that a target may take, and the most that are checked by one tick: records wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 32;
/// The longest answer that is read.
const ANSWER: usize = 64 << 10;

/// Checks what is due, all at a time, and tells the other instances what is news to them. Answers how many were checked.
pub async fn check_targets(core: &Core, shards: &[ShardId]) -> usize {
    let policy = core.policy();
    if policy.checks().is_empty() {
        return 0;
    }
    let now = core.ports.clock.now();
    let due = due(core, now);
    let count = due.len();
    together(due.iter().map(|(target, how)| check(core, shards, target, how))).await;
    for shard in shards {
        let notices = core.board.news(shard);
        if notices.is_empty() {
            continue;
        }
        // Nothing is held under this name: all that the transaction does is to tell.
        let hold = HoldId::new(format!("check/{}", now.micros()));
        let nothing = Settle { hold, tokens: 0, output_tokens: 0, cost: Money::ZERO };
        let told = Transaction { notices, ..Transaction::new(Vec::new(), Op::Settle(nothing), Vec::new()) };
        if let Err(fault) = core.ports.ledger.transact(shard, told, now).await {
            core.ports.log.failed("nobody else was told of checks of targets", &fault);
        }
    }
    count
}

/// Targets whose turn it is. What is out is left alone until it may be tried again.
fn due(core: &Core, now: Timestamp) -> Vec<(Arc<Target>, Probe)> {
    let policy = core.policy();
    let mut due: Vec<(Arc<Target>, Probe)> = Vec::new();
    for check in policy.checks() {
        for target in check.targets.iter().flat_map(|name| policy.named(name)) {
            let seen = core.board.read();
            let standing = seen.target(target.seen_as()).breaker.standing(now, seen.rules());
            drop(seen);
            if due.len() == MOST || matches!(standing, Standing::Out { .. }) {
                continue;
            }
            // What may be back is looked at without delay.
            let every = if standing == Standing::Probe { Duration::ZERO } else { check.every };
            if core.board.check_due(target.seen_as(), every, now) {
                due.push((target, check.how.clone()));
            }
        }
    }
    due
}

async fn check(core: &Core, shards: &[ShardId], target: &Arc<Target>, how: &Probe) {
    core.board.check_began(target.seen_as(), core.ports.clock.now());
    let fault = {
        let asked = pin!(ask(core, target, how));
        within(core, PATIENCE, asked)
            .await
            .unwrap_or_else(|| Some(failed(core, target, UpstreamFailure::TimedOut)))
    };
    // What a caller would have to do otherwise is nothing that a check does wrong.
    let fault = fault.filter(|blame| *blame != Blame::Caller);
    core.board.checked(shards, target.seen_as(), fault, core.ports.clock.now());
}

/// Whose fault it is that a target did not answer; none: it did.
async fn ask(core: &Core, target: &Arc<Target>, how: &Probe) -> Option<Blame> {
    let provider = &target.provider;
    if provider.prove(&core.ports).await.is_err() {
        return Some(Blame::Credential);
    }
    let now = core.ports.clock.now();
    // What cannot be asked is no fault of who was to be asked.
    let (method, uri, body) = match how {
        Probe::Get(path) => {
            (Method::GET, Uri::try_from(provider.address(&target.model, path)).ok()?, Vec::new())
        }
        Probe::Chat => (Method::POST, target.address(false)?.clone(), question(target)?),
    };
    let mut uri = uri;
    let mut headers = HeaderMap::new();
    if method == Method::POST {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    provider.apply(&mut uri, &mut headers);
    if provider.signs() {
        Box::pin(provider.sign(&*core.ports.signer, &method, &uri, &mut headers, &body, now)).await;
    }
    let mut request = Request::new(if body.is_empty() { Body::Empty } else { Body::from(body) });
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    let reach = if provider.allow_private { Reach::Private } else { Reach::Public };
    let (head, body) = match core.upstream(target).send(request, reach).await {
        Ok(response) => response.into_parts(),
        Err(fault) => return Some(failed(core, target, failure(fault.kind))),
    };
    let status = head.status.as_u16();
    match how {
        Probe::Get(_) => match status {
            401 | 403 => Some(Blame::Credential),
            429 => Some(Blame::Limited { until: None }),
            500.. => Some(Blame::Provider),
            _ => None,
        },
        Probe::Chat if !head.status.is_success() => {
            let refusal = refused(core, target, status, &head.headers, body).await.refusal;
            Some(blame(&refusal, core.ports.clock.now()))
        }
        Probe::Chat => {
            let Ok(body) = collect(body, &head.headers, ANSWER).await else {
                return Some(failed(core, target, UpstreamFailure::Broken));
            };
            let dialect = provider.dialect.dialect();
            let answered = dialect.read_usage(&body, provider.reading()).is_ok()
                && dialect.hidden_error(&body).is_none();
            (!answered).then(|| blame(&no_answer(target, &body).refusal, core.ports.clock.now()))
        }
    }
}

fn failed(core: &Core, target: &Target, failure: UpstreamFailure) -> Blame {
    let refusal = Refusal::UpstreamFailed { target: target.to_string(), failure };
    blame(&refusal, core.ports.clock.now())
}

/// The shortest question, in the target's words; none: it cannot be asked one.
fn question(target: &Target) -> Option<Vec<u8>> {
    // No vendor refuses so many tokens as too few.
    const ASKS: &[u8] =
        br#"{"model":"m","max_completion_tokens":16,"messages":[{"role":"user","content":"Say ok."}]}"#;
    let mut request = DialectId::Openai.dialect().read_request(ASKS).ok()?;
    request.model = target.model.to_string();
    let mut loss = Loss::default();
    let hints = TargetHints::unknown(&*target.model);
    let Written { body, .. } =
        target.provider.dialect.dialect().write_request(&request, &hints, &mut loss).ok()?;
    let body = {
        let fields = Fields::read(&body).ok()?;
        let mut draft = Draft::from(&fields);
        super::lane::take_addressed(&mut draft, &target.edits);
        draft.apply(&target.edits, &mut loss).ok()?;
        draft.write()
    };
    match target.provider.quirks.idiom {
        Some(idiom) => idiom.request(&body, &mut loss).ok(),
        None => Some(body),
    }
}
