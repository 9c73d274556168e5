//! Gatelet on AWS Lambda: documents and ledger in one `DynamoDB` table, the archive in an S3 bucket.

mod aws;
mod bucket;
mod journal;
mod ledger;
mod table;

pub use aws::Aws;
pub use bucket::Bucket;
pub use ledger::TableLedger;
pub use table::Table;
