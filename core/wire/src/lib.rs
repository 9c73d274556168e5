//! The wire languages of AI providers.
//!
//! Bytes become frames, frames become events, and back:
//!
//! ```text
//! upstream bytes -> Framer -> Frame -> Decoder -> Event -> Encoder -> client bytes
//! ```
//!
//! Everything here is pure: no clock, no network, no async. A *dialect* is one wire language (see [`Dialect`]);
//! canonical types ([`chat`], [`Event`], [`Usage`]) are modelled on the richest of them, so that narrowing happens
//! only on writing, and what a dialect cannot carry is named in [`Loss`].

pub mod canon;
pub mod chat;
pub mod completion;
pub mod dialect;
pub mod edit;
pub mod embed;
pub mod error;
pub mod event;
pub mod fold;
pub mod frame;
pub mod idiom;
pub mod imagen;
pub mod json;
pub mod loss;
mod map;
pub mod marks;
pub mod measure;
pub mod multipart;
mod object;
pub mod operation;
pub mod peek;
mod piece;
pub mod proof;
pub mod restore;
mod scan;
pub mod sigv4;
pub mod sort;
pub mod source;
pub mod tape;
mod tool_id;
pub mod usage;

pub use dialect::{Decoder, Dialect, DialectId, Encoder, EncoderOptions, TargetHints, Written};
pub use edit::{Draft, Edit};
pub use error::{ErrorKind, Malformed, PublicError, UpstreamError};
pub use event::Event;
pub use idiom::Idiom;
pub use json::Json;
pub use loss::Loss;
pub use map::SmallMap;
pub use measure::Measure;
pub use operation::{Operation, Outline};
pub use peek::{Fields, Peek};
pub use piece::Piece;
pub use restore::Restore;
pub use usage::{Units, Usage};
