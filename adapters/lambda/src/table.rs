//! Documents in the table.
//!
//! One item for each kind of thing, told apart by the partition key `pk`; `sk` sorts within it:
//!
//! | pk | sk | attributes |
//! | --- | --- | --- |
//! | `documents` | name | `bytes`, `version`, `writer`; without `bytes` it was deleted |
//! | `kept#<home>#<name>` | `-` | `bytes`, `until` (seconds since 1970; the table takes out what is over) |
//! | `head#<shard>` | `-` | `log`, `first`, `kept`, `from` (see [`crate::ledger`]) |
//! | `log#<shard>` | the number of its first step | `steps`, `came`, `until` |
//! | `archived#<shard>` | `-` | `below`, `cleared` |
//! | `account#<shard>#<account>` | `-` | `base`, `after`, `until` |
//! | `accounts#<shard>` | account | |
//! | `shards` | shard | |

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use bytes::Bytes;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Chance, Expect, Fault, FaultKind, MOST_KEPT, Page, Store, Versioned};

use crate::aws::{Aws, fault};

const DOCUMENTS: &str = "documents";
/// The largest document, in bytes: an item takes 400 KB with its keys.
const LARGEST: usize = 390_000;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The one table.
#[derive(Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    /// Marks what this process writes: a random start, counted up.
    mark: u64,
    count: AtomicU64,
}

impl Table {
    pub fn new(aws: &Aws, name: impl Into<String>, chance: &dyn Chance) -> Self {
        let mut mark = [0; 8];
        chance.fill(&mut mark);
        Self {
            client: aws.dynamodb(),
            name: name.into(),
            mark: u64::from_le_bytes(mark),
            count: AtomicU64::default(),
        }
    }

    /// A name that no other write in any process has.
    pub(crate) fn mark(&self) -> String {
        format!("{:x}.{:x}", self.mark, self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// A query of what one key of partition has, which sees what was written before it.
    pub(crate) fn query(&self, pk: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        query.expression_attribute_values(":pk", text(pk))
    }

    pub(crate) async fn get(
        &self,
        operation: &'static str,
        pk: &str,
        sk: &str,
    ) -> Result<Option<Item>, Fault> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(pk, sk)))
            .consistent_read(true)
            .send()
            .await
            .map_err(fault(operation))?;
        Ok(output.item)
    }

    /// Items of one partition whose sort keys begin with `prefix`, in order, after `after`; at most `limit`.
    pub(crate) async fn scan(
        &self,
        operation: &'static str,
        pk: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        filter: Option<&str>,
    ) -> Result<Vec<Item>, Fault> {
        let mut start = match after {
            // A start before the prefix is none; one after all of it leaves nothing.
            Some(after) if after.starts_with(prefix) => Some(key(pk, after)),
            Some(after) if after > prefix => return Ok(Vec::new()),
            Some(_) | None => None,
        };
        let mut items = Vec::new();
        while items.len() < limit {
            let mut query = self
                .query(pk)
                .set_filter_expression(filter.map(str::to_owned))
                .set_exclusive_start_key(start)
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX));
            query = if prefix.is_empty() {
                query.key_condition_expression("pk = :pk")
            } else {
                query
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", text(prefix))
            };
            let output = query.send().await.map_err(fault(operation))?;
            items.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(items)
    }
}

