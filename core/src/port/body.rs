//! Bodies of requests and answers.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

/// A body, both ways. A stream that is dropped before its end cancels what feeds it.
#[derive(Default)]
pub enum Body {
    #[default]
    Empty,
    Full(Bytes),
    /// One whole in several pieces: a large body in which little was changed, and nothing else was copied.
    Pieces(Vec<Bytes>),
    Stream(ByteStream),
}

pub type ByteStream = BoxStream<'static, Result<Bytes, Broken>>;

/// The other side of a stream broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection broke: {0}")]
pub struct Broken(pub String);

/// Why a body could not be read whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncollected {
    #[error("the body is too large")]
    TooLarge,
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Body {
    /// The bytes of pieces, for whoever needs them in one place.
    pub fn join(pieces: &[Bytes]) -> Bytes {
        match pieces {
            [only] => only.clone(),
            pieces => pieces.concat().into(),
        }
    }

    /// The body as pieces that come one after the other.
    pub fn into_stream(self) -> ByteStream {
        match self {
            Self::Empty => futures_util::stream::empty().boxed(),
            Self::Full(bytes) => futures_util::stream::iter([Ok(bytes)]).boxed(),
            Self::Pieces(pieces) => futures_util::stream::iter(pieces.into_iter().map(Ok)).boxed(),
            Self::Stream(stream) => stream,
        }
    }

    /// Reads a whole body of at most `most` bytes; `headers` are its message's. A longer one is refused as soon as
    /// that is known: by its announced length before a byte of it is read.
    pub async fn collect(self, headers: &HeaderMap, most: usize) -> Result<Bytes, Uncollected> {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<u64>().ok())
            .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced.is_some_and(|length| length > most) {
            return Err(Uncollected::TooLarge);
        }
        let mut stream = match self {
            Self::Empty => return Ok(Bytes::new()),
            Self::Full(bytes) if bytes.len() > most => return Err(Uncollected::TooLarge),
            Self::Full(bytes) => return Ok(bytes),
            Self::Pieces(pieces) => {
                let whole = Self::join(&pieces);
                return if whole.len() > most { Err(Uncollected::TooLarge) } else { Ok(whole) };
            }
            Self::Stream(stream) => stream,
        };
        let Some(first) = stream.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > most {
            return Err(Uncollected::TooLarge);
        }
        // Most bodies are one chunk, which then is not copied.
        let Some(second) = stream.next().await.transpose()? else { return Ok(first) };
        let mut whole = Vec::with_capacity(announced.unwrap_or(first.len().saturating_mul(2)).min(most));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if chunk.len() > most - whole.len() {
                return Err(Uncollected::TooLarge);
            }
            whole.extend_from_slice(&chunk);
            next = stream.next().await.transpose()?;
        }
        Ok(whole.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Pieces(pieces) => write!(f, "Pieces({} of them)", pieces.len()),
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
