//! Rules for a ledger: atomic over accounts, exact under any number of callers, and the same when it is asked twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::join_all;
use gatelet_core::domain::account::{
    Carried, DenialCause, Document, Grant, Limits, Op, OutputBound, Reserve, Settle, Statement, Stood,
};
use gatelet_core::domain::{
    AccountId, Blame, HoldId, Key, Money, Notice, Notices, Rate, ShardId, Stands, Timestamp,
};
use gatelet_core::port::{Entry, Ledger, Transaction};
use serde_json::json;

use super::nested::two_hundred_callers_of_one_organisation_wait_little;
use crate::check_eq;

super::rules![gatelet_core::port::Ledger:
    an_account_that_was_never_written_is_none,
    a_document_is_written_by_version_and_read_back,
    of_many_writers_of_one_version_one_wins,
    a_reservation_holds_in_every_account_or_in_none,
    a_reservation_asked_twice_holds_once,
    a_settlement_sent_twice_charges_once,
    a_stale_version_is_answered_with_the_document_that_stands,
    expired_holds_are_swept_and_still_charged_when_settled_late,
    amounts_are_kept_to_the_nano_dollar,
    two_hundred_callers_hold_exactly_what_a_budget_affords,
    two_hundred_callers_use_up_a_budget_and_never_pass_it,
    two_hundred_callers_of_two_accounts_never_pass_their_parents_budget,
    parallel_requests_are_bounded_under_two_hundred_callers,
    entries_are_kept_in_order_until_they_are_cleared,
    an_entry_sent_twice_is_kept_once,
    entries_are_kept_whatever_becomes_of_the_accounts,
    two_hundred_callers_lose_no_entry,
    shards_do_not_meet,
    accounts_are_listed_in_order_over_pages,
    what_is_expected_to_have_no_document_is_only_looked_at,
    limits_that_a_reservation_carries_hold_without_a_document,
    what_is_told_of_targets_is_heard_by_the_next_who_asks,
    two_hundred_callers_of_one_organisation_wait_little,
];

const CALLERS: usize = 200;

async fn an_account_that_was_never_written_is_none(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "never");
    check_eq!(books.ledger.read(&books.shard, &account("nobody")).await?, None);
    check_eq!(books.ledger.outbox(&books.shard, 10).await?, Vec::new());
    let grant = books.reserve(&["nobody"], "hold", 1, 1, 1).await?;
    check_eq!(grant, Grant::Stale(vec![Stood { account: account("nobody"), document: None }]));
    Ok(())
}

/// What rides on a settlement, or on a reservation that is refused, goes out with every later answer of the shard until it
/// is over; the last word on a target counts, and other shards hear nothing.
async fn what_is_told_of_targets_is_heard_by_the_next_who_asks(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "notices");
    books.key("one", &json!({"rpm": 2})).await?;
    let notice = |target: &str, faults: u32, stands: Stands| Notice {
        target: target.into(),
        at: books.now,
        faults,
        stands,
    };
    let until = books.now.after(Duration::from_mins(10));
    let out = Stands::Out { until, blame: Blame::Limited { until: Some(until) }, outs: 2 };
    let tell = async |op: Op, notices: Vec<Notice>, now: Timestamp| -> Result<Vec<Notice>> {
        let transaction = Transaction { accounts: vec![account("one")], op, entries: Vec::new(), notices };
        Ok(books.ledger.transact(&books.shard, transaction, now).await?.notices)
    };
    let reserve = |hold: &str| Op::Reserve(books.reservation(hold, 1, 1, 1));
    let settle = |hold: &str| {
        Op::Settle(Settle {
            hold: HoldId::new(hold),
            tokens: 1,
            output_tokens: 0,
            cost: Money::from_nanos(1),
        })
    };
    check_eq!(tell(reserve("a"), Vec::new(), books.now).await?, Vec::new());
    let told = vec![notice("p/limited", 1, out), notice("p/shaky", 3, Stands::In)];
    tell(settle("a"), told.clone(), books.now).await?;
    for _ in 0..2 {
        let mut heard = tell(reserve("b"), Vec::new(), books.now).await?;
        heard.sort_by(|one, other| one.target.cmp(&other.target));
        check_eq!(heard, told);
    }
    // The third request of the minute is refused; what it tells is kept all the same.
    let back = notice("p/shaky", 0, Stands::Returning);
    tell(reserve("c"), vec![back.clone()], books.now).await?;
    let mut heard = books.ledger.notices(&books.shard, books.now).await?;
    heard.sort_by(|one, other| one.target.cmp(&other.target));
    check_eq!(heard, [told[0].clone(), back]);
    check_eq!(books.ledger.notices(&ShardId::new("notices-of-others"), books.now).await?, Vec::new());
    // What was seen longer ago than notices live is over, unless what it says is not.
    let later = books.now.after(Notices::LIFE);
    check_eq!(tell(settle("b"), Vec::new(), later).await?, [told[0].clone()]);
    check_eq!(tell(settle("b"), Vec::new(), until.after(Notices::LIFE)).await?, Vec::new());
    // However many there are, an answer stays short.
    let many: Vec<Notice> = (0..100).map(|number| notice(&format!("p/{number}"), 1, Stands::In)).collect();
    let heard = tell(settle("b"), many, books.now).await?;
    ensure!((1..=Notices::MOST).contains(&heard.len()), "{} notices", heard.len());
    Ok(())
}

