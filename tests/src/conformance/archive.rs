//! Rules for an archive: a name is written once, and keeps what was written first.

use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use gatelet_core::port::{Archive, Written};

use crate::check_eq;

super::rules![gatelet_core::port::Archive:
    what_is_written_is_read,
    a_name_keeps_what_was_written_first,
    what_is_replaced_is_read_and_what_is_removed_is_not,
    names_are_listed_in_order_after_a_name,
    of_many_writers_of_one_name_one_is_new,
];

async fn what_is_written_is_read(archive: Arc<dyn Archive>) -> Result<()> {
    let name = "v1/date=2026-11-22/hour=17/read.ndjson.gz";
    check_eq!(archive.read(name).await?, None);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    check_eq!(archive.write(name, Bytes::from(bytes.clone())).await?, Written::New);
    ensure!(archive.read(name).await?.is_some_and(|read| read == bytes), "the bytes came back changed");
    Ok(())
}

async fn a_name_keeps_what_was_written_first(archive: Arc<dyn Archive>) -> Result<()> {
    let name = "v1/date=2026-11-22/hour=17/first.ndjson.gz";
    check_eq!(archive.write(name, Bytes::from_static(b"first")).await?, Written::New);
    check_eq!(archive.write(name, Bytes::from_static(b"second")).await?, Written::Existed);
    check_eq!(archive.read(name).await?, Some(Bytes::from_static(b"first")));
    Ok(())
}

/// What may not stay is written anew, or is gone; twice is as once.
async fn what_is_replaced_is_read_and_what_is_removed_is_not(archive: Arc<dyn Archive>) -> Result<()> {
    let name = "v1/date=2026-11-25/hour=01/replaced.ndjson.gz";
    archive.write(name, Bytes::from_static(b"first")).await?;
    for _ in 0..2 {
        archive.replace(name, Some(Bytes::from_static(b"second"))).await?;
        check_eq!(archive.read(name).await?, Some(Bytes::from_static(b"second")));
    }
    for _ in 0..2 {
        archive.replace(name, None).await?;
        check_eq!(archive.read(name).await?, None);
    }
    check_eq!(archive.list("v1/date=2026-11-25/", None, 10).await?, Vec::<String>::new());
    Ok(())
}

async fn names_are_listed_in_order_after_a_name(archive: Arc<dyn Archive>) -> Result<()> {
    let folder = "v1/date=2026-11-23/";
    let mut wanted: Vec<String> =
        (0..6).map(|number| format!("{folder}hour={:02}/{number}.ndjson.gz", number / 2)).collect();
    for name in wanted.iter().rev() {
        archive.write(name, Bytes::from_static(b"1")).await?;
    }
    archive.write("v1/date=2026-11-24/hour=00/other.ndjson.gz", Bytes::from_static(b"1")).await?;
    check_eq!(archive.list(folder, None, 100).await?, wanted);
    check_eq!(archive.list(folder, None, 2).await?, wanted[..2]);
    check_eq!(archive.list(folder, Some(&wanted[1]), 100).await?, wanted[2..]);
    check_eq!(archive.list(folder, Some(&wanted[5]), 100).await?, Vec::<String>::new());
    wanted.truncate(2);
    check_eq!(archive.list(&format!("{folder}hour=00/"), None, 100).await?, wanted);
    Ok(())
}

async fn of_many_writers_of_one_name_one_is_new(archive: Arc<dyn Archive>) -> Result<()> {
    let name = "v1/date=2026-11-22/hour=18/contended.ndjson.gz";
    let writers = (0..50).map(|number| {
        let archive = Arc::clone(&archive);
        tokio::spawn(async move { archive.write(name, Bytes::from(format!("{number}"))).await })
    });
    let mut new = Vec::new();
    for (number, outcome) in join_all(writers).await.into_iter().enumerate() {
        if outcome?? == Written::New {
            new.push(number);
        }
    }
    check_eq!(new.len(), 1, "{new:?} were all new");
    check_eq!(archive.read(name).await?, Some(Bytes::from(format!("{}", new[0]))));
    Ok(())
}
