//! Connections: few for many users, and given back when the machine has none left.

use locule_core::Code;

use locule_store::Keeping;
use locule_store::postgres::Pooler;

use crate::house::{DATABASE, ENCRYPTED, House, Layout, child, embed, given_data};

for_each_layout! {
    many_users_share_few_connections
    a_connection_in_use_is_never_closed
}

/// No installation gets by with fewer.
const FEWEST: usize = 8;

fn many_users_share_few_connections(layout: &Layout) {
    let house = House::quick(layout, |options| {
        options.connection_bytes = 0;
        if let Keeping::Postgres(kept) = &mut options.keeping {
            kept.connections_max = FEWEST;
        }
        options.vector_bytes = 10_000;
    });
    let names: Vec<String> = (0..50).map(|n| format!("user-{n}")).collect();
    std::thread::scope(|scope| {
        let (names, house) = (&names, &*house);
        let workers: Vec<_> = (0..6)
            .map(|worker| {
                scope.spawn(move || {
                    for round in 0..3 {
                        for (place, name) in names.iter().enumerate().filter(|(place, _)| place % 6 == worker) {
                            house.user(name).add(&format!("round {round}"));
                            assert!(house.store.spaces.held().0 <= FEWEST);
                            let other = &names[(place * 7 + round) % names.len()];
                            house.user(other).texts();
                            assert_eq!(house.user(name).search(&embed("anything"), 10).unwrap().len(), round + 1);
                            assert!(house.store.spaces.held().0 <= FEWEST);
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    for name in &names {
        assert_eq!(house.user(name).texts().len(), 3);
    }
}

fn a_connection_in_use_is_never_closed(layout: &Layout) {
    let house = House::quick(layout, |options| {
        options.connection_bytes = 0;
        if let Keeping::Postgres(kept) = &mut options.keeping {
            kept.connections_max = FEWEST;
        }
    });
    let names: Vec<String> = (0..40).map(|n| format!("user-{n}")).collect();
    names.iter().for_each(|name| drop(house.user(name).add("first")));
    let spaces: Vec<_> =
        names[..FEWEST - 1].iter().map(|name| house.store.spaces.open(house.user(name).reading().unwrap())).collect();
    let readers: Vec<_> = spaces.iter().map(|space| space.read().unwrap()).collect();
    let count = |reader: &locule_store::Reader| reader.list(&Default::default()).unwrap().total;
    readers.iter().for_each(|reader| assert_eq!(count(reader), 1));
    // One connection is left for all the others to pass through.
    for name in &names {
        house.user(name).add("second");
        assert_eq!(house.user(name).texts().len(), 2);
        assert!(house.store.spaces.held().0 <= FEWEST);
        // Asked again and again: who opens a transaction and is not heard of for ten seconds is cut off.
        readers.iter().for_each(|reader| assert_eq!(count(reader), 1));
    }
}

#[test]
fn no_file_left_to_open_is_an_overload_and_passes() {
    let house = tempfile::tempdir().unwrap();
    let output = child("pool::with_few_files", &house.path().join("data")).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "lowers the limits of its whole process: run by `no_file_left_to_open_is_an_overload_and_passes`"]
fn with_few_files() {
    let Some(data) = given_data() else { return };
    let mut house = House::at(data, &ENCRYPTED, |_| {});
    let names: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    names.iter().for_each(|name| drop(house.user(name).add("first")));
    house.reopen();
    let (before, most) = rlimit::Resource::NOFILE.get().unwrap();
    let mut refused = 0;
    let open_now = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    // From none to spare up to a few at every number between: whichever file is the one too many.
    for spare in 0..14 {
        rlimit::Resource::NOFILE.set(open_now + spare, most).unwrap();
        let spaces: Vec<_> = names.iter().map(|name| (name, house.user(name).reading())).collect();
        let mut held = Vec::new();
        for (name, scope) in spaces {
            let space = scope.map(|scope| house.store.spaces.open(scope));
            let read = space.as_ref().map_err(|error| error.code()).and_then(|space| {
                let reader = space.read().map_err(|error| error.code())?;
                let total = reader.list(&Default::default()).map_err(|error| error.code())?.total;
                assert!(total >= 1, "{name} is somebody");
                // Keeping the connection busy leaves nothing to close for the next.
                Ok(reader)
            });
            match read {
                Ok(_) => {}
                Err(Code::Overloaded) => refused += 1,
                Err(other) => panic!("{other:?} with {spare} files to spare"),
            }
            held.push(space);
        }
        for name in ["user-1", "new-here"] {
            let added = house.user(name).try_add(vec![locule_core::memory::NewMemory::text(
                house.user(name).canary(&format!("with {spare} to spare")),
            )]);
            assert!(matches!(added.as_ref().map_err(|error| error.code()), Ok(_) | Err(Code::Overloaded)), "{added:?}");
        }
        drop(held);
        rlimit::Resource::NOFILE.set(before, most).unwrap();
        // It passes, and nothing is the worse for it.
        for name in &names {
            assert!(!house.user(name).texts().is_empty());
            assert!(house.user(name).read(|reader| reader.verify_audit()).unwrap().is_ok());
        }
        house.store.spaces.close().unwrap();
    }
    assert!(refused > 0);
    house.close();
}

#[test]
fn a_database_for_each_behind_a_pooler_is_refused_by_the_settings_name() {
    let mut house = House::quick(&DATABASE, |_| {});
    house.close();
    let Keeping::Postgres(kept) = &mut house.options.keeping else { panic!("in PostgreSQL") };
    kept.pooler = Pooler::Transaction;
    let refused = house.try_neighbour().map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    assert!(refused.to_string().contains("postgres.pooler"), "{refused}");
}