/// Nothing is held of an account that is expected to have no document, nor does it come to be; a document that somebody
/// writes meanwhile is told, and then nothing is held anywhere.
async fn what_is_expected_to_have_no_document_is_only_looked_at(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "looked");
    books.key("one", &json!({"budget": ["1 USD / day"]})).await?;
    let reserve =
        |hold: &str| Op::Reserve(Reserve { versions: vec![1, 0, 0], ..books.reservation(hold, 5, 100, 7) });
    let names = ["one", "quiet", "other"];
    for _ in 0..2 {
        let grant = books.transact(&names, reserve("a"), books.now).await?;
        ensure!(matches!(grant, Grant::Held { output_tokens: 7, .. }), "{grant:?}");
    }
    check_eq!(books.ledger.read(&books.shard, &account("quiet")).await?, None);
    let listed = books.ledger.list(&books.shard, "", None, 10).await?;
    check_eq!(listed.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), [account("one")]);
    let first = books.key("quiet", &json!({"rpm": 1})).await?;
    let stood = Stood { account: account("quiet"), document: Some(Box::new(first)) };
    check_eq!(books.transact(&names, reserve("b"), books.now).await?, Grant::Stale(vec![stood]));
    check_eq!(books.statement("one").await?.open, 1);
    check_eq!(books.settle(&["one"], "a", 5, 60).await?, Grant::Settled);
    let statement = books.statement("one").await?;
    check_eq!((statement.spent, statement.open), (Money::from_nanos(60), 0));
    check_eq!(books.statement("quiet").await?.open, 0);
    Ok(())
}

async fn limits_that_a_reservation_carries_hold_without_a_document(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "carried");
    books.key("one", &json!({})).await?;
    let limits: Limits = serde_json::from_value(json!({"budget": ["0.000000250 USD / day"], "parallel": 2}))?;
    let names = ["one", "session"];
    let reserve = |hold: &str| {
        let carried = vec![Carried { place: 1, limits: limits.clone() }];
        Op::Reserve(Reserve { versions: vec![1, 0], carried, ..books.reservation(hold, 5, 100, 7) })
    };
    for hold in ["a", "b"] {
        let grant = books.transact(&names, reserve(hold), books.now).await?;
        ensure!(matches!(grant, Grant::Held { .. }), "{grant:?}");
    }
    for hold in ["a", "b"] {
        check_eq!(books.settle(&names, hold, 5, 100).await?, Grant::Settled);
    }
    let denied = books.transact(&names, reserve("c"), books.now).await?;
    let Grant::Denied(denial) = denied else { bail!("{denied:?}") };
    check_eq!((denial.account, denial.cause), (account("session"), DenialCause::BudgetSpent));
    check_eq!(books.statement("one").await?.open, 0);
    // Once nothing of it counts any more it is forgotten; what has a document never is.
    for (hours, there) in [(1, true), (49, false)] {
        let later = books.now.after(Duration::from_hours(hours));
        for name in names {
            books.transact(&[name], Op::Sweep, later).await?;
        }
        let session = books.ledger.read(&books.shard, &account("session")).await?;
        check_eq!(session.is_some_and(|session| !session.is_blank()), there, "after {hours} hours");
        check_eq!(books.statement("one").await?.spent, Money::from_nanos(200));
    }
    Ok(())
}

