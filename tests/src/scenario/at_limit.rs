//! What becomes of requests at a limit: windows that nobody passes, waiting, cheaper models, limits that only watch, and what else they
//! may be set on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::limits::retry_after;
use crate::check_eq;
use crate::client::Whole;
use crate::upstream::{Dialect, Gate, Play, Reply};
use crate::world::{World, model, question};

scenarios![
    seventy_seconds_of_arrivals_at_three_times_the_limit_pass_it_in_no_window,
    who_waits_as_long_as_the_refusal_says_passes,
    a_request_at_a_limit_waits_where_that_is_asked_for,
    a_request_that_its_budget_cannot_pay_falls_to_a_cheaper_model,
    a_limit_in_shadow_refuses_nothing_and_says_so,
    single_models_and_sessions_have_limits_of_their_own,
    a_budget_renews_at_midnight_where_its_zone_is,
];

const MINUTE: Duration = Duration::from_mins(1);

fn yes() -> Play {
    Reply::text(["yes"]).usage(1, 1).into()
}

fn plain(script: &str) -> Value {
    question(Dialect::OpenAi, &model(Dialect::OpenAi, script))
}

async fn seventy_seconds_of_arrivals_at_three_times_the_limit_pass_it_in_no_window(
    world: Arc<World>,
) -> Result<()> {
    const LIMIT: usize = 24;
    const LENGTH: Duration = Duration::from_secs(70);
    const ARRIVALS: usize = 3 * LIMIT * 7 / 6;
    let key = world.host.key(json!({"limits": {"rpm": LIMIT}})).await?;
    let script = "three-times-the-limit";
    world.upstream.script(script, [yes()]);
    let body = plain(script);
    let began = Instant::now();
    let mut random = fastrand::Rng::with_seed(60);
    let calls = (0..ARRIVALS).map(|_| {
        let at = began + LENGTH.mul_f64(random.f64());
        let call = world.ask(Dialect::OpenAi, &key, &body);
        async move {
            sleep_until(at).await;
            let sent = Instant::now();
            let answer = call.whole().await?;
            anyhow::Ok((sent, Instant::now(), answer))
        }
    });
    let mut admitted = Vec::new();
    for (sent, answered, answer) in futures_util::future::try_join_all(calls).await? {
        match answer.status {
            200 => admitted.push((sent, answered)),
            429 => ensure!((1..=61).contains(&retry_after(&answer)?), "{:?}", answer.headers),
            other => anyhow::bail!("{other}: {}", answer.text()),
        }
    }
    // The first minute is used to the last request, and a window that has let some go lets others in.
    ensure!(admitted.len() > LIMIT, "only {} were admitted in {LENGTH:?}", admitted.len());
    // Each was admitted between these two moments: so many lie within a minute for certain.
    for (_, last) in &admitted {
        let within = admitted.iter().filter(|(sent, answered)| answered <= last && *last - *sent < MINUTE);
        let within = within.count();
        ensure!(within <= LIMIT, "{within} within a minute, of {LIMIT}");
    }
    Ok(())
}

async fn who_waits_as_long_as_the_refusal_says_passes(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"rpm": 3}})).await?;
    let script = "waits-as-told";
    world.upstream.script(script, [yes()]);
    let body = plain(script);
    let ask = || world.ask(Dialect::OpenAi, &key, &body).whole();
    for pause in [0, 3, 3] {
        sleep(Duration::from_secs(pause)).await;
        check_eq!(ask().await?.status, 200);
    }
    // All that are refused come again together, as one after the other may.
    let refused = futures_util::future::try_join_all((0..3).map(|_| ask())).await?;
    check_eq!(statuses(&refused), [429; 3]);
    let wait = retry_after(&refused[0])?;
    ensure!(wait <= 61, "{wait} s are more than the window");
    sleep(Duration::from_secs(wait)).await;
    let first = ask().await?;
    check_eq!(first.status, 200, "after {wait} s: {}", first.text());
    for _ in 0..2 {
        let next = ask().await?;
        let next = if next.status == 429 {
            // The first one's room went to another: the refusal says when there is more.
            let wait = retry_after(&next)?;
            ensure!(wait <= 5, "the next place is free 3 s after the last, not {wait}");
            sleep(Duration::from_secs(wait)).await;
            ask().await?
        } else {
            next
        };
        check_eq!(next.status, 200, "{}", next.text());
    }
    Ok(())
}

