//! What people do with it, told from beginning to end.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{DIMENSION, House, NO_MODEL, path_of, value};

for_each_layout! {
    what_one_remembers_one_finds_and_nobody_else_does
    an_id_of_somebody_else_answers_as_one_that_nobody_has
    a_relationship_of_somebody_else_answers_as_one_that_nobody_has
    memories_are_related_and_lead_to_one_another
    a_session_is_over_in_a_day_and_what_is_promoted_stays
    one_space_has_several_spellings
    an_empty_id_deletes_nothing
    adding_says_what_is_new
    pages_neither_overlap_nor_leave_gaps
    a_search_goes_by_words_by_meaning_or_by_both
    a_memory_changes_in_part_and_its_history_tells_it
    usage_and_export_tell_everything_one_has
    who_is_erased_is_gone_and_may_come_again
    what_has_expired_is_seen_nowhere
}

fn texts(memories: &Value) -> Vec<String> {
    memories.as_array().unwrap().iter().map(|memory| memory["memory"].as_str().unwrap().to_owned()).collect()
}

fn what_one_remembers_one_finds_and_nobody_else_does(layout: Layout) {
    let mut house = House::on(layout, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    let dark = alice.add("I prefer dark mode");
    let metric = alice.add("My preferences are metric units and short answers");
    bob.add("My preferences are nobody's business");

    let found = alice.post("/memories/search", json!({"query": "preferences"})).expect(200).json();
    let found = texts(&found["results"]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&texts(&json!([dark]))[0]) && found.contains(&texts(&json!([metric]))[0]));

    // The other's space is shut, and a space that nobody has is shut in the same words.
    let to_alice = bob.get("/api/alice-123/memories").expect(403);
    let to_nobody = bob.get("/api/nobody-789/memories").expect(403);
    assert_eq!(to_alice.code(), "not_your_space");
    assert_eq!(to_alice.alike(), to_nobody.alike());

    house.stop();
    house.start();
    assert_eq!(alice.count(), 2);
    assert_eq!(bob.count(), 1);
}

