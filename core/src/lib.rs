#![doc = include_str!("../ARCHITECTURE.md")]

pub mod alert;
pub mod api;
pub mod cache;
pub mod credential;
mod demo;
pub mod domain;
pub mod exchange;
pub mod gateway;
pub mod guard;
pub mod identity;
pub mod ledger;
pub mod pipeline;
pub mod policy;
pub mod port;
pub mod prompt;
mod readiness;
pub mod record;
pub mod refusal;
pub mod registry;
pub mod responses;
pub mod route;
pub mod settings;
pub mod shared;
pub mod sink;
mod together;

pub use gateway::{Gateway, Unready, unready};
pub use settings::{AdminKey, Settings};
pub use shared::Ticked;
