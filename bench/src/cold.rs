//! The first answer of a user nobody has asked about since the start, encrypted and plain.

use std::time::Instant;

use locule::{Act, Config, Engine, NewMemory, Request, SearchQuery, Target};

use crate::Options;
use crate::data::Source;
use crate::report::{Aim, Report, median};
use crate::server::scratch;

const USERS: usize = 40;
const MEMORIES: usize = 1_000;

pub fn measure(options: &Options, report: &mut Report) {
    for (encrypted, aim_ms) in [(true, 4.0), (false, 2.0)] {
        let directory = scratch(options);
        let mut config = Config::at(directory.path().join("data"));
        config.encrypted = encrypted;
        let request = Request::default();
        let mut source = Source::new(11);
        {
            let engine = Engine::open(config.clone()).expect("an engine");
            for user in 0..USERS {
                let user = engine.trusted_user(&format!("user-{user}"), "bench").expect("a principal");
                let scope = engine.gate().write(&user, Target::Own, Act::WriteMemories, &request).expect("a scope");
                let memories = (0..MEMORIES).map(|number| NewMemory {
                    embedding: Some(source.vector()),
                    ..NewMemory::text(source.text(number))
                });
                engine.add(scope, memories.collect()).expect("added");
            }
            engine.close().expect("closed");
        }
        let engine = Engine::open(config).expect("an engine");
        let mut times: Vec<f64> = (0..USERS)
            .map(|user| {
                let user = engine.trusted_user(&format!("user-{user}"), "bench").expect("a principal");
                let query = SearchQuery { text: None, embedding: Some(source.vector()), ..SearchQuery::text("") };
                let began = Instant::now();
                let scope = engine.gate().read(&user, Target::Own, Act::ReadMemories, &request).expect("a scope");
                assert_eq!(engine.search(scope, &query).expect("hits").len(), 10);
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let kind = if encrypted { "encrypted" } else { "plain" };
        report.held(
            format!("cold user of 1,000, first answer, {kind}, median"),
            median(&mut times),
            "ms",
            Aim::AtMost(aim_ms),
        );
    }
}
