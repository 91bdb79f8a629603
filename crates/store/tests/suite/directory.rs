//! What the directory must do in either of its homes: a file, or a PostgreSQL that several servers share. A rule is a plain
//! function over a [`Home`]; where it speaks of two servers, these are two openings of one installation, each with its own
//! connections and its own memory.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use locule_core::audit::{Actor, Outcome, SystemEntry};
use locule_core::auth::{ActAs, KeyKind, KeyRecord, NewKey};
use locule_core::clock::{ManualClock, Sources};
use locule_core::directory::{Directory as _, State};
use locule_core::id::{Identity, Issuer, Tag};
use locule_core::policy::Act;
use locule_core::{Code, Result, Target};
use locule_store::directory::{Closed, Directory, Published};
use locule_store::postgres::{Address, Pooler, Prefix, Report};
use locule_store::{Keeping, Migration, Options, Postgres, PostgresLayout};
use locule_testbed::{Database, Flavour, PgBouncer, Postgres as Cluster};
use tempfile::TempDir;

use crate::house::{Process, User, code, identity, noon, request};

/// Where the directory is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Home {
    File,
    Postgres(Flavour),
    /// Through a pooler that gives each transaction another connection.
    Pooled,
}

macro_rules! for_each_postgres {
    ($($rule:ident)*) => {
        mod postgres_15 {
            $(#[test]
            fn $rule() {
                super::$rule(crate::directory::Home::Postgres(locule_testbed::Flavour::Debian15));
            })*
        }
        mod postgres_18 {
            $(#[test]
            fn $rule() {
                super::$rule(crate::directory::Home::Postgres(locule_testbed::Flavour::Eighteen));
            })*
        }
    };
}
pub(crate) use for_each_postgres;

macro_rules! for_each_home {
    ($($rule:ident)*) => {
        mod file {
            $(#[test]
            fn $rule() {
                super::$rule(super::Home::File);
            })*
        }
        mod pgbouncer {
            $(#[test]
            fn $rule() {
                super::$rule(super::Home::Pooled);
            })*
        }
        for_each_postgres! { $($rule)* }
    };
}

for_each_home! {
    one_identity_has_one_space_whoever_asks_first
    what_one_server_does_the_others_know_at_their_next_question
    many_who_write_at_once_are_all_served
    the_chain_is_whole_when_two_servers_write_it
    no_answer_is_older_than_a_write_that_has_returned
    an_erasure_shuts_the_door_and_then_forgets_the_name
    users_are_listed_in_the_order_of_their_bytes
    a_tag_leads_to_its_space_and_an_issuer_knows_its_own
    a_name_that_nobody_can_have_is_refused_on_record
}

/// An installation, and the first server on it.
pub struct Place {
    process: Process,
    clock: ManualClock,
    pub installation: Installation,
}

impl Place {
    pub fn new(home: Home) -> Place {
        match home {
            Home::File => Place::of(Installation::new(None, PostgresLayout::Rls)),
            Home::Postgres(flavour) => {
                let database = Cluster::shared(flavour).fresh_database();
                Place::of(Installation::new(Some(database), PostgresLayout::Rls))
            }
            Home::Pooled => Place::behind_a_pooler(),
        }
    }

    pub fn of(installation: Installation) -> Place {
        if installation.database.is_some() {
            installation.migrate().unwrap();
        }
        let clock = ManualClock::at(noon());
        let process = Process::open(&installation.options, &clock).unwrap();
        Place { process, clock, installation }
    }

