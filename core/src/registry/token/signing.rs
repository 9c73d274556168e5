//! Keys that sign (RSA, PKCS #1 v1.5 over SHA-256), as tokens and requests carry it. The host does the arithmetic.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::port::Signer;

/// A private key that signs: PKCS #8 in DER. It never prints.
#[derive(Clone)]
pub(in crate::registry) struct SigningKey(Arc<[u8]>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// Kinds of DER elements.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// Version 0.
const VERSION: &[u8] = &[INTEGER, 1, 0];
/// `rsaEncryption` without parameters, as RFC 8017 (appendix A.1) has it.
const RSA: &[u8] =
    &[SEQUENCE, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

impl SigningKey {
    /// Reads a PEM text, of PKCS #8 or #1, without a password. Where a variable could hold one line alone, `\\n` stands
    /// for the ends of lines. Whether the key is good shows when it signs.
    pub(in crate::registry) fn read(pem: &str) -> Option<Self> {
        let pem = pem.trim().replace("\\n", "\n");
        let der = if let Some(der) = inside(&pem, "PRIVATE KEY") {
            der
        } else {
            let own = wrapped(OCTET_STRING, &[&inside(&pem, "RSA PRIVATE KEY")?]);
            wrapped(SEQUENCE, &[VERSION, RSA, &own])
        };
        let key = Self(der.into());
        key.public().is_some().then_some(key)
    }

    /// The signature of `message`; empty if the key cannot sign, which is refused like any wrong one.
    pub(in crate::registry) async fn sign(&self, signer: &dyn Signer, message: &[u8]) -> Vec<u8> {
        signer.rs256(&self.0, message).await.unwrap_or_default()
    }

    /// The SHA-256 of the public key, as `SubjectPublicKeyInfo` in DER.
    pub(in crate::registry) fn fingerprint(&self) -> Option<[u8; 32]> {
        Some(Sha256::digest(self.public()?).into())
    }

    /// `SubjectPublicKeyInfo`: the modulus and the public exponent of the private key (RFC 8017, appendix A.1.2).
    fn public(&self) -> Option<Vec<u8>> {
        let (whole, _) = element(&self.0, SEQUENCE)?;
        let (own, _) = element(whole.strip_prefix(VERSION)?.strip_prefix(RSA)?, OCTET_STRING)?;
        let (numbers, _) = element(own, SEQUENCE)?;
        let numbers = numbers.strip_prefix(VERSION)?;
        let (_, after) = element(numbers, INTEGER)?;
        let (_, rest) = element(after, INTEGER)?;
        let public = wrapped(SEQUENCE, &[numbers.get(..numbers.len() - rest.len())?]);
        Some(wrapped(SEQUENCE, &[RSA, &wrapped(BIT_STRING, &[&[0], &public])]))
    }
}

/// The bytes between a PEM text's lines that name what it holds.
fn inside(pem: &str, kind: &str) -> Option<Vec<u8>> {
    let begun = pem.strip_prefix(&format!("-----BEGIN {kind}-----"))?;
    let text = begun.strip_suffix(&format!("-----END {kind}-----"))?;
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}

/// The content of the element that `bytes` begin with, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.strip_prefix(&[kind])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // No key has more than 65,535 bytes.
        0x81 | 0x82 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// An element with these contents, one after the other.
fn wrapped(kind: u8, contents: &[&[u8]]) -> Vec<u8> {
    let content = contents.concat();
    let mut out = vec![kind];
    match u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes() {
        [0, length @ 0..=0x7f] => out.push(length),
        [0, length] => out.extend([0x81, length]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for tests, and of no account.
    const KEY: &str = include_str!("test_key.pem");

    #[test]
    fn the_fingerprint_is_what_openssl_says() {
        // openssl pkey -in test_key.pem -pubout -outform DER | openssl dgst -sha256 -binary | base64
        let fingerprint = SigningKey::read(KEY).unwrap().fingerprint().unwrap();
        assert_eq!(STANDARD.encode(fingerprint), "5e7oYrkyF9h8vvMJvhLSJs0wE4zZTwuEi9SuisGg1Sg=");
    }

    #[test]
    fn keys_of_both_kinds_are_the_same_key() {
        let key = SigningKey::read(KEY).unwrap();
        let (whole, _) = element(&key.0, SEQUENCE).unwrap();
        let own =
            element(whole.strip_prefix(VERSION).unwrap().strip_prefix(RSA).unwrap(), OCTET_STRING).unwrap().0;
        let pem = format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
            STANDARD.encode(own)
        );
        assert_eq!(SigningKey::read(&pem).unwrap().0, key.0);
        assert_eq!(SigningKey::read(&KEY.trim().replace('\n', "\\n")).unwrap().0, key.0);
    }

    #[test]
    fn what_is_no_rsa_key_is_none() {
        let cut = &key_der()[..200];
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", STANDARD.encode(cut));
        for text in ["", "key", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", &pem] {
            assert!(SigningKey::read(text).is_none(), "{text}");
        }
    }

    fn key_der() -> Vec<u8> {
        inside(KEY.trim(), "PRIVATE KEY").unwrap()
    }
}
