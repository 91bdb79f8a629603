//! What the server is set up with, and what all its requests share.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use locule::{Code, Engine, Error, Principal, Result};

use crate::metrics::Metrics;
use crate::pool::{Pool, Share};
use crate::streams::Streams;

/// Finds a request in the log.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// Where operators connect, unless it is said otherwise.
pub const OPERATORS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7401);

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where users and services connect.
    pub listen: SocketAddr,
    /// Where operators connect; `None` for nowhere.
    pub operator_listen: Option<SocketAddr>,
    /// How long a request may take.
    pub deadline: Duration,
    /// How many units of work run at a time.
    pub workers: usize,
    /// Requests per second that one space may make, on average; 0 for no bound.
    pub rate_per_s: u32,
    /// Where mem0's clients find their face.
    pub mem0_prefix: String,
    /// From which origins pages may ask in a browser.
    pub origins: Vec<String>,
}

/// What all requests share.
pub struct App {
    /// The installation.
    pub engine: Arc<Engine>,
    /// Where blocking work runs.
    pub pool: Pool,
    /// How long a request may take.
    pub deadline: Duration,
    /// Figures.
    pub metrics: Metrics,
    /// Answers that go on for as long as their clients like.
    pub streams: Arc<Streams>,
    /// The description of the API, made when it is first asked for.
    pub document: LazyLock<String>,
    rates: Option<RateLimiter<Share, DashMapStateStore<Share>, DefaultClock>>,
    hasher: RandomState,
}

impl App {
    /// For requests to an installation, served like this; `document` describes the routes.
    pub fn new(engine: Arc<Engine>, settings: &Settings, document: fn() -> String) -> Self {
        let rates = NonZeroU32::new(settings.rate_per_s).map(|rate| RateLimiter::dashmap(Quota::per_second(rate)));
        App {
            engine,
            pool: Pool::new(settings.workers),
            deadline: settings.deadline,
            metrics: Metrics::new(),
            streams: Arc::default(),
            document: LazyLock::new(document),
            rates,
            hasher: RandomState::new(),
        }
    }

    /// Whose turn the work of this principal takes: its own, or that of the user a service acts for. The hash has a key of
    /// this process, so that nobody can aim at another's turn.
    pub fn share(&self, principal: &Principal, acts_for: Option<&str>) -> Share {
        let actor = principal.actor();
        match principal.role() {
            locule::Role::Service => Share(self.hasher.hash_one((actor.kind(), acts_for))),
            _ => Share(self.hasher.hash_one((actor.kind(), actor.name()))),
        }
    }

    /// Whose turn it takes to find out who holds a credential. A service's many users all come with its one key, so that it has
    /// several places.
    pub fn share_of_credential(&self, credential: &str) -> Share {
        const PLACES: u64 = 16;
        Share(self.hasher.hash_one((credential, self.hasher.hash_one(std::time::Instant::now()) % PLACES)))
    }

    /// Counts a request against the rate of its share.
    pub fn check_rate(&self, share: Share) -> Result<()> {
        match &self.rates {
            Some(rates) if rates.check_key(&share).is_err() => {
                Err(Error::new(Code::RateLimited, "Too many requests in this second. Try again in a moment."))
            }
            _ => Ok(()),
        }
    }

    /// An id for a request that brings none.
    pub fn fresh_id(&self) -> String {
        let random = [self.hasher.hash_one(std::time::Instant::now()), RandomState::new().hash_one(0)];
        format!("{:016x}{:016x}", random[0], random[1])
    }
}
