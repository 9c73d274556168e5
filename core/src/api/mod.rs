//! The route table, and thin handlers: decode, call, encode.

pub(crate) mod admin;
#[cfg(feature = "schema")]
pub use admin::openapi;
mod health;
mod litellm;
mod metrics;
mod models;
mod responses;
mod route;
mod show;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gatelet_wire::SmallMap;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;

use crate::alert::{self, Asked, Down};
use crate::credential::Drawer;
use crate::domain::account::Op;
use crate::domain::{AccountId, RequestId, ShardId, Timestamp};
use crate::pipeline;
use crate::policy::{Channel, Sink};
use crate::port::{Body, Fault, FaultKind, Transaction};
use crate::record;
use crate::record::spend::{self, By, COUNTERS, Question};
use crate::refusal::Refusal;
use crate::shared::{Core, Ticked};
use crate::sink;

pub(crate) use health::live;
pub use litellm::says_nothing;
pub(crate) use route::Route;

/// Finds who answers. What is asked for rarely is boxed: every request's state is as large as the largest of them.
pub(crate) async fn answer(
    core: &Arc<Core>,
    id: RequestId,
    now: Timestamp,
    route: Route<'_>,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    match route {
        Route::Ask(asking) => {
            only(&parts.method, &Method::POST)?;
            pipeline::serve(core, id, now, asking, parts, body).await
        }
        Route::Native(provider, rest, known) => {
            let known = known.filter(|_| parts.method == Method::POST);
            let rest = rest.to_owned();
            Box::pin(pipeline::pass(core, id, now, provider, &rest, known, parts, body)).await
        }
        Route::Responses(asked) => Box::pin(responses::answer(core, id, now, asked, parts, body)).await,
        Route::Models(dialect) => {
            only(&parts.method, &Method::GET)?;
            Box::pin(models::list(core, now, &parts, dialect)).await
        }
        Route::Show => {
            only(&parts.method, &Method::POST)?;
            show::show(core, now, &parts, body).await
        }
        Route::Version => Ok(health::version()),
        Route::Model(dialect, model) => {
            only(&parts.method, &Method::GET)?;
            Box::pin(models::show(core, now, &parts, dialect, &model)).await
        }
        Route::Live => Ok(live()),
        Route::Metrics => {
            only(&parts.method, &Method::GET)?;
            Box::pin(metrics::show(core, now, &parts)).await
        }
        Route::Ready => Box::pin(health::ready(core)).await,
        Route::Admin(rest) => Box::pin(admin::answer(core, now, &parts, body, &rest)).await,
        Route::Litellm(segments) => Box::pin(litellm::answer(core, now, &parts, body, &segments)).await,
        Route::Hello => Ok(health::hello()),
        Route::Nowhere(_) => Err(Refusal::NoRoute { path: parts.uri.path().to_owned() }),
    }
}

/// Archives what waits in every shard's outbox, and tells those who are to know.
pub(crate) async fn tick(core: &Core) -> Result<Ticked, Fault> {
    let shards = core.ports.ledger.shards().await?;
    let archived = archive(core, &shards).await?;
    Ok(Ticked { archived, ..tell(core, &shards).await })
}

/// Archives what waits in the outbox of each of these, and deletes what is over: waits for nobody but the host's own stores. Answers
/// how many entries those were.
pub(crate) async fn archive(core: &Core, shards: &[ShardId]) -> Result<usize, Fault> {
    /// Between two looks for what is to leave the archive, in seconds: a server archives every second.
    const TIDY: i64 = 30;
    let mut archived = 0;
    let policy = core.policy();
    let now = core.ports.clock.now().seconds();
    let tidies = now - core.tidied.load(Ordering::Relaxed) >= TIDY;
    if tidies {
        core.tidied.store(now, Ordering::Relaxed);
    }
    let fed = !policy.sinks().is_empty();
    // Who has no sinks looks once whether there were some.
    let was_fed = core.fed.swap(fed, Ordering::Relaxed);
    for shard in shards {
        if was_fed && !fed {
            sink::close(&core.ports, shard).await?;
        }
        if fed {
            sink::enlist(&core.ports, policy.sinks(), shard).await?;
        }
        match record::drain(&core.ports, shard, fed).await {
            Ok(count) => archived += count,
            // So many drain at this moment that one of them lost every race: what it left is with the others, or still waits.
            Err(fault) if fault.kind == FaultKind::Conflict => {
                core.ports.log.failed("records wait for the next tick", &fault);
            }
            Err(fault) => return Err(fault),
        }
        if tidies {
            match Box::pin(record::tidy::tidy(&core.ports, shard, policy.retention())).await {
                Ok(0) => {}
                // There may be more.
                Ok(_) => core.tidied.store(0, Ordering::Relaxed),
                Err(fault) => core.ports.log.failed("what is over was not deleted", &fault),
            }
        }
        forget(core, shard).await?;
    }
    Ok(archived)
}

