//! Signatures by an RSA key (PKCS #1 v1.5 over SHA-256), as tokens and requests carry them.

use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};

/// `DigestInfo` of SHA-256, as RFC 8017 (section 9.2, note 1) has it.
pub(super) const SHA_256: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// A private key that signs. It never prints.
#[derive(Clone)]
pub(in crate::registry) struct SigningKey(RsaPrivateKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

impl SigningKey {
    /// Reads a PEM text, of PKCS #8 or #1, without a password. Where a variable could hold one line alone, `\n` stands
    /// for the ends of lines.
    pub(in crate::registry) fn read(pem: &str) -> Option<Self> {
        let pem = pem.trim().replace("\\n", "\n");
        let key = RsaPrivateKey::from_pkcs8_pem(&pem).or_else(|_| RsaPrivateKey::from_pkcs1_pem(&pem));
        key.ok().map(Self)
    }

    /// The signature of `message`; empty if the key cannot sign, which is refused like any wrong one.
    pub(in crate::registry) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let padding = Pkcs1v15Sign { hash_len: Some(32), prefix: SHA_256.into() };
        self.0.sign(padding, &Sha256::digest(message)).unwrap_or_default()
    }

    /// The SHA-256 of the public key, as `SubjectPublicKeyInfo` in DER.
    pub(in crate::registry) fn fingerprint(&self) -> Option<[u8; 32]> {
        let public = self.0.to_public_key().to_public_key_der().ok()?;
        Some(Sha256::digest(public.as_bytes()).into())
    }
}
