//! Where the public keys of another issuer come from: a file, or a URL that is fetched with care.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use locule_core::auth::jwt::{KeySet, KeySource};
use locule_core::clock::Sources;
use locule_core::{Code, Error, Result};

use crate::config;
use crate::http::Http;

/// How long a fetched set is taken for current.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// How long an old set serves when its host does not answer.
const STALE: SignedDuration = SignedDuration::from_hours(24);

/// The largest set that is read, in bytes.
const BYTES_MAX: u64 = 256 * 1024;

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A key set that is fetched when it is first needed, and kept.
pub(crate) struct Source {
    from: From,
    kept: RwLock<Option<Kept>>,
    /// One fetch at a time: whoever comes meanwhile takes what it brings.
    fetching: Mutex<()>,
    sources: Sources,
}

enum From {
    File(PathBuf),
    Url(Http, String),
}

struct Kept {
    set: Arc<KeySet>,
    at: Timestamp,
}

/// The source as configured; its address is checked now, and fetched later.
pub(crate) fn source(set: &config::KeySet, sources: &Sources) -> Result<Source> {
    let from = match set {
        config::KeySet::File(path) => From::File(path.clone()),
        config::KeySet::Url(url) => From::Url(Http::to(url, PATIENCE)?, url.clone()),
    };
    Ok(Source { from, kept: RwLock::new(None), fetching: Mutex::new(()), sources: sources.clone() })
}

impl Source {
    fn fetch(&self) -> Result<KeySet> {
        let json = match &self.from {
            From::File(path) => {
                #[expect(clippy::disallowed_methods, reason = "the issuer's key set, which is public")]
                let bytes = std::fs::read(path).map_err(|error| unavailable().because(error))?;
                String::from_utf8(bytes).map_err(|error| unavailable().because(error))?
            }
            From::Url(http, url) => http.get(url, BYTES_MAX).map_err(|error| unavailable().because(error))?,
        };
        KeySet::parse(&json)
    }

    fn kept(&self) -> Option<(Arc<KeySet>, Timestamp)> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|kept| (kept.set.clone(), kept.at))
    }
}

impl KeySource for Source {
    fn current(&self) -> Result<Arc<KeySet>> {
        let now = self.sources.now();
        match self.kept() {
            Some((set, at)) if now.duration_since(at) < FRESH => Ok(set),
            _ => self.refresh(now),
        }
    }

    fn refresh(&self, now: Timestamp) -> Result<Arc<KeySet>> {
        let before = self.kept().map(|(_, at)| at);
        let _one = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((set, at)) = self.kept()
            && Some(at) != before
        {
            return Ok(set);
        }
        match (self.fetch(), self.kept()) {
            (Ok(set), _) => {
                let set = Arc::new(set);
                *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Kept { set: set.clone(), at: now });
                Ok(set)
            }
            // An issuer that is down does not sign its users out, for a day.
            (Err(error), Some((set, at))) if now.duration_since(at) < STALE => {
                tracing::warn!(?error, "the key set cannot be fetched; the last good one serves on");
                Ok(set)
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn unavailable() -> Error {
    Error::new(Code::ProviderUnavailable, "The issuer's keys cannot be fetched just now. Try again in a moment.")
}