async fn a_document_is_written_by_version_and_read_back(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "documents");
    let first = books.document("one", 1, &json!({"rpm": 5, "budget": ["5 USD / day"]}))?;
    check_eq!(books.write(&first, None).await?, Grant::Written);
    check_eq!(books.write(&first, None).await?, Grant::Written, "the same once more");
    let other = books.document("one", 1, &json!({"rpm": 6}))?;
    check_eq!(books.write(&other, None).await?, Grant::Conflict(Some(Box::new(first.clone()))));
    let second = books.document("one", 2, &json!({"rpm": 7}))?;
    check_eq!(books.write(&second, Some(1)).await?, Grant::Written);
    let stands = books.ledger.read(&books.shard, &account("one")).await?.context("not there")?;
    check_eq!(stands.document(), Some(&second));
    Ok(())
}

async fn of_many_writers_of_one_version_one_wins(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "writers");
    books.key("one", &json!({})).await?;
    let mut documents = Vec::new();
    for number in 0..50 {
        documents.push(books.document("one", 2, &json!({"rpm": number}))?);
    }
    let grants = join_all(documents.iter().map(|document| {
        let (books, document) = (books.clone(), document.clone());
        tokio::spawn(async move { books.write(&document, Some(1)).await })
    }))
    .await;
    let mut written = Vec::new();
    for (grant, document) in grants.into_iter().zip(&documents) {
        match grant?? {
            Grant::Written => written.push(document),
            Grant::Conflict(_) => {}
            other => bail!("{other:?}"),
        }
    }
    check_eq!(written.len(), 1, "writers that won");
    let stands = books.ledger.read(&books.shard, &account("one")).await?.context("not there")?;
    check_eq!(stands.document(), Some(written[0]));
    Ok(())
}

async fn a_reservation_holds_in_every_account_or_in_none(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "allornone");
    books.key("rich", &json!({"budget": ["1 USD / day"]})).await?;
    books.key("poor", &json!({"budget": ["0.000001 USD / day"]})).await?;
    let grant = books.reserve(&["rich", "poor"], "both", 0, 2_000, 0).await?;
    ensure!(matches!(&grant, Grant::Denied(denial) if denial.account == account("poor")), "{grant:?}");
    for name in ["rich", "poor"] {
        check_eq!(books.statement(name).await?.held, Money::ZERO, "{name}");
    }
    held(&books.reserve(&["rich", "poor"], "small", 0, 800, 0).await?)?;
    for name in ["rich", "poor"] {
        check_eq!(books.statement(name).await?.held, Money::from_nanos(800), "{name}");
    }
    check_eq!(books.settle(&["rich", "poor"], "small", 10, 700).await?, Grant::Settled);
    for name in ["rich", "poor"] {
        let statement = books.statement(name).await?;
        check_eq!((statement.spent, statement.held), (Money::from_nanos(700), Money::ZERO), "{name}");
    }
    Ok(())
}

async fn a_reservation_asked_twice_holds_once(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "twice");
    books.key("one", &json!({"budget": ["1 USD / day"], "rpm": 1})).await?;
    let first = books.reserve(&["one"], "hold", 5, 100, 7).await?;
    held(&first)?;
    check_eq!(books.reserve(&["one"], "hold", 5, 100, 7).await?, first);
    check_eq!(books.statement("one").await?.open, 1);
    // Many copies at once, too: a network that doubles requests makes no second hold.
    let copies = join_all((0..20).map(|_| {
        let books = books.clone();
        tokio::spawn(async move { books.reserve(&["one"], "hold", 5, 100, 7).await })
    }));
    for copy in copies.await {
        check_eq!(copy??, first);
    }
    check_eq!(books.statement("one").await?.open, 1);
    Ok(())
}

