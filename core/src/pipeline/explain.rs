//! What would become of a request, and why: the stages themselves, on a ledger on which nothing happens.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use serde::Serialize;

use super::Approach;
use super::admit::{self, admit};
use super::authenticate::{self, authenticate};
use super::native::Native;
use super::receive::{Arrived, Asking, Came, Upload};
use super::route::order;
use super::ways::{Absent, Way, absent, ways};
use super::whom::candidates;
use crate::domain::account::{Grant, Limits, Statement};
use crate::domain::{Caller, KeyToken, Money, Proof, RequestId, Scope, Timestamp};
use crate::policy::Provider;
use crate::port::rehearsal::{Rehearsal, Try};
use crate::port::{Body, Peer};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request that nobody sends.
#[derive(Debug)]
pub struct Question {
    pub caller: Arc<Caller>,
    pub asking: Asking,
    /// Of a provider's own interface: whose, and what follows its name in the path.
    pub native: Option<(Arc<Provider>, String)>,
    /// Its address and headers.
    pub parts: Parts,
    /// The body, or what is read of it where there is [more](Question::more).
    pub body: Bytes,
    /// A file follows, of which only the length that the headers announce counts.
    pub more: bool,
    /// From where; none: from the first of the key's sources.
    pub source: Option<IpAddr>,
}

/// What would become of a request. Moments are RFC 3339, money is decimal strings in USD.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
pub struct Explanation {
    admitted: bool,
    /// What stands in its way; the first is what its caller would be told.
    refusals: Vec<Said>,
    operation: &'static str,
    /// The model that it asks for; none: the request cannot be read.
    model: Option<String>,
    /// The model that it falls to, because limits refuse the one that it asks for.
    fell_to: Option<String>,
    /// How long it would wait at its limits, in milliseconds, if nobody else came.
    waits_ms: u64,
    /// The cap on output that is sent, because the caller gave none and a limit asks for one.
    output_cap: Option<u64>,
    /// Soft budgets that it would pass.
    soft_passed: Vec<String>,
    /// Limits that are only watched and would refuse it.
    shadowed: Vec<String>,
    /// Who says which models may be asked for. No list allows all.
    models: Vec<Allowed>,
    /// Whom it would be sent to, in the order in which they are tried.
    plan: Vec<Way>,
    /// Who is not asked, and why.
    absent: Vec<Absent>,
    /// What the ledger is asked, one try after another.
    tries: Vec<Tried>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
struct Said {
    status: u16,
    code: String,
    detail: String,
    /// The field that is wrong.
    param: Option<String>,
    /// Seconds.
    retry_after: Option<u64>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
struct Allowed {
    account: String,
    models: Vec<String>,
    allows: bool,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
struct Tried {
    at: String,
    held: bool,
    input_tokens: u64,
    input_cost: Money,
    /// The caller's cap, or the model's maximum.
    output_tokens: u64,
    /// Whether limits may lower that, since the caller gave no cap.
    elastic: bool,
    /// The most that it can cost.
    cost: Money,
    accounts: Vec<Met>,
}

/// An account that the request is held in, and what it says.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
struct Met {
    account: String,
    /// The version of its document; 0: it has none.
    version: u64,
    limits: Limits,
    usage: Statement,
    /// What refuses the request here, whatever the other accounts say.
    refuses: Option<Refuses>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
struct Refuses {
    /// The limit in words.
    limit: String,
    detail: String,
    retry_at: Option<String>,
    renews_at: Option<String>,
}

/// Tries a request.
pub async fn explain(core: &Core, id: RequestId, now: Timestamp, question: Question) -> Explanation {
    let Question { caller, asking, native, mut parts, body, more, source } = question;
    let (ports, stage) = Rehearsal::of(&core.ports, now);
    let core = Arc::new(core.on(ports));
    let key = &caller.key;
    let first = || key.sources.as_ref()?.first()?.split('/').next()?.parse().ok();
    if let Some(address) = source.or_else(first) {
        parts.extensions.insert(Peer(address));
    }
    let mut told = Explanation {
        admitted: false,
        refusals: Vec::new(),
        operation: asking.operation.name(),
        model: None,
        fell_to: None,
        waits_ms: 0,
        output_cap: None,
        soft_passed: Vec::new(),
        shadowed: Vec::new(),
        models: Vec::new(),
        plan: Vec::new(),
        absent: Vec::new(),
        tries: Vec::new(),
    };
    let approach = Approach::of(&core, &parts, asking.operation.name());
    let judged = [authenticate::open(&caller, now), authenticate::calls_models(&caller), approach.judge(key)];
    for refusal in judged.into_iter().filter_map(Result::err) {
        told.refuse(&refusal, &id, now);
    }
    let token = KeyToken { shard: key.shard.clone(), id: key.id.clone(), hash: key.hash.clone() };
    let upload = if more { Upload::of(Body::Empty) } else { Upload::default() };
    // No query has a hash in place of a key.
    let native = native.map(|(provider, rest)| Native::read(provider, &rest, &parts, &key.hash)).transpose();
    let came = native.and_then(|native| {
        let came = Came::whole(Proof::Token(token), caller.clone(), &parts, body)?;
        Ok(came.with(native, upload))
    });
    let arrived = came.and_then(|came| Arrived::of(id.clone(), now, asking, came, parts));
    let arrived = match arrived {
        Ok(arrived) if arrived.may_name_a_prompt() => arrived.said(&core).await,
        Ok(arrived) => Ok(arrived),
        Err(refusal) => Err(refusal),
    };
    match &arrived {
        Ok(arrived) => told.try_out(&core, arrived, &stage, now).await,
        Err(refusal) => told.refuse(refusal, &id, now),
    }
    told.waits_ms = u64::try_from(stage.waited().as_millis()).unwrap_or(u64::MAX);
    told.tries = stage.tries().into_iter().map(|one| Tried::of(one, &id)).collect();
    told.admitted = told.refusals.is_empty();
    told
}

impl Explanation {
    async fn try_out(&mut self, core: &Arc<Core>, arrived: &Arrived, stage: &Rehearsal, now: Timestamp) {
        let id = &arrived.id;
        let received = match arrived.read() {
            Ok(received) => received,
            Err(refusal) => return self.refuse(&refusal, id, now),
        };
        let model = received.wanted(&arrived.caller).to_owned();
        let lists = authenticate::lists(&arrived.caller);
        let own = || arrived.caller.key.account();
        self.models.extend(lists.map(|(scope, models)| Allowed {
            account: scope.map_or_else(own, Scope::account).to_string(),
            models: models.to_vec(),
            allows: authenticate::has(models, &model),
        }));
        let policy = core.policy();
        let meant = admit::named(core, &policy, &received, &arrived.caller, &model);
        self.model = Some(model);
        let authenticated = authenticate(core, received).await;
        let admitted = match authenticated {
            Ok(authenticated) => admit(core, authenticated).await,
            Err(refusal) => Err(refusal),
        };
        let planned = match admitted {
            Ok(mut admitted) => {
                admitted.books.forget();
                self.output_cap = admitted.output_cap;
                self.fell_to = admitted.marks.fell_to;
                self.soft_passed = admitted.marks.soft_passed;
                self.shadowed = admitted.marks.shadowed;
                Some((admitted.model, admitted.plan))
            }
            Err(refusal) => {
                let late = now.after(stage.waited());
                self.refuse(&refusal, id, late);
                None
            }
        };
        let Ok(received) = arrived.read() else { return };
        // A request that is refused is told where it would have gone, too.
        let refused = || {
            let model = meant.ok()?;
            let name = model.name.as_str();
            let able = candidates(&policy, &received, &arrived.caller, name, &model).unwrap_or_default();
            let likely = arrived.body.len() as u64 / 4;
            let plan = order(core, &policy, &received, &arrived.caller, &model, able, likely);
            Some((model, plan))
        };
        let Some((model, plan)) = planned.or_else(refused) else { return };
        self.plan = ways(&core.board, &model, &plan, now);
        self.absent = absent(&policy, &received, &arrived.caller, &model, &self.plan);
    }

