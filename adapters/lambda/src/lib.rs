//! Gatelet on AWS Lambda: documents and ledger in one `DynamoDB` table, the archive in an S3 bucket.
//!
//! `main.rs` hands every event to [`Function`]; the rest are the ports.

mod answers;
mod aws;
mod body;
mod bucket;
mod function;
mod journal;
mod ledger;
pub mod log;
mod ports;
mod shard;
mod table;

pub use answers::KeptAnswers;
pub use aws::Aws;
pub use body::Answer;
pub use bucket::Bucket;
pub use function::Function;
pub use ledger::TableLedger;
pub use ports::{Missing, ports};
pub use table::Table;