async fn a_settlement_sent_twice_charges_once(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "settled");
    books.key("one", &json!({"budget": ["1 USD / day"]})).await?;
    held(&books.reserve(&["one"], "hold", 5, 1_000, 7).await?)?;
    let copies = join_all((0..20).map(|_| {
        let books = books.clone();
        tokio::spawn(async move { books.settle(&["one"], "hold", 12, 900).await })
    }));
    for copy in copies.await {
        check_eq!(copy??, Grant::Settled);
    }
    let statement = books.statement("one").await?;
    check_eq!((statement.spent, statement.held, statement.open), (Money::from_nanos(900), Money::ZERO, 0));
    check_eq!(books.settle(&["one"], "nobodys", 12, 900).await?, Grant::NoHold);
    Ok(())
}

async fn a_stale_version_is_answered_with_the_document_that_stands(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "stale");
    books.key("one", &json!({})).await?;
    let second = books.document("one", 2, &json!({"rpm": 3}))?;
    check_eq!(books.write(&second, Some(1)).await?, Grant::Written);
    let stood = Stood { account: account("one"), document: Some(Box::new(second)) };
    check_eq!(books.reserve(&["one"], "hold", 5, 100, 7).await?, Grant::Stale(vec![stood]));
    check_eq!(books.statement("one").await?.open, 0);
    Ok(())
}

async fn expired_holds_are_swept_and_still_charged_when_settled_late(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "swept");
    books.key("one", &json!({"budget": ["1 USD / day"]})).await?;
    held(&books.reserve(&["one"], "hold", 5, 1_000, 7).await?)?;
    let later = books.now.after(LIFE + Duration::from_secs(2));
    check_eq!(books.transact(&["one"], Op::Sweep, later).await?, Grant::Swept { holds: 1 });
    check_eq!(books.transact(&["one"], Op::Sweep, later).await?, Grant::Swept { holds: 0 });
    check_eq!(books.statement("one").await?.held, Money::ZERO);
    let settle = Op::Settle(Settle {
        hold: HoldId::new("hold"),
        tokens: 12,
        output_tokens: 0,
        cost: Money::from_nanos(900),
    });
    check_eq!(books.transact(&["one"], settle, later).await?, Grant::Settled);
    check_eq!(books.statement("one").await?.spent, Money::from_nanos(900));
    Ok(())
}

async fn amounts_are_kept_to_the_nano_dollar(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "amounts");
    books.key("one", &json!({"budget": ["18000000000 USD / total"]})).await?;
    let amounts = [1, 999_999_999, 9_007_199_254_740_993, 8_999_999_999_000_000_001];
    for (number, amount) in amounts.into_iter().enumerate() {
        let hold = format!("hold{number}");
        held(&books.reserve(&["one"], &hold, 0, amount, 0).await?)?;
        check_eq!(books.statement("one").await?.held, Money::from_nanos(amount));
        check_eq!(books.settle(&["one"], &hold, 0, amount).await?, Grant::Settled);
    }
    check_eq!(books.statement("one").await?.spent, Money::from_nanos(amounts.iter().sum()));
    Ok(())
}

async fn two_hundred_callers_hold_exactly_what_a_budget_affords(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "exact");
    books.key("one", &json!({"budget": ["0.01 USD / day"]})).await?;
    // 100 times 100,000 nano-dollars are the budget: not one more, not one less.
    let grants = books.all_at_once(|books, number| async move {
        books.reserve(&["one"], &format!("hold{number}"), 0, 100_000, 0).await
    });
    let admitted = grants.await?.iter().filter(|grant| matches!(grant, Grant::Held { .. })).count();
    check_eq!(admitted, 100);
    check_eq!(books.statement("one").await?.held, Money::from_nanos(10_000_000));
    Ok(())
}