    /// The pooler checks passwords too. It knows them as the server does.
    fn behind_a_pooler() -> Place {
        let postgres = Cluster::shared(Flavour::Debian15);
        let mut installation = Installation::new(Some(postgres.fresh_database()), PostgresLayout::Rls);
        installation.migrate().unwrap();
        let known = ["directory", "api"].map(|word| {
            let user = format!("{}_{word}", installation.prefix());
            let secret = postgres.psql(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'"));
            (user, secret)
        });
        let known: Vec<(&str, &str)> = known.iter().map(|(user, secret)| (user.as_str(), secret.as_str())).collect();
        // It ends with the program. Two connections for two servers with three or more each.
        let bouncer: &'static _ = Box::leak(Box::new(PgBouncer::start(postgres, 2, &known)));
        let url = bouncer.url_for("nobody", "", installation.database().name());
        installation.lead_through(&url, Pooler::Transaction);
        let clock = ManualClock::at(noon());
        let process = Process::open(&installation.options, &clock).unwrap();
        Place { process, clock, installation }
    }

    /// Another server.
    pub fn another(&self) -> Process {
        Process::open(&self.installation.options, &self.clock).unwrap()
    }

    /// Another server, which comes by another way.
    pub fn another_through(&self, url: &str) -> Process {
        let mut options = self.installation.options.clone();
        let Keeping::Postgres(kept) = &mut options.keeping else { panic!("it is in a file") };
        kept.address = Address::parse(url).unwrap().anybody();
        Process::open(&options, &self.clock).unwrap()
    }
}

/// A data directory of an installation that keeps its directory in a database, or in a file.
pub struct Installation {
    pub options: Options,
    database: Option<Database<'static>>,
    _root: TempDir,
}

impl Installation {
    pub fn new(database: Option<Database<'static>>, layout: PostgresLayout) -> Installation {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut options = Options::at(root.path().join("data"));
        if let Some(database) = &database {
            options.keeping = Keeping::Postgres(Postgres {
                layout,
                address: Address::parse(&database.url()).unwrap().anybody(),
                pooler: Pooler::None,
                prefix: Prefix::parse(&format!("of_{}", database.name())).unwrap(),
                connections_max: 8,
                sealed: false,
                clusters: locule_store::Clusters::default(),
            });
        }
        Installation { options, database, _root: root }
    }

    pub fn database(&self) -> &Database<'static> {
        self.database.as_ref().expect("it is in a PostgreSQL")
    }

    pub fn prefix(&self) -> String {
        format!("of_{}", self.database().name())
    }

    pub fn migrate(&self) -> Result<Report> {
        let privileged = Address::parse(&self.database().url()).unwrap();
        locule_store::migrate(&self.options, &privileged, &Migration::default(), &Sources::system())
    }

    pub fn lead_through(&mut self, url: &str, pooler: Pooler) {
        let Keeping::Postgres(kept) = &mut self.options.keeping else { panic!("it is in a file") };
        kept.address = Address::parse(url).unwrap().anybody();
        kept.pooler = pooler;
    }
}

impl Deref for Place {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Process {
    pub fn directory(&self) -> &Directory {
        &self.store.directory
    }

    pub fn close_door(&self, name: &str) -> Closed {
        self.directory().close_door(&self.user(name).erasing().unwrap()).unwrap()
    }

    /// An erasure, as far as the directory has a part in it.
    pub fn forget(&self, name: &str) {
        let closed = self.close_door(name);
        self.directory().forget(&closed, Actor::System("the tests".to_owned()), "req-1".to_owned()).unwrap();
    }

    pub fn provision(&self, name: &str) -> locule_core::Chamber {
        self.directory().provision(&identity(name)).unwrap()
    }

    pub fn add_key(&self, kind: KeyKind) -> KeyRecord {
        let key = NewKey::mint(kind, "laptop", Some(noon()), &Sources::system()).unwrap().record;
        self.directory().add_key(&self.operator(), key.clone()).unwrap();
        key
    }

    /// Tries to look into another's space, which is refused and written down.
    pub fn meddle(&self, user: User, with: &str) {
        let refused = self.gate.read(&user.principal(), Target::Named(with), Act::ReadMemories, &request());
        assert_eq!(code(refused), Some(Code::NotYourSpace));
    }

    fn note(&self, actor: Actor, target: &str) -> Result<()> {
        self.directory().record(SystemEntry {
            time: noon(),
            actor,
            target: Some(target.to_owned()),
            act: Act::ReadMemories.as_str(),
            outcome: Outcome::Denied(Code::NotYourSpace),
            request_id: "a request\0".to_owned(),
        })
    }

