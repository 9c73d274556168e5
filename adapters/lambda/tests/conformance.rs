//! The table and the bucket keep the rules of every store, ledger and archive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use gatelet_lambda::{Aws, Bucket, Table, TableLedger};
use gatelet_tests::conformance;
use gatelet_tests::host::cloud::{Cloud, NAME};
use gatelet_tokio::{HttpUpstream, Settings, SystemChance, Tasks};

struct Ports {
    _cloud: Cloud,
    table: Arc<Table>,
    bucket: Bucket,
    tasks: Tasks,
}

async fn ports() -> Ports {
    let cloud = Cloud::start().await.unwrap();
    let environment = cloud.environment();
    let variable =
        |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let upstream = Arc::new(HttpUpstream::new(&Settings::default()).unwrap());
    let aws = Aws::from_environment(variable, upstream).unwrap();
    let table = Arc::new(Table::new(&aws, NAME, &SystemChance));
    Ports { table, bucket: Bucket::new(&aws, NAME), tasks: Tasks::default(), _cloud: cloud }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_keeps_every_rule_of_a_store() {
    conformance::store::all(ports().await.table).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_keeps_every_rule_of_a_ledger() {
    let ports = ports().await;
    let ledger = TableLedger::new(ports.table.clone(), Arc::new(ports.tasks.clone()));
    conformance::ledger::all(Arc::new(ledger)).await.unwrap();
    ports.tasks.finished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_keeps_every_rule_of_an_archive() {
    conformance::archive::all(Arc::new(ports().await.bucket)).await.unwrap();
}
