//! A client that costs little: one kept connection, requests made beforehand, answers read by their length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

pub struct Client {
    reader: BufReader<TcpStream>,
    body: Vec<u8>,
    line: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("a socket option");
        Client { reader: BufReader::with_capacity(64 * 1024, stream), body: Vec::new(), line: String::new() }
    }

    /// Sends a whole request and reads the whole answer; gives the status.
    pub fn send(&mut self, request: &[u8]) -> u16 {
        self.reader.get_mut().write_all(request).expect("the server reads");
        let mut status = 0;
        let mut length = 0;
        loop {
            self.line.clear();
            self.reader.read_line(&mut self.line).expect("the server answers");
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            if status == 0 {
                status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line");
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
        }
        self.body.resize(length, 0);
        self.reader.read_exact(&mut self.body).expect("the whole body");
        status
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What a run of clients saw.
pub struct Load {
    pub per_second: f64,
    pub requests: usize,
    /// Microseconds of each request.
    pub latencies_us: Vec<f64>,
}

/// Lets each client send its requests over and over for a time.
pub fn load(address: SocketAddr, clients: Vec<Vec<Vec<u8>>>, seconds: u64, expect: u16) -> Load {
    let barrier = Barrier::new(clients.len());
    let latencies: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter()
            .map(|requests| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    let mut latencies = Vec::new();
                    barrier.wait();
                    let end = Instant::now() + Duration::from_secs(seconds);
                    for request in requests.iter().cycle() {
                        let began = Instant::now();
                        if began >= end {
                            break;
                        }
                        let status = client.send(request);
                        assert_eq!(status, expect, "{}", String::from_utf8_lossy(client.body()));
                        latencies.push(began.elapsed().as_secs_f64() * 1e6);
                    }
                    latencies
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a client ends")).collect()
    });
    let latencies_us: Vec<f64> = latencies.into_iter().flatten().collect();
    Load { per_second: latencies_us.len() as f64 / seconds as f64, requests: latencies_us.len(), latencies_us }
}
