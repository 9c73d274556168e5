//! Bodies of requests and answers.

use bytes::Bytes;
use futures_util::stream::BoxStream;

/// A body, both ways. A stream that is dropped before its end cancels what feeds it.
#[derive(Default)]
pub enum Body {
    #[default]
    Empty,
    Full(Bytes),
    Stream(ByteStream),
}

pub type ByteStream = BoxStream<'static, Result<Bytes, Broken>>;

/// The other side of a stream broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection broke: {0}")]
pub struct Broken(pub String);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Full(bytes.into())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Full(bytes)
    }
}
