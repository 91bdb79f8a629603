//! The server dies in the middle of things, again and again, and nothing that was acknowledged is lost or half there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{Caller, DIMENSION, House, NO_MODEL, value};

for_each_layout! {
    what_was_acknowledged_survives_many_deaths
    asked_to_stop_it_finishes_what_is_under_way
    an_erasure_that_dies_is_finished_or_has_not_begun
}

/// What a memory says, and the number beside it that always changes with it.
type Said = (String, u64);

/// One user who writes, and what is known to be kept of it.
struct Writer {
    caller: Caller,
    chance: Chance,
    count: u64,
    /// What was acknowledged, by id.
    kept: BTreeMap<String, Said>,
    /// What was under way when the server died.
    open: Option<Doing>,
}

enum Doing {
    Add(Vec<Said>),
    Change(String, Said),
    Delete(String),
}

/// Above this, what is done is mostly deleting, so that a space stays small enough to be read after each death.
const KEPT: usize = 60;

impl Writer {
    fn new(house: &House, user: &str, seed: u64) -> Self {
        Writer { caller: house.user(user), chance: Chance::of(seed), count: 0, kept: BTreeMap::new(), open: None }
    }

    fn next(&mut self) -> Said {
        self.count += 1;
        (value(&self.caller.owner), self.count)
    }

    fn choose(&mut self) -> Doing {
        let ids: Vec<_> = self.kept.keys().cloned().collect();
        let choice = self.chance.below(10);
        let delete = if ids.len() > KEPT { 7 } else { 1 };
        match choice {
            _ if ids.is_empty() => Doing::Add(vec![self.next()]),
            choice if choice < delete => Doing::Delete(self.chance.one_of(&ids).clone()),
            7..9 => Doing::Change(self.chance.one_of(&ids).clone(), self.next()),
            _ => Doing::Add((0..=self.chance.below(3)).map(|_| self.next()).collect()),
        }
    }

    /// Writes until the server is gone.
    fn write(&mut self, stopping: &AtomicBool) {
        loop {
            let doing = self.choose();
            let embedding = self.chance.embedding(DIMENSION);
            let body = |said: &Said| json!({"memory": said.0, "metadata": {"n": said.1}, "embedding": embedding});
            let (method, path, body) = match &doing {
                Doing::Add(all) => {
                    ("POST", "/memories".to_owned(), json!({"memories": all.iter().map(body).collect::<Vec<_>>()}))
                }
                Doing::Change(id, said) => ("PATCH", format!("/memories/{id}"), body(said)),
                Doing::Delete(id) => ("DELETE", format!("/memories/{id}"), Value::Null),
            };
            let answer = self.caller.try_call(method, &path, Some(body.to_string().as_bytes()));
            let Ok(answer) = answer else {
                self.open = Some(doing);
                assert!(stopping.load(Ordering::SeqCst), "the server went away on its own");
                return;
            };
            assert!((200..300).contains(&answer.status), "{method}: {} {}", answer.status, answer.text());
            self.acknowledged(doing, &answer.json());
        }
    }

    fn acknowledged(&mut self, doing: Doing, answer: &Value) {
        match doing {
            Doing::Add(all) => {
                let ids = answer["memories"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|memory| memory["id"].as_str().unwrap().to_owned());
                self.kept.extend(ids.zip(all));
            }
            Doing::Change(id, said) => drop(self.kept.insert(id, said)),
            Doing::Delete(id) => drop(self.kept.remove(&id)),
        }
    }

    /// Holds what is there against what was acknowledged; what was under way may be there, whole, or not at all.
    fn check(&mut self) {
        let there: BTreeMap<String, Said> = self.caller.all().iter().map(read).collect();
        match self.open.take() {
            Some(Doing::Add(all)) => {
                let found: Vec<_> = there.iter().filter(|(_, said)| all.contains(said)).collect();
                assert!(found.is_empty() || found.len() == all.len(), "a part of a batch: {found:?} of {all:?}");
                self.kept.extend(found.into_iter().map(|(id, said)| (id.clone(), said.clone())));
            }
            Some(Doing::Change(id, said)) if there.get(&id) == Some(&said) => drop(self.kept.insert(id, said)),
            Some(Doing::Delete(id)) if !there.contains_key(&id) => drop(self.kept.remove(&id)),
            _ => {}
        }
        assert_eq!(there, self.kept, "{}", self.caller.owner);
        // A row is in both indexes, or nowhere.
        let everything = json!({"embedding": self.chance.embedding(DIMENSION), "limit": 1000});
        let hits = self.caller.post("/memories/search", everything).expect(200).json();
        let found: BTreeMap<_, _> = hits["results"].as_array().unwrap().iter().map(read).collect();
        assert_eq!(found, self.kept, "the vectors of {}", self.caller.owner);
        let Some((id, (text, _))) = self.kept.iter().nth(self.chance.below(self.kept.len())) else { return };
        let word = text.split([':', '»']).nth(1).unwrap();
        let hits = self.caller.post("/memories/search", json!({"query": word, "limit": 1})).expect(200).json();
        assert_eq!(hits["results"][0]["id"], **id, "the words of {}", self.caller.owner);
    }
}

