//! Two servers over three nodes of PostgreSQL under Patroni, people writing and reading through both, and the node that
//! leads goes: killed with its Patroni, then frozen and thawed when another leads already. `make failover` runs it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locule_testbed::{Etcd, Patroni};
use serde_json::json;

use crate::chance::Chance;
use crate::house::{DIMENSION, NO_MODEL, value};
use crate::server::{Server, run};
use crate::wire::{Answer, Wire};

const USERS: [&str; 2] = ["alice-123", "bob-456"];

/// How long things go on undisturbed before and after each fault.
const CALM: Duration = Duration::from_secs(4);

/// What a request takes at most, whatever the database does: the server's deadline and a little for the way.
const LONGEST: Duration = Duration::from_secs(12);

#[test]
#[ignore = "takes three minutes, and needs what `.ci/services --failover` installs"]
fn a_primary_that_goes_costs_time_and_nothing_else() {
    let etcd = Etcd::start();
    let cluster = Patroni::start(3, &etcd);
    let home = tempfile::tempdir().unwrap();
    let here = home.path().join("here/data");
    let admin = cluster.url();
    let anybody = format!("postgres://{}", admin.split_once('@').unwrap().1);
    let settings = [NO_MODEL[0], NO_MODEL[1], ("LOCULE_STORAGE_LAYOUT", "rls"), ("LOCULE_POSTGRES_URL", &anybody)];
    std::fs::create_dir_all(here.parent().unwrap()).unwrap();
    let migrated = run(&here, &settings, &["migrate", "--admin-url", &admin]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));

    // The second server runs on a machine of its own: all it shares is the keys.
    let there = home.path().join("there/data");
    copy(&here, &there);
    let seen = Seen::default();
    let servers = [Server::start(&here, &settings, &seen.log), Server::start(&there, &settings, &seen.log)];
    let tokens = USERS.map(|user| {
        let minted = run(&here, &settings, &["token", user, "--ttl", "1h"]);
        String::from_utf8(minted.stdout).unwrap().trim_end().to_owned()
    });
    let doors = [servers[0].public, servers[1].public];

    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (seen, token) = (&seen, &tokens[worker % 2]);
            scope.spawn(move || work(seen, worker, USERS[worker % 2], token, doors));
        }
        let faults = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::sleep(CALM);
            seen.begin();
            let killed = cluster.kill_primary();
            let next = cluster.wait_for_primary();
            assert_ne!(killed, next);
            seen.wait_for_writes();
            println!("killed: node {next} leads; nothing was written for {:.1} s", seen.gap().as_secs_f64());
            cluster.start_node(killed);
            cluster.wait_until_whole();
            std::thread::sleep(CALM);

            let frozen = cluster.wait_for_primary();
            seen.begin();
            cluster.freeze_node(frozen);
            let next = cluster.wait_for_primary();
            assert_ne!(frozen, next);
            seen.wait_for_writes();
            println!("frozen: node {next} leads; nothing was written for {:.1} s", seen.gap().as_secs_f64());
            // It believes that it leads until it has heard otherwise.
            cluster.thaw_node(frozen);
            std::thread::sleep(CALM);
            cluster.wait_until_whole();
        }));
        seen.over.store(true, Ordering::Relaxed);
        faults.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });

    let kept: Vec<String> = USERS.iter().zip(&tokens).flat_map(|(user, token)| all(user, token, doors[0])).collect();
    let acknowledged = seen.acknowledged.into_inner().unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|text| !kept.contains(text)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes are lost: {lost:?}", lost.len(), acknowledged.len());
    println!(
        "{} writes acknowledged, none lost; {} requests put off; the longest took {:.1} s",
        acknowledged.len(),
        seen.put_off.into_inner().unwrap(),
        seen.longest.into_inner().unwrap().as_secs_f64()
    );
    for server in &servers {
        server.ask_to_stop();
    }
    for server in servers {
        assert_eq!(server.ended().code(), Some(0));
    }
}

/// What those at work have seen.
#[derive(Default)]
struct Seen {
    log: Arc<Mutex<Vec<String>>>,
    over: AtomicBool,
    acknowledged: Mutex<Vec<String>>,
    put_off: Mutex<usize>,
    longest: Mutex<Duration>,
    writes: Mutex<Writes>,
}