async fn two_hundred_callers_use_up_a_budget_and_never_pass_it(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "usedup");
    books.key("one", &json!({"budget": ["0.01 USD / day"]})).await?;
    // A bound of 90,000 and a truth of 61,000, over and over until the budget says no.
    let use_up = |books: Books, caller: usize| async move {
        let mut charged = 0;
        for number in 0.. {
            let hold = format!("hold{caller}x{number}");
            match books.reserve(&["one"], &hold, 0, 90_000, 0).await? {
                Grant::Held { .. } => {}
                Grant::Denied(_) => break,
                other => bail!("{other:?}"),
            }
            check_eq!(books.settle(&["one"], &hold, 0, 61_000).await?, Grant::Settled);
            charged += 61_000;
        }
        Ok(charged)
    };
    let charged: u64 = books.all_at_once(use_up).await?.iter().sum();
    // Some were refused while others' bounds were held: the last caller finds what these gave back.
    let charged = charged + use_up(books.clone(), CALLERS).await?;
    let statement = books.statement("one").await?;
    check_eq!((statement.spent, statement.held), (Money::from_nanos(charged), Money::ZERO));
    ensure!(charged <= 10_000_000, "{charged} nano-dollars are more than the budget");
    ensure!(charged >= 9_900_000, "only {charged} nano-dollars of 10,000,000 could be used");
    Ok(())
}

async fn two_hundred_callers_of_two_accounts_never_pass_their_parents_budget(
    ledger: Arc<dyn Ledger>,
) -> Result<()> {
    let books = Books::open(ledger, "parents");
    books.key("parent", &json!({"budget": ["0.01 USD / day"]})).await?;
    for child in ["left", "right"] {
        books.key(child, &json!({"budget": ["1 USD / day"]})).await?;
    }
    let grants = books.all_at_once(|books, number| async move {
        let child = if number % 2 == 0 { "left" } else { "right" };
        books.reserve(&[child, "parent"], &format!("hold{number}"), 0, 100_000, 0).await
    });
    let admitted = grants.await?.iter().filter(|grant| matches!(grant, Grant::Held { .. })).count();
    check_eq!(admitted, 100);
    let nanos = async |name| books.statement(name).await.map(|statement| statement.held.nanos());
    check_eq!(nanos("parent").await?, 10_000_000);
    check_eq!(nanos("left").await? + nanos("right").await?, 10_000_000);
    Ok(())
}

async fn parallel_requests_are_bounded_under_two_hundred_callers(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "parallel");
    books.key("one", &json!({"parallel": 7, "rpm": 150})).await?;
    let outcomes = books.all_at_once(|books, number| async move {
        let hold = format!("hold{number}");
        let grant = books.reserve(&["one"], &hold, 0, 0, 0).await?;
        let open = books.statement("one").await?.open;
        ensure!(open <= 7, "{open} were open at once");
        if let Grant::Held { .. } = grant {
            check_eq!(books.settle(&["one"], &hold, 0, 0).await?, Grant::Settled);
        }
        Ok(matches!(grant, Grant::Held { .. }))
    });
    let admitted = outcomes.await?.into_iter().filter(|admitted| *admitted).count();
    ensure!((7..=150).contains(&admitted), "{admitted} were admitted");
    check_eq!(books.statement("one").await?.open, 0);
    Ok(())
}

async fn entries_are_kept_in_order_until_they_are_cleared(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "entries");
    books.key("one", &json!({})).await?;
    held(&books.reserve(&["one"], "hold", 0, 0, 0).await?)?;
    let settle =
        Settle { hold: HoldId::new("hold"), tokens: 1, output_tokens: 0, cost: Money::from_nanos(5) };
    let mut last = entry(3);
    last.settle = Some((vec![account("one")], settle.clone()));
    books.enter(&["one"], Op::Settle(settle), vec![last.clone(), entry(1)]).await?;
    books.enter(&[], Op::Sweep, vec![entry(2)]).await?;
    // A ledger that writes accounts and entries in one step need not keep what is settled already.
    let kept = books.ledger.outbox(&books.shard, 10).await?;
    let last = if kept.last().is_some_and(|entry| entry.settle.is_none()) { entry(3) } else { last };
    check_eq!(kept, [entry(1), entry(2), last.clone()]);
    check_eq!(books.ledger.outbox(&books.shard, 2).await?, [entry(1), entry(2)]);
    books.ledger.clear(&books.shard, &[entry(1).id.to_string(), entry(2).id.to_string()]).await?;
    check_eq!(books.ledger.outbox(&books.shard, 10).await?, std::slice::from_ref(&last));
    books.ledger.clear(&books.shard, &[entry(1).id.to_string(), last.id.to_string()]).await?;
    check_eq!(books.ledger.outbox(&books.shard, 10).await?, Vec::new());
    Ok(())
}

