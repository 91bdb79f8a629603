//! A quiet user beside a noisy one: what the noise costs the quiet one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Options;
use crate::client::{Client, request};
use crate::data::{Source, base64, batch, json_array};
use crate::report::{Aim, Report, quantile};
use crate::server::Server;

const NOISY_CLIENTS: usize = 16;
const PAUSE: Duration = Duration::from_millis(5);

pub fn measure(options: &Options, report: &mut Report) {
    let server = Server::fresh(options);
    let mut source = Source::new(5);
    let tokens = [server.token("quiet"), server.token("noisy")];
    let mut client = Client::new(server.address);
    for token in &tokens {
        let body = batch(&mut source, 0, 1_000, base64);
        assert_eq!(client.send(&request("POST", "/api/me/memories", token, &body)), 201);
    }
    let searches = |token: &str, source: &mut Source| -> Vec<Vec<u8>> {
        (0..64)
            .map(|_| {
                let body = format!("{{\"embedding\":{}}}", json_array(&source.vector()));
                request("POST", "/api/me/memories/search", token, &body)
            })
            .collect()
    };
    let quiet = searches(&tokens[0], &mut source);
    let noisy = searches(&tokens[1], &mut source);
    let alone = ask(&server, &quiet, options.seconds * 2);
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        for _ in 0..NOISY_CLIENTS {
            scope.spawn(|| {
                let mut client = Client::new(server.address);
                for request in noisy.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    client.send(request);
                }
            });
        }
        let beside = ask(&server, &quiet, options.seconds * 2);
        stop.store(true, Ordering::Relaxed);
        beside
    });
    report.figure("quiet user alone, p99", alone, "ms");
    report.figure("quiet user beside 16 noisy clients, p99", beside, "ms");
    report.held("quiet user's p99, beside ÷ alone", beside / alone, "×", Aim::AtMost(2.0));
}

/// One request every few milliseconds, as a person's assistant would; the p99 in milliseconds.
fn ask(server: &Server, requests: &[Vec<u8>], seconds: u64) -> f64 {
    let mut client = Client::new(server.address);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut times = Vec::new();
    for request in requests.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let began = Instant::now();
        assert_eq!(client.send(request), 200);
        times.push(began.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(PAUSE);
    }
    quantile(&mut times, 0.99)
}
