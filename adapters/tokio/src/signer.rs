use async_trait::async_trait;
use gatelet_core::port::{Fault, FaultKind, Signer};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Signs with the library that connections are secured with.
#[derive(Clone, Copy, Debug, Default)]
pub struct RingSigner;

#[async_trait]
impl Signer for RingSigner {
    async fn rs256(&self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, Fault> {
        let denied = |why: String| Fault::new(FaultKind::Denied, "signer.rs256", why);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let key = any_supported_type(&key).map_err(|error| denied(error.to_string()))?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.ok_or_else(|| denied("it is no RSA key".to_owned()))?;
        signer.sign(message).map_err(|error| denied(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for tests, and of no account.
    const KEY: &str = include_str!("../../../core/src/registry/token/test_key.pem");

    /// `openssl dgst -sha256 -sign test_key.pem`, in hexadecimal.
    const SIGNATURE: &str = "0542b182ab098357dd59788f0657732034e309f797311663f87319ed5272e2bea9d1655d71c5abfb556587fff7a2ccc5636b5a81e9fddafbab82bdab93ba04f6068c66eca6fdff2052cbbef6db6f377921b28ee8da494d94aabacab73911614748da35c5b87d5ce64ba0113b6547ad111913d4a82ea30b7f5a528203c7ae409922b07fa55a0f034b09d4d94f5bf748561c02b5e3e933c3ceb44341f4890c07470b946467aae3fba418514fa59fb9abbbdccfb0b6e1210e897539696732caa078c1ae13cc370d8f96b84244fbdaea0772c17f11d1a51844cf1f415fc80faa8aec2c4dd010d0b57feeced34383846215b1e3cc5d9f563b47b92b7bdaf4875db45f";

    fn key() -> Vec<u8> {
        use rustls::pki_types::pem::PemObject as _;
        PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap().secret_pkcs8_der().to_vec()
    }

    #[tokio::test]
    async fn a_signature_is_what_another_library_makes() {
        let signature = RingSigner.rs256(&key(), b"what is signed").await.unwrap();
        let wanted: Vec<u8> = (0..SIGNATURE.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&SIGNATURE[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(signature, wanted);
    }

    #[tokio::test]
    async fn what_is_no_rsa_key_is_denied() {
        let mut broken = key();
        broken.truncate(300);
        for key in [&broken[..], b"", b"key"] {
            assert_eq!(RingSigner.rs256(key, b"x").await.unwrap_err().kind, FaultKind::Denied);
        }
    }
}
