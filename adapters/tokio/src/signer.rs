use async_trait::async_trait;
use gatelet_core::port::{Cipher, Fault, FaultKind, Signer};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
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

    async fn aes256_gcm(
        &self,
        cipher: Cipher,
        key: &[u8; 32],
        nonce: &[u8; 12],
        context: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let denied = |_| Fault::new(FaultKind::Denied, "signer.aes256_gcm", "it does not open");
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(denied)?);
        let (nonce, context, mut data) =
            (Nonce::assume_unique_for_key(*nonce), Aad::from(context), data.to_vec());
        match cipher {
            Cipher::Seal => key.seal_in_place_append_tag(nonce, context, &mut data).map_err(denied)?,
            Cipher::Open => {
                let length = key.open_in_place(nonce, context, &mut data).map_err(denied)?.len();
                data.truncate(length);
            }
        }
        Ok(data)
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
    async fn what_is_sealed_opens_with_its_key_and_context_alone() {
        let (key, nonce) = ([7; 32], [9; 12]);
        let seal = async |cipher, key: &[u8; 32], context: &[u8], data: &[u8]| {
            RingSigner.aes256_gcm(cipher, key, &nonce, context, data).await
        };
        let sealed = seal(Cipher::Seal, &key, b"for", b"secret").await.unwrap();
        assert_eq!(sealed.len(), 6 + 16);
        assert_eq!(seal(Cipher::Open, &key, b"for", &sealed).await.unwrap(), b"secret");
        let mut changed = sealed.clone();
        changed[0] ^= 1;
        for (key, context, data) in [
            (&[8; 32], &b"for"[..], &sealed),
            (&key, b"other", &sealed),
            (&key, b"for", &changed),
            (&key, b"for", &vec![0; 3]),
        ] {
            assert_eq!(seal(Cipher::Open, key, context, data).await.unwrap_err().kind, FaultKind::Denied);
        }
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
