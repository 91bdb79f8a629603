//! Those who follow changes: a thousand at a time, slow ones, and those who leave.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{Caller, House, NO_MODEL};
use crate::wire::Wire;

/// How many streams one user may have.
const PLACES: usize = 16;

fn follow(caller: &Caller, query: &str) -> Wire {
    let mut wire = caller.wire();
    wire.send(&caller.bytes("GET", &format!("/context/changes{query}"), None)).unwrap();
    wire
}

fn begun(caller: &Caller) -> Wire {
    let mut wire = follow(caller, "");
    wire.until("event: keys").unwrap();
    wire
}

/// The entry that is told of next.
fn next(wire: &mut Wire) -> Value {
    wire.until("event: entry").unwrap();
    let data = wire.until("data: ").unwrap();
    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
}

#[test]
fn whoever_leaves_gives_the_place_back() {
    let house = House::with(&NO_MODEL);
    let alice = house.alice();
    alice.post("/context", json!({"key": "k", "value": 1})).expect(200);
    for _ in 0..3 {
        let all: Vec<_> = (0..PLACES).map(|_| begun(&alice)).collect();
        assert_eq!(alice.get("/context/changes?wait_s=0").expect(429).code(), "rate_limited");
        // Some say that they leave, and some are just no longer there.
        drop(all);
        let begun = Instant::now();
        while alice.get("/context/changes?wait_s=0").status == 429 {
            assert!(begun.elapsed() < Duration::from_secs(10), "no place is free again");
            std::thread::sleep(Duration::from_millis(5));
        }
        // All of them are, and not only one.
        let begun = Instant::now();
        let mut again: Vec<Wire> = Vec::new();
        while again.len() < PLACES {
            assert!(begun.elapsed() < Duration::from_secs(10), "only {} places are free again", again.len());
            let mut wire = follow(&alice, "");
            if wire.until("HTTP/1.1").unwrap().contains("200") {
                again.push(wire);
            }
        }
    }
    // A stream that is over by itself gives its place back too.
    for _ in 0..2 * PLACES {
        assert!(alice.get("/context/changes?wait_s=0.01").expect(200).text().contains("event: entry"));
    }
}

/// A stream is a request: its credential was good when it began. Its user has to be there all along.
#[test]
fn a_stream_ends_with_its_user() {
    let house = House::with(&NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    for user in [&alice, &bob] {
        user.post("/context", json!({"key": "k", "value": 1})).expect(200);
    }
    let mut other = begun(&bob);
    for end in [["user", "suspend", "alice-123"].as_slice(), &["user", "erase", "alice-123", "--yes"]] {
        let mut wire = begun(&house.alice().with("connection", "close"));
        house.run(end);
        // Nothing comes any more but the end.
        let rest = String::from_utf8(wire.rest().unwrap()).unwrap();
        assert_eq!(rest.matches("event: ").count(), 1, "{rest}");
        if end[1] == "suspend" {
            house.run(&["user", "resume", "alice-123"]);
        }
    }
    let (key, id) = house
        .key(locule::auth::KeyKind::User { identity: house.engine().identity("bob-456").unwrap(), read_only: true });
    let reader = house.caller("bob-456", &key);
    let mut with_key = begun(&reader);
    house.run(&["key", "revoke", &id]);
    reader.get("/context").expect(401);
    bob.post("/context", json!({"key": "k", "value": 2})).expect(200);
    for wire in [&mut other, &mut with_key] {
        assert_eq!((next(wire)["value"].as_u64(), next(wire)["value"].as_u64()), (Some(1), Some(2)));
    }
}

#[test]
fn who_does_not_read_keeps_nobody_and_costs_little() {
    const LONG: usize = 1 << 20;
    const COUNT: usize = 60;
    let house = House::with(&NO_MODEL);
    let alice = house.alice();
    alice.post("/context", json!({"key": "first", "value": 1})).expect(200);
    let mut slow: Vec<_> = (0..PLACES).map(|_| begun(&alice)).collect();
    let before = house.memory_bytes();
    let (mut most, mut slowest) = (0, Duration::ZERO);
    for number in 0..COUNT {
        let body = json!({"key": format!("{number}"), "value": "x".repeat(LONG)});
        let began = Instant::now();
        alice.post("/context", body).expect(200);
        slowest = slowest.max(began.elapsed());
        most = most.max(house.memory_bytes().saturating_sub(before));
    }
    println!("{} MiB more for {PLACES} who do not read {COUNT} MiB; slowest push {slowest:?}", most >> 20);
    // Each holds one answer of changes and what is on its way; all of it for each would be a thousand.
    assert!(most < 400 << 20, "{} MiB", most >> 20);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // Whoever reads after all is told of everything, once and in order.
    let reads = &mut slow[0];
    assert_eq!(next(reads)["key"], "first");
    let told: Vec<_> = (0..COUNT).map(|_| next(reads)["key"].as_str().unwrap().parse::<usize>().unwrap()).collect();
    assert_eq!(told, (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn a_thousand_follow_at_once() {
    const USERS: usize = 63;
    let mut house = House::with(&NO_MODEL);
    let users: Vec<_> = (0..USERS).map(|number| house.user(&format!("user-{number}"))).collect();
    users.iter().for_each(|user| drop(user.post("/context", json!({"key": "k", "value": 0})).expect(200)));
    let before = house.memory_bytes();
    let mut streams: Vec<Vec<Wire>> =
        users.iter().map(|user| (0..PLACES).map(|_| follow(user, "")).collect()).collect();
    for wire in streams.iter_mut().flatten() {
        assert_eq!(next(wire)["value"], 0);
    }
    let each = house.memory_bytes().saturating_sub(before) / (USERS * PLACES) as u64;
    let began = Instant::now();
    for (number, user) in users.iter().enumerate() {
        user.post("/context", json!({"key": "k", "value": number + 1})).expect(200);
    }
    let written = began.elapsed();
    for (number, wires) in streams.iter_mut().enumerate() {
        for wire in wires {
            assert_eq!(next(wire)["value"], number + 1, "what somebody else's agents share");
        }
    }
    println!("{} streams, {each} bytes each; written in {written:?}, told in {:?}", USERS * PLACES, began.elapsed());
    assert!(each < 300 << 10, "{each} bytes for each");
    // Asked to stop, the server does not wait for them.
    let began = Instant::now();
    house.stop();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    for wire in streams.iter_mut().flatten() {
        wire.rest().unwrap();
    }
}
