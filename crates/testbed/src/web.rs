//! An HTTP server that says what a test tells it to, and remembers what it was asked: a model, or whoever waits for webhooks.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fail::OrFail;

/// How long to wait for what is to come before the test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a port of its own.
pub struct Web {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: Option<JoinHandle<()>>,
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST`, and so on.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// The value of a header, if it came.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| &**value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).or_fail("a request whose body is no JSON")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Say {
    /// This, whole.
    Whole {
        /// The status.
        status: u16,
        /// Headers beside the usual ones.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Half of what is promised, and then the connection ends.
    Cut,
    /// Nothing until [`Web::release`], and then this.
    Held(Box<Say>),
}

impl Say {
    /// A status with nothing to it.
    pub fn status(status: u16) -> Say {
        Say::Whole { status, headers: Vec::new(), body: String::new() }
    }

    /// A status with a header.
    pub fn with_header(status: u16, name: &str, value: &str) -> Say {
        Say::Whole { status, headers: vec![(name.to_owned(), value.to_owned())], body: String::new() }
    }

    /// A good answer.
    pub fn json(body: &Value) -> Say {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Say::Whole { status: 200, headers, body: body.to_string() }
    }

    /// What a chat model says, as `POST /chat/completions` answers it.
    pub fn chat(content: &str) -> Say {
        let message = json!({"role": "assistant", "content": content});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        Say::json(&json!({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice]}))
    }

    /// A model that has found these facts.
    pub fn facts(facts: &[&str]) -> Say {
        let facts: Vec<Value> = facts.iter().map(|fact| json!({ "text": fact })).collect();
        Say::chat(&json!({ "facts": facts }).to_string())
    }

    /// The same, once it is released.
    pub fn held(self) -> Say {
        Say::Held(Box::new(self))
    }
}

type Respond = dyn Fn(&Asked) -> Say + Send + Sync;

struct Shared {
    respond: Box<Respond>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    released: bool,
    closed: bool,
}

impl Web {
    /// One that answers as it is told for each request.
    pub fn answering(respond: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").or_fail("a port for a web server");
        let address = listener.local_addr().or_fail("the port of a web server");
        let shared = Arc::new(Shared { respond: Box::new(respond), state: Mutex::default(), changed: Condvar::new() });
        let door = Some(open(&shared, listener));
        Web { address, shared, door }
    }

    /// One that says these, in this order, and `then` for ever.
    pub fn saying(first: impl IntoIterator<Item = Say>, then: Say) -> Web {
        let left: Mutex<VecDeque<Say>> = Mutex::new(first.into_iter().collect());
        Web::answering(move |_| {
            left.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_else(|| then.clone())
        })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// Everything it was asked, once that is so much at least.
    pub fn wait_for(&self, count: usize) -> Vec<Asked> {
        let mut state = self.shared.state();
        let end = Instant::now() + PATIENCE;
        while state.asked.len() < count {
            let rest = end.saturating_duration_since(Instant::now());
            assert!(
                !rest.is_zero(),
                "testbed: {} requests came, and not {count}: {:?}",
                state.asked.len(),
                state.asked
            );
            state = self.shared.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.asked.clone()
    }

    /// Says what was held back, and holds nothing back from now on.
    pub fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_all();
        // It waits for a connection; here is one.
        let _ = TcpStream::connect(self.address);
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the release. Whether it came, and not the end.
    fn wait_for_release(&self) -> bool {
        let state = self.state();
        let state = self.changed.wait_while(state, |state| !state.released && !state.closed);
        !state.unwrap_or_else(PoisonError::into_inner).closed
    }
}

fn open(shared: &Arc<Shared>, listener: TcpListener) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.state().closed {
                break;
            }
            let (Ok(stream), shared) = (stream, shared.clone()) else { continue };
            thread::spawn(move || {
                // Whoever hangs up has had enough.
                let _ = serve(&shared, &stream);
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    })
}

/// One request and its answer; every connection is closed after one.
fn serve(shared: &Shared, stream: &TcpStream) -> std::io::Result<()> {
    let Some(asked) = read(stream)? else { return Ok(()) };
    let mut say = (shared.respond)(&asked);
    shared.state().asked.push(asked);
    shared.changed.notify_all();
    while let Say::Held(then) = say {
        if !shared.wait_for_release() {
            return Ok(());
        }
        say = *then;
    }
    let mut stream = stream;
    match say {
        Say::Whole { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes())
        }
        Say::Cut => stream.write_all(b"HTTP/1.1 200 Said\r\ncontent-length: 4096\r\n\r\n{\"choices\": [{\"mess"),
        Say::Held(_) => Ok(()),
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Option<Asked>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let body = match length {
        Some(length) => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            body
        }
        None if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") => {
            chunks(&mut reader)?
        }
        None => Vec::new(),
    };
    Ok(Some(Asked { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}

fn chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
