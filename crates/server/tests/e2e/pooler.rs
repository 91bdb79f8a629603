//! Behind a PgBouncer that gives each transaction another connection, and has one: two servers and their clients take turns on
//! it, some of them go away in the midst, and nobody meets what another has left.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use locule_testbed::{Flavour, PgBouncer, Postgres};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::{Ground, Layout};
use crate::house::{Caller, DIMENSION, House, NO_MODEL, path_of, value};
use crate::server::run;

const REQUESTS: usize = 1_000;
const CLIENTS: usize = 4;

/// A PgBouncer with one connection for each of the installation's logins, which knows their passwords as the server does.
fn bouncer(layout: Layout) -> PgBouncer<'static> {
    let postgres = Postgres::shared(Flavour::Debian15);
    let known = ["directory", "api", "keeper"].map(|word| {
        let user = format!("{}_{word}", layout.word());
        let secret = postgres.psql(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'"));
        (user, secret)
    });
    let known: Vec<_> = known.iter().map(|(user, secret)| (user.as_str(), secret.as_str())).collect();
    PgBouncer::start(postgres, 1, &known)
}

/// Somebody who asks one thing after another, and now and then goes away before the answer.
struct Client {
    caller: Caller,
    chance: Chance,
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    /// What of theirs was deleted, or may have been.
    deleted: BTreeSet<String>,
}

impl Client {
    fn new(caller: Caller, seed: u64) -> Self {
        let (sent, acknowledged, deleted) = Default::default();
        Client { caller, chance: Chance::of(seed), sent, acknowledged, deleted }
    }

    fn ask(&mut self) {
        let embedding = self.chance.embedding(DIMENSION);
        let text = value(&self.caller.owner);
        let (method, path, body) = match self.chance.below(10) {
            0..3 => ("POST", "/memories/search".to_owned(), json!({"embedding": embedding, "limit": 10})),
            3 => ("GET", "/memories?limit=5".to_owned(), Value::Null),
            4 => match self.theirs() {
                Some(memory) => {
                    self.deleted.insert(memory["memory"].as_str().unwrap().to_owned());
                    ("DELETE", path_of(&memory), Value::Null)
                }
                None => return,
            },
            _ => {
                self.sent.insert(text.clone());
                ("POST", "/memories".to_owned(), json!({"memory": text, "embedding": embedding}))
            }
        };
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        if self.chance.below(5) == 0 {
            // Gone before the answer: at once, or while it is being made.
            let mut wire = self.caller.wire();
            wire.send(&self.caller.bytes(method, &path, body.as_deref())).unwrap();
            std::thread::sleep(Duration::from_micros(self.chance.draw() % 20_000));
            return;
        }
        let answer = self.caller.call(method, &path, body.as_deref());
        match answer.status {
            201 => drop(self.acknowledged.insert(text)),
            200..300 => {}
            // Another client of the same user may have deleted it first.
            404 if method == "DELETE" => {}
            // The database was told to end it: in the midst of a statement, or with the connection.
            503 | 504 => assert!(["backend_unavailable", "busy", "deadline_exceeded"].contains(&&*answer.code())),
            status => panic!("{method} {path}: {status} {}", answer.text()),
        }
    }

    /// One of those that this client has added.
    fn theirs(&self) -> Option<Value> {
        let page = self.caller.get("/memories?limit=20");
        let memories = page.json()["memories"].as_array().cloned().unwrap_or_default();
        memories.into_iter().find(|memory| self.acknowledged.contains(memory["memory"].as_str().unwrap()))
    }
}

fn a_thousand_requests_through_one_connection(layout: Layout) {
    let ground = Ground::new(layout);
    let (postgres, database) = (Postgres::shared(Flavour::Debian15), ground.database().to_owned());
    let bouncer = bouncer(layout);
    let house = House::at(ground.behind(bouncer.port()).pooled(), &NO_MODEL);
    let second = house.another();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            // Two users, each at both servers.
            let caller = house.user(&format!("user-{}", n % 2));
            let caller = if n < 2 { caller } else { caller.at(&second) };
            Mutex::new(Client::new(caller, 40 + n as u64))
        })
        .collect();

    let (asked, working) = (AtomicUsize::new(0), AtomicUsize::new(CLIENTS));
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| {
                let _done = Leaving(&working);
                let mut client = client.lock().unwrap();
                while asked.fetch_add(1, Ordering::SeqCst) < REQUESTS {
                    client.ask();
                }
            });
        }
        // Meanwhile statements are cancelled and connections ended, wherever they are.
        let mut chance = Chance::of(4);
        while working.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(50 + chance.draw() % 100));
            let end = if chance.below(3) == 0 { "pg_terminate_backend" } else { "pg_cancel_backend" };
            postgres.psql(&format!(
                "SELECT {end}(pid) FROM pg_stat_activity WHERE datname = '{database}' AND usename LIKE '%_api'"
            ));
        }
    });

    let clients: Vec<_> = clients.into_iter().map(|client| client.into_inner().unwrap()).collect();
    let mut kept = 0;
    for user in 0..2 {
        let own: Vec<_> = clients.iter().skip(user).step_by(2).collect();
        let all = own[0].caller.all();
        let there: BTreeSet<String> = all.iter().map(|memory| memory["memory"].as_str().unwrap().to_owned()).collect();
        assert_eq!(there.len(), all.len(), "something is there twice");
        let (sent, deleted) = (union(&own, |client| &client.sent), union(&own, |client| &client.deleted));
        let acknowledged = union(&own, |client| &client.acknowledged);
        let lost: Vec<_> = acknowledged.difference(&there).filter(|text| !deleted.contains(*text)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert!(there.is_subset(&sent), "something that nobody sent");
        kept += there.len();
        house.assert_chain_whole(&format!("user-{user}"));
    }
    println!("{kept} memories kept of two users");
    assert!(kept > REQUESTS / 10);

    let count = |what: &str| {
        postgres.psql(&format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND {what}"))
    };
    // What clients did not wait for may still be under way.
    let begun = Instant::now();
    while count("state LIKE 'idle in transaction%'") != "0" {
        assert!(begun.elapsed() < Duration::from_secs(5), "a transaction is left open");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(["0", "1"].contains(&&*count("usename LIKE '%_api'")), "there was more than the one connection");
}

/// Counts down, however a client's work ends.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn union(clients: &[&Client], of: fn(&Client) -> &BTreeSet<String>) -> BTreeSet<String> {
    clients.iter().flat_map(|client| of(client).clone()).collect()
}

#[test]
fn rls() {
    a_thousand_requests_through_one_connection(Layout::Rls);
}

#[test]
fn schema() {
    a_thousand_requests_through_one_connection(Layout::Schema);
}

#[test]
fn a_pooler_that_was_not_spoken_of_is_noticed_and_named() {
    let ground = Ground::new(Layout::Rls);
    let bouncer = bouncer(Layout::Rls);
    let ground = ground.behind(bouncer.port());
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    ground.prepare(&data);
    let list = |ground: &Ground| {
        let settings = ground.settings();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(&data, &settings, &["user", "list"])
    };
    let refused = list(&ground);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("`postgres.pooler`") && said.contains("`transaction`"),
        "{said}"
    );
    let done = list(&ground.pooled());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
