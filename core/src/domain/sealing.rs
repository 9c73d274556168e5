//! What seals credentials at rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Keys for AES-256-GCM, from the host's secrets: the first one seals, all of them open. It never prints.
#[derive(Clone, Default)]
pub struct SealingKeys(Vec<[u8; 32]>);

/// Why a text is no list of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 32 bytes in base64, such as `openssl rand -base64 32` makes; several parted by commas, the newest first"
)]
pub struct NotSealingKeys;

impl SealingKeys {
    /// Reads `GATELET_SEALING_KEY`; nothing is no key.
    pub fn read(text: &str) -> Result<Self, NotSealingKeys> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let key = |word: &str| STANDARD.decode(word).ok()?.try_into().ok();
        words.map(|word| key(word).ok_or(NotSealingKeys)).collect::<Result<_, _>>().map(Self)
    }

    /// The one that seals, and its name.
    pub fn newest(&self) -> Option<(String, &[u8; 32])> {
        self.0.first().map(|key| (name(key), key))
    }

    pub fn named(&self, wanted: &str) -> Option<&[u8; 32]> {
        self.0.iter().find(|key| name(key) == wanted)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The beginning of its SHA-256: it tells which one it is, and nothing of it.
fn name(key: &[u8; 32]) -> String {
    Sha256::digest(key).iter().take(4).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_whole_or_not_at_all() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let keys = SealingKeys::read(&format!("{one}, {two}")).unwrap();
        let (newest, key) = keys.newest().unwrap();
        assert_eq!((key, keys.named(&newest)), (&[1; 32], Some(&[1; 32])));
        assert_eq!(format!("{keys:?}"), "SealingKeys(2)");
        assert!(SealingKeys::read(" ").unwrap().is_empty());
        for wrong in ["password", &one[1..], &format!("{one},x"), &STANDARD.encode([1; 31])] {
            assert!(SealingKeys::read(wrong).is_err(), "{wrong}");
        }
    }
}
