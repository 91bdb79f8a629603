//! Finding and signalling the processes of a service.
//!
//! A service's processes are those whose command line names the service's directory, and their children. PostgreSQL's
//! backends show `cluster_name` there, which is set to that name. It holds for processes that were detached or whose parent
//! died, and everybody may read it, which is not so of a working directory in a container.

use std::collections::HashSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fail::OrFail;

/// Processes that carry the mark, and what descends from them. Not those at a terminal: somebody reading a service's log is
/// no part of the service.
pub fn marked(mark: &str) -> Vec<Pid> {
    let all = all();
    let mut found: HashSet<i32> =
        all.iter().filter(|pid| carries(**pid, mark) && is_detached(**pid)).copied().collect();
    let related: Vec<(i32, i32)> = all.iter().filter_map(|pid| Some((*pid, parent(*pid)?))).collect();
    loop {
        let before = found.len();
        for (pid, parent) in &related {
            if found.contains(parent) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            return found.into_iter().map(Pid::from_raw).collect();
        }
    }
}

fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").or_fail("reading /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn is_detached(pid: i32) -> bool {
    stat(pid, TERMINAL).is_some_and(|terminal| terminal == "0")
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid, PARENT)?.parse().ok()
}

fn carries(pid: i32, mark: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.windows(mark.len()).any(|window| window == mark.as_bytes())
}

// Fields of /proc/<pid>/stat behind the name, which may itself hold blanks and brackets.
const STATE: usize = 0;
const PARENT: usize = 1;
const TERMINAL: usize = 4;

fn stat(pid: i32, field: usize) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(") ")?;
    rest.split(' ').nth(field).map(str::to_owned)
}

/// Sends a signal. A process that is already gone has had it.
pub fn signal(pid: Pid, signal: Signal) {
    let _ = kill(pid, signal);
}

/// Stops all of them where they are. The oldest first, which would otherwise make new ones meanwhile.
pub fn freeze(mark: &str) {
    until("stopping a service's processes", || {
        let running: Vec<Pid> = marked(mark).into_iter().filter(|pid| !is_stopped(*pid)).collect();
        for pid in parents_first(&running) {
            signal(pid, Signal::SIGSTOP);
        }
        running.is_empty()
    });
}

pub fn thaw(mark: &str) {
    for pid in marked(mark) {
        signal(pid, Signal::SIGCONT);
    }
}

/// Kills all of them and waits until they are gone.
pub fn kill_all(mark: &str) {
    until("killing a service's processes", || {
        let running = marked(mark);
        for pid in parents_first(&running) {
            signal(pid, Signal::SIGKILL);
        }
        running.is_empty()
    });
}

fn is_stopped(pid: Pid) -> bool {
    // A zombie is about to vanish.
    stat(pid.as_raw(), STATE).is_none_or(|state| matches!(state.as_str(), "T" | "t" | "Z" | "X"))
}

fn parents_first(pids: &[Pid]) -> Vec<Pid> {
    let is_child = |pid: &Pid| {
        stat(pid.as_raw(), PARENT)
            .and_then(|parent| parent.parse().ok())
            .is_some_and(|parent| pids.contains(&Pid::from_raw(parent)))
    };
    let (children, parents): (Vec<Pid>, Vec<Pid>) = pids.iter().copied().partition(is_child);
    [parents, children].concat()
}

/// Asks again and again until it is so. Half a minute is far more than any of this takes on a busy machine.
pub fn until(waiting_for: &str, mut is_so: impl FnMut() -> bool) {
    wait(Duration::from_secs(30), &mut is_so).then_some(()).or_fail(format_args!("gave up {waiting_for}"));
}

/// Whether it became so in time.
pub fn wait(at_most: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > at_most {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}
