//! Two servers on one installation, and many at each who change one user's context: nobody hears of what is the servers' own
//! affair, and the bounds hold.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{Caller, House};

for_each_layout! {
    two_servers_keep_to_the_bounds_together
}

const THREADS: usize = 16;
const ENTRIES: usize = 10;
const AGENTS: usize = 5;
const BYTES: u64 = 8_000;

fn two_servers_keep_to_the_bounds_together(layout: Layout) {
    let house = House::on(
        layout,
        &[
            ("LOCULE_EMBEDDING_PROVIDER", "none"),
            ("LOCULE_EMBEDDING_DIMENSION", "8"),
            ("LOCULE_QUOTA_ENTRIES", "10"),
            ("LOCULE_QUOTA_AGENTS", "5"),
            ("LOCULE_QUOTA_BYTES", "8000"),
        ],
    );
    let second = house.another();
    let alice = house.alice();
    alice.post("/context", json!({"key": "list", "value": []})).expect(200);
    let (full, appended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for thread in 0..2 * THREADS {
            let caller = if thread % 2 == 0 { alice.clone() } else { alice.clone().at(&second) };
            let (full, appended) = (&full, &appended);
            threads.spawn(move || {
                let mut chance = Chance::of(thread as u64);
                for _ in 0..10 {
                    match anything(&caller, &mut chance) {
                        Some("quota_exceeded") => drop(full.fetch_add(1, Ordering::Relaxed)),
                        Some("appended") => drop(appended.fetch_add(1, Ordering::Relaxed)),
                        _ => {}
                    }
                }
            });
        }
    });
    let entries = alice.get("/context").expect(200).json()["entries"].as_array().unwrap().clone();
    let agents = alice.get("/context/agents").expect(200).json()["agents"].as_array().unwrap().len();
    let size = alice.get("/usage").expect(200).json()["size_bytes"].as_u64().unwrap();
    assert!(entries.len() <= ENTRIES && agents <= AGENTS && size <= BYTES, "{} {agents} {size}", entries.len());
    let list = entries.iter().find(|entry| entry["key"] == "list").unwrap();
    assert_eq!(list["value"].as_array().unwrap().len(), appended.into_inner(), "what was appended is there");
    assert!(full.into_inner() > 0, "nobody came to a bound");
    house.assert_chain_whole("alice-123");
}

/// Does one thing; what came of it, where that is counted. Any answer that is not the caller's own affair fails.
fn anything(caller: &Caller, chance: &mut Chance) -> Option<&'static str> {
    let key = format!("key {}", chance.below(30));
    let agent = format!("agent {}", chance.below(12));
    let value = "x".repeat(chance.below(900));
    let answer = match chance.below(10) {
        0..=4 => caller.post("/context", json!({"key": key, "value": value, "topics": ["t"], "sender": agent})),
        5 | 6 => {
            let answer = caller.post("/context/append", json!({"key": "list", "value": chance.below(10)}));
            if answer.status == 200 {
                return Some("appended");
            }
            answer
        }
        7 => caller.send("PUT", "/context/agents", json!({"name": agent, "topics": ["u"]})),
        8 => caller.post("/context/remove", json!({"key": key})),
        _ => caller.delete("/context/topics?topic=t"),
    };
    match (answer.status, &*answer.code()) {
        (200, _) | (403, "not_allowed") | (404, "not_found") => None,
        (429, "quota_exceeded") => Some("quota_exceeded"),
        _ => panic!("{} {}", answer.status, answer.text()),
    }
}
