//! Budgets: never passed, almost fully usable, and true to the nano-dollar afterwards.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::bad_input::is_an_error_of;
use crate::check_eq;
use crate::upstream::{Dialect, Reply, Usage};
use crate::world::{World, cost, model, nanos, question};

scenarios![
    the_books_are_right_to_the_nano_dollar,
    cached_tokens_are_counted_once,
    two_hundred_callers_never_pass_a_budget_and_can_use_it_up,
    a_spent_budget_is_refused_by_account_limit_and_renewal,
    a_request_that_no_budget_affords_is_refused_by_account_and_limit,
    several_budgets_hold_at_once,
    a_soft_budget_only_alerts,
    output_is_capped_where_the_caller_gave_no_cap,
    the_cap_is_what_the_budget_affords,
    an_unpriced_model_is_refused_where_money_is_limited,
    a_caller_who_did_not_ask_for_usage_sees_none_and_is_charged_right,
];

async fn the_books_are_right_to_the_nano_dollar(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let mut wanted = 0;
    for (number, (input, output)) in [(1, 1), (17, 3), (123, 50), (7, 49)].into_iter().enumerate() {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            for streamed in [false, true] {
                let script = format!("books-{dialect:?}-{number}-{streamed}").to_lowercase();
                world.upstream.script(&script, [Reply::text(["a", "b"]).usage(input, output).into()]);
                let mut body = question(dialect, &model(dialect, &script));
                body["stream"] = json!(streamed);
                let answer = world.ask(dialect, &key, &body).whole().await?;
                check_eq!(answer.status, 200, "{}", answer.text());
                if !streamed {
                    let told = nanos(answer.header("x-gatelet-cost").context("no x-gatelet-cost")?)?;
                    check_eq!(told, cost(input, output));
                }
                wanted += cost(input, output);
                // The answer has ended, so its books are closed: no waiting here.
                let books = world.books(&key).await?;
                check_eq!((books.spent, books.held), (wanted, 0), "after {script}");
            }
        }
    }
    Ok(())
}

async fn cached_tokens_are_counted_once(world: Arc<World>) -> Result<()> {
    // The scripted models have no price for cached reads, so these cost as much as other input.
    let usage = Usage { input: 10, cache_read: 20, cache_write: 0, output: 5 };
    for caller in [Dialect::OpenAi, Dialect::Anthropic] {
        for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
            let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
            let script = format!("cached-{caller:?}-{upstream:?}").to_lowercase();
            world.upstream.script(&script, [Reply::text(["a"]).with_usage(usage).into()]);
            let answer =
                world.ask(caller, &key, &question(caller, &model(upstream, &script))).expect(200).await?;
            let told = match caller {
                Dialect::OpenAi => (
                    answer["usage"]["prompt_tokens"].clone(),
                    answer["usage"]["prompt_tokens_details"]["cached_tokens"].clone(),
                ),
                Dialect::Anthropic => (
                    answer["usage"]["input_tokens"].clone(),
                    answer["usage"]["cache_read_input_tokens"].clone(),
                ),
            };
            let wanted =
                if caller == Dialect::OpenAi { (json!(30), json!(20)) } else { (json!(10), json!(20)) };
            check_eq!(told, wanted, "{script}");
            check_eq!(world.closed_books(&key).await?.spent, cost(30, 5), "{script}");
        }
    }
    Ok(())
}

