//! How often the server asks its database for one request: a database that is elsewhere costs a journey each time.

use locule_testbed::{Flavour, Postgres, Proxy, Setup};
use serde_json::json;

use crate::chance::Chance;
use crate::ground::{Ground, Layout};
use crate::house::{DIMENSION, House, NO_MODEL};

/// Journeys of one request, once everything that is kept is there: statements, connections, vectors, what the directory said.
fn journeys(layout: Layout) -> [u64; 4] {
    let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
    let proxy = Proxy::before(postgres.port());
    let house = House::at(Ground::in_cluster(&postgres, layout).behind(proxy.port()), &NO_MODEL);
    let alice = house.alice();
    let service = house.caller("alice-123", &house.service_key("alice-*"));
    let mut chance = Chance::of(1);
    alice.add_with_vector(&mut chance, DIMENSION);
    let search = json!({"embedding": chance.embedding(DIMENSION), "limit": 3});
    // The server has work of its own now and then, and so the fewest count.
    let fewest = |request: &mut dyn FnMut()| {
        request();
        let mut count = || {
            let before = settled(&proxy);
            request();
            settled(&proxy) - before
        };
        (0..3).map(|_| count()).min().unwrap()
    };
    [
        fewest(&mut || drop(alice.post("/memories/search", search.clone()).expect(200))),
        fewest(&mut || drop(service.post("/memories/search", search.clone()).expect(200))),
        fewest(&mut || drop(alice.get("/memories").expect(200))),
        fewest(&mut || drop(alice.add_with_vector(&mut chance, DIMENSION))),
    ]
}

/// The count once nothing is under way any more: nobody waits for the end of a transaction that only looked.
fn settled(proxy: &Proxy) -> u64 {
    let mut count = proxy.journeys();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = proxy.journeys();
        if now == count {
            return count;
        }
        count = now;
    }
}

/// A search, the same with a service's key, a list, an add. The last journey of what only looks is waited for by nobody.
fn no_more_than(most: [u64; 4], layout: Layout) {
    let taken = journeys(layout);
    assert!(taken.iter().zip(most).all(|(taken, most)| *taken <= most), "{layout:?}: {taken:?} and not {most:?}");
}

#[test]
fn rls() {
    no_more_than([4, 5, 5, 10], Layout::Rls);
}

#[test]
fn schema() {
    no_more_than([4, 5, 5, 10], Layout::Schema);
}

#[test]
fn database() {
    no_more_than([4, 5, 5, 10], Layout::Database);
}