async fn an_entry_sent_twice_is_kept_once(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "entrytwice");
    for _ in 0..2 {
        books.enter(&[], Op::Sweep, vec![entry(1)]).await?;
    }
    check_eq!(books.ledger.outbox(&books.shard, 10).await?, [entry(1)]);
    Ok(())
}

async fn entries_are_kept_whatever_becomes_of_the_accounts(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "entrykept");
    let settle =
        Settle { hold: HoldId::new("nobodys"), tokens: 1, output_tokens: 0, cost: Money::from_nanos(5) };
    let grant = books.enter(&["nobody"], Op::Settle(settle), vec![entry(1)]).await?;
    check_eq!(grant, Grant::NoHold);
    check_eq!(books.ledger.outbox(&books.shard, 10).await?, [entry(1)]);
    Ok(())
}

async fn two_hundred_callers_lose_no_entry(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "manyentries");
    books.key("one", &json!({"budget": ["1 USD / day"]})).await?;
    books
        .all_at_once(|books, number| async move {
            let hold = format!("hold{number}");
            held(&books.reserve(&["one"], &hold, 0, 1_000, 0).await?)?;
            let settle = Settle {
                hold: HoldId::new(hold),
                tokens: 1,
                output_tokens: 0,
                cost: Money::from_nanos(1_000),
            };
            check_eq!(books.enter(&["one"], Op::Settle(settle), vec![entry(number)]).await?, Grant::Settled);
            Ok(())
        })
        .await?;
    let wanted: Vec<Entry> = (0..CALLERS).map(entry).collect();
    check_eq!(books.ledger.outbox(&books.shard, 1_000).await?, wanted);
    check_eq!(books.statement("one").await?.spent, Money::from_nanos(200_000));
    Ok(())
}

async fn shards_do_not_meet(ledger: Arc<dyn Ledger>) -> Result<()> {
    let (here, there) = (Books::open(Arc::clone(&ledger), "here"), Books::open(ledger, "there"));
    here.key("one", &json!({"budget": ["1 USD / day"]})).await?;
    check_eq!(there.ledger.read(&there.shard, &account("one")).await?, None);
    there.enter(&[], Op::Sweep, vec![entry(1)]).await?;
    check_eq!(here.ledger.outbox(&here.shard, 10).await?, Vec::new());
    let shards = here.ledger.shards().await?;
    for shard in [&here.shard, &there.shard] {
        check_eq!(shards.iter().filter(|other| *other == shard).count(), 1, "{shard} among {shards:?}");
    }
    Ok(())
}

async fn accounts_are_listed_in_order_over_pages(ledger: Arc<dyn Ledger>) -> Result<()> {
    let books = Books::open(ledger, "listed");
    let names = ["aa", "ab", "ac", "b0", "b1"];
    for name in names.iter().rev() {
        books.key(name, &json!({})).await?;
    }
    for limit in [1, 2, 100] {
        let mut seen = Vec::new();
        let mut after: Option<AccountId> = None;
        loop {
            let page = books.ledger.list(&books.shard, "key/", after.as_ref(), limit).await?;
            ensure!(page.len() <= limit, "{} accounts where {limit} were asked", page.len());
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            seen.extend(page.into_iter().map(|(id, _)| id));
        }
        check_eq!(seen, names.map(account), "in pages of {limit}");
    }
    let some = books.ledger.list(&books.shard, "key/a", None, 100).await?;
    check_eq!(some.len(), 3);
    check_eq!(some[0].1.document().map(Document::account), Some(AccountId::key("aa")));
    check_eq!(books.ledger.list(&books.shard, "team/", None, 100).await?.len(), 0);
    Ok(())
}

/// How long the holds of these rules live.
const LIFE: Duration = Duration::from_mins(10);

