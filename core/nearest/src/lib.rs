//! The nearest of many vectors: each is looked at, most of them as bytes.
//!
//! - [`Vector`] is a direction: what a text means, for whoever compares texts.
//! - [`Vectors`] are many of one length; [`Vectors::nearest`] finds the one with the largest cosine, always.
//!
//! This stands by itself because it is arithmetic over megabytes: it is compiled for speed, and what asks for it, for size.

mod vector;
mod vectors;

pub use vector::Vector;
pub use vectors::{Vectors, size};

#[cfg(test)]
mod tests;
