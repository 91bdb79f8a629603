//! The database stops, freezes, is cut off and starts again while people work: everybody is answered in time, by what they
//! asked for or by an error that says to try again, and nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use locule_testbed::{Flavour, Postgres, Proxy, Setup};
use serde_json::json;

use crate::chance::Chance;
use crate::ground::{Ground, Layout};
use crate::house::{Caller, DIMENSION, House, NO_MODEL, value};

/// What the server allows a request, and what a busy machine may add before an answer is here.
const DEADLINE_S: &str = "3";
const IN_TIME: Duration = Duration::from_millis(4_000);

/// How soon after the database is back everybody is served again.
const RECOVERY: Duration = Duration::from_secs(5);

const USERS: usize = 4;

/// Somebody who works without a pause, on one connection, and what came of it.
struct Client {
    caller: Caller,
    seed: u64,
    sent: Mutex<BTreeSet<String>>,
    acknowledged: Mutex<BTreeSet<String>>,
    /// When the last request began that was answered well.
    served: Mutex<Option<Instant>>,
    turned_away: AtomicUsize,
}

impl Client {
    fn new(caller: Caller, seed: u64) -> Self {
        Client {
            caller,
            seed,
            sent: Mutex::default(),
            acknowledged: Mutex::default(),
            served: Mutex::default(),
            turned_away: AtomicUsize::new(0),
        }
    }