/// Tells sinks of what is archived, and admins of what they should know, and asks targets that are checked: each of those may take its
/// time, and who does not answer is told later.
pub(crate) async fn tell(core: &Core, shards: &[ShardId]) -> Ticked {
    /// Between two looks for alerts, in seconds: a server tells every second.
    const PAUSE: i64 = 5;
    let mut ticked = Ticked::default();
    let policy = core.policy();
    let now = core.ports.clock.now().seconds();
    let looks = !policy.channels().is_empty() && now - core.alerted.load(Ordering::Relaxed) >= PAUSE;
    if looks {
        core.alerted.store(now, Ordering::Relaxed);
    }
    for shard in shards {
        if !policy.sinks().is_empty() {
            match Box::pin(pass_on(core, policy.sinks(), shard)).await {
                Ok(count) => ticked.passed_on += count,
                Err(fault) => core.ports.log.failed("records were not passed on", &fault),
            }
        }
        if looks {
            match Box::pin(alerts(core, policy.channels(), shard)).await {
                Ok(told) => ticked.told += told,
                Err(fault) => core.ports.log.failed("alerts were not looked for", &fault),
            }
        }
    }
    ticked.checked = pipeline::check_targets(core, shards).await;
    ticked
}

async fn pass_on(core: &Core, sinks: &[Sink], shard: &ShardId) -> Result<usize, Fault> {
    let (ports, sealing) = (&core.ports, &core.settings.sealing);
    let mut keys = SmallMap::new();
    if !sealing.is_empty() {
        for sealed in Drawer::read(ports, shard).await?.credentials {
            let Some(name) = sealed.provider.strip_prefix(sink::CREDENTIAL) else { continue };
            // One that is somebody's is for the sink that is theirs.
            let mine = |sink: &&Sink| {
                let of = sink.of.as_ref().map(|(kind, id)| format!("{kind}/{id}"));
                *sink.name == *name && (sealed.of.is_none() || sealed.of == of)
            };
            if sinks.iter().any(|sink| mine(&sink)) {
                keys.insert(name.to_owned(), sealed.open(ports, sealing, shard).await?);
            }
        }
    }
    sink::tick(ports, sinks, &keys, shard).await
}

/// Sweeps some of the accounts without documents, whose limits a key says: those are forgotten once nothing of them counts
/// any more. Begins somewhere else each time, so that all are reached; a host whose table forgets by itself lists none.
async fn forget(core: &Core, shard: &ShardId) -> Result<(), Fault> {
    const SOME: usize = 100;
    let ports = &core.ports;
    let mut byte = [0];
    ports.chance.fill(&mut byte);
    let [byte] = byte;
    let kinds = ["key_model/", "session/", "once/"];
    let prefix = kinds[usize::from(byte) % kinds.len()];
    // Ids of keys begin with letters of base 32, more or less evenly.
    let from = char::from(b"/0369adgknrvz/06c"[usize::from(byte / 3) % 17]);
    let after = AccountId::new(format!("{prefix}{from}"));
    let now = ports.clock.now();
    for (id, account) in ports.ledger.list(shard, prefix, Some(&after), SOME).await? {
        if account.fades().is_some_and(|fades| fades <= now) {
            let sweep = Transaction::new(vec![id], Op::Sweep, Vec::new());
            ports.ledger.transact(shard, sweep, now).await?;
        }
    }
    Ok(())
}

async fn alerts(core: &Core, channels: &[Channel], shard: &ShardId) -> Result<usize, Fault> {
    const MOST: usize = 50_000;
    let today = u32::try_from(core.ports.clock.now().seconds().div_euclid(86_400)).unwrap_or(0);
    let by: Vec<By> = ["key", "provider"].into_iter().filter_map(By::named).collect();
    let question = Question { days: today..=today, finer: None, by, only: Vec::new(), most: MOST };
    let report = spend::report(&core.ports, shard, &question).await?;
    let asked = report.rows.into_iter().filter_map(|row| {
        let count = |name| {
            let found = COUNTERS.iter().zip(&row.sums).find(|(known, _)| **known == name);
            found.map_or(0, |(_, sum)| *sum)
        };
        let (requests, failures, over_budget) = (count("requests"), count("failures"), count("over_budget"));
        let mut of = row.of.into_iter();
        Some(Asked { key: of.next()??, provider: of.next()?, requests, failures, over_budget })
    });
    let mut down = Vec::new();
    if !core.policy().sinks().is_empty() {
        let standing = sink::standing(&core.ports, shard).await?;
        let failing = standing.into_iter().filter(|(_, place)| place.is_down());
        down.extend(failing.map(|(sink, place)| Down { sink, since: place.since, why: place.why }));
    }
    alert::tick(&core.ports, channels, shard, &asked.collect::<Vec<_>>(), &down).await
}

fn only(method: &Method, allowed: &Method) -> Result<(), Refusal> {
    if method == allowed {
        return Ok(());
    }
    Err(Refusal::WrongMethod { allow: allowed.as_str().to_owned() })
}

fn reply(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