    fn entries(&self) -> u64 {
        self.directory().verify_trail(&self.operator()).unwrap().expect("the chain is whole")
    }
}

fn at(issuer: &str, subject: &str) -> Identity {
    Identity { issuer: issuer.try_into().unwrap(), subject: subject.try_into().unwrap() }
}

fn one_identity_has_one_space_whoever_asks_first(home: Home) {
    let place = Place::new(home);
    let other = place.another();
    for round in 0..10 {
        let name = format!("alice {round}");
        let chambers: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|number| {
                    let process = if number % 2 == 0 { &*place } else { &other };
                    let name = &name;
                    scope.spawn(move || process.provision(name))
                })
                .collect();
            asking.into_iter().map(|asking| asking.join().unwrap()).collect()
        });
        assert!(chambers.iter().all(|chamber| *chamber == chambers[0]), "{chambers:?}");
        assert_eq!(place.user(&name).standing().space, Some(chambers[0]));
        assert_eq!(other.user(&name).standing().space, Some(chambers[0]));
    }
    let elsewhere = at("https://elsewhere.example", "alice 0");
    assert_ne!(place.directory().provision(&elsewhere).unwrap().id, place.provision("alice 0").id);
    let spaces: BTreeSet<_> =
        place.directory().users(&place.operator(), None, 100).unwrap().iter().map(|user| user.chamber.id).collect();
    assert_eq!(spaces.len(), 11);
}

fn what_one_server_does_the_others_know_at_their_next_question(home: Home) {
    let place = Place::new(home);
    let other = place.another();
    let (alice, bob) = (place.provision("alice"), place.provision("bob"));
    let current = || other.directory().current(alice.id).unwrap();
    // Asked before, so that there are answers to be too old.
    assert_eq!(current().unwrap().1, State::Open);
    assert_eq!(other.alice().standing().state, State::Open);
    assert_eq!(other.bob().standing().space, Some(bob));

    place.alice().suspend(true);
    assert_eq!((current().unwrap().1, other.alice().standing().state), (State::Suspended, State::Suspended));
    place.alice().suspend(false);
    assert_eq!(current().map(|(now, state)| (now.epoch, state)), Some((alice.epoch + 2, State::Open)));
    assert!(!current().unwrap().0.born);
    place.directory().born(alice.id).unwrap();
    assert!(current().unwrap().0.born);

    let key = NewKey::mint(
        KeyKind::Service { issuer: Issuer::default(), act_as: ActAs::parse("al*").unwrap() },
        "shop",
        None,
        &Sources::system(),
    );
    let key = key.unwrap().record;
    assert!(other.directory().key(&key.id).unwrap().is_none());
    place.directory().add_key(&place.operator(), key.clone()).unwrap();
    let found = other.directory().key(&key.id).unwrap().unwrap();
    assert_eq!(
        (found.hash, found.kind, found.created_at, found.expires_at),
        (key.hash, key.kind, key.created_at, None)
    );
    place.directory().revoke_key(&place.operator(), key.id.clone()).unwrap();
    assert!(other.directory().key(&key.id).unwrap().is_none());
    assert_eq!(code(other.directory().revoke_key(&other.operator(), key.id)), Some(Code::NotFound));

    let closed = place.close_door("alice");
    assert_eq!(closed.space, Some(alice.id));
    assert_eq!((current().unwrap().1, other.alice().standing().state), (State::Erasing, State::Erasing));
    assert_eq!(code(other.directory().born(alice.id)), Some(Code::SpaceErased));
    place.directory().forget(&closed, Actor::Nobody, String::new()).unwrap();
    assert_eq!(current(), None);
    let standing = other.alice().standing();
    assert_eq!((standing.space, standing.not_before), (None, Some(noon())));
    assert_eq!(other.bob().standing().space, Some(bob));
}

fn many_who_write_at_once_are_all_served(home: Home) {
    let place = Place::new(home);
    let other = place.another();
    std::thread::scope(|scope| {
        for number in 0..64 {
            let process = if number % 2 == 0 { &*place } else { &other };
            scope.spawn(move || {
                let chamber = process.provision(&format!("user {number}"));
                process.directory().born(chamber.id).unwrap();
                process.note(Actor::User(identity(&format!("user {number}"))), "alice").unwrap();
                // A job that fails takes nobody with it.
                let nobody = locule_core::id::SpaceId::from_bytes([number; 16]);
                assert_eq!(code(process.directory().born(nobody)), Some(Code::SpaceErased));
                let again = NewKey::mint(KeyKind::Operator, "one", None, &Sources::system()).unwrap().record;
                process.directory().add_key(&process.operator(), again.clone()).unwrap();
                assert!(process.directory().add_key(&process.operator(), again).is_err());
            });
        }
    });
    for process in [&*place, &other] {
        let users = process.directory().users(&process.operator(), None, 100).unwrap();
        assert_eq!(users.len(), 64);
        assert!(users.iter().all(|user| user.chamber.born));
        assert_eq!(process.directory().keys(&process.operator()).unwrap().len(), 64);
        assert_eq!(process.entries(), 128);
        let spaces: BTreeSet<_> = users.iter().map(|user| user.chamber.id).collect();
        assert_eq!(spaces.len(), 64);
    }
}

