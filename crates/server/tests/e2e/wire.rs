//! HTTP/1.1 by hand, so that what no client library would send can be sent.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here takes, so that a server that hangs fails the test instead of keeping it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Wire(BufReader<TcpStream>);

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire(BufReader::new(stream)))
    }

    /// Sends these bytes, whatever they mean.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) -> io::Result<()> {
        self.0.get_mut().shutdown(Shutdown::Write)
    }

    /// Everything up to where the server closes the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Reads lines of an answer that goes on until one has this in it; that line.
    pub fn until(&mut self, text: &str) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Whether the server has closed it, or has sent what nobody asked for.
    pub fn is_closed(&self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let found = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        !found.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads one answer.
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let broken = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
        let mut line = self.line()?;
        while line.starts_with("HTTP/1.1 100") {
            while !self.line()?.is_empty() {}
            line = self.line()?;
        }
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut answer = Answer { status: status.ok_or_else(|| broken(&line))?, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if method == "HEAD" || answer.status == 204 || answer.status == 304 {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(|_| broken("a chunk without a size"))?;
                let begun = answer.body.len();
                answer.body.resize(begun + size, 0);
                self.0.read_exact(&mut answer.body[begun..])?;
                self.line()?;
                if size == 0 {
                    return Ok(answer);
                }
            }
        }
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The word for what went wrong.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer, if its status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// All of it but what tells one request from another: two answers that must be the same are the same in this.
    pub fn alike(&self) -> (u16, Vec<(String, String)>, String) {
        let telling = |name: &str| name == "x-request-id" || name == "date";
        (self.status, self.headers.iter().filter(|(name, _)| !telling(name)).cloned().collect(), self.text())
    }

    /// Fails unless a refusal reads as all refusals do.
    #[track_caller]
    pub fn assert_problem(&self, what: &str) {
        assert!((400..500).contains(&self.status), "{what}: {} {}", self.status, self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{what}: {}", self.text());
        let problem = self.json();
        assert!(problem["code"].is_string() && problem["detail"].is_string(), "{what}: {problem}");
        assert_eq!(problem["status"], self.status, "{what}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{what}");
        // What must be the same for what exists and what does not, has its id in the header alone.
        let uniform = ["not_found", "not_your_space"].contains(&&*self.code());
        assert_eq!(problem["request_id"].is_string(), !uniform, "{what}: {problem}");
        assert!(self.header("x-request-id").is_some(), "{what}");
    }
}
