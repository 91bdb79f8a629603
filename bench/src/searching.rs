//! The ten best of a user's memories, with text and metadata: over HTTP with authentication and the embedding in the
//! request, and in the library.

use std::time::Instant;

use locule::{Act, Config, Engine, NewMemory, Request, SearchQuery, Target};

use crate::Options;
use crate::client::{Client, load, request};
use crate::data::{MEMORIES, QUERIES as QUERIES_STREAM, Source, base64, batch, json_array};
use crate::report::{Aim, Report, quantile};
use crate::server::{Server, scratch};

const QUERIES: usize = 64;

pub fn measure(options: &Options, report: &mut Report) {
    let server = Server::fresh(options);
    for size in [100, 1_000, 10_000, 100_000].into_iter().filter(|size| *size <= options.largest) {
        let token = server.token(&format!("user-{size}"));
        fill(&server, &token, size, report);
        over_http(&server, &token, size, options, report);
    }
    drop(server);
    in_library(options, report);
}

fn fill(server: &Server, token: &str, size: usize, report: &mut Report) {
    let mut source = Source::new(MEMORIES);
    let bodies: Vec<Vec<u8>> = (0..size)
        .step_by(1_000)
        .map(|first| {
            request("POST", "/api/me/memories", token, &batch(&mut source, first, (size - first).min(1_000), base64))
        })
        .collect();
    let mut client = Client::new(server.address);
    let began = Instant::now();
    for body in &bodies {
        assert_eq!(client.send(body), 201, "{}", String::from_utf8_lossy(client.body()));
    }
    let rate = size as f64 / began.elapsed().as_secs_f64();
    if size == 10_000 {
        report.held("bulk add of 10,000, batches of 1,000, base64 vectors", rate, "/s", Aim::AtLeast(40_000.0));
    }
}

fn over_http(server: &Server, token: &str, size: usize, options: &Options, report: &mut Report) {
    let mut source = Source::new(QUERIES_STREAM);
    let queries: Vec<Vec<u8>> = (0..QUERIES)
        .map(|_| {
            let body = format!("{{\"embedding\":{},\"limit\":10}}", json_array(&source.vector()));
            request("POST", "/api/me/memories/search", token, &body)
        })
        .collect();
    let aim_us = match size {
        100 | 1_000 => 100.0,
        10_000 => 300.0,
        _ => 3_000.0,
    };
    for clients in [1, 16] {
        load(server.address, vec![queries.clone(); clients], 1, 200);
        let before = server.cpu_s();
        let mut seen = load(server.address, vec![queries.clone(); clients], options.seconds, 200);
        let cpu_us = (server.cpu_s() - before) * 1e6 / seen.requests as f64;
        let (name, many) = (format!("search {size}, HTTP, {clients} clients"), clients > 1);
        match many {
            true => report.held(format!("{name}, CPU"), cpu_us, "µs", Aim::AtMost(aim_us)),
            false => report.figure(format!("{name}, CPU"), cpu_us, "µs"),
        }
        match size {
            1_000 if many => report.held(&name, seen.per_second, "/s", Aim::AtLeast(10_000.0)),
            _ => report.figure(&name, seen.per_second, "/s"),
        }
        report.figure(format!("{name}, p99"), quantile(&mut seen.latencies_us, 0.99) / 1e3, "ms");
    }
}

fn in_library(options: &Options, report: &mut Report) {
    for encrypted in [true, false] {
        let directory = scratch(options);
        let mut config = Config::at(directory.path().join("data"));
        config.encrypted = encrypted;
        let engine = Engine::open(config).expect("an engine");
        for size in [100, 1_000, 10_000].into_iter().filter(|size| *size <= options.largest) {
            let user = engine.trusted_user(&format!("user-{size}"), "bench").expect("a principal");
            let request = Request::default();
            let mut source = Source::new(MEMORIES);
            for first in (0..size).step_by(1_000) {
                let memories = (first..size.min(first + 1_000)).map(|number| NewMemory {
                    embedding: Some(source.vector()),
                    ..NewMemory::text(source.text(number))
                });
                let scope = engine.gate().write(&user, Target::Own, Act::WriteMemories, &request).expect("a scope");
                engine.add(scope, memories.collect()).expect("added");
            }
            let queries: Vec<SearchQuery> = (0..QUERIES)
                .map(|_| SearchQuery { text: None, embedding: Some(source.vector()), ..SearchQuery::text("") })
                .collect();
            let search = |query: &SearchQuery| {
                let scope = engine.gate().read(&user, Target::Own, Act::ReadMemories, &request).expect("a scope");
                assert_eq!(engine.search(scope, query).expect("hits").len(), 10);
            };
            queries.iter().for_each(&search);
            let before = own_cpu_s();
            let began = Instant::now();
            let mut count = 0;
            while began.elapsed().as_secs() < options.seconds.min(2) {
                queries.iter().for_each(&search);
                count += QUERIES;
            }
            let kind = if encrypted { "encrypted" } else { "plain" };
            let cpu_us = (own_cpu_s() - before) * 1e6 / count as f64;
            report.figure(format!("search {size}, library, {kind}, CPU"), cpu_us, "µs");
        }
    }
}

pub fn own_cpu_s() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the call fills the structure it is given.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
