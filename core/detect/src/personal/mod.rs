//! Personal data: one file a shape of writing.

pub(crate) mod address;
pub(crate) mod email;
pub(crate) mod mixed;
pub(crate) mod names;
pub(crate) mod national;
pub(crate) mod network;
pub(crate) mod number;
pub(crate) mod phone;
