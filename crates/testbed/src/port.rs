//! Free ports of 127.0.0.1.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::fail::OrFail;

/// Below what Linux takes for outgoing connections (from 32768), so that a port is still free when a service that was
/// stopped starts again on it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Starts something on a free port. Another test program may take the port between the look and the start: then on the next.
pub fn claim<T>(mut start: impl FnMut(u16) -> Result<T, String>) -> (u16, T) {
    let mut attempts = 1;
    loop {
        let port = free();
        match start(port) {
            Ok(made) => return (port, made),
            Err(why) if attempts < 5 && why.to_lowercase().contains("address already in use") => attempts += 1,
            Err(why) => None.or_fail(why),
        }
    }
}

/// Whether somebody accepts connections there.
pub fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A port that nobody listens on and that this process has not handed out before.
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