fn read(memory: &Value) -> (String, Said) {
    let said = (memory["memory"].as_str().unwrap().to_owned(), memory["metadata"]["n"].as_u64().unwrap());
    (memory["id"].as_str().unwrap().to_owned(), said)
}

fn writers(house: &House, seed: u64) -> Vec<Writer> {
    (0..4).map(|n| Writer::new(house, &format!("user-{n}"), seed + n)).collect()
}

/// All write at once; `after` so long the server is ended by `end`.
fn write_until(house: &mut House, writers: &mut [Writer], after: Duration, end: fn(&mut House)) {
    let (stopping, begin) = (AtomicBool::new(false), Barrier::new(writers.len() + 1));
    std::thread::scope(|scope| {
        for writer in writers {
            let (stopping, begin) = (&stopping, &begin);
            scope.spawn(move || {
                begin.wait();
                writer.write(stopping);
            });
        }
        begin.wait();
        std::thread::sleep(after);
        stopping.store(true, Ordering::SeqCst);
        end(house);
    });
}

fn what_was_acknowledged_survives_many_deaths(layout: Layout) {
    let mut house = House::on(layout, &NO_MODEL);
    let mut writers = writers(&house, 100);
    let mut chance = Chance::of(1);
    // In a database, a death of ours is the death of a client.
    for _ in 0..if layout.is_file() { 100 } else { 12 } {
        let after = Duration::from_millis(30 + chance.below(271) as u64);
        write_until(&mut house, &mut writers, after, House::kill);
        house.start();
        writers.iter_mut().for_each(Writer::check);
    }
    let acknowledged: u64 = writers.iter().map(|writer| writer.count).sum();
    println!("{acknowledged} memories written over all deaths");
    assert!(acknowledged > if layout.is_file() { 100 } else { 12 });
    writers.iter().for_each(|writer| house.assert_chain_whole(&writer.caller.owner));
    house.run(&["audit", "verify"]);
}

fn asked_to_stop_it_finishes_what_is_under_way(layout: Layout) {
    let mut house = House::on(layout, &NO_MODEL);
    let mut writers = writers(&house, 200);
    let mut chance = Chance::of(2);
    for _ in 0..if layout.is_file() { 8 } else { 3 } {
        let after = Duration::from_millis(20 + chance.below(100) as u64);
        write_until(&mut house, &mut writers, after, House::stop);
        // Everything is at home: a copy of the files is a copy of the data.
        let logs =
            |path: &PathBuf| path.to_string_lossy().ends_with("-wal") || path.to_string_lossy().ends_with("-shm");
        let left: Vec<_> = house.files().into_iter().filter(logs).collect();
        assert!(left.is_empty(), "{left:?}");
        house.start();
        writers.iter_mut().for_each(Writer::check);
    }
}

fn an_erasure_that_dies_is_finished_or_has_not_begun(layout: Layout) {
    let mut house = House::on(layout, &NO_MODEL);
    let bob = house.bob();
    let mut chance = Chance::of(3);
    bob.add_with_vector(&mut chance, DIMENSION);
    let (mut whole, mut gone) = (0, 0);
    for round in 0..if layout.is_file() { 40 } else { 8 } {
        let files = house.files().len();
        let name = format!("alice-{round}");
        let alice = house.user(&name);
        let many: Vec<_> =
            (0..20).map(|_| json!({"memory": value(&name), "embedding": chance.embedding(DIMENSION)})).collect();
        alice.post("/memories", json!({"memories": many})).expect(201);
        let after = Duration::from_micros(500 * chance.below(40) as u64);
        let answer = std::thread::scope(|scope| {
            let erasing = alice.clone();
            let answer = scope.spawn(move || erasing.try_call("DELETE", "", None));
            std::thread::sleep(after);
            house.kill();
            answer.join().unwrap()
        });
        house.start();
        let old = alice.get("/memories");
        match old.status {
            200 => {
                assert!(answer.is_err(), "round {round}: acknowledged and not erased");
                assert_eq!(old.json()["total"], 20, "round {round}: half of it");
                whole += 1;
                alice.delete("").expect(200);
            }
            401 => gone += 1,
            _ => panic!("round {round}: {} {}", old.status, old.text()),
        }
        assert_eq!(house.user(&name).count(), 0, "round {round}");
        // Nothing of the space is left, beside what the directory keeps of its own.
        let left: Vec<_> =
            house.files().into_iter().filter(|path| !path.to_string_lossy().contains("directory.db")).collect();
        assert!(left.len() <= files, "round {round}: {left:?}");
        assert_eq!(bob.count(), 1);
    }
    println!("{whole} were whole and {gone} gone");
    house.run(&["audit", "verify"]);
}