async fn a_request_at_a_limit_waits_where_that_is_asked_for(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"parallel": 1, "at_limit": {"wait": 30}}})).await?;
    let script = "waits-for-its-turn";
    let gate = Gate::closed();
    world.upstream.script(script, [Play::Gated(gate.clone(), Box::new(yes()))]);
    let body = plain(script);
    let ask = || world.ask(Dialect::OpenAi, &key, &body).whole();
    let first = tokio::spawn(ask());
    world.upstream.arrived(script, 1).await?;
    let second = tokio::spawn(ask());
    sleep(Duration::from_millis(1_500)).await;
    ensure!(!second.is_finished(), "it did not wait: {:?}", second.await??.text());
    check_eq!(world.upstream.received(script).len(), 1);
    gate.open();
    check_eq!(statuses(&[first.await??, second.await??]), [200; 2]);
    check_eq!(world.upstream.received(script).len(), 2);
    Ok(())
}

async fn a_request_that_its_budget_cannot_pay_falls_to_a_cheaper_model(world: Arc<World>) -> Result<()> {
    let script = "falls-to-cheap";
    let limits = json!({
        "budget": ["0.00002 USD / day"], "at_limit": {"cheaper": ["nowhere", format!("cheap/{script}")]},
    });
    let key = world.host.key(json!({"limits": limits})).await?;
    world.upstream.script(script, [yes()]);
    let answer = world.ask(Dialect::OpenAi, &key, &plain(script)).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    let cheap = format!("cheap/{script}");
    check_eq!(answer.header("x-gatelet-fell-to"), Some(cheap.as_str()));
    // A token of input and one of output at a cent a million each.
    check_eq!(world.closed_books(&key).await?.spent, 20);
    Ok(())
}

async fn a_limit_in_shadow_refuses_nothing_and_says_so(world: Arc<World>) -> Result<()> {
    let limits = json!({"rpm": 1, "budget": ["0.000001 USD / day"], "shadow": true});
    let key = world.host.key(json!({"limits": limits})).await?;
    let script = "only-watched";
    world.upstream.script(script, [yes()]);
    for _ in 0..2 {
        let answer = world.ask(Dialect::OpenAi, &key, &plain(script)).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.header("x-gatelet-shadow-limit").context("nothing is said of the limit")?;
        ensure!(said.contains(&key.id), "{said}");
    }
    Ok(())
}

async fn single_models_and_sessions_have_limits_of_their_own(world: Arc<World>) -> Result<()> {
    let (limited, free) = ("limited-model", "free-model");
    let key = world
        .host
        .key(json!({
            "model_limits": {model(Dialect::OpenAi, limited): {"rpm": 1}}, "session_limits": {"rpm": 2},
        }))
        .await?;
    for script in [limited, free] {
        world.upstream.script(script, [yes()]);
    }
    let ask = async |script: &str, session: &str| {
        let call = world.ask(Dialect::OpenAi, &key, &plain(script)).header("x-gatelet-session", session);
        anyhow::Ok(call.whole().await?.status)
    };
    check_eq!([ask(limited, "a").await?, ask(limited, "b").await?], [200, 429]);
    check_eq!([ask(free, "a").await?, ask(free, "a").await?, ask(free, "b").await?], [200, 429, 200]);
    Ok(())
}

async fn a_budget_renews_at_midnight_where_its_zone_is(world: Arc<World>) -> Result<()> {
    // Neither changes its clocks: fourteen hours, and five and a half, before UTC.
    for (zone, midnight) in [("Pacific/Kiritimati", "T10:00:00Z"), ("Asia/Kolkata", "T18:30:00Z")] {
        let key = world.host.key(json!({"limits": {"budget": [format!("1 USD / day in {zone}")]}})).await?;
        let script = format!("midnight-in-{}", &zone[zone.len() - 4..]);
        world.upstream.script(&script, [yes()]);
        check_eq!(world.ask(Dialect::OpenAi, &key, &plain(&script)).whole().await?.status, 200);
        let renews = world.closed_books(&key).await?.renews_at.context("it never renews")?;
        ensure!(renews.ends_with(midnight), "{zone}: {renews}");
    }
    Ok(())
}

fn statuses(answers: &[Whole]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}
