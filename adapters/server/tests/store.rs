//! The embedded store keeps what it answered.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gatelet_core::domain::account::{Document, Grant, Op, OutputBound, Reserve, Settle};
use gatelet_core::domain::{AccountId, HoldId, Key, KeyToken, Money, Rate, ShardId, Timestamp};
use gatelet_core::port::{Entry, Expect, FaultKind, Ledger, Store, Transaction};
use gatelet_server::store::{Embedded, NotOpened};

fn account() -> AccountId {
    AccountId::key("7f3k2m9q4t1x")
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

fn write(limits: serde_json::Value) -> Transaction {
    let token = KeyToken { shard: ShardId::main(), id: "7f3k2m9q4t1x".to_owned(), hash: "00".repeat(32) };
    let key = Key { limits: serde_json::from_value(limits).unwrap(), ..Key::new(token, now()) };
    let document = Box::new(Document::of_key(1, key));
    Transaction::new(vec![account()], Op::Write { document, expect: None }, Vec::new())
}

fn reserve(hold: &str, nanos: u64) -> Transaction {
    let op = Op::Reserve(Reserve {
        hold: HoldId::new(hold),
        versions: vec![1],
        carried: Vec::new(),
        input_tokens: 1,
        input_cost: Money::from_nanos(nanos),
        output: OutputBound { tokens: 0, rate: Rate::ZERO, elastic: false },
        expires: now().after(Duration::from_mins(10)),
    });
    Transaction::new(vec![account()], op, Vec::new())
}

fn settle(hold: &str, nanos: u64) -> Transaction {
    let op = Op::Settle(Settle {
        hold: HoldId::new(hold),
        tokens: 1,
        output_tokens: 0,
        cost: Money::from_nanos(nanos),
    });
    Transaction::new(vec![account()], op, vec![entry(hold)])
}

fn entry(id: &str) -> Entry {
    let line = format!("{{\"id\":\"{id}\"}}").into();
    Entry { id: format!("1800000000000000-{id}").into(), line, settle: None }
}

async fn spent(store: &Embedded) -> (String, String) {
    let account = store.read(&ShardId::main(), &account()).await.unwrap().unwrap();
    let statement = serde_json::to_value(account.statement(now())).unwrap();
    let line = &statement["budget"][0];
    (line["spent"].as_str().unwrap().to_owned(), line["held"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_second_process_is_told_that_the_folder_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let first = Embedded::open(folder.path()).unwrap();
    let error = Embedded::open(folder.path()).unwrap_err();
    assert!(matches!(error, NotOpened::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another gatelet"), "{error}");
    drop(first);
    // A child that another test of this process starts right now has the lock until it has become its own program.
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = Embedded::open(folder.path()) {
        assert!(std::time::Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn documents_keep_their_versions_over_deletion_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let first = store.put("config", "a".into(), Expect::Absent).await.unwrap();
    let conflict = store.put("config", "b".into(), Expect::Absent).await.unwrap_err();
    assert_eq!(conflict.kind, FaultKind::Conflict);
    store.delete("config").await.unwrap();
    assert_eq!(store.get("config").await.unwrap(), None);
    assert!(store.put("config", "c".into(), Expect::Version(first)).await.is_err());
    drop(store);
    let store = Embedded::open(folder.path()).unwrap();
    let again = store.put("config", "c".into(), Expect::Absent).await.unwrap();
    assert!(again > first, "version {again} was {first} before");
    assert_eq!(store.get("config").await.unwrap().unwrap().bytes, "c");
}

#[tokio::test]
async fn documents_are_listed_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    for name in ["a/1", "a/2", "a/3", "b/1"] {
        store.put(name, "x".into(), Expect::Anything).await.unwrap();
    }
    let page = Store::list(&store, "a/", None, 2).await.unwrap();
    assert_eq!(page.names, ["a/1", "a/2"]);
    let page = Store::list(&store, "a/", page.next.as_deref(), 2).await.unwrap();
    assert_eq!((page.names, page.next), (vec!["a/3".to_owned()], None));
}

#[tokio::test]
async fn what_was_settled_survives_and_what_was_held_by_a_dead_process_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let shard = ShardId::main();
    store.transact(&shard, write(serde_json::json!({ "budget": ["1 USD / total"] })), now()).await.unwrap();
    for hold in ["one", "two"] {
        let outcome = store.transact(&shard, reserve(hold, 400_000_000), now()).await.unwrap();
        assert!(matches!(outcome.grant, Grant::Held { .. }), "{:?}", outcome.grant);
    }
    let outcome = store.transact(&shard, reserve("three", 400_000_000), now()).await.unwrap();
    assert!(matches!(outcome.grant, Grant::Denied(_)), "{:?}", outcome.grant);
    for _ in 0..2 {
        let outcome = store.transact(&shard, settle("one", 300_000_000), now()).await.unwrap();
        assert_eq!(outcome.grant, Grant::Settled);
    }
    assert_eq!(spent(&store).await, ("0.3".to_owned(), "0.4".to_owned()));
    drop(store);

    let store = Embedded::open(folder.path()).unwrap();
    assert_eq!(spent(&store).await, ("0.3".to_owned(), "0".to_owned()));
    assert_eq!(store.outbox(&shard, 10).await.unwrap(), [entry("one")]);
    assert_eq!(store.shards().await.unwrap(), std::slice::from_ref(&shard));
    store.clear(&shard, &[entry("one").id.to_string()]).await.unwrap();
    assert_eq!(store.outbox(&shard, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_leads_a_commit_takes_nobody_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let shard = ShardId::main();
    store.transact(&shard, write(serde_json::json!({})), now()).await.unwrap();
    for hold in ["one", "two"] {
        store.transact(&shard, reserve(hold, 1), now()).await.unwrap();
    }
    let mut leads = Box::pin(store.transact(&shard, settle("one", 1), now()));
    assert!(futures_util::poll!(&mut leads).is_pending(), "it waits for others to join");
    let mut follows = Box::pin(store.transact(&shard, settle("two", 1), now()));
    assert!(futures_util::poll!(&mut follows).is_pending());
    drop(leads);
    let outcome = tokio::time::timeout(Duration::from_secs(5), follows).await.unwrap().unwrap();
    assert_eq!(outcome.grant, Grant::Settled);
    assert_eq!(store.outbox(&shard, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn accounts_are_listed_as_they_are_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let shard = ShardId::main();
    let ids: Vec<AccountId> = (0..200).map(|n| AccountId::key(&format!("{n:012}"))).collect();
    for id in &ids {
        let transaction = Transaction { accounts: vec![id.clone()], ..write(serde_json::json!({})) };
        store.transact(&shard, transaction, now()).await.unwrap();
    }
    // Only marked: the list sees it all the same.
    let transaction = Transaction { accounts: vec![ids[7].clone()], ..reserve("one", 1) };
    store.transact(&shard, transaction, now()).await.unwrap();
    let all = Ledger::list(&store, &shard, "key/", None, 1_000).await.unwrap();
    assert_eq!(all.iter().map(|(id, _)| id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert_eq!(all[7].1, store.read(&shard, &ids[7]).await.unwrap().unwrap());
    let some = Ledger::list(&store, &shard, "key/", Some(&ids[99]), 3).await.unwrap();
    assert_eq!(some.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids[100..103]);
    assert_eq!(Ledger::list(&store, &shard, "team/", None, 10).await.unwrap(), []);
}

const CHILD: &str = "GATELET_TEST_STORE_CHILD";

/// Not a test of its own: what [`a_killed_process_has_lost_nothing_that_it_answered`] starts and kills.
#[tokio::test]
async fn child_that_settles_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = Embedded::open(Path::new(&folder)).unwrap();
    let shard = ShardId::main();
    let start = store.read(&shard, &account()).await.unwrap();
    if start.is_none() {
        let limits = serde_json::json!({ "budget": ["1000 USD / total"] });
        store.transact(&shard, write(limits), now()).await.unwrap();
    }
    let mut answered =
        std::fs::File::options().append(true).create(true).open(Path::new(&folder).join("answered")).unwrap();
    for number in 0_u64.. {
        let holds: Vec<String> = (0..4).map(|n| format!("{}-{number}-{n}", std::process::id())).collect();
        for hold in &holds {
            store.transact(&shard, reserve(hold, 2), now()).await.unwrap();
        }
        let settled = holds.iter().map(|hold| store.transact(&shard, settle(hold, 1), now()));
        for outcome in futures_util::future::join_all(settled).await {
            assert_eq!(outcome.unwrap().grant, Grant::Settled);
        }
        for hold in &holds {
            // In one write: a kill does not part a line from its end.
            answered.write_all(format!("{hold}\n").as_bytes()).unwrap();
        }
        if number % 50 == 0 {
            store.sync().unwrap();
        }
    }
}

#[tokio::test]
async fn a_killed_process_has_lost_nothing_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_settles_until_it_is_killed"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(60 + round * 7));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "it ended by itself: {status}");
    }
    let answered = std::fs::read_to_string(folder.path().join("answered")).unwrap();
    let answered: Vec<&str> = answered.lines().collect();
    assert!(answered.len() > 1_000, "only {} were answered", answered.len());
    let store = Embedded::open(folder.path()).unwrap();
    let kept = store.outbox(&ShardId::main(), usize::MAX).await.unwrap();
    let kept: std::collections::HashSet<&str> =
        kept.iter().map(|entry| entry.id.strip_prefix("1800000000000000-").unwrap()).collect();
    for hold in &answered {
        assert!(kept.contains(hold), "{hold} was answered, and its entry is gone");
    }
    // Each entry came with one nano-dollar: accounts and entries are never apart.
    let (spent, held) = spent(&store).await;
    assert_eq!(spent.parse(), Ok(Money::from_nanos(kept.len() as u64)));
    assert_eq!(held, "0");
    assert!(kept.len() - answered.len() <= 20 * 4, "{} kept, {} answered", kept.len(), answered.len());
}

#[tokio::test]
async fn entries_that_were_archived_do_not_come_back_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let shard = ShardId::main();
    store.transact(&shard, write(serde_json::json!({})), now()).await.unwrap();
    for hold in ["one", "two", "three"] {
        store.transact(&shard, reserve(hold, 1), now()).await.unwrap();
        store.transact(&shard, settle(hold, 1), now()).await.unwrap();
        if hold == "one" {
            // Into SQLite; the others stay in the journal.
            store.sync().unwrap();
        }
    }
    assert_eq!(store.outbox(&shard, 10).await.unwrap(), [entry("one"), entry("three"), entry("two")]);
    store.clear(&shard, &[entry("one").id.to_string(), entry("two").id.to_string()]).await.unwrap();
    // The files as a kill at this moment leaves them.
    let killed = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
    }
    for store in [store, Embedded::open(killed.path()).unwrap()] {
        assert_eq!(store.outbox(&shard, 10).await.unwrap(), [entry("three")]);
    }
}
