//! Many users: what they take in memory, on disk and in files, and what the server's start takes among them.

use std::path::Path;
use std::time::Instant;

use locule::{Act, Config, Engine, NewMemory, Request, Target};

use crate::Options;
use crate::client::{Client, request};
use crate::data::{Source, json_array};
use crate::report::{Aim, Report, median};
use crate::server::{Server, scratch};

const MEMORIES: usize = 10;
const THREADS: usize = 8;

pub fn measure(options: &Options, report: &mut Report) {
    let directory = scratch(options);
    let data = directory.path().join("data");
    let users = options.users;
    let began = Instant::now();
    {
        let engine = Engine::open(Config::at(&data)).expect("an engine");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let engine = &engine;
                scope.spawn(move || {
                    let mut source = Source::new(thread as u64);
                    for user in (thread..users).step_by(THREADS) {
                        let user = engine.trusted_user(&format!("user-{user}"), "bench").expect("a principal");
                        let gate = engine.gate();
                        let scope =
                            gate.write(&user, Target::Own, Act::WriteMemories, &Request::default()).expect("a scope");
                        let memories = (0..MEMORIES).map(|number| NewMemory {
                            embedding: Some(source.vector()),
                            ..NewMemory::text(source.text(number))
                        });
                        engine.add(scope, memories.collect()).expect("added");
                    }
                });
            }
        });
        engine.close().expect("closed");
    }
    let name = format!("{users} users × {MEMORIES}");
    report.figure(format!("{name}: made, per user"), began.elapsed().as_secs_f64() * 1e3 / users as f64, "ms");
    report.figure(format!("{name}: disk, per user"), size(&data) as f64 / 1024.0 / users as f64, "KiB");

    let mut starts: Vec<f64> = (0..5)
        .map(|_| {
            let began = Instant::now();
            let server = Server::over(options, &data);
            let mut client = Client::new(server.address);
            assert_eq!(client.send(&request("GET", "/readyz", "-", "")), 200);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.held(format!("{name}: start to first answer, median"), median(&mut starts), "ms", Aim::AtMost(50.0));

    let server = Server::over(options, &data);
    let empty = server.resident_bytes();
    let engine = Engine::open(Config::at(&data)).expect("an engine");
    let mut source = Source::new(9);
    let mut client = Client::new(server.address);
    let body = format!("{{\"embedding\":{}}}", json_array(&source.vector()));
    let began = Instant::now();
    for user in 0..users {
        let token = engine.mint_token(&format!("user-{user}"), 600).expect("a token");
        assert_eq!(client.send(&request("POST", "/api/me/memories/search", &token, &body)), 200);
    }
    report.figure(
        format!("{name}: all asked once, per user"),
        began.elapsed().as_secs_f64() * 1e3 / users as f64,
        "ms",
    );
    let held = server.resident_bytes();
    report.held(format!("{name}: memory of the server"), held / 1024.0 / 1024.0, "MiB", Aim::AtMost(1_536.0));
    report.figure(format!("{name}: memory, per user"), (held - empty) / 1024.0 / users as f64, "KiB");
    report.figure(format!("{name}: files open"), server.files_open() as f64, "");
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
