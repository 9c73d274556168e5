//! Copies of a share of requests: another model is asked the same, and nobody gets its answer.
//!
//! A copy is a request of its own, with an id and a record, made in the background. Whoever made the request that it is a copy
//! of neither waits for it nor pays for it, unless the configuration says so; guards and pins bind it as they bind that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;

use super::admit::{Admitted, admit, found};
use super::authenticate::Authenticated;
use super::books::{Books, Marks};
use super::guard;
use super::receive::{Arrived, Received};
use super::relay::attempts;
use super::route::order;
use super::stakes::Stakes;
use crate::domain::account::Headroom;
use crate::domain::{AccountId, Caller, HoldId, RequestId};
use crate::policy::{CopyTo, Model};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// Copies of one process that may be under way at the same time; no further ones are made.
const MOST: usize = 32;
/// Longer requests are not copied.
const LONGEST: usize = 1 << 20;

/// Makes the copies that a model's configuration asks for of a request that is about to be sent.
pub(super) fn send(core: &Arc<Core>, received: &Received<'_>, caller: &Arc<Caller>, model: &Model) {
    let arrived = received.arrived;
    let whole = arrived.native.is_none() && !arrived.upload.is_there() && !arrived.upload.is_spent();
    if !whole || arrived.body.len() > LONGEST {
        return;
    }
    for to in &model.extras.copies {
        if !drawn(core, to.mille) {
            continue;
        }
        let Some(place) = Place::take(core) else { return };
        let mut chance = [0; 16];
        core.ports.chance.fill(&mut chance);
        let now = core.ports.clock.now();
        let copy = arrived.copy(RequestId::mint(now, chance), now);
        let work = run(core.clone(), caller.clone(), copy, arrived.id.clone(), to.clone(), place);
        core.ports.defer.defer(Box::pin(work));
    }
}

fn drawn(core: &Core, mille: u16) -> bool {
    let mut bytes = [0; 4];
    core.ports.chance.fill(&mut bytes);
    u32::from_le_bytes(bytes) % 1_000 < u32::from(mille)
}

/// One copy, to the end of its answer. What becomes of it is in its record.
async fn run(
    core: Arc<Core>,
    caller: Arc<Caller>,
    copy: Box<Arrived>,
    of: RequestId,
    to: CopyTo,
    _place: Place,
) {
    let Ok(mut received) = copy.read() else { return };
    to.model.as_str().clone_into(&mut received.asked.model);
    let admitted = if to.billed {
        Box::pin(admit(&core, Authenticated { received, caller })).await
    } else {
        Box::pin(unbilled(&core, received, caller, to.model.as_str())).await
    };
    // Who may not have it, or cannot pay it, has no copy.
    let Ok(mut admitted) = admitted else { return };
    admitted.books.copy_of(of, to.billed);
    // Nobody waits for it.
    admitted.spare = None;
    // What guards leave of it, where they replace anything.
    let mut room = None;
    let Ok(guarded) = guard::guard(&core, admitted, &mut room).await else { return };
    let Ok(response) = Box::pin(attempts(&core, guarded, None, false)).await else { return };
    if let Body::Stream(mut pieces) = response.into_body() {
        while let Some(Ok(_)) = pieces.next().await {}
    }
}

/// A request that is held and charged nowhere.
pub(super) async fn unbilled<'a>(
    core: &Arc<Core>,
    received: Received<'a>,
    caller: Arc<Caller>,
    name: &str,
) -> Result<Admitted<'a>, Refusal> {
    let policy = core.policy();
    let (model, plan) = found(core, &policy, &received, &caller, name)?;
    let guards = guard::chosen(&policy, &received, &caller, name)?;
    let stakes = Stakes::of(core, &received, &caller, name).await?;
    let accounts: Vec<AccountId> = stakes.all().iter().map(|stake| stake.account.clone()).collect();
    let sealing = &core.settings.sealing;
    let own = core.credentials.own(&core.ports, sealing, &caller.key.shard, &accounts, &plan).await?;
    let likely = received.arrived.body.len() as u64 / 4;
    let plan = order(core, &policy, &received, &caller, &model, own.unwrap_or(plan), likely);
    let hold = HoldId::from(&received.arrived.id);
    let mut books = Books::open(core.clone(), &received, &caller, Vec::new(), hold);
    let units = received.outline.as_deref().map(|outline| outline.known_units).unwrap_or_default();
    books.held(&received, likely, units);
    books.customer(stakes.customer.clone());
    books.teaches(&model, plan.pulled);
    Ok(Admitted {
        received,
        caller,
        model,
        plan,
        books,
        output_cap: None,
        headroom: Headroom::default(),
        marks: Marks::default(),
        guards,
        spare: None,
    })
}

/// One of the places of copies that are under way.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(core: &Core) -> Option<Self> {
        let place = Self(core.copying.clone());
        (place.0.fetch_add(1, Ordering::Relaxed) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
