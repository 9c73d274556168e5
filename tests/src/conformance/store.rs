//! Rules for a store that answers its own writes at once.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{EXACT, Expect, FaultKind, MOST_KEPT, Store};

use crate::check_eq;

super::rules![gatelet_core::port::Store:
    a_name_that_was_never_written_is_none,
    what_is_put_is_got,
    a_new_version_stands_for_every_change,
    an_expectation_that_does_not_hold_is_a_conflict,
    a_deleted_name_is_gone_and_its_version_never_comes_back,
    names_are_listed_in_order_over_pages,
    of_many_writers_of_one_version_one_wins,
    books_are_read_as_they_were_last_written,
    what_is_kept_is_read_until_its_time_is_over,
    what_is_kept_at_one_home_is_not_at_another_and_is_no_document,
    what_is_kept_again_is_replaced_and_what_is_discarded_is_gone,
];

async fn a_name_that_was_never_written_is_none(store: Arc<dyn Store>) -> Result<()> {
    check_eq!(store.get("never/written").await?, None);
    store.delete("never/written").await?;
    Ok(())
}

async fn what_is_put_is_got(store: Arc<dyn Store>) -> Result<()> {
    let every_byte: Vec<u8> = (0..=255).collect();
    for (name, bytes) in [
        ("got/empty", Vec::new()),
        ("got/bytes", every_byte),
        ("got/large", vec![b'x'; 300_000]),
        ("got/Grüße 世界", b"name".to_vec()),
    ] {
        let version = store.put(name, Bytes::from(bytes.clone()), Expect::Anything).await?;
        let got = store.get(name).await?.with_context(|| format!("{name} is not there"))?;
        check_eq!(got.version, version, "{name}");
        ensure!(got.bytes == bytes, "{name} came back changed");
    }
    Ok(())
}

async fn a_new_version_stands_for_every_change(store: Arc<dyn Store>) -> Result<()> {
    let mut last = 0;
    for number in 0..3 {
        let version = store.put("versions/one", Bytes::from(format!("{number}")), Expect::Anything).await?;
        ensure!(version > last, "version {version} after {last}");
        last = version;
    }
    check_eq!(store.get("versions/one").await?.map(|got| got.version), Some(last));
    Ok(())
}

async fn an_expectation_that_does_not_hold_is_a_conflict(store: Arc<dyn Store>) -> Result<()> {
    let name = "expected/one";
    conflicts(&*store, name, Expect::Version(1)).await?;
    let first = store.put(name, Bytes::from_static(b"1"), Expect::Absent).await?;
    conflicts(&*store, name, Expect::Absent).await?;
    conflicts(&*store, name, Expect::Version(first + 1)).await?;
    let second = store.put(name, Bytes::from_static(b"2"), Expect::Version(first)).await?;
    conflicts(&*store, name, Expect::Version(first)).await?;
    let got = store.get(name).await?.context("gone")?;
    check_eq!((got.version, got.bytes), (second, Bytes::from_static(b"2")));
    Ok(())
}

async fn a_deleted_name_is_gone_and_its_version_never_comes_back(store: Arc<dyn Store>) -> Result<()> {
    let name = "deleted/one";
    let first = store.put(name, Bytes::from_static(b"1"), Expect::Absent).await?;
    store.delete(name).await?;
    store.delete(name).await?;
    check_eq!(store.get(name).await?, None);
    conflicts(&*store, name, Expect::Version(first)).await?;
    let second = store.put(name, Bytes::from_static(b"2"), Expect::Absent).await?;
    ensure!(second != first, "a name that was deleted has its old version {first} again");
    Ok(())
}

async fn names_are_listed_in_order_over_pages(store: Arc<dyn Store>) -> Result<()> {
    let wanted: Vec<String> = (0..7).map(|number| format!("listed/a/{number}")).collect();
    for name in wanted.iter().rev() {
        store.put(name, Bytes::from_static(b"1"), Expect::Anything).await?;
    }
    for name in ["listed/", "listed/a", "listed/b/1", "listedother"] {
        store.put(name, Bytes::from_static(b"1"), Expect::Anything).await?;
    }
    for limit in [1, 3, 7, 100] {
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..20 {
            let page = store.list("listed/a/", after.as_deref(), limit).await?;
            ensure!(page.names.len() <= limit, "{} names where {limit} were asked", page.names.len());
            seen.extend(page.names);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        check_eq!(seen, wanted, "in pages of {limit}");
    }
    check_eq!(store.list("listed/none/", None, 10).await?, gatelet_core::port::Page::default());
    Ok(())
}

async fn of_many_writers_of_one_version_one_wins(store: Arc<dyn Store>) -> Result<()> {
    let name = "contended/one";
    for expect_absent in [true, false] {
        let stands = store.get(name).await?.map(|got| got.version);
        let expect =
            if expect_absent { Expect::Absent } else { Expect::Version(stands.context("nothing stands")?) };
        let writers = (0..50).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.put(name, Bytes::from(format!("{number}")), expect).await })
        });
        let mut won = Vec::new();
        for (number, outcome) in join_all(writers).await.into_iter().enumerate() {
            match outcome? {
                Ok(version) => won.push((number, version)),
                Err(fault) => check_eq!(fault.kind, FaultKind::Conflict, "{fault}"),
            }
        }
        let [(number, version)] = won.as_slice() else { bail!("{} of 50 writers won: {won:?}", won.len()) };
        let got = store.get(name).await?.context("gone")?;
        check_eq!((got.version, got.bytes), (*version, Bytes::from(format!("{number}"))));
    }
    Ok(())
}

