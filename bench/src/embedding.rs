//! From text to vector with the built-in model, and a search in words end to end.

use std::time::Instant;

use locule::model::Purpose;
use locule::{Config, Engine};

use crate::Options;
use crate::client::{Client, load, request};
use crate::data::{Source, base64, batch};
use crate::report::{Aim, Report, median};
use crate::searching::own_cpu_s;
use crate::server::{Server, scratch};

const SHORT: [&str; 4] = [
    "I'm allergic to peanuts",
    "my sister lives in Lisbon now",
    "what food should I avoid?",
    "the meeting moved to Thursday at nine",
];

pub fn measure(options: &Options, report: &mut Report) {
    let directory = scratch(options);
    let engine = Engine::open(Config::at(directory.path().join("data"))).expect("an engine");
    let long = "the quick brown fox jumps over a lazy dog while it rains ".repeat(11);
    let long: String = long.split_whitespace().take(128).collect::<Vec<_>>().join(" ");
    let embed = |text: &str| drop(engine.embedder().embed(&[text], Purpose::Document).expect("a vector"));
    let cpu_ms = |count: usize, work: &dyn Fn(usize)| {
        work(0);
        let mut times: Vec<f64> = (0..7)
            .map(|_| {
                let before = own_cpu_s();
                (0..count).for_each(work);
                (own_cpu_s() - before) * 1e3 / count as f64
            })
            .collect();
        median(&mut times)
    };
    let short_ms = cpu_ms(100, &|turn| embed(SHORT[turn % SHORT.len()]));
    report.held("embedding a short text, CPU", short_ms, "ms", Aim::AtMost(2.5));
    report.held("embedding 128 words, CPU", cpu_ms(20, &|_| embed(&long)), "ms", Aim::AtMost(20.0));

    let server = Server::fresh(options);
    let token = server.token("reader");
    let mut source = Source::new(3);
    let mut client = Client::new(server.address);
    let body = batch(&mut source, 0, 1_000, base64);
    assert_eq!(client.send(&request("POST", "/api/me/memories", &token, &body)), 201);
    let searches: Vec<Vec<u8>> = (0..400)
        .map(|turn| {
            let body = format!("{{\"query\":\"{} {turn}\"}}", SHORT[turn % SHORT.len()]);
            request("POST", "/api/me/memories/search", &token, &body)
        })
        .collect();
    load(server.address, vec![searches.clone()], 1, 200);
    let before = server.cpu_s();
    let began = Instant::now();
    let seen = load(server.address, vec![searches], options.seconds, 200);
    let _ = began;
    let cpu_ms = (server.cpu_s() - before) * 1e3 / seen.requests as f64;
    report.figure("search 1000 by text, HTTP, 1 client, CPU", cpu_ms, "ms");
    report.held("search by text beyond its embedding, CPU", cpu_ms - short_ms, "ms", Aim::AtMost(0.5));
}
