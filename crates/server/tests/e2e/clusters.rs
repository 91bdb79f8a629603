//! Two PostgreSQL clusters and two servers: users are on the one or the other, one is carried between them while everybody
//! works, and a server is started while a cluster is away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use locule_testbed::{Flavour, Postgres as Cluster, Setup};
use serde_json::json;

use crate::chance::Chance;
use crate::ground::{Ground, Layout};
use crate::house::{Caller, DIMENSION, House, NO_MODEL, value};
use crate::server::run;

/// How long a test waits for what is to come of itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A house whose directory is on one cluster, and another cluster beside it that only those are on who are carried there.
struct Two {
    house: House,
    east: Cluster,
}

impl Two {
    fn new() -> Self {
        let east = Cluster::start(Setup::new(Flavour::Debian15).careless());
        let admin = east.url();
        let clusters = format!("east*0=postgres://{}", admin.split_once('@').unwrap().1);
        let ground = Ground::new(Layout::Rls);
        // Before the server starts, as an operator would.
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        ground.prepare(&data);
        let more = ("LOCULE_POSTGRES_CLUSTERS", clusters.as_str());
        let settings = ground.settings();
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([more]).collect();
        let made = run(&data, &settings, &["migrate", "--cluster", "east", "--admin-url", &admin]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Two { house: House::at(ground, &[NO_MODEL[0], NO_MODEL[1], more]), east }
    }

    fn carry(&self, user: &str, cluster: &str) {
        self.house.run(&["migrate", "layout", "--to-cluster", cluster, "--user", user]);
    }

    /// How many memories of somebody are on each.
    fn rows(&self, user: &str) -> [String; 2] {
        let sql = format!("SELECT count(*) FROM public.memories WHERE user_id = '{user}'");
        let main = Cluster::shared(Flavour::Debian15).psql_in(self.house.ground().database(), &sql);
        [main, self.east.psql(&sql)]
    }
}

/// Adds and counts, once; what is not done now is put off as it should be. At least as many are there as were acknowledged.
fn work(caller: &Caller, chance: &mut Chance, acknowledged: &AtomicUsize) {
    let text = format!("{} {:?}", value(&caller.owner), chance.embedding(1));
    let answer = caller.post("/memories", json!({"memory": text, "embedding": chance.embedding(DIMENSION)}));
    match answer.status {
        201 => drop(acknowledged.fetch_add(1, Ordering::SeqCst)),
        503 => assert!(answer.header("retry-after").is_some(), "{answer:?}"),
        _ => panic!("{answer:?}"),
    }
    let least = acknowledged.load(Ordering::SeqCst) as u64;
    for (method, path, body) in [
        ("GET", "/memories?limit=1000", json!(null)),
        ("POST", "/memories/search", json!({"embedding": chance.embedding(DIMENSION), "limit": 10})),
    ] {
        let answer = if method == "GET" { caller.get(path) } else { caller.send(method, path, body) };
        match answer.status {
            200 if method == "GET" => assert!(answer.json()["total"].as_u64().unwrap() >= least, "{answer:?} {least}"),
            200 => assert!(!answer.json()["results"].as_array().unwrap().is_empty(), "{answer:?}"),
            503 => assert!(answer.header("retry-after").is_some(), "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
}

#[test]
fn no_request_is_wrong_while_a_user_moves_between_clusters() {
    let two = Two::new();
    let house = &two.house;
    let names = ["alice-123", "bob-456", "dora-789"];
    for name in names {
        house.user(name).add_with_vector(&mut Chance::of(1), DIMENSION);
    }
    two.carry("bob-456", "east");
    assert_eq!(two.rows("bob-456"), ["0", "1"]);
    let other = house.another();
    let (stop, acknowledged) = (AtomicBool::new(false), [1, 1, 1].map(AtomicUsize::new));
    std::thread::scope(|threads| {
        for (number, name) in names.iter().enumerate() {
            for caller in [house.user(name), house.user(name).at(&other)] {
                let (stop, acknowledged) = (&stop, &acknowledged[number]);
                threads.spawn(move || {
                    let mut chance = Chance::of(10 + number as u64);
                    while !stop.load(Ordering::SeqCst) {
                        work(&caller, &mut chance, acknowledged);
                    }
                });
            }
        }
        let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for cluster in ["east", "main", "east"] {
                let before = acknowledged[0].load(Ordering::SeqCst);
                let begun = Instant::now();
                while acknowledged[0].load(Ordering::SeqCst) < before + 5 {
                    assert!(begun.elapsed() < PATIENCE, "nobody is served");
                    std::thread::yield_now();
                }
                two.carry("alice-123", cluster);
            }
        }));
        stop.store(true, Ordering::SeqCst);
        moved.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    for (name, acknowledged) in names.iter().zip(&acknowledged) {
        let count = acknowledged.load(Ordering::SeqCst);
        assert_eq!(house.user(name).count(), count as u64, "{name}");
        assert_eq!(house.user(name).at(&other).count(), count as u64, "{name}");
        let there = ["alice-123", "bob-456"].contains(name);
        let rows = if there { ["0".to_owned(), count.to_string()] } else { [count.to_string(), "0".to_owned()] };
        assert_eq!(two.rows(name), rows, "{name}");
    }
    house.run(&["audit", "verify", "--all"]);
    other.kill();
}

#[test]
fn a_server_starts_without_a_cluster_and_serves_it_when_it_is_back() {
    let mut two = Two::new();
    for name in ["alice-123", "bob-456", "carol-789"] {
        two.house.user(name).add_with_vector(&mut Chance::of(2), DIMENSION);
    }
    two.carry("bob-456", "east");
    two.carry("carol-789", "east");
    two.house.stop();
    two.east.stop_fast();
    two.house.start();

    let (alice, bob, carol) = (two.house.alice(), two.house.bob(), two.house.user("carol-789"));
    assert_eq!(alice.count(), 1);
    let vector = Chance::of(3).embedding(DIMENSION);
    let memory = json!({"memory": value("bob-456"), "embedding": vector});
    for answer in [
        bob.get("/memories"),
        bob.post("/memories", memory.clone()),
        bob.post("/memories/search", json!({"embedding": vector})),
        // The door is closed, and what is behind it waits for the cluster.
        carol.delete(""),
    ] {
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert_eq!(answer.expect(503).code(), "backend_unavailable");
    }
    // So it is for a server that starts now, with an erasure that was begun.
    two.house.kill();
    two.house.start();
    assert_eq!(alice.count(), 1);
    alice.add_with_vector(&mut Chance::of(4), DIMENSION);

    two.east.start_again();
    let begun = Instant::now();
    while bob.get("/memories").status == 503 {
        assert!(begun.elapsed() < PATIENCE, "the cluster is back, and nobody notices");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(bob.count(), 1);
    bob.post("/memories", memory).expect(201);
    assert_eq!(two.rows("carol-789"), ["0", "1"]);
    two.house.kill();
    two.house.start();
    assert_eq!(two.rows("carol-789"), ["0", "0"]);
    assert_eq!((alice.count(), bob.count()), (2, 2));
}
