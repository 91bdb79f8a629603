//! What signatures are held against: secrets shared with the issuer, or keys the issuer publishes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use zeroize::Zeroizing;

use super::set::KeySource;
use super::token::Token;
use crate::{Error, Result};

/// The keys of one issuer: of one kind, so that a public key can never be taken for a secret.
pub enum Keys {
    /// Secrets shared with the issuer (HS256). Several while one replaces another; each signs alike.
    Secrets(Vec<Secret>),
    /// Keys that the issuer publishes (RS256, ES256, EdDSA).
    Jwks(Arc<dyn KeySource>),
}

/// A secret shared with an issuer. Wiped from memory when dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// As long as the hash: what is shorter can be guessed from one token, in peace, on somebody else's machine.
    const BYTES_MIN: usize = 32;

    /// Takes a secret that can be one. A public key cannot, however long: everybody who has it could sign.
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < Self::BYTES_MIN {
            return Err(Error::invalid(
                "The secret for tokens is shorter than 32 bytes. Make one with `openssl rand -base64 48`.",
            ));
        }
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(Error::invalid("The secret for tokens is one byte over and over. Make one at random."));
        }
        if is_published_key(&bytes) {
            return Err(Error::invalid(
                "The secret for tokens is a key in PEM, DER, SSH or JWK form. For an issuer that publishes its keys, \
                 configure its key set instead.",
            ));
        }
        Ok(Secret(bytes))
    }

    pub(super) fn signing_key(&self) -> EncodingKey {
        EncodingKey::from_secret(&self.0)
    }

    fn verifying_key(&self) -> DecodingKey {
        DecodingKey::from_secret(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether this is a key as people publish or file them. Guards against a slip: no secret made at random looks so.
fn is_published_key(bytes: &[u8]) -> bool {
    if is_der_key(bytes) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_der_in_base64 = || {
        let body: Zeroizing<Vec<u8>> =
            Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
        BASE64.decode(&body).is_ok_and(|bytes| is_der_key(&Zeroizing::new(bytes)))
    };
    ["-----BEGIN", "---- BEGIN", "ssh-", "ecdsa-sha2-", "sk-ssh-"].iter().any(|form| text.starts_with(form))
        || (text.starts_with('{') && (text.contains("\"kty\"") || text.contains("\"keys\"")))
        || is_der_in_base64()
}

/// A DER sequence that fills the bytes exactly and begins with a sequence (an algorithm) or an integer, as the
/// encodings of keys do.
fn is_der_key(bytes: &[u8]) -> bool {
    let (length, content) = match bytes {
        [0x30, length @ 0..=0x7f, content @ ..] => (usize::from(*length), content),
        [0x30, 0x81, length, content @ ..] => (usize::from(*length), content),
        [0x30, 0x82, high, low, content @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), content),
        _ => return false,
    };
    content.len() == length && matches!(content.first(), Some(0x30 | 0x02))
}

/// The keys, made ready.
pub(super) enum Ring {
    Secrets(Vec<DecodingKey>),
    Published(Published),
}

impl Ring {
    pub fn new(keys: Keys) -> Result<Self> {
        match keys {
            Keys::Secrets(secrets) if secrets.is_empty() => {
                Err(Error::invalid("No secret for tokens is configured: without one, none can be verified."))
            }
            Keys::Secrets(secrets) => Ok(Ring::Secrets(secrets.iter().map(Secret::verifying_key).collect())),
            Keys::Jwks(source) => Ok(Ring::Published(Published { source, asked_at: Mutex::new(None) })),
        }
    }

    /// Whether one of the keys made this signature. Fails only when there are no keys to be had.
    pub fn verifies(&self, token: &Token, now: Timestamp) -> Result<bool> {
        match self {
            Ring::Secrets(keys) => Ok(token.header.algorithm == Algorithm::HS256
                && keys.iter().any(|key| signature_holds(token, key, Algorithm::HS256))),
            Ring::Published(published) => published.verifies(token, now),
        }
    }
}

/// Published keys, and when they were last asked for on a token's account.
pub(super) struct Published {
    source: Arc<dyn KeySource>,
    asked_at: Mutex<Option<Timestamp>>,
}

/// How often tokens with unknown keys may make us ask the issuer. A stranger can send any number of them.
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(30);

impl Published {
    fn verifies(&self, token: &Token, now: Timestamp) -> Result<bool> {
        // A secret's algorithm names no published key, and is no reason to ask for more of them.
        if token.header.algorithm == Algorithm::HS256 {
            return Ok(false);
        }
        let known = self.source.current()?;
        if let Some(key) = known.find(&token.header) {
            return Ok(signature_holds(token, &key.key, key.algorithm));
        }
        if !self.may_ask(now) {
            return Ok(false);
        }
        // That the issuer does not answer is no reason to take the token, nor to drop the keys we have.
        let Ok(fresh) = self.source.refresh(now) else { return Ok(false) };
        Ok(fresh.find(&token.header).is_some_and(|key| signature_holds(token, &key.key, key.algorithm)))
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        // A panic elsewhere leaves a moment in there all the same: nothing can be half done.
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock set back must not keep us from asking until it has caught up.
        if asked_at.is_some_and(|asked_at| asked_at <= now && now.duration_since(asked_at) < ASK_EVERY) {
            return false;
        }
        *asked_at = Some(now);
        true
    }
}

/// Whether this key made this signature by this algorithm, which comes from the key and not from the token.
fn signature_holds(token: &Token, key: &DecodingKey, algorithm: Algorithm) -> bool {
    crypto::verify(token.signature, token.signed.as_bytes(), key, algorithm).unwrap_or(false)
}

/// Signs and verifies once. A build without its cryptography would otherwise fail at the first user.
pub(super) fn self_test() -> Result<()> {
    let secret = [7; 32];
    let (signing, verifying) = (EncodingKey::from_secret(&secret), DecodingKey::from_secret(&secret));
    let holds = |message: &[u8], signature: &str| crypto::verify(signature, message, &verifying, Algorithm::HS256);
    let signature = crypto::sign(b"true", &signing, Algorithm::HS256).map_err(Error::internal)?;
    match (holds(b"true", &signature), holds(b"false", &signature)) {
        (Ok(true), Ok(false)) => Ok(()),
        _ => Err(Error::internal("signatures do not verify in this build")),
    }
}