fn the_chain_is_whole_when_two_servers_write_it(home: Home) {
    let place = Place::new(home);
    let other = place.another();
    place.provision("alice");
    std::thread::scope(|scope| {
        for process in [&*place, &other] {
            for name in ["alice", "bob"] {
                scope.spawn(move || {
                    for _ in 0..40 {
                        process.meddle(process.user(name), "carol");
                    }
                });
            }
        }
    });
    assert_eq!((place.entries(), other.entries()), (160, 160));
    let trail = place.directory().trail(&place.operator(), 1000).unwrap();
    assert!(trail.iter().rev().map(|record| record.sequence).eq(1..=160));
    // Under her own key she is named, until it goes; who has no space is never named.
    place.note(Actor::User(identity("alice")), "carol").unwrap();
    place.note(Actor::User(identity("bob")), "carol").unwrap();
    let newest = |count| other.directory().trail(&other.operator(), count).unwrap();
    assert_eq!(newest(2)[1].actor.as_deref(), Some("alice"));
    assert_eq!(newest(2)[1].target.as_deref(), Some("carol"));
    assert!(newest(1)[0].actor.as_deref().unwrap().starts_with('~'));
    assert_eq!(newest(1)[0].time, noon());
    place.forget("alice");
    assert_eq!(newest(3)[2].actor, None);
    assert_eq!(other.entries(), 163);
}

fn no_answer_is_older_than_a_write_that_has_returned(home: Home) {
    let place = Place::new(home);
    let other = place.another();
    place.provision("bob");
    let alice = place.provision("alice");
    let key = NewKey::mint(KeyKind::Operator, "flips", None, &Sources::system()).unwrap().record;
    let (written, stop) = (AtomicU64::new(alice.epoch), AtomicBool::new(false));
    // Modulo 4: the key is gone, on its way, there, on its way out.
    let flips = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let process = if number % 2 == 0 { &*place } else { &other };
            let (written, stop, flips, key) = (&written, &stop, &flips, &key);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    breathe();
                    let before = written.load(Ordering::SeqCst);
                    let epoch = match number {
                        0..4 => process.alice().standing().space.unwrap().epoch,
                        _ => process.directory().current(alice.id).unwrap().unwrap().0.epoch,
                    };
                    assert!(epoch >= before, "{epoch} was answered after {before} was written");
                    assert_eq!(process.bob().standing().space.unwrap().epoch, 1);
                    let before = flips.load(Ordering::SeqCst);
                    let found = process.directory().key(&key.id).unwrap().is_some();
                    // Nothing was under way all the while: the answer can only be this.
                    if before % 2 == 0 && flips.load(Ordering::SeqCst) == before {
                        assert_eq!(found, before % 4 == 2, "after {before} half flips");
                    }
                }
            });
        }
        let _stop = Stop(&stop);
        for step in 0..120 {
            let process = if step % 3 == 0 { &other } else { &*place };
            process.alice().suspend(step % 2 == 0);
            written.fetch_add(1, Ordering::SeqCst);
            flips.fetch_add(1, Ordering::SeqCst);
            if step % 2 == 0 {
                process.directory().add_key(&process.operator(), key.clone()).unwrap();
            } else {
                process.directory().revoke_key(&process.operator(), key.id.clone()).unwrap();
            }
            flips.fetch_add(1, Ordering::SeqCst);
        }
    });
}

/// Leaves the processors to the database for a moment: eight that ask without end keep it from being run at all.
pub fn breathe() {
    std::thread::sleep(Duration::from_micros(300));
}

