//! Free ports of 127.0.0.1.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::fail::OrFail;

/// Below what Linux takes for outgoing connections (from 32768), so that a port is still free when a service that was
/// stopped starts again on it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that nobody listens on and that this process has not handed out before. Another test program may take it in the
/// same moment: whoever starts a service tries a few.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run side by side start apart. 7919 is a prime, so that consecutive process ids lie far from each other.
    let start = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
    (0..COUNT)
        .map(|_| {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            FIRST + u16::try_from((start + step) % u32::from(COUNT)).unwrap_or(0)
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .or_fail("no port is free")
}
