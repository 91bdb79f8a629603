//! Adding one memory at a time, each durable before it is acknowledged; and making users.

use std::time::Instant;

use locule::{Config, Engine, Request};

use crate::Options;
use crate::client::{Client, load, request};
use crate::data::{Source, base64, memory};
use crate::report::{Aim, Report, median};
use crate::server::{Server, scratch};

const WRITERS: usize = 16;
const USERS: usize = 64;

pub fn measure(options: &Options, report: &mut Report) {
    let server = Server::fresh(options);
    let mut source = Source::new(7);
    let tokens: Vec<String> = (0..USERS).map(|number| server.token(&format!("writer-{number}"))).collect();
    let mut number = 0;
    let mut adds = |token: &str, count: usize| -> Vec<Vec<u8>> {
        (0..count)
            .map(|_| {
                number += 1;
                request("POST", "/api/me/memories", token, &memory(&mut source, number, base64))
            })
            .collect()
    };

    // A user's first write makes their files; that is measured by itself.
    let mut client = Client::new(server.address);
    let mut first: Vec<f64> = tokens
        .iter()
        .map(|token| {
            let request = adds(token, 1);
            let began = Instant::now();
            assert_eq!(client.send(&request[0]), 201);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.figure("a user's first memory, files made, median", median(&mut first), "ms");

    let single = adds(&tokens[0], 1_500);
    let began = Instant::now();
    let mut times: Vec<f64> = Vec::new();
    for request in &single {
        let began = Instant::now();
        assert_eq!(client.send(request), 201);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let _ = began;
    let median_ms = median(&mut times);
    report.figure("durable add, one writer, median", median_ms, "ms");
    if let Some(sync_ms) = report.value("fdatasync of 4 KiB, median") {
        report.held("durable add ÷ fdatasync", median_ms / sync_ms, "×", Aim::AtMost(2.0));
    }

    let per_writer = (options.seconds as usize * 1_500).max(1_500);
    let writers: Vec<Vec<Vec<u8>>> = (0..WRITERS)
        .map(|writer| {
            let own: Vec<&String> = tokens.iter().skip(writer).step_by(WRITERS).collect();
            (0..per_writer).flat_map(|turn| adds(own[turn % own.len()], 1)).collect()
        })
        .collect();
    let before = server.cpu_s();
    let seen = load(server.address, writers, options.seconds, 201);
    report.held("durable adds, 16 writers over 64 users", seen.per_second, "/s", Aim::AtLeast(8_000.0));
    report.figure("durable add, CPU", (server.cpu_s() - before) * 1e6 / seen.requests as f64, "µs");
    drop(server);
    users(options, report);
}

fn users(options: &Options, report: &mut Report) {
    let directory = scratch(options);
    let engine = Engine::open(Config::at(directory.path().join("data"))).expect("an engine");
    let operator = engine.trusted_operator("bench", &Request::default()).expect("an operator");
    let mut times: Vec<f64> = (0..200)
        .map(|number| {
            let identity = engine.identity(&format!("user-{number}")).expect("an identity");
            let began = Instant::now();
            engine.create_user(&operator, &identity).expect("a user");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.held("new user, on record, median", median(&mut times), "ms", Aim::AtMost(1.0));
    let mut times: Vec<f64> = (0..30)
        .map(|number| {
            let user = engine.trusted_user(&format!("erased-{number}"), "bench").expect("a principal");
            let request = Request::default();
            let gate = engine.gate();
            let scope = gate.write(&user, locule::Target::Own, locule::Act::WriteMemories, &request).expect("a scope");
            let mut source = Source::new(number);
            let memories = (0..100).map(|number| locule::NewMemory {
                embedding: Some(source.vector()),
                ..locule::NewMemory::text(format!("memory {number}"))
            });
            engine.add(scope, memories.collect()).expect("added");
            let erasure = gate.erase(&user, locule::Target::Own, &request).expect("an erasure");
            let began = Instant::now();
            assert!(engine.erase(erasure).expect("erased").erased);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.held("erase a user of 100 memories, median", median(&mut times), "ms", Aim::AtMost(20.0));
}
