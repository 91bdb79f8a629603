//! Spaces that are carried elsewhere while a server runs, as its clients see it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use locule_testbed::{Flavour, Postgres as Cluster};
use serde_json::json;

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{DIMENSION, House, NO_MODEL, path_of, value};

/// The address without its user: for the logins that `locule migrate` makes.
fn anybody(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{}", rest.split_once('@').map_or(rest, |(_, place)| place))
}

#[test]
fn who_has_been_moved_away_is_told_so_and_nobody_else() {
    let database = Cluster::shared(Flavour::Debian15).fresh_database();
    let house = House::on(Layout::File, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(1);
    alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    let prefix = ["--set", "postgres.prefix=mve2e"];
    house.run(&[&["migrate", "--layout", "rls", "--admin-url", &database.url()], &prefix[..]].concat());
    let to = anybody(&database.url());
    house.run(&[&["migrate", "layout", "--to", "rls", "--to-url", &to, "--user", "alice-123"], &prefix[..]].concat());
    for answer in [alice.get("/memories"), alice.post("/memories", json!({"memory": "x"})), alice.delete("")] {
        assert_eq!(answer.expect(410).code(), "space_moved");
    }
    assert_eq!(bob.count(), 1);
    bob.add_with_vector(&mut chance, DIMENSION);
    assert_eq!(database.psql("SELECT count(*) FROM public.memories"), "1");
}

#[test]
fn what_is_on_its_way_can_be_read_and_not_changed() {
    let house = House::on(Layout::Rls, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(2);
    let memory = alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    let cluster = Cluster::shared(Flavour::Debian15);
    let state = |state: u8| {
        let sql = format!("UPDATE locule.spaces SET state = {state} WHERE subject = 'alice-123'");
        cluster.psql_in(house.ground().database(), &sql)
    };
    state(3);
    assert_eq!(alice.get(&path_of(&memory)).expect(200).json()["id"], memory["id"]);
    assert_eq!(alice.count(), 1);
    let vector = chance.embedding(DIMENSION);
    for answer in [
        alice.post("/memories", json!({"memory": value("alice-123"), "embedding": vector})),
        alice.delete("/memories"),
        alice.delete(""),
    ] {
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(answer.expect(503).code(), "space_moving");
    }
    bob.add_with_vector(&mut chance, DIMENSION);
    // One that arrives is not there yet.
    state(4);
    assert_eq!(alice.get("/memories").expect(503).code(), "space_moving");
    state(0);
    alice.add_with_vector(&mut chance, DIMENSION);
    assert_eq!(alice.count(), 2);
}

#[test]
fn no_request_is_wrong_while_a_user_moves() {
    let house = House::on(Layout::Rls, &NO_MODEL);
    let url = Cluster::shared(Flavour::Debian15).url_to(house.ground().database());
    house.run(&["migrate", "--layout", "schema", "--admin-url", &url]);
    let (alice, bob) = (house.alice(), house.bob());
    alice.add_with_vector(&mut Chance::of(3), DIMENSION);
    bob.add_with_vector(&mut Chance::of(4), DIMENSION);
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(1));
    std::thread::scope(|threads| {
        for client in 0..2 {
            let (alice, bob) = (house.alice(), house.bob());
            let (stop, acknowledged) = (&stop, &acknowledged);
            threads.spawn(move || {
                let mut chance = Chance::of(10 + client);
                while !stop.load(Ordering::SeqCst) {
                    let text = format!("{} {:?}", value("alice-123"), chance.embedding(1));
                    let body = json!({"memory": text, "embedding": chance.embedding(DIMENSION)});
                    let answer = alice.post("/memories", body);
                    match answer.status {
                        201 => drop(acknowledged.fetch_add(1, Ordering::SeqCst)),
                        503 => assert!(answer.header("retry-after").is_some(), "{answer:?}"),
                        _ => panic!("{answer:?}"),
                    }
                    let least = acknowledged.load(Ordering::SeqCst) as u64;
                    let answer = alice.get("/memories?limit=1");
                    match answer.status {
                        200 => assert!(answer.json()["total"].as_u64().unwrap() >= least, "{answer:?} {least}"),
                        503 => assert!(answer.header("retry-after").is_some(), "{answer:?}"),
                        _ => panic!("{answer:?}"),
                    }
                    assert_eq!(bob.count(), 1);
                }
            });
        }
        let mut before = 0;
        for (from, to) in [("rls", "schema"), ("schema", "rls"), ("rls", "schema")] {
            while acknowledged.load(Ordering::SeqCst) < before + 5 {
                std::thread::yield_now();
            }
            before = acknowledged.load(Ordering::SeqCst);
            let from = format!("storage.layout={from}");
            house.run(&["migrate", "layout", "--to", to, "--user", "alice-123", "--set", &from]);
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(alice.count(), acknowledged.load(Ordering::SeqCst) as u64);
    house.assert_chain_whole("alice-123");
}
