//! What models can do and what they cost, in two forms of one thing.
//!
//! ```text
//! registry/models/<provider>.models  --text-->  Entry  --pack-->  bytes  --Table::find-->  Entry
//! ```
//!
//! The text is what people read and compare: one line a model (see [`text`]). The bytes are what executables carry and
//! hosts load: a look-up touches a few hundred of them and parses nothing else (see [`table`]). Pure: no files, no clock.

mod entry;
mod number;
mod pack;
pub mod table;
pub mod text;
mod words;

pub use entry::{Day, Entry, Price, Rates, Schedule};
pub use number::picos;
pub use pack::pack;
pub use table::{NotACatalogue, Table};
pub use words::{Capabilities, Capability, Meter, Mode, Per};