    fn refuse(&mut self, refusal: &Refusal, id: &RequestId, now: Timestamp) {
        let said = Said::of(refusal, id, now);
        if self.refusals.iter().all(|known| known.code != said.code) {
            self.refusals.push(said);
        }
    }
}

impl Said {
    fn of(refusal: &Refusal, id: &RequestId, now: Timestamp) -> Self {
        let public = refusal.public(id);
        Self {
            status: public.status,
            code: public.code.into_owned(),
            detail: public.message,
            param: public.param,
            retry_after: refusal.retry_after(now),
        }
    }
}

impl Tried {
    fn of(one: Try, id: &RequestId) -> Self {
        let Try { at, reserve, accounts, grant } = one;
        let output = reserve.output;
        let met = accounts.into_iter().enumerate().map(|(place, (account, stood, said))| {
            let (limits, usage) = stood.terms(reserve.carried(place), at);
            let refuses = match said {
                Grant::Denied(denial) => Some(Refuses {
                    limit: denial.limit.clone(),
                    retry_at: denial.retry_at.map(|at| at.to_string()),
                    renews_at: denial.renews_at.map(|at| at.to_string()),
                    detail: Refusal::Denied(Box::new(denial)).public(id).message,
                }),
                _ => None,
            };
            let version = stood.document().map_or(0, |document| document.version);
            Met { account: account.to_string(), version, limits, usage, refuses }
        });
        Self {
            at: at.to_string(),
            held: matches!(grant, Grant::Held { .. }),
            input_tokens: reserve.input_tokens,
            input_cost: reserve.input_cost,
            output_tokens: output.tokens,
            elastic: output.elastic,
            cost: reserve.input_cost.plus(Money::from_picos_up(output.rate.times(output.tokens))),
            accounts: met.collect(),
        }
    }
}
