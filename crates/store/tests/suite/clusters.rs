//! Users of one directory over two PostgreSQL: each is on one of them, is found there by every server, and can be moved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use locule_core::Code;
use locule_core::clock::Sources;
use locule_core::memory::NewMemory;
use locule_store::moving::{Mover, Step};
use locule_store::postgres::Address;
use locule_store::{Cluster, Clusters, Keeping, Migration, Options, Postgres, PostgresLayout};
use locule_testbed::{Flavour, Postgres as Server};

use crate::house::{Process, code, identity};
use crate::moves::{Ground, RLS, SCHEMA, Where, assert_same, populate, right, seen};

/// A ground, and a second PostgreSQL beside its own.
struct Two {
    ground: Ground,
    east: Server,
}

impl Two {
    fn new() -> Self {
        let ground = Ground::new();
        let east = Server::start(Flavour::Debian15);
        let two = Two { ground, east };
        for layout in PostgresLayout::ALL {
            let options = two.options(Some((layout, false)), [1, 1]);
            let admin = Address::parse(&two.east.url()).unwrap();
            let migration = Migration { cluster: Some("east".to_owned()), ..Migration::default() };
            locule_store::migrate(&options, &admin, &migration, &Sources::system()).unwrap();
        }
        two
    }

    /// With these shares of new users here and there.
    fn options(&self, place: Where, [here, there]: [u32; 2]) -> Options {
        let options = self.ground.options(place);
        let Keeping::Postgres(kept) = options.keeping else { panic!("in PostgreSQL") };
        let address = Address::parse(&self.east.url()).unwrap().anybody();
        let east = Cluster { name: "east".to_owned(), address, weight: there };
        let clusters = Clusters { others: vec![east], weight_of_main: here };
        Options { keeping: Keeping::Postgres(Postgres { clusters, ..kept }), ..self.ground.options(place) }
    }

    fn open(&self, place: Where, shares: [u32; 2]) -> Process {
        Process::open(&self.options(place, shares), &self.ground.clock).unwrap()
    }

    fn mover(&self, place: Where, cluster: &str) -> Mover {
        let sources = Sources { clock: Arc::new(self.ground.clock.clone()), ..Sources::system() };
        let options = self.options(place, [1, 1]);
        Mover::open(&self.options(RLS, [1, 1]), &options, Some(cluster), &sources).unwrap()
    }

    fn carry(&self, place: Where, cluster: &str, name: &str) {
        let mover = self.mover(place, cluster);
        mover.carry(&right(&mover, name), &mut |_| {}).unwrap();
    }

    /// Whose rows are there.
    fn owners(&self) -> [BTreeSet<String>; 2] {
        let sql = "SELECT DISTINCT user_id FROM public.memories";
        [self.ground.psql(sql), self.east.psql(sql)].map(|lines| lines.lines().map(str::to_owned).collect())
    }
}

#[test]
fn users_are_spread_over_clusters_and_found_by_every_server() {
    let two = Two::new();
    let process = two.open(RLS, [1, 1]);
    let names: Vec<_> = (0..24).map(|number| format!("user-{number}")).collect();
    for name in &names {
        process.user(name).add("here or there");
    }
    let [here, there] = two.owners();
    assert_eq!((here.len() + there.len(), here.intersection(&there).count()), (24, 0));
    assert!(here.len() >= 3 && there.len() >= 3, "{} and {}", here.len(), there.len());
    // A server that would put them elsewhere finds them where they are.
    let other = two.open(RLS, [1, 0]);
    for name in &names {
        assert_eq!(other.user(name).texts().len(), 1);
        other.user(name).add("again");
    }
    other.user("late").add("here");
    assert!(two.owners()[0].contains("late"));
    // Erased is erased where it is.
    let gone = there.first().unwrap();
    process.user(gone).erase().unwrap();
    assert!(!two.owners()[1].contains(gone));
    // A server without the cluster serves nobody who is on it, and is not taken for one where they are new.
    let alone = two.ground.open(RLS);
    let left = two.owners()[1].first().unwrap().clone();
    assert_eq!(code(alone.user(&left).try_all()), Some(Code::BackendUnavailable));
    assert_eq!(code(alone.user(&left).try_add(vec![NewMemory::text("nowhere")])), Some(Code::BackendUnavailable));
    assert_eq!(alone.user("late").texts().len(), 1);
}

#[test]
fn a_user_goes_from_cluster_to_cluster_whole() {
    let two = Two::new();
    let process = two.open(RLS, [1, 0]);
    populate(&process, &two.ground.clock);
    let before = seen(process.alice(), &[]);
    for (place, cluster) in [(RLS, "east"), (SCHEMA, "east"), (SCHEMA, "main"), (RLS, "east"), (RLS, "main")] {
        two.carry(place, cluster, "alice");
        assert_same(&seen(process.alice(), &[]), &before);
        assert_eq!(process.bob().texts().len(), 1);
        let owners = two.owners();
        assert_eq!(owners[0].contains("alice"), place == RLS && cluster == "main");
        assert_eq!(owners[1].contains("alice"), place == RLS && cluster == "east");
    }
    let mover = two.mover(RLS, "main");
    assert_eq!(code(mover.carry(&right(&mover, "alice"), &mut |_: Step| {})), Some(Code::Conflict));
    assert_eq!(seen(process.alice(), &[])["memories"], before["memories"]);
}

#[test]
fn no_request_is_wrong_while_a_user_moves_between_clusters() {
    let two = Two::new();
    let process = two.open(RLS, [1, 0]);
    process.alice().add("first");
    two.open(RLS, [0, 1]).bob().add("on the other");
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(1));
    std::thread::scope(|threads| {
        for writer in 0..2 {
            let (two, stop, acknowledged) = (&two, &stop, &acknowledged);
            threads.spawn(move || {
                let process = two.open(RLS, [1, 1]);
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let memory = NewMemory::text(process.alice().canary(&format!("{writer} {number}")));
                    let may_wait = |code| matches!(code, Code::SpaceMoving | Code::Busy);
                    match process.alice().try_add(vec![memory]) {
                        Ok(_) => drop(acknowledged.fetch_add(1, Ordering::SeqCst)),
                        Err(error) => assert!(may_wait(error.code()), "{error:?}"),
                    }
                    let least = acknowledged.load(Ordering::SeqCst);
                    match process.alice().try_all() {
                        Ok(all) => assert!(all.len() >= least, "{} of {least}", all.len()),
                        Err(error) => assert!(may_wait(error.code()), "{error:?}"),
                    }
                    // Whoever does not move notices nothing.
                    assert_eq!(process.bob().texts().len(), 1);
                }
            });
        }
        let mut before = 0;
        for cluster in ["east", "main", "east", "main", "east"] {
            while acknowledged.load(Ordering::SeqCst) < before + 5 {
                std::thread::yield_now();
            }
            before = acknowledged.load(Ordering::SeqCst);
            two.carry(RLS, cluster, "alice");
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(process.alice().all().len(), acknowledged.load(Ordering::SeqCst));
    assert!(process.alice().read(|reader| reader.verify_audit()).unwrap().is_ok());
    let owners = two.owners();
    assert!(!owners[0].contains("alice") && owners[1].contains("alice"));
    // What somebody was given before it moved opens nothing after.
    let held = process.alice().writing().unwrap();
    two.carry(RLS, "main", "alice");
    assert_eq!(code(process.store.spaces.open(held).write().map(drop)), Some(Code::Busy));
    assert_eq!(process.alice().identity(), identity("alice"));
}
