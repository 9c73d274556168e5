//! Answers that callers go on from: what the Responses dialect calls state, kept by the gateway itself.
//!
//! An answer is kept whole, beside all the input that led to it, for the key that asked: to go on from it takes one
//! read, whatever came before, and works over every target, since what is sent is the whole conversation. Nobody else can
//! name it: it lies at the key's own home in the store, and only what lies there is ever gone on from.

mod input;
mod kept;
mod run;
mod watch;

pub use input::{Asked, Conversation, SUMMARY, foreign_items, listed, summary_of};
pub use kept::{Answer, Shelf};
pub use run::{Run, Runs};
pub use watch::{Patch, Seen, Watch};
