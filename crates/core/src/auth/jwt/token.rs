//! A token's outside: three segments and a header. Read before anything is verified, so every byte is a stranger's.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::Algorithm;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::limit;

/// A token taken apart, with its header read and nothing verified.
pub(super) struct Token<'a> {
    pub header: Header,
    /// The first two segments with the dot between them: what the signature covers.
    pub signed: &'a str,
    pub signature: &'a str,
    payload: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token apart, if it has the shape of one that could ever be taken here.
    pub fn read(token: &'a str) -> Option<Self> {
        limit::TOKEN_BYTES.check(token.len()).ok()?;
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        // A third dot lands in the payload, whose alphabet has none. No segment is empty: a token without a signature
        // is not even held against the keys.
        if header.is_empty() || !is_base64url(payload) || !is_base64url(signature) {
            return None;
        }
        Some(Token { header: Header::read(&decode(header)?)?, signed, signature, payload })
    }

    /// The claims as JSON.
    pub fn payload(&self) -> Option<String> {
        decode(self.payload)
    }
}

/// What a header may hold. Anything else would ask for a behaviour we do not have (`crit`, `b64`, `zip`) or bring a key
/// along (`jwk`, `jku`, `x5c`, `x5u`), and its sender would be wrong about us either way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    cty: Option<String>,
}

/// A header with the three things that are used of it.
pub(super) struct Header {
    pub algorithm: Algorithm,
    pub typ: Option<String>,
    pub kid: Option<String>,
}

impl Header {
    fn read(json: &str) -> Option<Self> {
        let RawHeader { alg, typ, kid, cty } = serde_json::from_str(json).ok()?;
        // A token whose content is a token: nobody here opens the inner one.
        if !is_object_of_distinct_keys(json) || cty.is_some_and(|cty| cty.eq_ignore_ascii_case("jwt")) {
            return None;
        }
        if !kid.as_deref().is_none_or(is_key_id) {
            return None;
        }
        Some(Header { algorithm: algorithm(&alg)?, typ, kid })
    }
}

/// The algorithms there are here. `none` is not among them, and neither is any that shares a key with another.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "HS256" => Algorithm::HS256,
        "RS256" => Algorithm::RS256,
        "ES256" => Algorithm::ES256,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

/// Whether this can be the name of a key: short, and of letters that mean nothing to a path, a query or a log.
pub(super) fn is_key_id(kid: &str) -> bool {
    (1..=128).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~=-".contains(&byte))
}

fn is_base64url(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A segment's text. One text has one spelling: padding, blanks and stray last bits are refused.
pub(super) fn decode(segment: &str) -> Option<String> {
    String::from_utf8(BASE64URL_NOPAD.decode(segment.as_bytes()).ok()?).ok()
}

/// For a field that may be left out and, when it is there, is not `null`.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Whether this is an object that says everything once. Of two values for one key every reader picks its own, and the
/// one who issued the token may have read the other.
pub(super) fn is_object_of_distinct_keys(json: &str) -> bool {
    serde_json::from_str::<Distinct>(json).is_ok()
}

struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Distinct)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in which no key stands twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Distinct, A::Error> {
        let mut seen = BTreeSet::new();
        // Keys are compared as read: an escaped letter is the letter.
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if !seen.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Distinct)
    }
}
