//! Sealing small records: AES-256-GCM-SIV (RFC 8452), which forgives a repeated nonce, bound to where the record belongs.

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use hkdf::Hkdf;
use locule_core::clock::Sources;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

const NONCE_BYTES: usize = 12;
const ALIKE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

/// 256 secret bits. They are wiped when dropped, and are never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A fresh one.
    pub fn random(sources: &Sources) -> Self {
        Secret(sources.bytes())
    }

    /// From its bytes; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Secret)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another secret for one purpose, from which this one cannot be found (HKDF-SHA-256, RFC 5869).
    #[expect(clippy::expect_used, reason = "HKDF fails only for outputs over 8,160 bytes")]
    pub fn derive(&self, purpose: &str) -> Secret {
        let mut derived = [0; 32];
        Hkdf::<Sha256>::new(None, &self.0).expand(purpose.as_bytes(), &mut derived).expect("32 bytes are few enough");
        Secret(derived)
    }

    /// Seals `plain` so that it opens only with this secret and the same `place`.
    #[expect(clippy::expect_used, reason = "AES-GCM-SIV fails only for inputs over 64 GiB")]
    pub fn seal(&self, plain: &[u8], place: &[u8], sources: &Sources) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = sources.bytes();
        let sealed = self
            .cipher()
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: place })
            .expect("a small record can be sealed");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Seals `plain` as [`Secret::seal`] does, but the same always to the same: whoever sees two sees whether they are equal,
    /// and nothing else. This is what the cipher gives without a nonce (RFC 8452, 9).
    #[expect(clippy::expect_used, reason = "AES-GCM-SIV fails only for inputs over 64 GiB")]
    pub fn seal_alike(&self, plain: &[u8], place: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: plain, aad: place };
        let sealed = self.cipher().encrypt(&Nonce::from(ALIKE), payload).expect("a small record can be sealed");
        [ALIKE.as_slice(), &sealed].concat()
    }

    /// Opens what [`Secret::seal`] or [`Secret::seal_alike`] made; `None` for anything else.
    pub fn open(&self, sealed: &[u8], place: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher().decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: place }).ok()
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new(&self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_in_its_place() {
        let sources = Sources::system();
        let (key, other) = (Secret::random(&sources), Secret::random(&sources));
        let sealed = key.seal(b"plain", b"here", &sources);
        assert_eq!(key.open(&sealed, b"here").as_deref(), Some(b"plain".as_slice()));
        assert_eq!(key.open(&sealed, b"there"), None);
        assert_eq!(other.open(&sealed, b"here"), None);
        assert_eq!(key.derive("a").open(&sealed, b"here"), None);
        for byte in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[byte] ^= 1;
            assert_eq!(key.open(&flipped, b"here"), None);
        }
        assert_eq!(key.open(b"short", b"here"), None);
    }
}
