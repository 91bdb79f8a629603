//! The keys an issuer publishes: a JSON Web Key Set (RFC 7517).

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;

use super::token::{Header, is_key_id};
use crate::limit::Bound;
use crate::{Error, Result};

/// Where an issuer's published keys come from: a file, an address. Called from many threads at once.
///
/// Who implements it does the fetching, and with it what belongs there: its time limit, one fetch at a time, how long a
/// set is kept and how long past that while the issuer does not answer. Who calls it sees to it that strangers cannot
/// drive it: [`refresh`](KeySource::refresh) comes at most once in 30 seconds, whatever tokens arrive.
pub trait KeySource: Send + Sync {
    /// The set as it is known. Called for every token: cheap, except where the set has never been had or has grown old.
    ///
    /// Fails when there is no set that may still be used. The error goes out as the answer to the request, so its code
    /// is one to try again later on.
    fn current(&self) -> Result<Arc<KeySet>>;

    /// Asks the issuer again, because a token names a key that [`current`](KeySource::current) does not have.
    ///
    /// On success `current` gives the new set from here on. On failure it goes on giving the last good one.
    fn refresh(&self, now: Timestamp) -> Result<Arc<KeySet>>;
}

/// A key set is fetched over the network, from somebody who may be having a bad day.
const SET_BYTES: Bound = Bound {
    name: "key set",
    max: 256 * 1024,
    unit: "bytes",
    reason: "64 keys with certificate chains fit; a web page served by mistake need not.",
};

const SET_KEYS: Bound = Bound {
    name: "key set",
    max: 64,
    unit: "keys",
    reason: "Each is looked at for each token. Issuers publish two or three.",
};

/// Public keys that verify tokens.
pub struct KeySet {
    keys: Vec<PublicKey>,
}

pub(super) struct PublicKey {
    kid: Option<String>,
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

impl KeySet {
    /// Reads the text of a set. Keys that cannot be used here are left out, as RFC 7517 asks: secrets, private keys, keys for
    /// encryption, other algorithms, RSA under 2048 or over 4096 bits. That may leave none; see [`KeySet::is_empty`].
    ///
    /// ```
    /// # fn main() -> locule_core::Result<()> {
    /// let set = locule_core::auth::jwt::KeySet::parse(
    ///     r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "2026",
    ///         "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    /// )?;
    /// assert_eq!(set.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn parse(json: &str) -> Result<KeySet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }

        SET_BYTES.check(json.len())?;
        let set: Set = serde_json::from_str(json)
            .map_err(|error| Error::invalid("This is no key set: {\"keys\": [ … ]} is expected.").because(error))?;
        SET_KEYS.check(set.keys.len())?;
        let keys: Vec<PublicKey> = set.keys.into_iter().filter_map(PublicKey::read).collect();
        let same = |a: &PublicKey, b: &PublicKey| a.kid.is_some() && a.kid == b.kid && a.algorithm == b.algorithm;
        if keys.iter().enumerate().any(|(index, key)| keys[..index].iter().any(|before| same(before, key))) {
            return Err(Error::invalid("Two keys of the key set have the same `kid`."));
        }
        Ok(KeySet { keys })
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used, so that no token verifies. An issuer may mean that; at first sight it is a mistake.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key a token means: the one it names, or, when it names none, the only one of its algorithm.
    pub(super) fn find(&self, header: &Header) -> Option<&PublicKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == header.algorithm && (header.kid.is_none() || key.kid == header.kid));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }
}

/// A JSON Web Key, as far as it matters here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private part. A key whose private part is published is nobody's any more.
    d: Option<Value>,
}

impl PublicKey {
    fn read(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let is_for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_deref().is_none_or(|acts| acts.iter().any(|act| act == "verify"));
        if !is_for_signatures || jwk.d.is_some() || !jwk.kid.as_deref().is_none_or(is_key_id) {
            return None;
        }
        // The key's form decides its algorithm. What it says of it may agree, and nothing else.
        let (name, algorithm, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => ("RS256", Algorithm::RS256, rsa(&jwk)?),
            ("EC", Some("P-256")) => ("ES256", Algorithm::ES256, p256(&jwk)?),
            ("OKP", Some("Ed25519")) => ("EdDSA", Algorithm::EdDSA, ed25519(&jwk)?),
            _ => return None,
        };
        if jwk.alg.as_deref().is_some_and(|alg| alg != name) {
            return None;
        }
        // An empty signature does not verify; that it can be tried means that the key is a point of its curve.
        crypto::verify("", b"", &key, algorithm).ok()?;
        Some(PublicKey { kid: jwk.kid, algorithm, key })
    }
}

fn bytes(field: Option<&String>) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(field?.as_bytes()).ok()
}

fn rsa(jwk: &Jwk) -> Option<DecodingKey> {
    let unsigned = |field: Option<&String>| {
        let mut bytes = bytes(field)?;
        bytes.drain(..bytes.iter().take_while(|byte| **byte == 0).count());
        Some(bytes)
    };
    let (modulus, exponent) = (unsigned(jwk.n.as_ref())?, unsigned(jwk.e.as_ref())?);
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte % 2 == 1);
    // With an exponent of 1 every signature is its own proof. Over 4 bytes, each check would take noticeably long.
    let fits = (2048..=4096).contains(&bits)
        && is_odd(&modulus)
        && is_odd(&exponent)
        && exponent.len() <= 4
        && exponent != [1];
    fits.then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

fn p256(jwk: &Jwk) -> Option<DecodingKey> {
    let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
    if x.len() != 32 || y.len() != 32 {
        return None;
    }
    // SEC 1: an uncompressed point.
    Some(DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat()))
}

fn ed25519(jwk: &Jwk) -> Option<DecodingKey> {
    let x = bytes(jwk.x.as_ref())?;
    // The backend takes the first 32 bytes and would panic on fewer.
    (x.len() == 32).then(|| DecodingKey::from_ed_der(&x))
}
