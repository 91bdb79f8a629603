//! A network that fails, before any port of 127.0.0.1.
//!
//! It is made of threads and of nothing that a test could mistake for the thing under test: no runtime, no pool.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use crate::fail::OrFail;
use crate::port;

/// Stands before a port, lets everything through, and fails when told to. Until [`heal`](Proxy::heal).
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
    door: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Before this port, at one of its own.
    pub fn before(target: u16) -> Proxy {
        let (port, listener) = port::claim(listen);
        let line =
            Arc::new(Line { target, state: Mutex::default(), changed: Condvar::new(), journeys: AtomicU64::new(0) });
        let door = Mutex::new(Some(open(&line, listener)));
        Proxy { port, line, door }
    }

    /// Where it listens, also while it refuses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// An address of the service, made to lead through here.
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.line.target), &format!(":{}/", self.port))
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.line.state().connections.len()
    }

    /// How often one side has asked and the other has answered, on all connections together: what a distance would cost.
    pub fn journeys(&self) -> u64 {
        self.line.journeys.load(Ordering::Relaxed)
    }

    /// Resets every connection and refuses new ones. When this returns, all of that has happened.
    pub fn cut(&self) {
        self.line.turn(Mode::Cut);
        if let Some(door) = self.door().take() {
            // It waits for a connection; here is one.
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            let _ = door.join();
        }
        self.line.hang_up();
    }

    /// Accepts connections and forwards nothing in either direction, like a host that was frozen.
    pub fn stall(&self) {
        self.line.turn(Mode::Stalled);
    }

    /// Forwards what is asked and holds back the answers: what a `COMMIT` did is done, and nobody was told.
    /// With [`cut`](Proxy::cut) after it, nobody ever is.
    pub fn mute(&self) {
        self.line.turn(Mode::Mute);
    }

    /// Holds each piece back for so long, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.line.state().delay = delay;
    }

    /// Lets everything through again, without delay, and first what was held back.
    pub fn heal(&self) {
        self.delay(Duration::ZERO);
        self.line.turn(Mode::Open);
        let mut door = self.door();
        if door.is_none() {
            let listener = listen(self.port).or_fail("listening again");
            *door = Some(open(&self.line, listener));
        }
    }

    fn door(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

fn listen(port: u16) -> Result<TcpListener, String> {
    TcpListener::bind(("127.0.0.1", port)).map_err(|error| error.to_string())
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    #[default]
    Open,
    Stalled,
    Mute,
    Cut,
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Asking,
    Answering,
}

#[derive(Default)]
struct State {
    mode: Mode,
    delay: Duration,
    next: u64,
    /// Both ends of each, so that whoever waits at one can be woken.
    connections: HashMap<u64, Vec<Arc<TcpStream>>>,
}

struct Line {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
    journeys: AtomicU64,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, mode: Mode) {
        self.state().mode = mode;
        self.changed.notify_all();
    }

    /// Waits until something may go in this direction: for how long it is then held back, or `None` if the line is cut.
    fn may_pass(&self, direction: Direction) -> Option<Duration> {
        let held = |state: &mut State| {
            state.mode == Mode::Stalled || state.mode == Mode::Mute && direction == Direction::Answering
        };
        let state = self.changed.wait_while(self.state(), held).unwrap_or_else(PoisonError::into_inner);
        (state.mode != Mode::Cut).then_some(state.delay)
    }

    fn is_cut(&self) -> bool {
        self.state().mode == Mode::Cut
    }

    /// Wakes all who read, without a word to the other side, and waits until their connections are gone.
    fn hang_up(&self) {
        let mut state = self.state();
        while !state.connections.is_empty() {
            for stream in state.connections.values().flatten() {
                let _ = stream.shutdown(Shutdown::Read);
            }
            let (again, _) = self.changed.wait_timeout(state, BLOCKED).unwrap_or_else(PoisonError::into_inner);
            state = again;
        }
    }

    fn enter(&self, stream: &Arc<TcpStream>) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.connections.insert(number, vec![stream.clone()]);
        number
    }

    fn leave(&self, number: u64) {
        self.state().connections.remove(&number);
        self.changed.notify_all();
    }
}

/// How long a write that the other side does not take waits before it looks whether the line was cut.
const BLOCKED: Duration = Duration::from_millis(50);

/// Accepts until the line is cut.
fn open(line: &Arc<Line>, listener: TcpListener) -> JoinHandle<()> {
    let line = line.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            if line.is_cut() {
                // Also who knocked in this moment is sent away with a reset.
                let _ = client.map(|client| SockRef::from(&client).set_linger(Some(Duration::ZERO)));
                return;
            }
            let Ok(client) = client else { continue };
            let client = Arc::new(client);
            let number = line.enter(&client);
            let line = line.clone();
            thread::spawn(move || {
                carry(&line, number, client);
                line.leave(number);
            });
        }
    })
}

fn carry(line: &Line, number: u64, client: Arc<TcpStream>) {
    let mut ends = vec![client];
    // A service that is not there refuses, and so does the proxy, as well as one can who has already accepted.
    if line.may_pass(Direction::Asking).is_some()
        && let Ok(server) = TcpStream::connect(("127.0.0.1", line.target))
    {
        ends.push(Arc::new(server));
        if let Some(known) = line.state().connections.get_mut(&number) {
            known.clone_from(&ends);
        }
        for end in &ends {
            let _ = end.set_nodelay(true);
            let _ = end.set_write_timeout(Some(BLOCKED));
        }
        let (client, server) = (&*ends[0], &*ends[1]);
        let turn = Turn { line, asked: AtomicBool::new(false) };
        thread::scope(|scope| {
            scope.spawn(|| pump(&turn, client, server, Direction::Asking));
            pump(&turn, server, client, Direction::Answering);
        });
        if !line.is_cut() {
            return;
        }
    }
    // To close without lingering is to reset.
    for end in &ends {
        let _ = SockRef::from(&**end).set_linger(Some(Duration::ZERO));
    }
}

/// Whose turn it is to speak on a connection.
struct Turn<'a> {
    line: &'a Line,
    asked: AtomicBool,
}

impl Turn<'_> {
    fn speaks(&self, direction: Direction) {
        let asks = direction == Direction::Asking;
        // Only what is asked after an answer is another journey.
        if !self.asked.swap(asks, Ordering::Relaxed) && asks {
            self.line.journeys.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Carries one direction to its end.
fn pump(turn: &Turn, from: &TcpStream, to: &TcpStream, direction: Direction) {
    let broken = forward(turn, from, to, direction).is_none();
    if broken && !turn.line.is_cut() {
        // One side is gone in the middle of something: so is the other.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// `None` if it broke off.
fn forward(turn: &Turn, mut from: &TcpStream, to: &TcpStream, direction: Direction) -> Option<()> {
    let line = turn.line;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).ok()?;
        // Asked after the read: the line may have failed while it waited.
        let delay = line.may_pass(direction)?;
        if length > 0 {
            turn.speaks(direction);
        }
        if length == 0 {
            return to.shutdown(Shutdown::Write).ok();
        }
        if !delay.is_zero() {
            thread::sleep(delay);
            line.may_pass(direction)?;
        }
        send(line, to, &buffer[..length])?;
    }
}

fn send(line: &Line, mut to: &TcpStream, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && !line.is_cut() => {}
            Err(_) => return None,
        }
    }
    Some(())
}
