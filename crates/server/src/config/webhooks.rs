//! Where webhooks may lead.

use std::time::Duration;

use super::setting::section;

section! {
    /// Where webhooks may lead. Without exceptions: over https, to addresses of the public internet.
    pub struct Webhooks in "webhooks" {
        /// Hosts (names or addresses, without a port) that may be inside this network, and may be asked over plain http.
        plain allow: Vec<String> = Vec::new();
        /// How long one delivery may take, in seconds.
        plain timeout_s: u32 = 10;
        /// How often one is tried.
        plain attempts: u32 = 8;
    }
}

/// A thread waits for an answer no longer than this, whatever is configured.
const TIMEOUT_S_MAX: u32 = 60;

impl Webhooks {
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.timeout_s == 0 || self.timeout_s > TIMEOUT_S_MAX {
            return Err(("timeout_s", format!("it is from 1 to {TIMEOUT_S_MAX}")));
        }
        if self.attempts == 0 {
            return Err(("attempts", "it is at least 1".to_owned()));
        }
        match self.allow.iter().find(|host| host.contains(['/', '@', '*']) || host.contains("://")) {
            Some(host) => Err(("allow", format!("{host:?} is no host: name each one whole, such as `hooks.internal`"))),
            None => Ok(()),
        }
    }

    /// For the engine.
    pub fn engine(&self) -> locule::Webhooks {
        locule::Webhooks {
            allow: self.allow.clone(),
            timeout: Duration::from_secs(self.timeout_s.into()),
            attempts: self.attempts,
        }
    }
}