async fn books_are_read_as_they_were_last_written(store: Arc<dyn Store>) -> Result<()> {
    let name = format!("{EXACT}conformance/one");
    check_eq!(store.get(&name).await?, None);
    let mut expect = Expect::Absent;
    for number in 0..20_u8 {
        let version = store.put(&name, Bytes::from(vec![number; 300_000]), expect).await?;
        let got = store.get(&name).await?.context("gone")?;
        check_eq!((got.version, got.bytes.first().copied()), (version, Some(number)));
        expect = Expect::Version(version);
    }
    Ok(())
}

/// Years ahead of every clock, so that nothing is taken out while a rule looks at it.
fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(4_000_000_000 + seconds)
}

async fn what_is_kept_is_read_until_its_time_is_over(store: Arc<dyn Store>) -> Result<()> {
    let home = "main/until";
    check_eq!(store.kept(home, "never", later(0)).await?, None);
    let every_byte: Vec<u8> = (0..=255).cycle().take(MOST_KEPT).collect();
    store.keep(home, "one", Bytes::from(every_byte.clone()), later(10)).await?;
    let kept = store.kept(home, "one", later(0)).await?.context("not kept")?;
    ensure!(kept == every_byte, "what is kept came back changed");
    ensure!(store.kept(home, "one", later(9)).await?.is_some(), "it is gone before its time");
    check_eq!(store.kept(home, "one", later(11)).await?, None);
    match store.keep(home, "two", Bytes::from(vec![0; 2_100_000]), later(10)).await {
        Err(fault) if fault.kind == FaultKind::TooLarge => {}
        other => bail!("what is too large gives {other:?}"),
    }
    // Longer than that is not kept: nobody can ask for it at a time before.
    store.keep(home, "over", Bytes::from_static(b"1"), Timestamp::from_seconds(1_000_000_000)).await?;
    check_eq!(store.kept(home, "over", later(0)).await?, None);
    Ok(())
}

async fn what_is_kept_at_one_home_is_not_at_another_and_is_no_document(store: Arc<dyn Store>) -> Result<()> {
    store.keep("main/a", "one", Bytes::from_static(b"a"), later(10)).await?;
    store.keep("main/b", "one", Bytes::from_static(b"b"), later(10)).await?;
    check_eq!(store.kept("main/a", "one", later(0)).await?, Some(Bytes::from_static(b"a")));
    check_eq!(store.kept("main/b", "one", later(0)).await?, Some(Bytes::from_static(b"b")));
    check_eq!(store.kept("main/c", "one", later(0)).await?, None);
    check_eq!(store.get("one").await?, None);
    ensure!(
        !store.list("", None, 1_000).await?.names.contains(&"one".to_owned()),
        "it is among the documents"
    );
    Ok(())
}

async fn what_is_kept_again_is_replaced_and_what_is_discarded_is_gone(store: Arc<dyn Store>) -> Result<()> {
    let home = "main/again";
    store.discard(home, "one").await?;
    for text in ["1", "22", ""] {
        store.keep(home, "one", Bytes::from_static(text.as_bytes()), later(10)).await?;
        check_eq!(store.kept(home, "one", later(0)).await?, Some(Bytes::from_static(text.as_bytes())));
    }
    store.keep(home, "two", Bytes::from_static(b"2"), later(10)).await?;
    store.discard(home, "one").await?;
    check_eq!(store.kept(home, "one", later(0)).await?, None);
    check_eq!(store.kept(home, "two", later(0)).await?, Some(Bytes::from_static(b"2")));
    Ok(())
}

async fn conflicts(store: &dyn Store, name: &str, expect: Expect) -> Result<()> {
    match store.put(name, Bytes::from_static(b"never"), expect).await {
        Err(fault) if fault.kind == FaultKind::Conflict => Ok(()),
        other => bail!("{expect:?} of {name} gives {other:?}, not a conflict"),
    }
}
