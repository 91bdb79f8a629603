//! Everybody gets their share and not a bit more.

use std::io::Write as _;
use std::net::TcpListener;

use serde_json::json;

use crate::chance::Chance;
use crate::house::{Caller, DIMENSION, House, NO_MODEL, value};
use crate::wire::Answer;

fn with(more: &[(&'static str, &'static str)]) -> House {
    House::with(&[&NO_MODEL[..], more].concat())
}

/// Each of so many callers on a connection of their own, all at once.
fn all_at_once<T: Send>(caller: &Caller, count: u64, work: impl Fn(&Caller, u64) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let run = |n| {
            let (caller, work) = (caller.clone(), &work);
            scope.spawn(move || work(&caller, n))
        };
        let running: Vec<_> = (0..count).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_quota_holds_to_the_last_memory_whoever_races_for_it() {
    let house = with(&[("LOCULE_QUOTA_MEMORIES", "100")]);
    let (alice, bob) = (house.alice(), house.bob());
    let answers = all_at_once(&alice, 16, |caller, n| {
        let mut chance = Chance::of(n);
        let mut add = |count: usize| {
            let memory = |_| json!({"memory": value("alice-123"), "embedding": chance.embedding(DIMENSION)});
            caller.post("/memories", json!({"memories": (0..count).map(memory).collect::<Vec<_>>()}))
        };
        (0..12).map(|round| (1 + round % 3, add(1 + round % 3))).collect::<Vec<_>>()
    });
    let mut added = 0;
    for (count, answer) in answers.into_iter().flatten() {
        match answer.status {
            201 => added += count,
            _ => {
                assert_eq!(answer.code(), "quota_exceeded");
                answer.assert_problem("a full space");
            }
        }
    }
    // The last that was refused may have been a batch that was too large for what was left.
    while alice.post("/memories", json!({"memory": value("alice-123"), "embedding": [1, 0, 0, 0, 0, 0, 0, 0]})).status
        == 201
    {
        added += 1;
    }
    assert_eq!((added, alice.count()), (100, 100));
    // What was there may still be said again, and what is deleted makes room.
    let one = &alice.all()[0];
    let again = json!({"memory": one["memory"], "embedding": [1, 0, 0, 0, 0, 0, 0, 0]});
    assert_eq!(alice.post("/memories", again).expect(201).json()["existing"], true);
    alice.delete(&crate::house::path_of(one)).expect(204);
    alice.add_with_vector(&mut Chance::of(99), DIMENSION);
    bob.add_with_vector(&mut Chance::of(98), DIMENSION);
    assert_eq!((alice.count(), bob.count()), (100, 1));
}

#[test]
fn bytes_are_counted_like_memories() {
    let house = with(&[("LOCULE_QUOTA_BYTES", "100000")]);
    let alice = house.alice();
    let text = |n: usize| format!("{} {n} {}", value("alice-123"), "x".repeat(9_000));
    let mut refused = 0;
    for n in 0..16 {
        let answer =
            alice.post("/memories", json!({"memory": text(n), "embedding": Chance::of(n as u64).embedding(DIMENSION)}));
        refused += usize::from(answer.status != 201);
        assert!(answer.status == 201 || answer.code() == "quota_exceeded", "{}", answer.text());
    }
    assert!((3..8).contains(&refused), "{refused}");
    assert!(alice.get("/usage").json()["size_bytes"].as_u64().unwrap() <= 100_000);
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let house = with(&[("LOCULE_RATE_PER_S", "5")]);
    let (alice, bob) = (house.alice(), house.bob());
    let answers: Vec<Answer> = (0..40).map(|_| alice.get("/usage")).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty());
    for answer in refused {
        answer.assert_problem("too often");
        assert_eq!((answer.status, &*answer.code()), (429, "rate_limited"));
        assert!(
            answer.header("retry-after").and_then(|after| after.parse::<u32>().ok()).is_some_and(|after| after >= 1)
        );
        assert_eq!(answer.json()["retry_after"], 1);
    }
    // Another is not held up by it.
    assert_eq!(bob.get("/usage").status, 200);
    // Nor is a user to whom a service is sent that has been too busy for somebody else.
    let key = house.service_key("*");
    let (for_eve, for_bob) = (house.caller("eve", &key), house.caller("bob-456", &key));
    assert!((0..40).map(|_| for_eve.get("/usage")).any(|answer| answer.status == 429));
    assert_eq!(for_bob.get("/usage").status, 200);
}

