//! Answers that go on: how many a share has at a time, and that all of them end when the server does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locule::{Code, Error, Result, limit};
use tokio::sync::watch;

use crate::pool::Share;

/// The streams of this server.
#[derive(Default)]
pub struct Streams {
    open: Mutex<HashMap<Share, usize>>,
    stopping: watch::Sender<bool>,
}

impl Streams {
    /// One more for a share, if it may have one more.
    pub fn enter(self: &Arc<Self>, share: Share) -> Result<Place> {
        let mut open = self.lock();
        let held = open.entry(share).or_default();
        if *held >= limit::CONTEXT_WATCHERS.max {
            let message = format!("{held} streams of changes are open already. Close one, or try again later.");
            return Err(Error::new(Code::RateLimited, message));
        }
        *held += 1;
        Ok(Place { streams: self.clone(), share })
    }

    /// Ends all of them.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the streams, until it is dropped.
pub struct Place {
    streams: Arc<Streams>,
    share: Share,
}

impl Place {
    /// What tells that the server stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.streams.stopping.subscribe()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Some(held) = open.get_mut(&self.share) {
            *held -= 1;
            if *held == 0 {
                open.remove(&self.share);
            }
        }
    }
}