async fn two_hundred_callers_never_pass_a_budget_and_can_use_it_up(world: Arc<World>) -> Result<()> {
    const BUDGET: u64 = 10_000_000;
    let key = world.host.key(json!({"limits": {"budget": ["0.01 USD / day"]}})).await?;
    let script = "two-hundred-callers";
    // An honest provider: no more tokens than bytes came in, and no more output than was asked for. The bound of one call is
    // less than a hundredth of the budget.
    world.upstream.script(script, [Reply::text(["a", "b"]).usage(40, 2).into()]);
    let body = json!({
        "model": model(Dialect::OpenAi, script), "max_completion_tokens": 2,
        "messages": [{"role": "user", "content": "Forty bytes of text make forty tokens ..."}],
    });
    let caller = async || -> Result<u64> {
        let mut admitted = 0;
        loop {
            let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
            match answer.status {
                200 => admitted += 1,
                402 | 429 => return Ok(admitted),
                other => anyhow::bail!("{other}: {}", answer.text()),
            }
        }
    };
    let admitted: u64 = try_join_all((0..200).map(|_| caller())).await?.into_iter().sum();
    let books = world.closed_books(&key).await?;
    check_eq!(books.spent, admitted * cost(40, 2), "what was answered is what was charged");
    ensure!(books.spent <= BUDGET, "{} is more than the budget", books.spent);
    // Callers were refused while others' bounds were held; what these gave back is there for the next ones.
    let more = caller().await?;
    let books = world.closed_books(&key).await?;
    check_eq!(books.spent, (admitted + more) * cost(40, 2));
    ensure!(books.spent <= BUDGET, "{} is more than the budget", books.spent);
    ensure!(books.spent >= BUDGET / 100 * 99, "only {} of {BUDGET} could be used", books.spent);
    check_eq!(world.upstream.received(script).len() as u64, admitted + more, "refused calls never leave");
    Ok(())
}

async fn a_spent_budget_is_refused_by_account_limit_and_renewal(world: Arc<World>) -> Result<()> {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let key =
            world.host.key(json!({"alias": "poor", "limits": {"budget": ["0.0005 USD / day"]}})).await?;
        let script = format!("spent-{dialect:?}").to_lowercase();
        world.upstream.script(&script, [Reply::text(["a"]).usage(10, 50).into()]);
        let body = question(dialect, &model(dialect, &script));
        for _ in 0..2 {
            check_eq!(world.ask(dialect, &key, &body).whole().await?.status, 200);
        }
        let answer = world.ask(dialect, &key, &body).whole().await?;
        check_eq!(answer.status, 402, "{}", answer.text());
        let renews = world.books(&key).await?.renews_at.context("a daily budget renews")?;
        ensure!(renews.ends_with("T00:00:00Z"), "a day begins at midnight, not at {renews}");
        let text = answer.text();
        for part in [key.id.as_str(), "0.0005 USD / day", &renews] {
            ensure!(text.contains(part), "the refusal does not name `{part}`: {text}");
        }
        is_an_error_of(dialect, &answer.json()?)?;
        check_eq!(world.upstream.received(&script).len(), 2);
        let books = world.books(&key).await?;
        check_eq!((books.spent, books.held), (2 * cost(10, 50), 0));
    }
    Ok(())
}

async fn a_request_that_no_budget_affords_is_refused_by_account_and_limit(world: Arc<World>) -> Result<()> {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let key = world.host.key(json!({"limits": {"budget": ["0.000001 USD / day"]}})).await?;
        let script = format!("not-affordable-{dialect:?}").to_lowercase();
        let answer = world.ask(dialect, &key, &question(dialect, &model(dialect, &script))).whole().await?;
        check_eq!(answer.status, 402, "{}", answer.text());
        for part in [key.id.as_str(), "0.000001 USD / day"] {
            ensure!(answer.text().contains(part), "the refusal does not name `{part}`: {}", answer.text());
        }
        is_an_error_of(dialect, &answer.json()?)?;
        check_eq!(world.upstream.received(&script).len(), 0);
        let books = world.books(&key).await?;
        check_eq!((books.spent, books.held), (0, 0));
    }
    Ok(())
}

