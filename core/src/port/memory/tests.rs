use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;
use crate::domain::account::{Document, Grant, Limits, Op, OutputBound, Reserve, Settle, Statement};
use crate::domain::{HoldId, Key, KeyToken, Money, Rate};

/// All here is ready at once, unless it waits for the clock.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("it waits")
}

fn document(limits: serde_json::Value) -> Box<Document> {
    let token = KeyToken { shard: ShardId::main(), id: "7f3k2m9q4t1x".to_owned(), hash: "0".repeat(64) };
    let limits = serde_json::from_value::<Limits>(limits).unwrap();
    let key = Key { limits, ..Key::new(token, Timestamp::EPOCH) };
    Box::new(Document::of_key(1, key))
}

struct Books {
    ports: Ports,
    account: AccountId,
}

impl Books {
    fn new(limits: serde_json::Value) -> (Self, Handles) {
        let (ports, handles) = ports();
        let books = Self { ports, account: AccountId::key("7f3k2m9q4t1x") };
        let write = Op::Write { document: document(limits), expect: None };
        assert_eq!(now(books.transact(write, Vec::new())), Grant::Written);
        (books, handles)
    }

    async fn transact(&self, op: Op, entries: Vec<Entry>) -> Grant {
        let transaction = Transaction::new(vec![self.account.clone()], op, entries);
        self.ports.ledger.transact(&ShardId::main(), transaction, self.ports.clock.now()).await.unwrap().grant
    }

    async fn reserve(&self, hold: &str, cost: &str) -> Grant {
        let reserve = Reserve {
            hold: HoldId::new(hold),
            versions: vec![1],
            carried: Vec::new(),
            input_tokens: 1,
            input_cost: cost.parse().unwrap(),
            output: OutputBound { tokens: 1, rate: Rate::ZERO, elastic: false },
            expires: self.ports.clock.now().after(Duration::from_mins(10)),
        };
        self.transact(Op::Reserve(reserve), Vec::new()).await
    }

    async fn settle(&self, hold: &str, cost: &str) -> Grant {
        let settle =
            Settle { hold: HoldId::new(hold), tokens: 2, output_tokens: 0, cost: cost.parse().unwrap() };
        let entry = Entry {
            id: format!("{:016}-{hold}", self.ports.clock.now().micros()).into(),
            line: format!("{{\"request\":\"{hold}\"}}").into(),
            settle: Some((vec![self.account.clone()], settle.clone())),
        };
        self.transact(Op::Settle(settle), vec![entry]).await
    }

    fn statement(&self) -> Statement {
        let account = now(self.ports.ledger.read(&ShardId::main(), &self.account)).unwrap().unwrap();
        account.statement(self.ports.clock.now())
    }
}