/// When something was last written, and how long nothing was since the last fault.
#[derive(Default)]
struct Writes {
    last: Option<Instant>,
    gap: Duration,
    count: usize,
}

impl Seen {
    /// A fault is near.
    fn begin(&self) {
        let mut writes = self.writes.lock().unwrap();
        (writes.gap, writes.count) = (Duration::ZERO, 0);
    }

    fn gap(&self) -> Duration {
        self.writes.lock().unwrap().gap
    }

    fn written(&self, text: String) {
        self.acknowledged.lock().unwrap().push(text);
        let mut writes = self.writes.lock().unwrap();
        let now = Instant::now();
        let pause = writes.last.map(|last| now - last).unwrap_or_default();
        *writes = Writes { last: Some(now), gap: writes.gap.max(pause), count: writes.count + 1 };
    }

    /// Waits until writing goes on as before.
    fn wait_for_writes(&self) {
        let begun = Instant::now();
        let before = self.writes.lock().unwrap().count;
        while self.writes.lock().unwrap().count < before + 100 {
            assert!(begun.elapsed() < Patroni::LEASE * 2, "somebody leads, and nothing is written");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Writes and reads by turns, at the one server and the other, until it is over.
fn work(seen: &Seen, worker: usize, user: &str, token: &str, doors: [SocketAddr; 2]) {
    let mut chance = Chance::of(worker as u64);
    let mut wires: [Option<Wire>; 2] = [None, None];
    let mut turn = worker;
    while !seen.over.load(Ordering::Relaxed) {
        turn += 1;
        let text = value(user);
        let writes = !turn.is_multiple_of(3);
        let (path, body) = match writes {
            true => ("/api/me/memories", json!({"memory": text, "embedding": chance.embedding(DIMENSION)})),
            false => ("/api/me/memories/search", json!({"embedding": chance.embedding(DIMENSION), "limit": 5})),
        };
        let begun = Instant::now();
        let answer = post(&mut wires[turn % 2], doors[turn % 2], path, token, &body.to_string());
        let took = begun.elapsed();
        let mut longest = seen.longest.lock().unwrap();
        *longest = took.max(*longest);
        drop(longest);
        assert!(took < LONGEST, "{path} took {took:?}: {answer:?}");
        let other = USERS.iter().find(|other| **other != user).unwrap();
        assert!(!answer.text().contains(&format!("«{other}")), "{user} was shown a text of {other}");
        match answer.status {
            201 => seen.written(text),
            200 => {}
            503 => {
                assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                *seen.put_off.lock().unwrap() += 1;
                // Not what a client should do, who was told how long to wait: here the gap is measured.
                std::thread::sleep(Duration::from_millis(50));
            }
            other => {
                let id = answer.header("x-request-id").unwrap_or("no id");
                std::thread::sleep(Duration::from_millis(300));
                let log = seen.log.lock().unwrap().clone();
                let told: Vec<_> =
                    log.iter().filter(|line| line.contains(id) || line.contains("ERROR")).take(5).collect();
                panic!("{path}: {other} {}: {told:#?}", answer.text());
            }
        }
    }
}

fn post(wire: &mut Option<Wire>, door: SocketAddr, path: &str, token: &str, body: &str) -> Answer {
    let open = wire.take().filter(|wire| !wire.is_closed());
    let mut open = open.unwrap_or_else(|| Wire::to(door).unwrap());
    let length = body.len();
    open.send(
        format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    )
    .unwrap();
    let answer = open.answer("POST").unwrap();
    *wire = Some(open);
    answer
}

/// The texts of all memories of somebody.
fn all(user: &str, token: &str, door: SocketAddr) -> Vec<String> {
    let (mut texts, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut wire = Wire::to(door).unwrap();
        let path = format!("/api/{user}/memories?limit=1000{cursor}");
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes())
            .unwrap();
        let page = wire.answer("GET").unwrap().expect(200).json();
        texts.extend(
            page["memories"].as_array().unwrap().iter().map(|memory| memory["memory"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return texts,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