/// Tells the others that it is over, also if it ends badly.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn an_erasure_shuts_the_door_and_then_forgets_the_name(home: Home) {
    const NAME: &str = "alice-who-will-be-forgotten";
    let place = Place::new(home);
    let bob = place.provision("bob");
    let alice = place.provision(NAME);
    let key = place.add_key(KeyKind::User { identity: identity(NAME), read_only: true });
    assert!(matches!(&key.kind, KeyKind::User { read_only: true, .. }));
    place.meddle(place.user(NAME), "bob");
    let closed = place.close_door(NAME);
    assert_eq!((closed.space, closed.at), (Some(alice.id), noon()));
    // Whoever starts now finds it unfinished.
    let unfinished = place.directory().unfinished().unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!((&unfinished[0].identity, unfinished[0].space), (&identity(NAME), Some(alice.id)));
    assert!(place.directory().key(&key.id).unwrap().is_none());
    assert_eq!(code(place.user(NAME).reading()), Some(Code::Busy));
    place.directory().forget(&closed, Actor::Nobody, String::new()).unwrap();
    assert_eq!(place.directory().unfinished().unwrap().len(), 0);
    assert_eq!(code(place.directory().user(&place.operator(), &identity(NAME))), Some(Code::NotFound));
    assert_eq!(place.traces(NAME), Vec::<String>::new());

    // Who comes back is another, and credentials from before stay void; an erasure soon after is later all the same.
    let again = place.provision(NAME);
    assert_ne!((again.id, again.tag), (alice.id, alice.tag));
    assert_eq!(place.user(NAME).standing().not_before, Some(noon()));
    let closed = place.close_door(NAME);
    assert_eq!(closed.at.as_second(), noon().as_second() + 1);
    place.directory().forget(&closed, Actor::Nobody, String::new()).unwrap();
    assert_eq!(place.bob().standing().space, Some(bob));
    assert!(place.entries() >= 4);
}

impl Place {
    /// Where a text stands in the directory.
    pub fn traces(&self, text: &str) -> Vec<String> {
        let Some(database) = &self.installation.database else {
            return crate::house::traces(&self.installation.options.data, text);
        };
        let hex = data_encoding::HEXLOWER.encode(text.as_bytes());
        let tables =
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('locule', 'public')";
        let mut found = Vec::new();
        for table in database.psql(tables).lines() {
            let rows = database.psql(&format!("SELECT t::text FROM {table} AS t"));
            found.extend(rows.lines().filter(|row| row.contains(text) || row.contains(&hex)).map(str::to_owned));
        }
        found
    }
}

fn users_are_listed_in_the_order_of_their_bytes(home: Home) {
    let place = Place::new(home);
    let operator = place.operator();
    let names = ["zoe", "alice", "Zoe", "Ålice", "a b", "a-b", "_", "bob", "Bob", "ab"];
    for name in names {
        place.provision(name);
    }
    place.directory().create_user(&operator, &at("https://elsewhere.example", "alice")).unwrap();
    let mut expected: Vec<Identity> = names.iter().map(|name| identity(name)).collect();
    expected.push(at("https://elsewhere.example", "alice"));
    expected.sort();
    let mut listed: Vec<Identity> = Vec::new();
    loop {
        let page = place.directory().users(&operator, listed.last(), 3).unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|user| user.identity));
    }
    assert_eq!(listed, expected);

    place.bob().suspend(true);
    let figures = Published { memories: 3, size_bytes: 1 << 40, revision: 7 };
    let (alice, bob) = (place.alice().space(), place.user("bob").standing().space.unwrap().id);
    place.directory().publish(vec![(alice, figures), (bob, figures)]).unwrap();
    // A revision never goes back.
    place.directory().publish(vec![(alice, Published { revision: 6, memories: 1, size_bytes: 1 })]).unwrap();
    let user = place.directory().user(&operator, &identity("alice")).unwrap();
    assert_eq!((user.published, user.published_at, user.created_at), (figures, Some(noon()), noon()));
    assert_eq!(place.directory().high_water(alice).unwrap(), 7);
    let all = place.directory().figures(&operator).unwrap();
    assert_eq!((all.users, all.suspended, all.memories, all.size_bytes), (11, 1, 6, 2 << 40));
    assert_eq!(all.as_of, Some(noon()));
}