#[test]
fn two_hundred_callers_at_once_never_pass_the_budget() {
    let (books, _) = Books::new(serde_json::json!({"budget": "0.01 USD / day"}));
    let books = Arc::new(books);
    let admitted = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..200)
        .map(|caller| {
            let (books, admitted) = (books.clone(), admitted.clone());
            std::thread::spawn(move || {
                for request in 0..20 {
                    let hold = format!("req_{caller}_{request}");
                    if matches!(now(books.reserve(&hold, "0.00003")), Grant::Held { .. }) {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        let line = books.statement().budget.remove(0);
                        assert!(line.spent.plus(line.held) <= line.limit);
                        assert_eq!(now(books.settle(&hold, "0.00003")), Grant::Settled);
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(admitted.load(Ordering::Relaxed), 333);
    let line = books.statement().budget.remove(0);
    assert_eq!((line.spent, line.held), ("0.00999".parse().unwrap(), Money::ZERO));
}

#[test]
fn entries_are_kept_with_the_settlement_until_they_are_cleared() {
    let (books, handles) = Books::new(serde_json::json!({}));
    for hold in ["a", "b"] {
        assert!(matches!(now(books.reserve(hold, "0.1")), Grant::Held { .. }));
        assert_eq!(now(books.settle(hold, "0.1")), Grant::Settled);
        assert_eq!(now(books.settle(hold, "0.1")), Grant::Settled, "sent twice");
        handles.clock.advance(Duration::from_millis(1));
    }
    let ledger = &books.ports.ledger;
    let entries = now(ledger.outbox(&ShardId::main(), 10)).unwrap();
    assert_eq!(
        entries.iter().map(|entry| &*entry.line).collect::<Vec<_>>(),
        [r#"{"request":"a"}"#, r#"{"request":"b"}"#]
    );
    assert_eq!(now(ledger.outbox(&ShardId::main(), 1)).unwrap(), entries[..1]);
    now(ledger.clear(&ShardId::main(), &[entries[0].id.to_string()])).unwrap();
    assert_eq!(now(ledger.outbox(&ShardId::main(), 10)).unwrap(), entries[1..]);
    assert_eq!(now(ledger.shards()).unwrap(), [ShardId::main()]);
    assert_eq!(books.statement().spent, "0.2".parse().unwrap());
    let other = ShardId::new("other");
    assert_eq!(now(ledger.outbox(&other, 10)).unwrap(), []);
    assert_eq!(now(ledger.read(&other, &books.account)).unwrap(), None);
}

#[test]
fn accounts_are_listed_in_order() {
    let (books, _) = Books::new(serde_json::json!({}));
    let main = ShardId::main();
    for id in ["key/b", "key/a", "team/a"] {
        let write = Op::Write { document: document(serde_json::json!({})), expect: None };
        let transaction = Transaction::new(vec![AccountId::new(id)], write, Vec::new());
        now(books.ports.ledger.transact(&main, transaction, Timestamp::EPOCH)).unwrap();
    }
    let list = |after: Option<&str>, limit| {
        let after = after.map(AccountId::new);
        let accounts = now(books.ports.ledger.list(&main, "key/", after.as_ref(), limit)).unwrap();
        accounts.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 9), ["key/7f3k2m9q4t1x", "key/a", "key/b"]);
    assert_eq!(list(None, 1), ["key/7f3k2m9q4t1x"]);
    assert_eq!(list(Some("key/7f3k2m9q4t1x"), 1), ["key/a"]);
    assert_eq!(list(Some("key/b"), 1), Vec::<String>::new());
}

#[test]
fn a_store_compares_versions_and_lists_in_pages() {
    let store = MemoryStore::default();
    let put = |name: &str, expect| now(store.put(name, Bytes::from_static(b"x"), expect));
    let first = put("config", Expect::Absent).unwrap();
    assert_eq!(put("config", Expect::Absent).unwrap_err().kind, FaultKind::Conflict);
    let second = put("config", Expect::Version(first)).unwrap();
    assert!(second > first);
    assert_eq!(put("config", Expect::Version(first)).unwrap_err().kind, FaultKind::Conflict);
    assert_eq!(now(store.get("config")).unwrap().unwrap().version, second);
    now(store.delete("config")).unwrap();
    assert_eq!(now(store.get("config")).unwrap(), None);
    assert!(put("config", Expect::Absent).unwrap() > second, "a version never comes back");
    for name in ["a/1", "a/2", "a/3", "b/1"] {
        put(name, Expect::Anything).unwrap();
    }
    let page = now(store.list("a/", None, 2)).unwrap();
    assert_eq!((page.names, page.next.as_deref()), (vec!["a/1".to_owned(), "a/2".to_owned()], Some("a/2")));
    let page = now(store.list("a/", Some("a/2"), 2)).unwrap();
    assert_eq!(page, Page { names: vec!["a/3".to_owned()], next: None });
}

#[test]
fn an_archive_never_changes_what_it_has() {
    let archive = MemoryArchive::default();
    assert_eq!(now(archive.write("v1/a", Bytes::from_static(b"1"))).unwrap(), Written::New);
    assert_eq!(now(archive.write("v1/a", Bytes::from_static(b"2"))).unwrap(), Written::Existed);
    assert_eq!(now(archive.read("v1/a")).unwrap().unwrap(), "1");
    assert_eq!(now(archive.list("v1/", None, 9)).unwrap(), ["v1/a"]);
    assert_eq!(now(archive.list("v1/", Some("v1/a"), 9)).unwrap(), Vec::<String>::new());
}

#[test]
fn sleepers_wake_when_the_clock_is_turned_past_them() {
    let clock = Arc::new(HandClock::at(Timestamp::EPOCH));
    let woken = Arc::new(AtomicUsize::new(0));
    let sleep = |seconds| {
        let (clock, woken) = (clock.clone(), woken.clone());
        async move {
            clock.sleep(Duration::from_secs(seconds)).await;
            woken.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut all = Box::pin(join_all([sleep(1), sleep(2), sleep(0)]));
    assert!(all.as_mut().now_or_never().is_none());
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    clock.advance(Duration::from_secs(1));
    assert!(all.as_mut().now_or_never().is_none());
    assert_eq!(woken.load(Ordering::Relaxed), 2);
    clock.advance(Duration::from_secs(1));
    assert!(all.as_mut().now_or_never().is_some());
}

#[test]
fn deferred_work_waits_to_be_run() {
    let (ports, handles) = ports();
    let done = Arc::new(AtomicUsize::new(0));
    let (inner, defer) = (done.clone(), ports.defer.clone());
    ports.defer.defer(Box::pin(async move {
        inner.fetch_add(1, Ordering::Relaxed);
        let inner = inner.clone();
        defer.defer(Box::pin(async move {
            inner.fetch_add(1, Ordering::Relaxed);
        }));
    }));
    assert_eq!((handles.defer.waiting(), done.load(Ordering::Relaxed)), (1, 0));
    now(handles.defer.run_all());
    assert_eq!((handles.defer.waiting(), done.load(Ordering::Relaxed)), (0, 2));
}

#[test]
fn an_upstream_does_as_it_was_told() {
    let (ports, handles) = ports();
    let ask = |path: &str| {
        let request = http::Request::post(path).body(Body::from(b"{}".to_vec())).unwrap();
        now(ports.upstream.send(request, Reach::Private)).map(|response| response.status().as_u16())
    };
    assert_eq!(ask("/v1/a").unwrap_err().kind, FaultKind::Unavailable);
    handles.upstream.always(|_, _| Ok(http::Response::builder().status(503).body(Body::Empty).unwrap()));
    handles.upstream.push_response(http::Response::new(Body::Empty));
    handles.upstream.push(|_, _| Err(Fault::new(FaultKind::Timeout, "upstream.send", "")));
    assert_eq!(ask("/v1/b").unwrap(), 200);
    assert_eq!(ask("/v1/c").unwrap_err().kind, FaultKind::Timeout);
    assert_eq!(ask("/v1/d").unwrap(), 503);
    let asked = handles.upstream.asked();
    assert_eq!(
        asked.iter().map(|asked| asked.uri.path()).collect::<Vec<_>>(),
        ["/v1/a", "/v1/b", "/v1/c", "/v1/d"]
    );
    assert_eq!(asked[0].body.as_deref(), Some(b"{}".as_slice()));
}

#[test]
fn chance_is_the_same_every_time() {
    let fill = |seed: &Seed| {
        let mut bytes = [0; 20];
        seed.fill(&mut bytes);
        bytes
    };
    let (one, other) = (Seed::new(7), Seed::new(7));
    assert_eq!(fill(&one), fill(&other));
    assert_ne!(fill(&one), fill(&Seed::new(7)), "it goes on");
    assert_ne!(fill(&Seed::new(8)), fill(&Seed::new(7)));
}