    fn work(&self, stopping: &AtomicBool) {
        let mut chance = Chance::of(self.seed);
        while !stopping.load(Ordering::SeqCst) {
            let began = Instant::now();
            let embedding = chance.embedding(DIMENSION);
            let text = value(&self.caller.owner);
            let (path, body) = match chance.below(3) {
                0 => ("/memories/search", json!({"embedding": embedding, "limit": 20})),
                _ => {
                    self.sent.lock().unwrap().insert(text.clone());
                    ("/memories", json!({"memory": text, "embedding": embedding}))
                }
            };
            let answer = self.caller.send("POST", path, body);
            assert!(began.elapsed() < IN_TIME, "{path} took {:?}: {}", began.elapsed(), answer.text());
            if answer.status < 300 {
                if answer.status == 201 {
                    self.acknowledged.lock().unwrap().insert(text);
                }
                *self.served.lock().unwrap() = Some(began);
                continue;
            }
            assert_eq!(answer.status, 503, "{path}: {}", answer.text());
            assert!(["backend_unavailable", "busy", "overloaded"].contains(&&*answer.code()), "{}", answer.text());
            assert!(answer.header("retry-after").is_some(), "{}", answer.text());
            self.turned_away.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A database of the test's own, a network before it that can fail, and people at work.
struct Siege<'a> {
    postgres: &'a Postgres,
    proxy: &'a Proxy,
    clients: &'a [Client],
    nobody: Caller,
}

impl Siege<'_> {
    fn turned_away(&self) -> usize {
        self.clients.iter().map(|client| client.turned_away.load(Ordering::SeqCst)).sum()
    }

    /// Fails unless everybody is served again soon.
    #[track_caller]
    fn recovers(&self, from: &str) {
        let back = Instant::now();
        let is_served = |client: &Client| client.served.lock().unwrap().is_some_and(|served| served >= back);
        while !self.clients.iter().all(is_served) {
            assert!(back.elapsed() < RECOVERY, "not everybody is served {RECOVERY:?} after {from}");
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("everybody served {:?} after {from}, {} turned away by then", back.elapsed(), self.turned_away());
    }

    fn stopped_hard(&self) {
        self.postgres.stop_hard();
        std::thread::sleep(Duration::from_millis(500));
        self.postgres.start_again();
        self.recovers("it was stopped hard");
    }

    fn restarted(&self) {
        self.postgres.stop_fast();
        self.postgres.start_again();
        self.recovers("it was started again");
    }

    fn frozen(&self) {
        let before = self.turned_away();
        self.postgres.freeze();
        std::thread::sleep(Duration::from_millis(500));
        // All of them wait, and not on the threads that others need.
        let waiting = self.turned_away();
        self.nobody.get("/healthz").expect(200);
        assert_eq!(self.turned_away(), waiting);
        std::thread::sleep(Duration::from_millis(4_500));
        // If each waited for itself, there would be one or two of each by now.
        let turned_away = self.turned_away() - before;
        assert!(turned_away > 10 * self.clients.len(), "only {turned_away} were turned away");
        self.postgres.thaw();
        self.recovers("it was frozen");
    }

    fn cut_off(&self) {
        self.proxy.cut();
        std::thread::sleep(Duration::from_millis(500));
        self.proxy.heal();
        self.recovers("it was cut off");
    }

    /// What is asked is done, and nobody hears of it; then the way it went is no more.
    fn muted(&self) {
        self.proxy.mute();
        std::thread::sleep(Duration::from_millis(4_000));
        self.proxy.cut();
        self.proxy.heal();
        self.recovers("it was muted");
    }
}

fn whatever_befalls_the_database_nothing_acknowledged_is_lost(layout: Layout) {
    let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
    let proxy = Proxy::before(postgres.port());
    let ground = Ground::in_cluster(&postgres, layout).behind(proxy.port());
    let database = ground.database().to_owned();
    let house = House::at(ground, &[&NO_MODEL[..], &[("LOCULE_DEADLINE_S", DEADLINE_S)]].concat());
    let service = house.service_key("user-*");
    let users: Vec<_> = (0..USERS).map(|n| format!("user-{n}")).collect();
    // Each user with a token, and a service for each beside them.
    let callers = users.iter().flat_map(|user| [house.user(user), house.caller(user, &service)]);
    let clients: Vec<_> = callers.zip(0..).map(|(caller, seed)| Client::new(caller, seed)).collect();
    clients.iter().for_each(|client| drop(client.caller.add_with_vector(&mut Chance::of(7), DIMENSION)));

    let stopping = AtomicBool::new(false);
    let siege = Siege { postgres: &postgres, proxy: &proxy, clients: &clients, nobody: house.nobody() };
    std::thread::scope(|scope| {
        let work: Vec<_> = clients.iter().map(|client| scope.spawn(|| client.work(&stopping))).collect();
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            siege.recovers("the beginning");
            siege.stopped_hard();
            siege.frozen();
            siege.cut_off();
            siege.muted();
            siege.restarted();
        }));
        stopping.store(true, Ordering::SeqCst);
        work.into_iter().for_each(|client| client.join().unwrap());
        tried.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });

    let mut kept = 0;
    for pair in clients.chunks(2) {
        let all = pair[0].caller.all();
        let there: BTreeSet<String> = all.iter().map(|memory| memory["memory"].as_str().unwrap().to_owned()).collect();
        assert_eq!(there.len(), all.len(), "something is there twice");
        let sent: BTreeSet<_> = pair.iter().flat_map(|client| client.sent.lock().unwrap().clone()).collect();
        let acknowledged: BTreeSet<_> =
            pair.iter().flat_map(|client| client.acknowledged.lock().unwrap().clone()).collect();
        assert!(acknowledged.is_subset(&there), "lost: {:?}", acknowledged.difference(&there));
        assert_eq!(there.difference(&sent).count(), 2, "something that nobody sent, beside the first of each");
        kept += acknowledged.len();
    }
    println!("{kept} acknowledged and kept, {} turned away", siege.turned_away());
    assert!(kept > clients.len());
    users.iter().for_each(|user| house.assert_chain_whole(user));
    house.run(&["audit", "verify"]);
    let held = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    assert_eq!(postgres.psql_in(&database, held), "0", "a transaction is left open");
}

#[test]
fn rls() {
    whatever_befalls_the_database_nothing_acknowledged_is_lost(Layout::Rls);
}

#[test]
fn schema() {
    whatever_befalls_the_database_nothing_acknowledged_is_lost(Layout::Schema);
}

#[test]
fn database() {
    whatever_befalls_the_database_nothing_acknowledged_is_lost(Layout::Database);
}