#[async_trait]
impl Store for Table {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        let Some(item) = Table::get(self, "store.get", DOCUMENTS, name).await? else { return Ok(None) };
        let Some(AttributeValue::B(bytes)) = item.get("bytes") else { return Ok(None) };
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        Ok(Some(Versioned { version: number("store.get", &item, "version")?, bytes }))
    }

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        const OPERATION: &str = "store.put";
        if bytes.len() > LARGEST {
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, format!("{name}: {} bytes", bytes.len())));
        }
        let writer = self.mark();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(DOCUMENTS, name)))
            .update_expression(
                "SET #bytes = :bytes, #writer = :writer, #version = if_not_exists(#version, :zero) + :one",
            )
            .expression_attribute_names("#bytes", "bytes")
            .expression_attribute_names("#writer", "writer")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":bytes", AttributeValue::B(Blob::new(bytes)))
            .expression_attribute_values(":writer", text(&writer))
            .expression_attribute_values(":zero", count(0))
            .expression_attribute_values(":one", count(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        update = match expect {
            Expect::Anything => update,
            Expect::Absent => update.condition_expression("attribute_not_exists(#bytes)"),
            Expect::Version(version) => update
                .condition_expression("attribute_exists(#bytes) AND #version = :version")
                .expression_attribute_values(":version", count(version)),
        };
        let item = match update.send().await {
            Ok(output) => output.attributes.unwrap_or_default(),
            Err(error) => {
                // The request may have been sent twice; the second found what the first had written.
                let ours = |item: &Item| item.get("writer") == Some(&text(&writer));
                unmet(&error).filter(ours).ok_or_else(|| fault(OPERATION)(error))?
            }
        };
        number(OPERATION, &item, "version")
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        // The item stays without its bytes, so that a name which comes back goes on counting its versions. Done twice it
        // only counts once more.
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(DOCUMENTS, name)))
            .update_expression("SET #version = #version + :one REMOVE #bytes")
            .condition_expression("attribute_exists(#bytes)")
            .expression_attribute_names("#bytes", "bytes")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":one", count(1))
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) if unmet(&error).is_some() => Ok(()),
            Err(error) => Err(fault("store.delete")(error)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        // One more than asked tells whether there are more.
        let more = limit.saturating_add(1);
        let items =
            self.scan("store.list", DOCUMENTS, prefix, after, more, Some("attribute_exists(bytes)")).await?;
        let mut names: Vec<String> =
            items.iter().filter_map(|item| sort_key(item).map(str::to_owned)).collect();
        let next = (names.len() > limit).then(|| {
            names.truncate(limit);
            names.last().cloned()
        });
        Ok(Page { names, next: next.flatten() })
    }

    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        const OPERATION: &str = "store.keep";
        if bytes.len() > MOST_KEPT {
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, format!("{name}: {} bytes", bytes.len())));
        }
        let mut item = key(&kept(home, name), ALONE);
        item.insert("bytes".to_owned(), AttributeValue::B(Blob::new(bytes)));
        // The second that has begun counts whole: the table may take it out from then on.
        let until = until.micros().div_euclid(1_000_000) + 1;
        item.insert("until".to_owned(), AttributeValue::N(until.to_string()));
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(drop).map_err(fault(OPERATION))
    }

    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        const OPERATION: &str = "store.kept";
        let Some(item) = Table::get(self, OPERATION, &kept(home, name), ALONE).await? else {
            return Ok(None);
        };
        // The table takes its time to take out what is over.
        let until = number(OPERATION, &item, "until")?;
        if i64::try_from(until).unwrap_or(i64::MAX) <= now.micros().div_euclid(1_000_000) {
            return Ok(None);
        }
        let Some(AttributeValue::B(bytes)) = item.get("bytes") else { return Ok(None) };
        Ok(Some(Bytes::copy_from_slice(bytes.as_ref())))
    }

    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        let delete =
            self.client.delete_item().table_name(&self.name).set_key(Some(key(&kept(home, name), ALONE)));
        delete.send().await.map(drop).map_err(fault("store.discard"))
    }
}

/// The sort key of an item that is alone in its partition.
pub(crate) const ALONE: &str = "-";

fn kept(home: &str, name: &str) -> String {
    format!("kept#{home}#{name}")
}

/// The item that did not meet the condition; empty where there is none.
pub(crate) fn unmet<R>(error: &SdkError<UpdateItemError, R>) -> Option<Item> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            Some(failed.item().cloned().unwrap_or_default())
        }
        _ => None,
    }
}

pub(crate) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

pub(crate) fn sort_key(item: &Item) -> Option<&str> {
    item.get("sk")?.as_s().ok().map(String::as_str)
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn count(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn number(operation: &'static str, item: &Item, name: &str) -> Result<u64, Fault> {
    let number = item.get(name).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Fault::new(FaultKind::Corrupt, operation, format!("`{name}` is not a number")))
}
