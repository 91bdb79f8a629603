//! Several programs on one directory: each sees at once what the others have done.

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{DIMENSION, House, NO_MODEL, path_of, value};

for_each_layout! {
    what_the_command_line_erases_the_server_no_longer_has
    what_the_command_line_imports_the_server_finds
    two_servers_on_one_directory_are_of_one_mind
    two_servers_write_for_one_user_at_once_and_lose_nothing
    keys_and_tokens_of_the_command_line_open_what_they_say
}

fn hits(caller: &crate::house::Caller, body: Value) -> Vec<Value> {
    caller.post("/memories/search", body).expect(200).json()["results"].as_array().unwrap().clone()
}

fn what_the_command_line_erases_the_server_no_longer_has(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(1);
    alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    let query = json!({"embedding": chance.embedding(DIMENSION)});
    assert_eq!(hits(&alice, query.clone()).len(), 1);
    house.run(&["user", "erase", "alice-123", "--yes"]);
    alice.get("/memories").expect(401);
    alice.post("/memories/search", query.clone()).expect(401);
    let again = house.alice();
    assert_eq!((again.count(), hits(&again, query).len()), (0, 0));
    assert_eq!(bob.count(), 1);
}

fn what_the_command_line_imports_the_server_finds(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(2);
    alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    let vector = vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let memory = alice.post("/memories", json!({"memory": value("alice-123"), "embedding": vector})).expect(201).json();
    // The vectors are in the server's memory now.
    assert_eq!(hits(&alice, json!({"embedding": vector})).len(), 2);

    let file = house.home().join("alice.json");
    house.run(&["user", "export", "alice-123", "--out", file.to_str().unwrap()]);
    let exported: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(exported["total_memories"], 2);
    assert_eq!(alice.get("/export").expect(200).json()["memories"], exported["memories"]);
    assert_eq!(alice.delete("/memories").expect(200).json()["deleted"], 2);
    assert!(hits(&alice, json!({"embedding": vector})).is_empty());

    house.run(&["user", "import", "alice-123", file.to_str().unwrap()]);
    let found = hits(&alice, json!({"embedding": vector}));
    assert_eq!((found.len(), &found[0]["id"]), (2, &memory["id"]));
    assert_eq!(alice.get(&path_of(&memory)).expect(200).json()["created_at"], memory["created_at"]);
    // Doing it again adds nothing.
    house.run(&["user", "import", "alice-123", file.to_str().unwrap()]);
    assert_eq!((alice.count(), bob.count()), (2, 1));
    house.run(&["audit", "verify", "--all"]);
}

fn two_servers_on_one_directory_are_of_one_mind(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let second = house.another();
    let mut chance = Chance::of(3);
    for user in ["alice-123", "bob-456"] {
        let here = house.user(user);
        let there = here.clone().at(&second);
        let query = json!({"embedding": chance.embedding(DIMENSION), "limit": 100});
        for round in 0..10 {
            let (writer, reader) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
            let memory = writer.add_with_vector(&mut chance, DIMENSION);
            assert_eq!(reader.count(), round + 1);
            assert_eq!(hits(reader, query.clone()).len() as u64, round + 1);
            let text = value(user);
            writer
                .patch(&path_of(&memory), json!({"memory": text, "embedding": chance.embedding(DIMENSION)}))
                .expect(200);
            assert!(hits(reader, query.clone()).iter().any(|hit| hit["memory"] == text));
        }
        let gone = &here.all()[0];
        here.delete(&path_of(gone)).expect(204);
        assert!(hits(&there, query.clone()).iter().all(|hit| hit["id"] != gone["id"]));
        there.get(&path_of(gone)).expect(404);
    }
    // Erased at the one, gone at the other; come again at the one, there at the other.
    let here = house.alice();
    let there = here.clone().at(&second);
    there.delete("").expect(200);
    here.get("/memories").expect(401);
    let again = house.alice();
    again.add_with_vector(&mut chance, DIMENSION);
    assert_eq!(again.clone().at(&second).count(), 1);
    assert_eq!(house.bob().at(&second).count(), 9);
    house.assert_chain_whole("bob-456");
}

fn two_servers_write_for_one_user_at_once_and_lose_nothing(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let second = house.another();
    let here = house.alice();
    let there = here.clone().at(&second);
    std::thread::scope(|scope| {
        for (seed, caller) in [(1, here.clone()), (2, there.clone()), (3, here.clone()), (4, there.clone())] {
            scope.spawn(move || {
                let mut chance = Chance::of(seed);
                (0..25).for_each(|_| drop(caller.add_with_vector(&mut chance, DIMENSION)));
            });
        }
    });
    assert_eq!((here.count(), there.count()), (100, 100));
    house.assert_chain_whole("alice-123");
}

fn keys_and_tokens_of_the_command_line_open_what_they_say(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let line = |arguments: &[&str]| house.run(arguments).trim_end().to_owned();
    let token = line(&["token", "alice-123", "--ttl", "1h"]);
    let alice = house.caller("alice-123", &token);
    alice.add_with_vector(&mut Chance::of(4), DIMENSION);
    let key = line(&["key", "create", "--service", "--act-as", "*"]);
    assert_eq!(house.caller("alice-123", &key).count(), 1);
    house.run(&["user", "suspend", "alice-123"]);
    assert_eq!(alice.get("/memories").expect(403).code(), "space_suspended");
    house.run(&["user", "resume", "alice-123"]);
    assert_eq!(alice.count(), 1);
}