#[test]
fn a_crowd_of_one_user_does_not_keep_another_from_an_answer() {
    let house = with(&[("LOCULE_WORKERS", "1")]);
    let (alice, bob) = (house.alice(), house.bob());
    bob.add_with_vector(&mut Chance::of(1), DIMENSION);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let (alice, done) = (alice.clone(), &done);
            scope.spawn(move || {
                let mut chance = Chance::of(n);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let body = json!({"memory": value("alice-123"), "embedding": chance.embedding(DIMENSION)});
                    let answer = alice.post("/memories", body);
                    // Turned away is an answer too, and says so.
                    assert!(answer.status == 201 || answer.header("retry-after").is_some(), "{}", answer.text());
                }
            });
        }
        for _ in 0..50 {
            bob.get("/memories").expect(200);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// A provider of vectors that listens and never answers.
fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    format!("http://{address}")
}

#[test]
fn what_takes_too_long_is_given_up_in_time() {
    let url: &'static str = silence().leak();
    let house = House::with(&[
        ("LOCULE_DEADLINE_S", "1"),
        ("LOCULE_EMBEDDING_PROVIDER", "openai"),
        ("LOCULE_EMBEDDING_URL", url),
        ("LOCULE_EMBEDDING_DIMENSION", "8"),
        ("LOCULE_EMBEDDING_TIMEOUT_S", "3"),
    ]);
    let (alice, bob) = (house.alice(), house.bob());
    let answer = alice.post("/memories", json!({"memory": value("alice-123")})).expect(504);
    assert_eq!(answer.code(), "deadline_exceeded");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    // Whoever brings the vector needs no provider.
    bob.add_with_vector(&mut Chance::of(1), DIMENSION);
    assert_eq!((alice.count(), bob.count()), (0, 1));

    // A body that stops half way is given up too.
    let mut wire = alice.wire();
    let head = format!(
        "POST /api/me/memories HTTP/1.1\r\nhost: x\r\n{}: {}\r\ncontent-length: 100\r\n\r\n{{\"memory",
        alice.headers[0].0, alice.headers[0].1
    );
    wire.send(head.as_bytes()).unwrap();
    assert_eq!(wire.answer("POST").unwrap().code(), "deadline_exceeded");
    assert_eq!(alice.count(), 0);
}

#[test]
fn a_provider_that_fails_is_named_and_nothing_is_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: &'static str = format!("http://{}", listener.local_addr().unwrap()).leak();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        }
    });
    let house = House::with(&[
        ("LOCULE_EMBEDDING_PROVIDER", "openai"),
        ("LOCULE_EMBEDDING_URL", url),
        ("LOCULE_EMBEDDING_DIMENSION", "8"),
    ]);
    let alice = house.alice();
    let answer = alice.post("/memories", json!({"memory": value("alice-123")}));
    assert_eq!((answer.status, &*answer.code()), (503, "provider_unavailable"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(alice.count(), 0);
}

#[test]
fn who_reads_an_export_slowly_holds_up_nobody() {
    let house = with(&[]);
    let (alice, bob) = (house.alice(), house.bob());
    bob.add_with_vector(&mut Chance::of(1), DIMENSION);
    let mut chance = Chance::of(2);
    for _ in 0..10 {
        let memory = |_| json!({"memory": format!("{} {}", value("alice-123"), "x".repeat(40_000)), "embedding": chance.embedding(DIMENSION)});
        alice.post("/memories", json!({"memories": (0..50).map(memory).collect::<Vec<_>>()})).expect(201);
    }
    // Twenty megabytes are on their way, and nobody takes them.
    let mut slow: Vec<_> = (0..8).map(|_| alice.wire()).collect();
    for wire in &mut slow {
        wire.send(&alice.bytes("GET", "/export", None)).unwrap();
    }
    // One that is taken comes whole.
    assert_eq!(alice.get("/export").expect(200).json()["memories"].as_array().unwrap().len(), 500);
    assert_eq!((alice.count(), bob.count()), (500, 1));
    alice.add_with_vector(&mut Chance::of(3), DIMENSION);
    assert_eq!(bob.get("/export").expect(200).json()["total_memories"], 1);
    let receipt = alice.delete("").expect(200).json();
    assert_eq!((&receipt["erased"], &receipt["residue"]), (&json!(true), &json!(0)));
    alice.get("/memories").expect(401);
    // What was under way breaks off and is not taken for the whole.
    for wire in &mut slow {
        let answer = wire.answer("GET").map(|answer| (answer.status, answer.body.len(), answer.json().is_null()));
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!((house.alice().count(), bob.count()), (0, 1));
}
