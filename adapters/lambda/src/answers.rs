//! Answers that may be given again: in the table, or in the bucket where an item would be dear or too large. Then the item
//! names the object; the bucket's own rule takes objects out when their time is long over.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Answers, Archive as _, Fault, Store as _};

use crate::bucket::Bucket;
use crate::table::Table;

#[derive(Debug)]
pub struct KeptAnswers {
    table: Arc<Table>,
    bucket: Bucket,
}

const HOME: &str = "answers";
/// A larger item costs more to write than an object.
const LARGEST_ITEM: usize = 8 << 10;
const HERE: u8 = 0;
const THERE: u8 = 1;

impl KeptAnswers {
    pub fn new(table: Arc<Table>, bucket: Bucket) -> Self {
        Self { table, bucket }
    }
}

/// Objects are written once, so that each has a name of its own.
fn object(name: &str, until: Timestamp) -> String {
    format!("cache/{name}-{}", until.micros())
}

#[async_trait]
impl Answers for KeptAnswers {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        let Some(item) = self.table.kept(HOME, name, now).await? else { return Ok(None) };
        match item.split_first() {
            Some((&HERE, _)) => Ok(Some(item.slice(1..))),
            Some((&THERE, object)) => {
                let object = std::str::from_utf8(object).unwrap_or_default();
                self.bucket.read(object).await
            }
            _ => Ok(None),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        let mut item = BytesMut::new();
        if bytes.len() < LARGEST_ITEM {
            item.put_u8(HERE);
            item.put_slice(&bytes);
        } else {
            let object = object(name, until);
            self.bucket.write(&object, bytes).await?;
            item.put_u8(THERE);
            item.put_slice(object.as_bytes());
        }
        self.table.keep(HOME, name, item.freeze(), until).await
    }
}