fn a_name_that_nobody_can_have_is_refused_on_record(home: Home) {
    let place = Place::new(home);
    place.provision("alice");
    let names =
        ["a\0b", "urn:locule:space:x", "", "Ω".repeat(400).as_str(), "'; DROP TABLE spaces; --"].map(str::to_owned);
    for name in &names {
        place.note(Actor::User(identity("alice")), name).unwrap();
        place.note(Actor::Key("key".to_owned()), name).unwrap();
        place.note(Actor::Nobody, name).unwrap();
    }
    assert_eq!(place.entries(), 3 * names.len() as u64);
    let trail = place.directory().trail(&place.operator(), 100).unwrap();
    let named: Vec<_> = trail.iter().rev().step_by(3).map(|record| record.target.clone().unwrap()).collect();
    assert_eq!(named[0], names[0]);
    assert_eq!(named[3], "Ω".repeat(127));
    assert_eq!(named[4], names[4]);
}

#[test]
#[ignore = "a measurement: run with --release, --nocapture and the machine to itself"]
fn what_asking_and_writing_cost() {
    for home in [Home::File, Home::Postgres(Flavour::Debian15), Home::Postgres(Flavour::Eighteen), Home::Pooled] {
        let name = match home {
            Home::File => "file".to_owned(),
            Home::Postgres(flavour) => format!("{flavour:?}"),
            Home::Pooled => "PgBouncer".to_owned(),
        };
        let place = Place::new(home);
        let other = place.another();
        let alice = place.provision("alice");
        for asking in [1, 2, 8, 64] {
            let each = 4_000 / asking;
            let began = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..asking {
                    scope.spawn(|| {
                        (0..each).for_each(|_| assert!(place.directory().current(alice.id).unwrap().is_some()))
                    });
                }
            });
            let took = began.elapsed();
            let rate = f64::from(each * asking) / took.as_secs_f64();
            println!(
                "{name}: {asking} asking: {:.1} us, {rate:.0} a second",
                took.as_secs_f64() * 1e6 / f64::from(each)
            );
        }
        for servers in [1, 2] {
            for writing in [1, 8, 64] {
                let each = 64.max(256 / writing) / writing.min(8);
                let began = Instant::now();
                std::thread::scope(|scope| {
                    for number in 0..writing {
                        let process = if number % servers == 0 { &*place } else { &other };
                        scope.spawn(move || {
                            for step in 0..each {
                                process.provision(&format!("user {servers} {writing} {number} {step}"));
                            }
                        });
                    }
                });
                let took = began.elapsed();
                let rate = f64::from(each * writing) / took.as_secs_f64();
                println!(
                    "{name}: {servers} servers, {writing} writing: {:.2} ms each, {rate:.0} a second",
                    took.as_secs_f64() * 1e3 / f64::from(each)
                );
            }
        }
    }
}

fn a_tag_leads_to_its_space_and_an_issuer_knows_its_own(home: Home) {
    let place = Place::new(home);
    let other = place.another();
    let alice = place.provision("alice");
    place.provision("bob");
    let elsewhere = Identity { issuer: "https://other.example".try_into().unwrap(), ..identity("alice") };
    place.directory().provision(&elsewhere).unwrap();
    let led = |tag: Tag| other.directory().tagged(tag).unwrap();
    assert_eq!(led(alice.tag), [identity("alice")]);
    // What came from elsewhere leads there beside it, however often that is said, and to both who have brought the same.
    let (bob, strange) = (place.provision("bob"), Tag(alice.tag.0 ^ 1));
    place.directory().lead(alice.id, vec![strange, bob.tag, strange]).unwrap();
    place.directory().lead(alice.id, vec![strange]).unwrap();
    assert_eq!((led(strange), led(alice.tag)), (vec![identity("alice")], vec![identity("alice")]));
    assert_eq!(led(bob.tag), [identity("alice"), identity("bob")]);
    let known = |begins: &'static str| {
        let known =
            other.directory().known(&Issuer::default(), &|subject| subject.as_str().starts_with(begins)).unwrap();
        known.into_iter().map(|known| known.subject.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((known(""), known("b")), (vec!["alice".to_owned(), "bob".to_owned()], vec!["bob".to_owned()]));
    assert!(known("c").is_empty());
}
