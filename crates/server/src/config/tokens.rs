//! Whose tokens are taken.

use std::path::PathBuf;

use locule::{Issuer, Issuing, KeySet};

use super::setting::section;

section! {
    /// Whose tokens are taken. With nothing set, those that `locule token` signs; with `JWT_SECRET`, those signed with it; with a key set, those of its issuer.
    pub struct Tokens in "tokens" {
        /// The issuer that tokens name (`iss`), and whose users keys act for.
        plain issuer: String = Issuer::DEFAULT.to_owned();
        /// Whether a token must name it.
        plain require_issuer: bool = false;
        /// The audiences (`aud`) that tokens may be meant for.
        plain audiences: Vec<String> = vec!["authenticated".to_owned()];
        /// Whether a token must be meant for one of them.
        plain require_audience: bool = false;
        /// A file with the issuer's public keys, as a JSON Web Key Set.
        plain jwks_file: Option<PathBuf> = None;
        /// Where the issuer publishes its public keys: https, or http on this machine.
        plain jwks_url: Option<String> = None;
        /// The longest life of a token, in seconds.
        plain lifetime_max_s: u32 = 24 * 60 * 60;
    }
}

impl Tokens {
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.jwks_file.is_some() && self.jwks_url.is_some() {
            return Err(("jwks_url", "the key set is in a file or at an address: leave one of them out".to_owned()));
        }
        if self.lifetime_max_s == 0 {
            return Err(("lifetime_max_s", "it is at least 1".to_owned()));
        }
        Issuer::try_from(&*self.issuer).map(drop).map_err(|error| ("issuer", error.detail().to_owned()))
    }

    /// For the engine. `secret` is `JWT_SECRET`.
    pub fn engine(&self, secret: Option<&str>) -> Issuing {
        let file = self.jwks_file.clone().map(KeySet::File);
        Issuing {
            secrets: secret.into_iter().map(|secret| secret.as_bytes().to_vec()).collect(),
            key_set: file.or_else(|| self.jwks_url.clone().map(KeySet::Url)),
            issuer: Issuer::try_from(&*self.issuer).unwrap_or_default(),
            require_issuer: self.require_issuer,
            audiences: self.audiences.clone(),
            require_audience: self.require_audience,
            lifetime_max_s: Some(self.lifetime_max_s),
        }
    }
}