fn an_id_of_somebody_else_answers_as_one_that_nobody_has(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let foreign = alice.add_with_vector(&mut Chance::of(1), DIMENSION);
    bob.add_with_vector(&mut Chance::of(2), DIMENSION);
    let unknown = "/memories/0199b1c2-7f3e-7abc-8def-0123456789ab".to_owned();
    let deleted = path_of(&bob.add_with_vector(&mut Chance::of(3), DIMENSION));
    bob.delete(&deleted).expect(204);
    let malformed = ["x", "0", "0199b1c2", "%00", "%ff", "%F0%28", "..%2f..", "me", &"9".repeat(300)];
    let elsewhere: Vec<String> =
        malformed.iter().map(|id| format!("/memories/{id}")).chain([deleted.clone()]).collect();
    for (method, suffix, body) in [
        ("GET", "", None),
        ("PATCH", "", Some(br#"{"metadata": {"a": 1}}"#.as_slice())),
        ("DELETE", "", None),
        ("GET", "/history", None),
        ("GET", "/neighbours", None),
        ("GET", "/neighbours?hops=2&direction=in", None),
        ("POST", "/promote", None),
    ] {
        let ask = |id: &str| bob.call(method, &format!("{id}{suffix}"), body);
        let expected = ask(&unknown).expect(404);
        assert_eq!(expected.code(), "not_found");
        assert_eq!(ask(&path_of(&foreign)).alike(), expected.alike(), "{method} foreign");
        for id in &elsewhere {
            // That a memory of one's own was there is told by its history.
            if suffix == "/history" && id == &deleted {
                continue;
            }
            assert_eq!(ask(id).alike(), expected.alike(), "{method} {id}");
        }
    }
    assert_eq!(alice.get(&path_of(&foreign)).expect(200).json()["memory"], foreign["memory"]);
}

fn a_relationship_of_somebody_else_answers_as_one_that_nobody_has(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(1);
    let [hers, other] = [(), ()].map(|()| alice.add_with_vector(&mut chance, DIMENSION));
    let [his, second] = [(), ()].map(|()| bob.add_with_vector(&mut chance, DIMENSION));
    let foreign = alice.relate(&hers, "knows", &other);
    let deleted = bob.relate(&his, "knew", &second);
    let gone = bob.add_with_vector(&mut chance, DIMENSION);
    bob.delete(&path_of(&gone)).expect(204);
    let path = |id: &Value| format!("/relationships/{}", id.as_str().unwrap());
    bob.delete(&path(&deleted["id"])).expect(204);
    let unknown = json!("0199b1c2-7f3e-7abc-8def-0123456789ab");
    for method in ["GET", "DELETE"] {
        let expected = bob.call(method, &path(&unknown), None).expect(404).alike();
        for id in [&foreign["id"], &deleted["id"], &hers["id"], &his["id"], &json!("x"), &json!("%00"), &json!("me")] {
            assert_eq!(bob.call(method, &path(id), None).alike(), expected, "{method} {id}");
        }
    }
    // Nor does one lead there, in either direction, alone or among others.
    let edge = |source: &Value, target: &Value| json!({"source_memory_id": source, "target_memory_id": target, "relationship_type": "knows"});
    let expected = bob.post("/relationships", edge(&his["id"], &unknown)).expect(404).alike();
    for there in [&hers["id"], &gone["id"], &foreign["id"], &unknown, &json!("x"), &json!(""), &json!("me")] {
        for (source, target) in [(&his["id"], there), (there, &his["id"]), (there, there), (there, &unknown)] {
            assert_eq!(bob.post("/relationships", edge(source, target)).alike(), expected, "{source} {target}");
        }
        let list = json!({"relationships": [edge(&his["id"], &second["id"]), edge(&his["id"], there)]});
        assert_eq!(bob.post("/relationships", list).alike(), expected, "{there}");
        let of = bob.get(&format!("/relationships?memory_id={}", there.as_str().unwrap())).expect(200);
        assert_eq!(of.text(), bob.get("/relationships?relationship_type=none").expect(200).text());
    }
    assert_eq!(bob.get("/relationships").expect(200).json()["total"], 0);
    assert_eq!(alice.get(&path(&foreign["id"])).expect(200).json()["target_memory_id"], other["id"]);
}

fn memories_are_related_and_lead_to_one_another(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(3);
    let [tea, evening, sleep] = [(), (), ()].map(|()| alice.add_with_vector(&mut chance, DIMENSION));
    let [one, two] = [(), ()].map(|()| bob.add_with_vector(&mut chance, DIMENSION));
    bob.relate(&one, "happens", &two);
    let happens = json!({"source_memory_id": tea["id"], "target_memory_id": evening["id"], "relationship_type": "happens",
        "strength": 0.755, "metadata": {"note": value("alice-123")}, "user_id": "alice-123"});
    let added = alice.post("/relationships", happens.clone()).expect(201);
    let first = added.json();
    assert_eq!((&first["strength"], &first["existing"]), (&json!(0.76), &json!(false)));
    assert_eq!(first["metadata"], happens["metadata"]);
    let mut stored = first.clone();
    stored.as_object_mut().unwrap().remove("existing");
    assert_eq!(alice.get(added.header("location").unwrap()).expect(200).json(), stored);
    let again = alice.post("/relationships", happens).expect(201).json();
    assert_eq!((&again["id"], &again["existing"]), (&first["id"], &json!(true)));
    let list = json!({"relationships": [
        {"source_memory_id": evening["id"], "target_memory_id": sleep["id"], "relationship_type": "before"},
        {"source_memory_id": sleep["id"], "target_memory_id": tea["id"], "relationship_type": "needs not", "strength": 0}]});
    let many = alice.post("/relationships", list).expect(201).json();
    assert_eq!(many["relationships"].as_array().unwrap().len(), 2);

    let page = alice.get("/relationships?limit=2").expect(200).json();
    assert_eq!((&page["total"], page["relationships"].as_array().unwrap().len()), (&json!(3), 2));
    let rest = alice.get(&format!("/relationships?limit=2&cursor={}", page["next_cursor"].as_str().unwrap()));
    assert_eq!(rest.expect(200).json()["relationships"], json!([stored]));
    let total = |query: &str| alice.get(&format!("/relationships?{query}")).expect(200).json()["total"].clone();
    let tea_id = tea["id"].as_str().unwrap();
    assert_eq!(total(&format!("memory_id={tea_id}")), 2);
    assert_eq!(total(&format!("memory_id={tea_id}&direction=in")), 1);
    assert_eq!(total("relationship_type=needs%20not&user_id=alice-123"), 1);

    let walk = |query: &str| alice.get(&format!("{}/neighbours{query}", path_of(&tea))).expect(200).json();
    let found = walk("?hops=2&direction=out");
    assert_eq!(texts(&found["neighbours"]), [evening["memory"].as_str().unwrap(), sleep["memory"].as_str().unwrap()]);
    assert_eq!((&found["neighbours"][1]["distance"], &found["more"]), (&json!(2), &json!(false)));
    assert_eq!(
        found["neighbours"][1]["path"],
        json!([stored, alice.get("/relationships").expect(200).json()["relationships"][1]])
    );
    assert_eq!(texts(&walk("")["neighbours"]).len(), 2);
    let only = walk("?relationship_type=happens&limit=1&user_id=alice-123");
    assert_eq!(only["neighbours"][0]["path"], json!([stored]));

    // They are taken along, out and away.
    let export = alice.get("/export").expect(200).json();
    assert_eq!((&export["total_relationships"], export["relationships"].as_array().unwrap().len()), (&json!(3), 3));
    assert_eq!(export["relationships"][0], stored);
    let before = alice.get("/usage").expect(200).json()["size_bytes"].as_u64().unwrap();
    alice.delete(&format!("/relationships/{}", first["id"].as_str().unwrap())).expect(204);
    assert!(alice.get("/usage").expect(200).json()["size_bytes"].as_u64().unwrap() < before);
    alice.delete(&path_of(&sleep)).expect(204);
    assert_eq!(total("limit=1"), 0);
    assert_eq!(texts(&walk("?hops=2")["neighbours"]), Vec::<String>::new());
    assert_eq!(bob.get("/relationships").expect(200).json()["total"], 1);
}

fn a_session_is_over_in_a_day_and_what_is_promoted_stays(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(4);
    let mut add = |caller: &crate::house::Caller, with: Value| {
        let mut body = json!({"memory": value(&caller.owner), "embedding": chance.embedding(DIMENSION)});
        body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        caller.post("/memories", body).expect(201).json()
    };
    let day = add(&alice, json!({"run_id": "r 1/ü", "session": true}));
    let hour = add(&alice, json!({"run_id": "r 1/ü", "session": true, "ttl_s": 3600}));
    let minute = add(&alice, json!({"run_id": "r2", "ttl_s": 60}));
    add(&alice, json!({"run_id": "r2"}));
    add(&bob, json!({"run_id": "r2"}));
    let kept_s = |memory: &Value| {
        let moment = |field: &str| memory[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        (moment("expiration") - moment("created_at")).as_secs()
    };
    assert_eq!([&day, &hour, &minute].map(kept_s), [86_400, 3_600, 60]);

    let runs = alice.get("/runs").expect(200).json();
    assert_eq!(runs["total"], 2);
    let names: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| (&run["run_id"], &run["memories"])).collect();
    assert_eq!(names, [(&json!("r2"), &json!(2)), (&json!("r 1/ü"), &json!(2))]);
    assert_eq!((&runs["runs"][0]["expiration"], &runs["runs"][1]["expiration"]), (&Value::Null, &day["expiration"]));
    let page = alice.get("/runs?limit=1").expect(200).json();
    let next = alice.get(&format!("/runs?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).expect(200).json();
    assert_eq!((&next["runs"][0], &next["next_cursor"]), (&runs["runs"][1], &Value::Null));

    let kept = alice.post(&format!("{}/promote", path_of(&day)), json!({})).expect(200).json();
    assert_eq!((&kept["run_id"], &kept["expiration"], &kept["id"]), (&Value::Null, &Value::Null, &day["id"]));
    // Kept already, it is not kept twice: the answer says by which.
    let again =
        json!({"memory": day["memory"], "embedding": chance.embedding(DIMENSION), "run_id": "r3", "session": true});
    let again = alice.post("/memories", again).expect(201).json();
    assert_eq!(again["existing"], false);
    let refused = alice.post(&format!("{}/promote", path_of(&again)), json!({})).expect(409);
    assert_eq!(refused.code(), "conflict");
    assert!(refused.text().contains(day["id"].as_str().unwrap()));

    assert_eq!(bob.delete("/runs/r%201%2F%C3%BC").expect(200).json()["deleted"], 0);
    assert_eq!(alice.delete("/runs/r%201%2F%C3%BC").expect(200).json()["deleted"], 1);
    assert_eq!(alice.delete("/runs/r%201%2F%C3%BC").expect(200).json()["deleted"], 0);
    assert_eq!(alice.delete("/runs/").expect(404).code(), "not_found");
    assert_eq!(alice.delete("/runs/r2").expect(200).json()["deleted"], 2);
    alice.get(&path_of(&kept)).expect(200);
    assert_eq!((alice.count(), bob.count()), (2, 1));

    // What has expired is gone for everybody's eyes; cleaning up makes room, and says of how many.
    let past =
        json!({"memory": value("alice-123"), "embedding": chance.embedding(DIMENSION), "expiration": "2001-01-01"});
    alice.post("/memories", past).expect(201);
    assert_eq!(bob.delete("/memories/expired").expect(200).json()["deleted"], 0);
    assert_eq!(alice.delete("/memories/expired").expect(200).json()["deleted"], 1);
    assert_eq!(alice.delete("/memories/expired").expect(200).json()["deleted"], 0);
    assert_eq!(alice.count(), 2);
    house.assert_chain_whole("alice-123");
}

#[test]
fn without_a_credential_nothing_is_told() {
    let house = House::with(&NO_MODEL);
    let alice = house.alice();
    alice.add_with_vector(&mut Chance::of(1), DIMENSION);
    for path in ["/api/alice-123/memories", "/api/nobody-789/memories", "/api/me/memories"] {
        let refused = house.nobody().get(path).expect(401);
        assert_eq!(refused.code(), "unauthenticated");
        assert!(refused.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
    }
    assert_eq!(house.denials(), 3);
}

fn one_space_has_several_spellings(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let alice = house.alice();
    let memory = alice.add_with_vector(&mut Chance::of(1), DIMENSION);
    let id = memory["id"].as_str().unwrap();
    for user in ["alice-123", "me", "%61lice-123", "alice%2D123", "%6de"] {
        assert_eq!(alice.get(&format!("/api/{user}/memories")).expect(200).json()["total"], 1, "{user}");
        assert_eq!(alice.get(&format!("/api/{user}/memories/{id}/")).expect(200).json()["id"], memory["id"]);
    }
    // Decoded once, and compared to the byte.
    for user in ["%2561lice-123", "Alice-123", "alice-123%20", "alice-123.", "alice-1234", "%ff", "ME"] {
        assert_eq!(alice.get(&format!("/api/{user}/memories")).expect(403).code(), "not_your_space", "{user}");
    }
}

fn an_empty_id_deletes_nothing(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let alice = house.alice();
    alice.add_with_vector(&mut Chance::of(2), DIMENSION);
    for path in ["/api/me/memories/", "/api/me/", "/api/alice-123/memories//"] {
        assert_eq!(alice.delete(path).expect(404).code(), "not_found", "{path}");
    }
    assert_eq!(alice.get("/api/me/memories").expect(200).json()["total"], 1);
}

fn adding_says_what_is_new(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let alice = house.alice();
    let mut chance = Chance::of(5);
    let text = value("alice-123");
    let one = json!({"memory": text, "embedding": chance.embedding(DIMENSION), "agent_id": "chef",
        "categories": ["food"], "metadata": {"n": 1}, "user_id": "alice-123"});
    let first = alice.post("/memories", one.clone()).expect(201);
    let memory = first.json();
    assert_eq!(memory["existing"], false);
    assert_eq!(memory["metadata"], json!({"n": 1}));
    let there = first.header("location").unwrap().to_owned();
    assert_eq!(alice.get(&there).expect(200).json()["id"], memory["id"]);

    let again = alice.post("/memories", one).expect(201).json();
    assert_eq!((&again["existing"], &again["id"]), (&json!(true), &memory["id"]));
    // The same words of another agent are another memory.
    let other = json!({"memory": text, "embedding": chance.embedding(DIMENSION), "agent_id": "waiter"});
    assert_eq!(alice.post("/memories", other).expect(201).json()["existing"], false);

    let batch = |texts: &[String], chance: &mut Chance| {
        let memories: Vec<_> =
            texts.iter().map(|text| json!({"memory": text, "embedding": chance.embedding(DIMENSION)})).collect();
        json!({"memories": memories})
    };
    let many: Vec<String> = (0..20).map(|_| value("alice-123")).collect();
    let added = alice.post("/memories", batch(&many, &mut chance)).expect(201).json();
    assert_eq!(texts(&added["memories"]), many);
    assert_eq!(alice.count(), 22);

    // All or none.
    let spoilt = [value("alice-123"), " ".to_owned()];
    assert_eq!(alice.post("/memories", batch(&spoilt, &mut chance)).expect(422).code(), "invalid");
    assert_eq!(alice.count(), 22);
}

fn pages_neither_overlap_nor_leave_gaps(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(9);
    let mut add = |owner: &crate::house::Caller, count: usize| {
        let memory = |n: usize, chance: &mut Chance| {
            let agent = if n.is_multiple_of(2) { "even" } else { "odd" };
            json!({"memory": value(&owner.owner), "embedding": chance.embedding(DIMENSION), "agent_id": agent, "metadata": {"n": n}})
        };
        let memories: Vec<_> = (0..count).map(|n| memory(n, &mut chance)).collect();
        owner.post("/memories", json!({"memories": memories})).expect(201);
    };
    add(&alice, 250);
    add(&bob, 40);

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = alice.get(&format!("/memories?limit=60{cursor}")).expect(200).json();
        assert!(page["total"].as_u64().unwrap() >= 250);
        seen.extend(texts(&page["memories"]));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // What is added meanwhile is newer than every page that is still to come.
        if seen.len() == 60 {
            alice.add_with_vector(&mut Chance::of(10), DIMENSION);
        }
    }
    assert_eq!(seen.len(), 250);
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 250);

    let total = |query: &str| alice.get(&format!("/memories?limit=5&{query}")).expect(200).json()["total"].clone();
    assert_eq!(total("agent_id=even"), 125);
    assert_eq!(total("filters=%7B%22metadata.n%22%3A%7B%22lt%22%3A10%7D%7D"), 10);
    assert_eq!(total("agent_id=odd&filters=%7B%22metadata.n%22%3A%7B%22lt%22%3A10%7D%7D&user_id=alice-123"), 5);
    assert_eq!(total("agent_id=nobody"), 0);
    assert_eq!(bob.count(), 40);

    assert_eq!(alice.delete("/memories?agent_id=odd").expect(200).json()["deleted"], 125);
    assert_eq!(alice.delete("/memories").expect(200).json()["deleted"], 126);
    assert_eq!((alice.count(), bob.count()), (0, 40));
}

fn a_search_goes_by_words_by_meaning_or_by_both(layout: Layout) {
    let house = House::on(layout, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    let mark = value("alice-123");
    let mut direction = vec![0.0_f32; 384];
    direction[7] = 1.0;
    let numbers = json!(direction);
    let base64 =
        base64::prelude::BASE64_STANDARD.encode(direction.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>());
    for (text, agent) in [("I'm allergic to peanuts", "chef"), ("My car is a blue estate", "garage")] {
        alice
            .post(
                "/memories",
                json!({"memory": format!("{text} {mark}"), "agent_id": agent, "metadata": {"kind": agent}}),
            )
            .expect(201);
    }
    alice
        .post("/memories", json!({"memory": format!("Where the compass points {mark}"), "embedding": numbers}))
        .expect(201);
    bob.add("I'm allergic to peanuts too");

    let search = |body: Value| alice.post("/memories/search", body).expect(200).json()["results"].clone();
    let first = |body: Value| texts(&search(body))[0].clone();
    assert!(first(json!({"query": "what food should I avoid?"})).contains("peanuts"));
    assert!(first(json!({"query": "blue estate"})).contains("estate"));
    assert!(first(json!({"embedding": numbers})).contains("compass"));
    assert!(first(json!({"embedding": base64})).contains("compass"));
    assert!(first(json!({"query": "the blue estate", "embedding": base64})).contains("compass"));
    assert_eq!(search(json!({"embedding": numbers})), search(json!({"embedding": base64})));

    let filtered = search(json!({"query": "peanuts", "filters": {"agent_id": "garage"}, "user_id": "alice-123"}));
    assert_eq!(texts(&filtered).len(), 1);
    assert!(texts(&filtered)[0].contains("estate"));
    let kinds = json!({"OR": [{"metadata.kind": "chef"}, {"metadata": {"kind": "garage"}}], "user_id": "alice-123"});
    assert_eq!(texts(&search(json!({"query": "peanuts", "filters": kinds}))).len(), 2);
    assert_eq!(texts(&search(json!({"query": "peanuts", "limit": 1}))).len(), 1);

    let explained = search(json!({"query": "peanuts", "explain": true}));
    let scores: Vec<f64> = explained.as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
    assert!(explained[0]["score_parts"]["words"].as_f64().unwrap() > 0.0);
    assert!(search(json!({"query": "peanuts"}))[0].get("score_parts").is_none());
    let best = scores[0];
    assert_eq!(texts(&search(json!({"query": "peanuts", "threshold": best - 0.001}))).len(), 1);
    assert!(texts(&search(json!({"query": "peanuts", "threshold": 1.0}))).is_empty());
}

fn a_memory_changes_in_part_and_its_history_tells_it(layout: Layout) {
    let house = House::on(layout, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    let memory = alice
        .post(
            "/memories",
            json!({"memory": format!("I live in Bonn {}", value("alice-123")), "agent_id": "guide",
        "metadata": {"a": {"x": 1, "y": 2}, "b": 3}}),
        )
        .expect(201)
        .json();
    let path = path_of(&memory);
    let moved = format!("I live in Kyoto {}", value("alice-123"));
    let changed = alice
        .patch(&path, json!({"memory": moved, "agent_id": null, "metadata": {"a": {"y": null}, "c": 4}}))
        .expect(200)
        .json();
    assert_eq!(changed["memory"], moved);
    assert_eq!(changed["metadata"], json!({"a": {"x": 1}, "b": 3, "c": 4}));
    assert_eq!((&changed["agent_id"], &changed["id"]), (&Value::Null, &memory["id"]));
    assert_ne!(changed["hash"], memory["hash"]);
    assert_eq!(alice.get(&path).expect(200).json(), changed);

    // The new text is what is found, and the old one is not.
    let hits = alice.post("/memories/search", json!({"query": "Kyoto", "explain": true})).expect(200).json();
    assert!(hits["results"][0]["score_parts"]["words"].as_f64().unwrap() > 0.0);
    let hits = alice.post("/memories/search", json!({"query": "Bonn", "explain": true})).expect(200).json();
    assert_eq!(hits["results"][0]["score_parts"]["words"].as_f64(), Some(0.0));

    let history = alice.get(&format!("{path}/history")).expect(200).json();
    let events: Vec<_> =
        history["history"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["ADD", "UPDATE"]);
    assert_eq!(history["history"][1]["old_memory"], memory["memory"]);

    assert_eq!(bob.patch(&path.replace("/memories", "/api/bob-456/memories"), json!({"memory": "mine"})).status, 404);
    alice.delete(&path).expect(204);
    alice.get(&path).expect(404);
    // That it was there is known; what it said is not.
    let history = alice.get(&format!("{path}/history")).expect(200).text();
    assert!(history.contains("DELETE") && !history.contains("Kyoto") && !history.contains("Bonn"), "{history}");
}

fn usage_and_export_tell_everything_one_has(layout: Layout) {
    let house = House::on(layout, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    let empty = alice.get("/usage").expect(200).json();
    assert_eq!((&empty["memories"], &empty["model"]), (&json!(0), &Value::Null));
    let kept: Vec<Value> = (0..3).map(|n| alice.add(&format!("Number {n}"))).collect();
    bob.add("Another's");
    alice.post("/context", json!({"key": "k", "value": 1, "sender": "scout"})).expect(200);

    let usage = alice.get("/usage").expect(200).json();
    assert_eq!((&usage["memories"], &usage["memory_count"], &usage["dimension"]), (&json!(3), &json!(3), &json!(384)));
    assert!(usage["size_bytes"].as_u64().unwrap() > 0);
    assert_eq!(usage["memories_max"], 1_000_000);
    assert_eq!((&usage["entries"], &usage["agents"], &empty["entries"]), (&json!(1), &json!(1), &json!(0)));

    let export = alice.get("/export").expect(200);
    assert!(export.header("content-disposition").is_some_and(|how| how.starts_with("attachment")));
    assert_eq!(export.header("cache-control"), Some("no-store"));
    let export = export.json();
    assert_eq!(export["user_id"], "alice-123");
    assert!(export["export_date"].is_string());
    assert_eq!(export["total_memories"], 3);
    let memories = export["memories"].as_array().unwrap();
    assert_eq!(memories.len(), 3);
    for memory in memories {
        let known = kept.iter().find(|known| known["id"] == memory["id"]).unwrap();
        assert_eq!(memory["content"], known["memory"]);
        assert_eq!(memory["created_at"], known["created_at"]);
        assert!(memory["metadata"].is_object());
    }
}

fn who_is_erased_is_gone_and_may_come_again(layout: Layout) {
    let mut house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(11);
    alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    let files = house.files().len();

    let receipt = alice.delete("").expect(200).json();
    assert_eq!(
        (&receipt["erased"], &receipt["key_destroyed"], &receipt["residue"]),
        (&json!(true), &json!(layout.is_file()), &json!(0))
    );
    assert!(receipt["files_removed"].as_u64().unwrap() >= 1);
    assert!(house.files().len() < files || !layout.is_file());

    for path in ["/memories", "/usage", "/export"] {
        let refused = alice.get(path).expect(401);
        assert!(refused.header("www-authenticate").is_some());
    }
    alice.post("/memories", json!({"memory": "again", "embedding": chance.embedding(DIMENSION)})).expect(401);

    // A token from after it opens a new and empty space.
    let again = house.alice();
    assert_eq!(again.count(), 0);
    again.add_with_vector(&mut chance, DIMENSION);
    assert_eq!(again.count(), 1);
    house.stop();
    house.start();
    alice.get("/memories").expect(401);
    assert_eq!((again.count(), bob.count()), (1, 1));

    // So does a service that acts for her.
    again.delete("").expect(200);
    let service = house.caller("alice-123", &house.service_key("alice-*"));
    assert_eq!(service.count(), 0);
    service.add_with_vector(&mut chance, DIMENSION);
    assert_eq!(service.count(), 1);
    // What a service names is the space the user's own token opens.
    assert_eq!(house.alice().count(), 1);
    again.get("/memories").expect(401);
    assert_eq!(bob.count(), 1);
    house.assert_chain_whole("alice-123");
}

#[test]
fn the_page_that_describes_the_api_is_there_for_everybody() {
    let house = House::with(&NO_MODEL);
    let nobody = house.nobody();
    let front = nobody.get("/").expect(307);
    let page = nobody.get(front.header("location").unwrap()).expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    // It runs its own scripts and nobody else's.
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    assert!(!page.text().contains("https://"));
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        assert!(page.text().contains(file));
        nobody.get(&format!("/docs/{file}")).expect(200);
    }
    let document = nobody.get("/openapi.json").expect(200).json();
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
}

fn what_has_expired_is_seen_nowhere(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let alice = house.alice();
    let embedding = Chance::of(12).embedding(DIMENSION);
    let past = json!({"memory": value("alice-123"), "embedding": embedding, "expiration": "2001-01-01"});
    let memory = alice.post("/memories", past).expect(201).json();
    assert_eq!(alice.count(), 0);
    alice.get(&path_of(&memory)).expect(404);
    let hits = alice.post("/memories/search", json!({"embedding": embedding})).expect(200).json();
    assert!(texts(&hits["results"]).is_empty());
    assert_eq!(alice.get("/export").expect(200).json()["total_memories"], 0);
}
