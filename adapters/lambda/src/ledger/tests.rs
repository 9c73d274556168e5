//! The table takes out segments after a while. What they say is kept by then, however little happens in a shard.

use gatelet_core::domain::account::Document;
use gatelet_core::port::Entry;
use gatelet_tests::host::cloud::{Cloud, NAME};
use gatelet_tokio::{HttpUpstream, Settings, SystemChance, Tasks};

use super::items::seconds;
use super::*;
use crate::aws::Aws;

fn now() -> Timestamp {
    Timestamp::from_seconds(i64::try_from(seconds()).unwrap())
}

fn written(version: u64) -> Transaction {
    let document: Document = serde_json::from_value(serde_json::json!({
        "version": version,
        "holder": { "key": {
            "id": "k", "shard": "quiet", "hash": "h", "state": "active", "created": 0, "updated": 0,
        } },
    }))
    .unwrap();
    let account = document.account();
    let op = Op::Write { document: Box::new(document), expect: (version > 1).then(|| version - 1) };
    let id = format!("{version:016}-audit");
    let entry = Entry { id: id.into(), line: "{}".into(), settle: None };
    Transaction::new(vec![account], op, vec![entry])
}

/// All segments of the shard, by where they begin.
async fn segments(table: &Table, shard: &ShardId) -> Vec<Item> {
    table.scan("test", &log_pk(shard), "", None, usize::MAX, None).await.unwrap()
}

/// Says of all segments that the table may take them out in so many seconds.
async fn age(table: &Table, shard: &ShardId, left: u64) {
    for mut item in segments(table, shard).await {
        item.insert("until".to_owned(), count(seconds() + left));
        table.client.put_item().table_name(&table.name).set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_in_which_little_happens_outlives_its_segments() {
    let cloud = Cloud::start().await.unwrap();
    let environment = cloud.environment();
    let variable =
        |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let aws =
        Aws::from_environment(variable, Arc::new(HttpUpstream::new(&Settings::default()).unwrap())).unwrap();
    let table = Arc::new(Table::new(&aws, NAME, &SystemChance));
    let tasks = Tasks::default();
    let process = || TableLedger::new(table.clone(), Arc::new(tasks.clone()));
    let shard = ShardId::new("quiet");
    let tick = async |ledger: &TableLedger| {
        let entries = ledger.outbox(&shard, 100).await.unwrap();
        let ids: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
        ledger.clear(&shard, &ids).await.unwrap();
        ids.len()
    };
    for version in 1..=3 {
        let ledger = process();
        ledger.transact(&shard, written(version), now()).await.unwrap();
        tasks.finished().await;
        assert_eq!(tick(&ledger).await, 1, "the entry of version {version} is archived");
    }
    let half = SEGMENT_LIVES.as_secs() / 2;
    // Young: nothing is kept, since it costs a write.
    age(&table, &shard, half + 1_000).await;
    let head = process().inner.head(&shard).await.unwrap().unwrap();
    assert_eq!((head.first, head.kept), (3, 0), "all that is known is in segments");
    tick(&process()).await;
    assert_eq!(process().inner.head(&shard).await.unwrap().unwrap().kept, 0);
    age(&table, &shard, half - 1_000).await;
    tick(&process()).await;
    assert_eq!(process().inner.head(&shard).await.unwrap().unwrap().kept, 3);
    for item in segments(&table, &shard).await {
        let gone = key(&log_pk(&shard), sort_key(&item).unwrap());
        table.client.delete_item().table_name(&table.name).set_key(Some(gone)).send().await.unwrap();
    }
    let ledger = process();
    let account = ledger.read(&shard, &AccountId::key("k")).await.unwrap().unwrap();
    assert_eq!(account.document().unwrap().version, 3);
    let outcome = ledger.transact(&shard, written(4), now()).await.unwrap();
    assert_eq!(outcome.grant, Grant::Written);
    assert_eq!(tick(&ledger).await, 1);
}
