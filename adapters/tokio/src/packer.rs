use std::io::{self, Read as _, Write as _};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use gatelet_core::port::{Fault, FaultKind, Packer};

/// Packs with zlib's fastest level: what is packed is read seldom, and written all the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gzip;

#[async_trait]
impl Packer for Gzip {
    async fn pack(&self, bytes: Bytes) -> Result<Bytes, Fault> {
        let pack = || {
            let mut gzip = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
            gzip.write_all(&bytes)?;
            gzip.finish()
        };
        pack().map(Bytes::from).map_err(|error| corrupt("gzip.pack", &error))
    }

    async fn unpack(&self, packed: Bytes, most: usize) -> Result<Bytes, Fault> {
        let mut bytes = Vec::with_capacity(packed.len().saturating_mul(4).min(most));
        // One more than there may be: whoever reads that has read too much.
        let more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = GzDecoder::new(&*packed).take(more).read_to_end(&mut bytes);
        match read.map_err(|error| corrupt("gzip.unpack", &error))? {
            count if count > most => {
                Err(Fault::new(FaultKind::Corrupt, "gzip.unpack", format!("more than {most} bytes")))
            }
            _ => Ok(bytes.into()),
        }
    }
}

fn corrupt(operation: &'static str, error: &io::Error) -> Fault {
    Fault::new(FaultKind::Corrupt, operation, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_packed_comes_back_and_is_smaller() {
        let text = Bytes::from("what is said often ".repeat(10_000));
        let packed = Gzip.pack(text.clone()).await.unwrap();
        assert!(packed.len() < text.len() / 50, "{}", packed.len());
        assert_eq!(Gzip.unpack(packed, text.len()).await.unwrap(), text);
    }

    #[tokio::test]
    async fn what_is_too_large_or_not_whole_is_corrupt() {
        let packed = Gzip.pack(Bytes::from(vec![7; 1_000])).await.unwrap();
        for (packed, most) in
            [(packed.clone(), 999), (packed.slice(..packed.len() - 9), 1_000), (Bytes::from("gzip"), 9)]
        {
            assert_eq!(Gzip.unpack(packed, most).await.unwrap_err().kind, FaultKind::Corrupt);
        }
    }
}
