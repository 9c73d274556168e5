//! Where a request would go, with the reason for each target's place, and for the absence of those that are not asked.

use std::fmt::Write as _;

use gatelet_wire::SmallMap;
use serde::Serialize;

use super::receive::Received;
use super::route::{LONGEST, Plan, Turn, plan};
use super::whom::{Absence, Sieve};
use crate::domain::{Caller, Timestamp};
use crate::policy::{Model, ModelName, Policy, Target};
use crate::route::{Board, Standing};

/// Whom it would be sent to.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
pub(super) struct Way {
    target: String,
    dialect: &'static str,
    /// US dollars for one unit (a token, a picture, a second), by what is counted; none: nobody has said a price.
    price: Option<SmallMap<&'static str, String>>,
    max_output: Option<u64>,
    context: Option<u64>,
    /// Where what proves to the provider who calls comes from. Never what it is.
    credential: &'static str,
    /// The model of the configuration whose target it is.
    of: String,
    /// Only after a target has said so: `context_window` or `content_policy`.
    only_on: Option<&'static str>,
    /// `in`, `returning`, `probe`, `full` or `out`.
    standing: &'static str,
    /// What gave it its place.
    why: String,
}

/// A target of the model or of its fallbacks that is not asked.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
pub(super) struct Absent {
    target: String,
    why: String,
}

/// Each target of a plan, those first that are asked first.
pub(super) fn ways(board: &Board, model: &Model, plan: &Plan, now: Timestamp) -> Vec<Way> {
    let general: Vec<&ModelName> = std::iter::once(&model.name).chain(&model.fallbacks.general).collect();
    let lists = [
        (None, &plan.asked, general),
        (Some("context_window"), &plan.context_window, model.fallbacks.context_window.iter().collect()),
        (Some("content_policy"), &plan.content_policy, model.fallbacks.content_policy.iter().collect()),
    ];
    let by = plan.pulled.map_or(model.strategy.name(), |pulled| match pulled {
        "session" => "its session",
        _ => "the beginning of its prompt",
    });
    let mut ways = Vec::new();
    for (only_on, turns, names) in lists {
        for turn in turns {
            let of = names.get(turn.leg).map_or_else(String::new, ToString::to_string);
            let own = only_on.is_none() && turn.leg == 0;
            let several = own && turns.iter().filter(|other| other.leg == 0).count() > 1;
            ways.push(Way::of(board, turn, of, own, only_on, several.then_some(by), now));
        }
    }
    ways
}

/// Those that a plan leaves out.
pub(super) fn absent(
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    model: &Model,
    ways: &[Way],
) -> Vec<Absent> {
    let sieve = Sieve::of(policy, received, caller);
    let everyone = plan(policy, model, usize::MAX, &mut |_| true);
    let left_out = everyone.iter().filter(|target| ways.iter().all(|way| way.target != **target.name()));
    left_out.map(|target| Absent { target: target.to_string(), why: sieve.words(target) }).collect()
}

impl Sieve<'_> {
    fn words(&self, target: &Target) -> String {
        match self.judge(target) {
            Some(Absence::Outside) => {
                let region = target
                    .region
                    .as_deref()
                    .map_or("in no known region".to_owned(), |region| format!("in {region}"));
                format!("it is {region}, and the caller is pinned to {}", self.pinned().join(", and to "))
            }
            Some(Absence::Lacks((lack, param))) => format!("it {lack} (`{param}`)"),
            None => format!("{LONGEST} others come before it"),
        }
    }
}

impl Way {
    fn of(
        board: &Board,
        turn: &Turn,
        of: String,
        own: bool,
        only_on: Option<&'static str>,
        by: Option<&'static str>,
        now: Timestamp,
    ) -> Self {
        let target = &turn.target;
        let seen = board.read();
        let vitals = seen.target(target.seen_as());
        let standing = match vitals.breaker.standing(now, seen.rules()) {
            Standing::In { .. } if vitals.window.share(target.place.quota, now) >= 1.0 => Standing::Full,
            standing => standing,
        };
        drop(seen);
        let mut why = match (only_on, own) {
            (Some("context_window"), _) => format!("`{of}` takes what is too long for the others"),
            (Some(_), _) => format!("`{of}` takes what the rules of others forbid"),
            (None, true) => "a target of the model itself".to_owned(),
            (None, false) => format!("a fallback, `{of}`"),
        };
        if target.place.level > 0 {
            let _ = write!(why, ", of level {}", target.place.level);
        }
        if let Some(by) = by {
            let _ = write!(why, ", put in order by {by}");
        }
        match standing {
            Standing::In { share } if share < 1.0 => {
                let _ = write!(why, "; it was out, and takes {:.0} of 100 of its turns again", share * 100.0);
            }
            Standing::In { .. } => {}
            Standing::Probe => why.push_str("; it was out, and the next call tells whether it is back"),
            Standing::Resting => why.push_str("; it returns, and this turn is not one of its share"),
            Standing::Full => why.push_str("; its rpm or tpm is used up, so it is asked after the others"),
            Standing::Out { until, blame } => {
                let _ = write!(why, "; out until {until} ({}), so it is asked last", blame.word());
            }
        }
        let rates = |rates: &[(crate::registry::Meter, crate::domain::Rate)]| {
            rates.iter().map(|(meter, rate)| (meter.word(), dollars(rate.picos()))).collect()
        };
        Self {
            target: target.to_string(),
            dialect: target.provider.dialect.name(),
            price: target.price.as_ref().map(|price| rates(price.at(now).rates())),
            max_output: target.max_output,
            context: target.context,
            credential: target.provider.credential_source(),
            of,
            only_on,
            standing: standing.word(),
            why,
        }
    }
}

/// Pico-dollars as a decimal.
fn dollars(picos: u64) -> String {
    let text = format!("{}.{:012}", picos / 1_000_000_000_000, picos % 1_000_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