async fn several_budgets_hold_at_once(world: Arc<World>) -> Result<()> {
    let budgets = json!(["1 USD / day", "0.001 USD / month"]);
    let key = world.host.key(json!({"limits": {"budget": budgets}})).await?;
    let script = "several-budgets";
    world.upstream.script(script, [Reply::text(["a"]).usage(10, 50).into()]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    let mut admitted = 0;
    let refused = loop {
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        if answer.status != 200 {
            break answer;
        }
        admitted += 1;
        ensure!(admitted <= 4, "{admitted} calls cost more than the smaller budget");
    };
    check_eq!(refused.status, 402, "{}", refused.text());
    ensure!(refused.text().contains("0.001 USD / month"), "not the limit that said no: {}", refused.text());
    let shown = world.host.show(&key).await?;
    for budget in shown["usage"]["budget"].as_array().context("no budgets")? {
        check_eq!(nanos(budget["spent"].as_str().unwrap_or_default())?, admitted * cost(10, 50));
    }
    Ok(())
}

async fn a_soft_budget_only_alerts(world: Arc<World>) -> Result<()> {
    let limits = json!({"budget": ["1 USD / day"], "soft_budget": ["0.000001 USD / day"]});
    let key = world.host.key(json!({"limits": limits})).await?;
    let script = "soft-budget";
    world.upstream.script(script, [Reply::text(["a"]).usage(10, 5).into()]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    for _ in 0..2 {
        world.ask(Dialect::OpenAi, &key, &body).expect(200).await?;
    }
    check_eq!(world.closed_books(&key).await?.spent, 2 * cost(10, 5));
    Ok(())
}

async fn output_is_capped_where_the_caller_gave_no_cap(world: Arc<World>) -> Result<()> {
    for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
        let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
        let script = format!("no-cap-{upstream:?}").to_lowercase();
        world.upstream.script(&script, [Reply::text(["a"]).usage(5, 5).into()]);
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": model(upstream, &script), "messages": messages});
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let sent = world.upstream.only(&script)?.json()?;
        let cap = cap_of(&sent).with_context(|| format!("no cap was sent: {sent}"))?;
        ensure!(cap > 0 && cap * 4_000 <= 1_000_000_000, "a cap of {cap} is more than a dollar");
        check_eq!(answer.header("x-gatelet-output-cap"), Some(cap.to_string().as_str()));
        check_eq!(world.closed_books(&key).await?.spent, cost(5, 5));
    }
    Ok(())
}

async fn the_cap_is_what_the_budget_affords(world: Arc<World>) -> Result<()> {
    // 0.001 USD buys 250 tokens of output at most, less the input.
    let key = world.host.key(json!({"limits": {"budget": ["0.001 USD / day"]}})).await?;
    let script = "what-the-budget-affords";
    world.upstream.script(script, [Reply::text(["a"]).usage(5, 5).into()]);
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": model(Dialect::OpenAi, script), "messages": messages});
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    let cap = cap_of(&world.upstream.only(script)?.json()?).context("no cap was sent")?;
    ensure!((100..250).contains(&cap), "a cap of {cap}");
    Ok(())
}

async fn an_unpriced_model_is_refused_where_money_is_limited(world: Arc<World>) -> Result<()> {
    let script = "nobody-knows-its-price";
    world.upstream.script(script, [Reply::text(["a"]).usage(5, 5).into()]);
    let body = question(Dialect::OpenAi, &format!("unpriced/{script}"));
    let limited = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let answer = world.ask(Dialect::OpenAi, &limited, &body).whole().await?;
    ensure!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
    ensure!(answer.text().contains("price"), "the refusal does not speak of a price: {}", answer.text());
    check_eq!(world.upstream.received(script).len(), 0);
    let free = world.host.open_key().await?;
    check_eq!(world.ask(Dialect::OpenAi, &free, &body).whole().await?.status, 200);
    Ok(())
}

async fn a_caller_who_did_not_ask_for_usage_sees_none_and_is_charged_right(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let script = "usage-not-asked";
    world.upstream.script(script, [Reply::text(["a", "b"]).usage(9, 4).into()]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["stream"] = json!(true);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    let sent = world.upstream.only(script)?.json()?;
    check_eq!(sent["stream_options"]["include_usage"], json!(true), "the provider was not asked for usage");
    let events = answer.events()?;
    check_eq!(events.last().map(|event| event.data.as_str()), Some("[DONE]"));
    for event in &events[..events.len() - 1] {
        let chunk = event.json()?;
        ensure!(
            chunk["choices"].as_array().is_some_and(|choices| !choices.is_empty()),
            "a chunk without choices: {chunk}"
        );
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(9, 4));
    Ok(())
}

fn cap_of(sent: &Value) -> Option<u64> {
    ["max_completion_tokens", "max_tokens"].iter().find_map(|name| sent[name].as_u64())
}
