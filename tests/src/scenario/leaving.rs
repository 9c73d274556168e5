//! Clients that leave: before the answer, in the middle of it, and after its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::check_eq;
use crate::host::Key;
use crate::upstream::{Dialect, Ending, Gate, Play, Reply};
use crate::world::{World, cost, model, question};

scenarios![
    a_client_that_leaves_still_pays,
    a_client_that_leaves_before_the_answer_frees_what_was_held,
    a_client_that_leaves_after_the_end_pays_the_true_cost,
    a_client_that_leaves_frees_its_place_for_the_next,
];

/// How soon a host has to tell the provider that nobody listens any more.
const SOON: Duration = Duration::from_secs(10);

async fn a_client_that_leaves_still_pays(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in [
        (Dialect::OpenAi, Dialect::OpenAi),
        (Dialect::Anthropic, Dialect::OpenAi),
        (Dialect::OpenAi, Dialect::Anthropic),
        (Dialect::Anthropic, Dialect::Anthropic),
    ] {
        let key = budgeted(&world).await?;
        let script = format!("leaves-during-{caller:?}-{upstream:?}").to_lowercase();
        let gate = Gate::closed();
        let fragments: Vec<String> = (0..40).map(|number| format!("word{number} ")).collect();
        let reply = Reply::text(fragments).usage(10, 40).ending_after(20, Ending::Gate(gate.clone()));
        world.upstream.script(&script, [reply.into()]);
        let mut body = question(caller, &model(upstream, &script));
        body["stream"] = json!(true);
        let mut answer = world.ask(caller, &key, &body).send().await?;
        check_eq!(answer.status, 200);
        answer.until("word19").await?;
        drop(answer);

        let received = world.upstream.only(&script)?;
        if world.host.kind.sees_clients_leave() {
            received.until_left(SOON).await?;
            let books = world.closed_books(&key).await?;
            // 20 of 40 words were generated: at least these are paid for, and never more than was held.
            ensure!(books.spent >= cost(0, 10), "{script}: only {} were charged", books.spent);
            ensure!(books.spent <= cost(400, 50), "{script}: {} were charged", books.spent);
        } else {
            gate.open();
            check_eq!(world.closed_books(&key).await?.spent, cost(10, 40), "{script}");
        }
    }
    Ok(())
}

async fn a_client_that_leaves_before_the_answer_frees_what_was_held(world: Arc<World>) -> Result<()> {
    for streamed in [false, true] {
        let key = budgeted(&world).await?;
        let script = format!("leaves-before-{streamed}");
        let gate = Gate::closed();
        let reply = Reply::text(["too late"]).usage(10, 2);
        world.upstream.script(&script, [Play::Gated(gate.clone(), Box::new(reply.into()))]);
        let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, &script));
        body["stream"] = json!(streamed);
        let call = tokio::spawn(world.ask(Dialect::OpenAi, &key, &body).send());
        let received = world.upstream.arrived(&script, 1).await?;
        ensure!(world.books(&key).await?.held > 0, "nothing is held while the call runs");
        call.abort();
        if world.host.kind.sees_clients_leave_early() {
            received[0].until_left(SOON).await?;
        } else {
            gate.open();
        }
        let books = world.closed_books(&key).await?;
        ensure!(books.spent <= cost(400, 50), "{} were charged", books.spent);
    }
    Ok(())
}

async fn a_client_that_leaves_after_the_end_pays_the_true_cost(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "leaves-after";
    world.upstream.script(script, [Reply::text(["all ", "of ", "it"]).usage(10, 3).into()]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["stream"] = json!(true);
    let mut answer = world.ask(Dialect::OpenAi, &key, &body).send().await?;
    answer.until("data: [DONE]\n\n").await?;
    drop(answer);
    check_eq!(world.closed_books(&key).await?.spent, cost(10, 3));
    Ok(())
}

async fn a_client_that_leaves_frees_its_place_for_the_next(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"parallel": 1, "budget": ["1 USD / day"]}})).await?;
    let script = "leaves-its-place";
    let gate = Gate::closed();
    let held =
        Reply::text(["one ", "two ", "three"]).usage(10, 3).ending_after(2, Ending::Gate(gate.clone()));
    world.upstream.script(script, [held.into(), Reply::text(["next"]).usage(10, 1).into()]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["stream"] = json!(true);
    let mut answer = world.ask(Dialect::OpenAi, &key, &body).send().await?;
    answer.until("two").await?;
    check_eq!(world.ask(Dialect::OpenAi, &key, &body).whole().await?.status, 429);
    drop(answer);
    if !world.host.kind.sees_clients_leave() {
        gate.open();
    }
    world.closed_books(&key).await?;
    check_eq!(world.ask(Dialect::OpenAi, &key, &body).whole().await?.status, 200);
    Ok(())
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await
}
