//! Makes tokens, right and wrong: signs whatever header and claims it is given.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use locule_core::auth::jwt::Secret;
use serde_json::{Map, Value, json};

use crate::support::noon;

pub const SECRET: &[u8] = b"a secret that is for the tests and for nothing else";

pub fn secret() -> Secret {
    Secret::new(SECRET.to_vec()).unwrap()
}

pub fn base64(text: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(text.as_ref())
}

/// Alice's token, good for an hour.
pub fn bare() -> String {
    Forge::new().sign()
}

/// The same with these claims added or changed.
pub fn token(claims: Value) -> String {
    Forge::new().claims(claims).sign()
}

/// Somebody's token that does not say when it was issued.
pub fn undated(subject: &str, expires_at: Timestamp) -> String {
    Forge::new().without("iat").claims(json!({"sub": subject, "exp": expires_at.as_second()})).sign()
}

/// Alice's token with this claim, as JSON text that may be no JSON at all.
pub fn raw(claim: &str) -> String {
    let iat = noon().as_second();
    let all = [("sub", r#""alice""#.to_owned()), ("iat", iat.to_string()), ("exp", (iat + 3600).to_string())];
    let others = all.iter().filter(|(key, _)| !claim.contains(&format!("\"{key}\"")));
    let others: String = others.map(|(key, value)| format!(",\"{key}\":{value}")).collect();
    Forge::new().payload(format!("{{{claim}{others}}}")).sign()
}

/// A token in the making.
pub struct Forge {
    header: String,
    claims: Map<String, Value>,
    payload: Option<Vec<u8>>,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Forge {
    pub fn new() -> Self {
        let iat = noon().as_second();
        let Value::Object(claims) = json!({"sub": "alice", "iat": iat, "exp": iat + 3600}) else { unreachable!() };
        let key = EncodingKey::from_secret(SECRET);
        Forge {
            header: r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
            claims,
            payload: None,
            key,
            algorithm: Algorithm::HS256,
        }
    }

    pub fn header(mut self, json: &str) -> Self {
        self.header = json.to_owned();
        self
    }

    pub fn claims(mut self, claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        self.claims.extend(claims);
        self
    }

    pub fn without(mut self, claim: &str) -> Self {
        self.claims.remove(claim);
        self
    }

    /// Any bytes in place of the claims.
    pub fn payload(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = Some(bytes.into());
        self
    }

    pub fn key(mut self, key: EncodingKey, algorithm: Algorithm) -> Self {
        (self.key, self.algorithm) = (key, algorithm);
        self
    }

    pub fn sign(self) -> String {
        let payload = self.payload.unwrap_or_else(|| serde_json::to_vec(&self.claims).unwrap());
        let signed = format!("{}.{}", base64(&self.header), base64(payload));
        let signature = crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub fn rsa() -> EncodingKey {
    // A key made for these tests. It guards nothing.
    EncodingKey::from_rsa_pem(include_bytes!("../rsa.pem")).unwrap()
}

/// PKCS 8 around 32 bytes that are the whole private key.
pub fn ed25519(seed: u8) -> EncodingKey {
    EncodingKey::from_ed_der(&private_key("302e020100300506032b657004220420", seed))
}

/// The same on the curve P-256.
pub fn p256(seed: u8) -> EncodingKey {
    let head = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
    EncodingKey::from_ec_der(&private_key(head, seed))
}

fn private_key(head: &str, seed: u8) -> Vec<u8> {
    [data_encoding::HEXLOWER.decode(head.as_bytes()).unwrap(), vec![seed; 32]].concat()
}
