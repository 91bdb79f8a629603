//! What this process keeps from others on the machine, settled before anything else happens.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};

/// Files are their owner's alone, memory with keys in it is written nowhere, and a file at the size limit of the account
/// is an error to be told rather than the end.
///
/// What the system will not do is no reason to stop: each is a second lock on a door that has one.
pub fn harden() {
    umask(Mode::from_bits_truncate(0o077));
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // No other process of the same user reads our memory, and no core dump is piped to a collector either.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
    // Blocked here, before there is a second thread, it is blocked in all: the write then fails and says why.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    let _ = signals.thread_block();
}
