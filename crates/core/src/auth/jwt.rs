//! Users' tokens: JSON Web Tokens (RFC 7519) signed by an issuer this installation trusts.
use super::{Principal};
use crate::Result;
use jiff::Timestamp;

/// Verifies the tokens of one issuer.
pub struct Verifier {}

impl Verifier {
    /// Whether this verifier is the one for tokens that claim `issuer`.
    pub fn serves(&self, issuer: Option<&str>) -> bool {
        let _ = issuer;
        false
    }

    /// Who the token speaks for, if it verifies at `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal> {
        let _ = (token, now);
        Err(super::refused())
    }
}

/// The issuer a token claims, unverified: only to choose the verifier.
pub fn claimed_issuer(token: &str) -> Option<String> {
    let _ = token;
    None
}