/// One shard of the ledger, at one moment.
#[derive(Clone)]
struct Books {
    ledger: Arc<dyn Ledger>,
    shard: ShardId,
    now: Timestamp,
}

impl Books {
    /// A shard of its own for each rule, and for each run: a ledger may outlive the test.
    fn open(ledger: Arc<dyn Ledger>, rule: &str) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or_default());
        let run = now.micros() % 1_000_000_000;
        Self { ledger, shard: ShardId::new(format!("{rule}{run}")), now }
    }

    fn document(&self, name: &str, version: u64, limits: &serde_json::Value) -> Result<Document> {
        let key: Key = serde_json::from_value(json!({
            "id": name, "shard": self.shard.as_str(), "hash": "0".repeat(64), "limits": limits, "state": "active",
            "created": self.now, "updated": self.now,
        }))?;
        Ok(Document::of_key(version, key))
    }

    /// Writes the first document of an account.
    async fn key(&self, name: &str, limits: &serde_json::Value) -> Result<Document> {
        let document = self.document(name, 1, limits)?;
        check_eq!(self.write(&document, None).await?, Grant::Written);
        Ok(document)
    }

    async fn write(&self, document: &Document, expect: Option<u64>) -> Result<Grant> {
        let op = Op::Write { document: Box::new(document.clone()), expect };
        let name = document.account().as_str().trim_start_matches("key/").to_owned();
        self.transact(&[&name], op, self.now).await
    }

    /// Reserves with the first version of the document; costs in nano-dollars.
    async fn reserve(
        &self,
        names: &[&str],
        hold: &str,
        tokens: u64,
        cost: u64,
        output: u64,
    ) -> Result<Grant> {
        self.transact(names, Op::Reserve(self.reservation(hold, tokens, cost, output)), self.now).await
    }

    fn reservation(&self, hold: &str, tokens: u64, cost: u64, output: u64) -> Reserve {
        Reserve {
            hold: HoldId::new(hold),
            versions: vec![1],
            carried: Vec::new(),
            input_tokens: tokens,
            input_cost: Money::from_nanos(cost),
            output: OutputBound { tokens: output, rate: Rate::ZERO, elastic: false },
            expires: self.now.after(LIFE),
        }
    }

    async fn settle(&self, names: &[&str], hold: &str, tokens: u64, cost: u64) -> Result<Grant> {
        let settle =
            Settle { hold: HoldId::new(hold), tokens, output_tokens: 0, cost: Money::from_nanos(cost) };
        self.transact(names, Op::Settle(settle), self.now).await
    }

    async fn enter(&self, names: &[&str], op: Op, entries: Vec<Entry>) -> Result<Grant> {
        let accounts = names.iter().map(|name| account(name)).collect();
        let transaction = Transaction::new(accounts, op, entries);
        Ok(self.ledger.transact(&self.shard, transaction, self.now).await?.grant)
    }

    async fn transact(&self, names: &[&str], op: Op, now: Timestamp) -> Result<Grant> {
        let accounts = names.iter().map(|name| account(name)).collect();
        let transaction = Transaction::new(accounts, op, Vec::new());
        Ok(self.ledger.transact(&self.shard, transaction, now).await?.grant)
    }

    async fn statement(&self, name: &str) -> Result<Statement> {
        let account = self.ledger.read(&self.shard, &account(name)).await?;
        Ok(account.with_context(|| format!("{name} is not there"))?.statement(self.now))
    }

    /// Two hundred callers, each a task of its own.
    async fn all_at_once<T, F>(&self, call: impl Fn(Self, usize) -> F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let calls = (0..CALLERS).map(|number| tokio::spawn(call(self.clone(), number)));
        join_all(calls).await.into_iter().map(|outcome| outcome?).collect()
    }
}

fn account(name: &str) -> AccountId {
    AccountId::key(name)
}

fn entry(number: usize) -> Entry {
    let line = format!("{{\"number\":{number}}}").into();
    Entry { id: format!("{number:016}-record").into(), line, settle: None }
}

fn held(grant: &Grant) -> Result<()> {
    ensure!(matches!(grant, Grant::Held { .. }), "{grant:?}");
    Ok(())
}
