//! Adds that a model has to think about: what it is told, what becomes of its answers, and that nobody waits for it who has not
//! asked to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locule_testbed::{Asked, Say, Web};
use serde_json::{Value, json};

use crate::ground::Layout;
use crate::house::{Caller, House, value};

macro_rules! for_file_and_rls {
    ($($rule:ident)*) => {
        for_file_and_rls!(@ file File $($rule)*);
        for_file_and_rls!(@ rls Rls $($rule)*);
    };
    (@ $name:ident $layout:ident $($rule:ident)*) => {
        mod $name {
            $(#[test]
            fn $rule() {
                super::$rule(crate::ground::Layout::$layout);
            })*
        }
    };
}

for_file_and_rls! {
    a_conversation_becomes_facts_once_and_its_words_are_gone
    nobody_waits_for_a_model_who_has_not_asked_to
    what_fails_is_tried_again
    garbage_is_a_failure_that_keeps_what_was_said
    a_server_that_dies_at_it_leaves_it_to_the_next_and_it_is_done_once
    the_nearest_instructions_reach_the_model
    an_agents_work_becomes_one_memory
    who_is_erased_leaves_no_work
    exports_and_summaries_are_written_by_the_model
    the_native_face_asks_for_it_with_a_word
    who_deletes_everything_is_not_told_it_again
    servers_beside_each_other_do_each_thing_once
    a_model_that_hangs_keeps_no_receiver_waiting
}

/// What stands in the document that a model is given.
fn document(asked: &Asked) -> Value {
    let body = asked.json();
    serde_json::from_str(body["messages"][1]["content"].as_str().unwrap()).unwrap()
}

/// What was said in the conversation that a model is given.
fn said(asked: &Asked) -> Vec<String> {
    let document = document(asked);
    let turns = document["conversation"].as_array().unwrap().iter();
    turns.map(|turn| turn["content"].as_str().unwrap().to_owned()).collect()
}

/// A model that notes everything that is said, word for word.
fn notes(asked: &Asked) -> Say {
    let said = said(asked);
    Say::facts(&said.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A house with this model, and what else is set.
fn house(layout: Layout, model: &Web, settings: &[(&str, &str)]) -> House {
    let url = model.url();
    let mut all = vec![("LOCULE_CHAT_MODEL", "small"), ("LOCULE_CHAT_URL", &*url)];
    all.extend_from_slice(settings);
    House::on(layout, &all)
}

/// Asks for something to be remembered; its event.
#[track_caller]
fn add(caller: &Caller, text: &str) -> String {
    add_with(caller, json!({ "messages": text }))
}

#[track_caller]
fn add_with(caller: &Caller, body: Value) -> String {
    let answer = caller.post("/mem0/v3/memories/add/", body).expect(200).json();
    assert_eq!(answer["status"], "PENDING", "{answer}");
    answer["event_id"].as_str().unwrap().to_owned()
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The event, once nothing more becomes of it.
#[track_caller]
fn done(caller: &Caller, event: &str) -> Value {
    let begun = Instant::now();
    loop {
        let event = caller.get(&format!("/mem0/v1/event/{event}/")).expect(200).json();
        if event["status"] == "SUCCEEDED" || event["status"] == "FAILED" {
            return event;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing becomes of {event}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn texts(caller: &Caller) -> Vec<String> {
    let mut texts: Vec<_> = caller.all().iter().map(|memory| memory["memory"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

fn a_conversation_becomes_facts_once_and_its_words_are_gone(layout: Layout) {
    let model = Web::answering(notes);
    let house = house(layout, &model, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    let (tea, secret) = (value("alice-123"), value("bob-456"));
    assert_eq!(done(&bob, &add(&bob, &secret))["status"], "SUCCEEDED");
    let event = add_with(
        &alice,
        json!({"messages": [{"role": "user", "content": tea, "name": "Al"},
        {"role": "system", "content": "no fact"}], "metadata": {"from": "chat"}, "agent_id": "chef"}),
    );
    let event = done(&alice, &event);
    // What can be read is there when the event says so, and what was said is nowhere any more.
    assert_eq!((&event["status"], &event["error"], &event["payload"]), (&json!("SUCCEEDED"), &Value::Null, &json!({})));
    assert_eq!((&event["results"][0]["event"], &event["results"][0]["memory"]), (&json!("ADD"), &json!(tea)));
    let memories = alice.all();
    assert_eq!(memories.len(), 1);
    assert_eq!((&memories[0]["memory"], &memories[0]["agent_id"]), (&json!(tea), &json!("chef")));
    assert_eq!(memories[0]["metadata"]["from"], "chat");
    assert_eq!(event["results"][0]["id"], memories[0]["id"]);

    // Said again, it is the memory that is there; the model was shown that, and nothing of anybody else's.
    let again = done(&alice, &add_with(&alice, json!({"messages": tea, "agent_id": "chef"})));
    assert_eq!((&again["results"][0]["event"], &again["results"][0]["id"]), (&json!("NOOP"), &memories[0]["id"]));
    assert_eq!(alice.count(), 1);
    let asked = model.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(document(&asked[2])["remembered"], json!([tea]));
    assert_eq!(document(&asked[1])["conversation"][0]["name"], "Al");
    for asked in &asked[1..] {
        assert!(!asked.body.contains("bob-456"), "{}", asked.body);
    }
    // Nor is Bob's event anything to Alice, nor what was said anything to the log of the model's endpoint.
    let bobs = bob.get("/mem0/v1/events/").expect(200).json();
    let id = bobs["results"][0]["id"].as_str().unwrap();
    alice.get(&format!("/mem0/v1/event/{id}/")).expect(404);
    assert_eq!(bobs["count"], 2, "a job and its memory: {bobs}");
    // What is deleted is gone from the event too.
    bob.delete(&format!("/memories/{}", bobs["results"][1]["id"].as_str().unwrap())).expect(204);
    let event = bob.get(&format!("/mem0/v1/event/{id}/")).expect(200);
    assert!(!event.text().contains(&secret), "{}", event.text());
}

fn nobody_waits_for_a_model_who_has_not_asked_to(layout: Layout) {
    let model = Web::answering(|asked| notes(asked).held());
    let house = house(layout, &model, &[("LOCULE_DEADLINE_S", "3")]);
    let alice = house.alice();
    let tea = value("alice-123");
    let event = add(&alice, &tea);
    // While the model is at it everything else is answered, and so is an add that waits, when a request has had its time.
    model.wait_for(1);
    let running = alice.get(&format!("/mem0/v1/event/{event}/")).expect(200).json();
    assert_eq!((&running["status"], &running["completed_at"]), (&json!("RUNNING"), &Value::Null));
    assert_eq!(running["payload"]["messages"][0]["content"], json!(tea));
    let found = alice.post("/mem0/v3/memories/search/", json!({"query": "tea", "filters": {"agent_id": "*"}}));
    assert_eq!(found.expect(200).json()["results"], json!([]));
    let plain = alice.post("/mem0/v3/memories/add/", json!({"messages": value("alice-123"), "infer": false}));
    assert_eq!(plain.expect(200).json()["status"], "SUCCEEDED");
    let waited = json!({"messages": value("alice-123"), "async_mode": false});
    let waited = alice.post("/mem0/v3/memories/add/", waited).expect(200).json();
    assert_eq!(waited["status"], "PENDING");
    let older = alice.post("/mem0/v1/memories/", json!({"messages": value("alice-123")})).expect(200).json();
    assert_eq!((older.as_array().unwrap().len(), &older[0]["status"]), (1, &json!("PENDING")));
    assert_eq!(alice.count(), 1);
    model.release();
    assert_eq!(done(&alice, &event)["results"][0]["memory"], json!(tea));
    assert_eq!(done(&alice, waited["event_id"].as_str().unwrap())["status"], "SUCCEEDED");
    assert_eq!(done(&alice, older[0]["event_id"].as_str().unwrap())["status"], "SUCCEEDED");

    // Whoever asks to wait is told the memories: by word, on the older paths, and on those of mem0's own server.
    let text = value("alice-123");
    let waited = json!({"messages": text, "async_mode": false});
    let waited = alice.post("/mem0/v3/memories/add/", waited).expect(200).json();
    assert_eq!((&waited["status"], &waited["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)));
    for (path, list) in [("/mem0/v1/memories/", ""), ("/mem0/memories", "/results")] {
        let text = value("alice-123");
        let answer = alice.post(path, json!({ "messages": [{"role": "user", "content": text}] })).expect(200).json();
        let first = answer.pointer(&format!("{list}/0")).unwrap();
        assert_eq!((&first["event"], &first["memory"]), (&json!("ADD"), &json!(text)), "{path}: {answer}");
        assert!(alice.get(&format!("/memories/{}", first["id"].as_str().unwrap())).status == 200);
    }
}

fn what_fails_is_tried_again(layout: Layout) {
    // Each fault happens to whoever speaks of it, the first time.
    let happened: Arc<Mutex<HashSet<&'static str>>> = Arc::default();
    let model = Web::answering(move |asked| {
        if asked.body.contains("[never]") {
            // As some endpoints do, it repeats what it was told.
            return Say::Whole { status: 400, headers: Vec::new(), body: asked.body.clone() };
        }
        let fault =
            ["[busy]", "[broken]", "[cut]", "[slow]", "[odd]"].into_iter().find(|fault| asked.body.contains(fault));
        match fault.filter(|fault| happened.lock().unwrap().insert(fault)) {
            Some("[busy]") => Say::with_header(429, "retry-after", "1"),
            Some("[broken]") => Say::status(500),
            Some("[cut]") => Say::Cut,
            Some("[slow]") => notes(asked).held(),
            Some(_) => Say::chat("I would rather not."),
            None => notes(asked),
        }
    });
    let house = house(layout, &model, &[("LOCULE_CHAT_TIMEOUT_S", "1"), ("LOCULE_CHAT_CONCURRENCY", "4")]);
    let speakers: Vec<_> = ["[busy]", "[broken]", "[cut]", "[slow]", "[odd]"]
        .into_iter()
        .enumerate()
        .map(|(number, fault)| {
            let name = format!("user-{number}");
            let caller = house.user(&name);
            let text = format!("{fault} {}", value(&name));
            let event = add(&caller, &text);
            (caller, text, event)
        })
        .collect();
    for (caller, text, event) in &speakers {
        let event = done(caller, event);
        assert_eq!((&event["status"], &event["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)), "{event}");
        assert_eq!(caller.count(), 1);
        let job = caller.get(&format!("/api/me/jobs/{}", event["id"].as_str().unwrap())).expect(200).json();
        assert_eq!(job["attempts"], 2, "{job}");
    }
    // What would happen again is not tried again.
    let alice = house.alice();
    let refused = done(&alice, &add(&alice, &format!("[never] {}", value("alice-123"))));
    assert_eq!((&refused["status"], alice.count()), (&json!("FAILED"), 0));
    let why = refused["error"].as_str().unwrap();
    assert!(why.contains("refuses this request (status 400)") && !why.contains('«'), "{why}");
}

fn garbage_is_a_failure_that_keeps_what_was_said(layout: Layout) {
    let garbage = [Say::chat("Nothing to see here."), Say::chat("{\"facts\": 7}")];
    let left = Mutex::new(Vec::from(garbage));
    let model = Web::answering(move |asked| left.lock().unwrap().pop().unwrap_or_else(|| notes(asked)));
    let house = house(layout, &model, &[("LOCULE_CHAT_ATTEMPTS", "2")]);
    let alice = house.alice();
    let text = value("alice-123");
    let id = add(&alice, &text);
    let event = done(&alice, &id);
    assert_eq!((&event["status"], &event["results"]), (&json!("FAILED"), &json!([])));
    assert_eq!(event["payload"]["messages"][0]["content"], json!(text), "what was said is kept: {event}");
    let why = event["error"].as_str().unwrap();
    assert!(why.contains("cannot be used") && !why.contains("see here"), "{why}");
    assert_eq!((model.asked().len(), alice.count()), (2, 0));

    // Nobody else may see it, or have it tried again. Its owner may, and may delete it.
    let bob = house.bob();
    let path = format!("/api/me/jobs/{id}");
    bob.get(&path).expect(404);
    bob.post(&format!("{path}/replay"), json!({})).expect(404);
    alice.post(&format!("{path}/replay"), json!({})).expect(202);
    let event = done(&alice, &id);
    assert_eq!((&event["status"], &event["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)));
    alice.post(&format!("{path}/replay"), json!({})).expect(409);
    alice.delete(&path).expect(204);
    alice.get(&path).expect(404);
    assert_eq!(alice.count(), 1);
}

fn a_server_that_dies_at_it_leaves_it_to_the_next_and_it_is_done_once(layout: Layout) {
    let first = Mutex::new(true);
    let model = Web::answering(move |asked| {
        let is_first = std::mem::replace(&mut *first.lock().unwrap(), false);
        if is_first { notes(asked).held() } else { notes(asked) }
    });
    let mut house = house(layout, &model, &[("LOCULE_CHAT_TIMEOUT_S", "2")]);
    let alice = house.alice();
    let text = value("alice-123");
    let id = add(&alice, &text);
    model.wait_for(1);
    house.kill();
    model.release();
    house.start();
    let event = done(&alice, &id);
    assert_eq!((&event["status"], &event["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)));
    assert_eq!((texts(&alice), model.asked().len()), (vec![text], 2));
    house.assert_chain_whole("alice-123");
}

fn the_nearest_instructions_reach_the_model(layout: Layout) {
    let model = Web::answering(|asked| {
        let fact = json!({"text": said(asked)[0], "categories": ["food", "invented"]});
        Say::chat(&format!("```json\n{}\n```", json!({ "facts": [fact] })))
    });
    let house = house(layout, &model, &[]);
    let alice = house.alice();
    let service = house.caller("alice-123", &house.service_key("*"));
    let project = |caller: &Caller, body: Value| {
        let ping = caller.get("/mem0/v1/ping/").expect(200).json();
        let (organization, project) = (ping["org_id"].as_str().unwrap(), ping["project_id"].as_str().unwrap());
        let path = format!("/mem0/api/v1/orgs/organizations/{organization}/projects/{project}/");
        caller.patch(&path, body).expect(200);
        caller.get(&path).expect(200).json()
    };
    let task = || model.asked().last().unwrap().json()["messages"][0]["content"].as_str().unwrap().to_owned();
    let categories = json!([{"food": "what is eaten"}]);
    let set = project(&service, json!({"custom_instructions": "of the project", "custom_categories": categories}));
    assert_eq!((&set["custom_instructions"], &set["custom_categories"]), (&json!("of the project"), &categories));

    done(&alice, &add(&alice, &value("alice-123")));
    assert!(task().contains("of the project") && task().contains("food: what is eaten"), "{}", task());
    assert_eq!(alice.all()[0]["categories"], json!(["food"]), "and no label that nobody has set up");

    assert_eq!(project(&alice, json!({"custom_instructions": "of the user"}))["custom_categories"], Value::Null);
    done(&alice, &add(&alice, &value("alice-123")));
    assert!(task().contains("of the user") && !task().contains("of the project"), "{}", task());
    assert!(task().contains("food: what is eaten"), "what she has not set is the project's");

    let own = json!({"messages": value("alice-123"), "custom_instructions": "of the request"});
    done(&alice, &add_with(&alice, own));
    assert!(task().contains("of the request") && !task().contains("of the user"), "{}", task());
    // Hers are nobody else's.
    let bob = house.bob();
    done(&bob, &add(&bob, &value("bob-456")));
    assert!(task().contains("of the project") && !task().contains("of the user"), "{}", task());
}

fn an_agents_work_becomes_one_memory(layout: Layout) {
    let model = Web::answering(|asked| Say::chat(document(asked)["record"][1]["content"].as_str().unwrap()));
    let house = house(layout, &model, &[]);
    let alice = house.alice();
    let text = value("alice-123");
    let record = json!([{"role": "user", "content": "go on"}, {"role": "assistant", "content": text}]);
    let body = json!({"messages": record, "agent_id": "chef", "memory_type": "procedural_memory"});
    assert_eq!(done(&alice, &add_with(&alice, body))["status"], "SUCCEEDED");
    let memories = alice.all();
    assert_eq!((memories.len(), &memories[0]["memory"]), (1, &json!(text)));
    assert_eq!(
        (&memories[0]["agent_id"], &memories[0]["metadata"]["memory_type"]),
        (&json!("chef"), &json!("procedural_memory"))
    );
    let whose = json!({"messages": record, "memory_type": "procedural_memory"});
    alice.post("/mem0/v3/memories/add/", whose).expect(400);
    alice.post("/mem0/v3/memories/add/", json!({"messages": "x", "memory_type": "other"})).expect(400);
}

fn who_is_erased_leaves_no_work(layout: Layout) {
    let model = Web::answering(|asked| notes(asked).held());
    let mut house = house(layout, &model, &[]);
    let alice = house.caller("alice-123", &house.service_key("*"));
    let body = |text: String| json!({"messages": text, "user_id": "alice-123"});
    add_with(&alice, body(value("alice-123")));
    model.wait_for(1);
    add_with(&alice, body(value("alice-123")));
    alice.delete("/api/alice-123").expect(200);
    // The model answers, to nobody; and when the server has ended, nobody is at it any more.
    model.release();
    house.stop();
    house.start();
    assert_eq!(alice.count(), 0);
    let kept = value("alice-123");
    let again = done(&alice, &add_with(&alice, body(kept.clone())));
    assert_eq!(again["results"][0]["memory"], json!(kept));
    assert_eq!((texts(&alice), model.asked().len()), (vec![kept], 2));
    assert_eq!(alice.get("/api/alice-123/jobs").expect(200).json()["total"], 1);
}

fn exports_and_summaries_are_written_by_the_model(layout: Layout) {
    let model = Web::answering(|asked| {
        let remembered = document(asked)["remembered"].clone();
        match remembered[0].get("memory") {
            Some(text) => Say::chat(&json!({ "drinks": [text] }).to_string()),
            None => Say::chat(remembered[0].as_str().unwrap()),
        }
    });
    let house = house(layout, &model, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    let text = alice.add("likes tea")["memory"].clone();
    bob.add("likes coffee");
    let schema = json!({"type": "object", "properties": {"drinks": {"type": "array"}}});
    let mine = json!({"user_id": "alice-123"});
    let made =
        alice.post("/mem0/v1/exports/", json!({"schema": schema.to_string(), "filters": mine})).expect(201).json();
    let get = |body: Value| alice.post("/mem0/v1/exports/get/", body);
    let export = get(json!({"memory_export_id": made["id"]})).expect(200).json();
    assert_eq!(export, json!({ "drinks": [text] }));
    assert_eq!(get(json!({ "filters": mine })).expect(200).json(), export);
    assert!(model.asked()[0].json()["messages"][0]["content"].as_str().unwrap().contains("drinks"));
    let summary = alice.post("/mem0/v1/summary/", json!({ "filters": mine })).expect(200).json();
    assert_eq!((&summary["summary"], &summary["inferred"]), (&text, &json!(true)));
    // Without a schema there is nothing for a model to do.
    let asked = model.asked().len();
    let made = alice.post("/mem0/v1/exports/", json!({ "filters": mine })).expect(201).json();
    let export = get(json!({"memory_export_id": made["id"]})).expect(200).json();
    assert_eq!((&export["memories"][0]["memory"], &export["total_memories"]), (&text, &json!(1)));
    assert_eq!(model.asked().len(), asked);
    // Hers is not here for Bob.
    bob.post("/mem0/v1/exports/get/", json!({"memory_export_id": made["id"]})).expect(404);
    get(json!({})).expect(400);
    get(json!({"memory_export_id": "x"})).expect(400);
}

fn the_native_face_asks_for_it_with_a_word(layout: Layout) {
    let model = Web::answering(notes);
    let house = house(layout, &model, &[]);
    let alice = house.alice();
    let (tea, coffee) = (value("alice-123"), value("alice-123"));
    let job = |body: Value| {
        let job = alice.post("/memories", body).expect(202).json();
        assert_eq!((&job["kind"], &job["status"], &job["attempts"]), (&json!("extract"), &json!("pending"), &json!(0)));
        done(&alice, job["id"].as_str().unwrap());
        alice.get(&format!("/api/me/jobs/{}", job["id"].as_str().unwrap())).expect(200).json()
    };
    let first = job(json!({"memory": tea.clone(), "infer": true, "agent_id": "chef"}));
    assert_eq!((&first["status"], &first["payload"]), (&json!("succeeded"), &json!({})));
    let messages = json!([{"role": "user", "content": "and"}, {"role": "assistant", "content": coffee}]);
    job(json!({"messages": messages, "infer": true, "custom_instructions": "of the request"}));
    let mut expected = vec!["and".to_owned(), tea.clone(), coffee];
    expected.sort();
    assert_eq!(texts(&alice), expected);
    assert!(model.asked()[1].body.contains("of the request"));
    // A job's results name its memories, and say nothing of them.
    assert_eq!(first["results"]["memories"].as_array().unwrap().len(), 1);
    assert!(!first["results"].to_string().contains('«'), "{first}");
    // Whoever asks for the job is told what they say now.
    let id = first["results"]["memories"][0]["id"].as_str().unwrap();
    assert_eq!(first["found"], json!([{"id": id, "memory": tea, "existing": false}]));
    alice.delete(&format!("/memories/{id}")).expect(204);
    let again = alice.get(&format!("/jobs/{}", first["id"].as_str().unwrap())).expect(200).json();
    assert_eq!(again["found"], json!([{"id": id, "memory": null, "existing": false}]));
    for bad in [
        json!({"infer": true}),
        json!({"infer": true, "memory": "x", "messages": messages}),
        json!({"infer": true, "memories": [{"memory": "x"}]}),
        json!({"infer": true, "messages": []}),
        json!({"infer": true, "messages": [{"role": "system", "content": "x"}]}),
        json!({"infer": true, "memory": "x", "ttl_s": 5, "run_id": "r"}),
        json!({"infer": true, "memory": "a\u{0}b"}),
        json!({"messages": messages}),
        json!({"memory": "x", "custom_instructions": "y"}),
        json!({"memory": "x", "procedural": true}),
        json!({"memory": "x", "infer": true, "procedural": true}),
    ] {
        alice.post("/memories", bad).expect(422);
    }
    let list = alice.get("/api/me/jobs?kind=extract&status=succeeded&limit=1").expect(200).json();
    assert_eq!((&list["total"], list["jobs"].as_array().unwrap().len()), (&json!(2), 1));
    alice.get(&format!("/api/me/jobs?cursor={}", list["next_cursor"].as_str().unwrap())).expect(200);
    alice.get("/api/me/jobs?status=odd").expect(422);
}

fn who_deletes_everything_is_not_told_it_again(layout: Layout) {
    let model = Web::answering(|asked| match asked.body.contains("[never]") {
        true => Say::status(400),
        false => notes(asked).held(),
    });
    let house = house(layout, &model, &[]);
    let (alice, bob) = (house.alice(), house.bob());
    done(&alice, &add(&alice, &format!("[never] {}", value("alice-123"))));
    let made = alice.post("/mem0/v1/exports/", json!({"filters": {"user_id": "alice-123"}})).expect(201).json();
    done(&alice, made["id"].as_str().unwrap());
    let bobs = add(&bob, &value("bob-456"));
    add(&alice, &value("alice-123"));
    model.wait_for(3);
    add(&alice, &value("alice-123"));
    assert_eq!(alice.get("/api/me/jobs").expect(200).json()["total"], 4);
    // A part of it is not everything.
    alice.delete("/memories?agent_id=chef").expect(200);
    assert_eq!(alice.get("/api/me/jobs").expect(200).json()["total"], 4);
    alice.delete("/mem0/v1/memories/?user_id=alice-123").expect(200);
    model.release();
    assert_eq!(done(&bob, &bobs)["status"], "SUCCEEDED");
    let kept = value("alice-123");
    assert_eq!(done(&alice, &add(&alice, &kept))["status"], "SUCCEEDED");
    assert_eq!((texts(&alice), alice.get("/api/me/jobs").expect(200).json()["total"].clone()), (vec![kept], json!(1)));
}

fn servers_beside_each_other_do_each_thing_once(layout: Layout) {
    let model = Web::answering(notes);
    let house = house(layout, &model, &[]);
    let other = house.another();
    let callers: Vec<_> = (0..8).map(|number| house.user(&format!("user-{number}"))).collect();
    let events: Vec<_> = (0..3)
        .flat_map(|_| &callers)
        .enumerate()
        .map(|(number, caller)| {
            let text = value(&caller.owner);
            let door = if number % 2 == 0 { caller.clone() } else { caller.clone().at(&other) };
            (caller, add(&door, &text), text)
        })
        .collect();
    for (caller, event, text) in &events {
        let event = done(caller, event);
        assert_eq!((&event["status"], &event["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)));
    }
    assert_eq!(model.asked().len(), events.len(), "nothing was asked twice");
    for caller in &callers {
        assert_eq!(caller.count(), 3);
        house.assert_chain_whole(&caller.owner);
    }
}

fn a_model_that_hangs_keeps_no_receiver_waiting(layout: Layout) {
    let model = Web::answering(|asked| notes(asked).held());
    let receiver = Web::saying([], Say::status(200));
    let house = house(layout, &model, &[("LOCULE_WEBHOOKS_ALLOW", "127.0.0.1"), ("LOCULE_CHAT_CONCURRENCY", "2")]);
    let callers: Vec<_> = (0..10).map(|number| house.user(&format!("user-{number}"))).collect();
    let events: Vec<_> = callers.iter().map(|caller| add(caller, &value(&caller.owner))).collect();
    model.wait_for(2);
    let service = house.caller("user-9", &house.service_key("*"));
    let hook = json!({"name": "hook", "url": receiver.url(), "event_types": ["memory_add"]});
    service.post("/project/webhooks", hook).expect(201);
    callers[9].add("a fact");
    receiver.wait_for(1);
    assert_eq!(model.asked().len(), 2, "no more at a time than is set up");
    model.release();
    for (caller, event) in callers.iter().zip(events) {
        assert_eq!(done(caller, &event)["status"], "SUCCEEDED");
    }
}

#[test]
fn without_a_model_everything_works_that_needs_none() {
    let house = House::with(&[]);
    let alice = house.alice();
    let text = value("alice-123");
    let added = alice.post("/mem0/v3/memories/add/", json!({ "messages": text })).expect(200).json();
    assert_eq!((&added["status"], &added["inferred"]), (&json!("SUCCEEDED"), &json!(false)));
    let id = added["results"][0]["id"].as_str().unwrap();
    let event = alice.get(&format!("/mem0/v1/event/{id}/")).expect(200).json();
    assert_eq!(event["status"], "SUCCEEDED");
    let mine = json!({"user_id": "alice-123"});
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let made = alice.post("/mem0/v1/exports/", json!({"schema": schema, "filters": mine})).expect(201).json();
    let export = alice.post("/mem0/v1/exports/get/", json!({"memory_export_id": made["id"]})).expect(200).json();
    assert_eq!((&export["memories"][0]["memory"], &export["name"]), (&json!(text), &Value::Null));
    let summary = alice.post("/mem0/v1/summary/", json!({ "filters": mine })).expect(200).json();
    assert!(summary["summary"].as_str().unwrap().contains(&text) && summary["inferred"] == false, "{summary}");
    assert!(house.log().iter().any(|line| line.contains("no model is configured")), "it is said at the start");
}

#[test]
fn a_server_that_is_told_to_stop_waits_for_no_model() {
    let model = Web::answering(|asked| notes(asked).held());
    let mut house = house(Layout::File, &model, &[]);
    let alice = house.alice();
    let event = add(&alice, &value("alice-123"));
    model.wait_for(1);
    // The model has a minute to answer; a server that waited for it would be stopped by force.
    house.stop();
    house.start();
    let event = alice.get(&format!("/mem0/v1/event/{event}/")).expect(200).json();
    assert_eq!((&event["status"], &event["error"]), (&json!("RUNNING"), &Value::Null), "until its claim lapses");
}

#[test]
fn waiting_counts_as_one_request() {
    let model = Web::answering(notes);
    let house = house(Layout::File, &model, &[("LOCULE_RATE_PER_S", "1")]);
    let text = value("alice-123");
    let waited = json!({"messages": text, "async_mode": false});
    let waited = house.alice().post("/mem0/v3/memories/add/", waited).expect(200).json();
    assert_eq!((&waited["status"], &waited["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)));
}

#[test]
fn a_full_space_keeps_what_was_said_and_asks_the_model_once() {
    let model = Web::answering(notes);
    let house = house(Layout::File, &model, &[("LOCULE_QUOTA_MEMORIES", "1")]);
    let alice = house.alice();
    let there = alice.add("there already");
    let text = value("alice-123");
    let id = add(&alice, &text);
    let event = done(&alice, &id);
    assert_eq!((&event["status"], &event["payload"]["messages"][0]["content"]), (&json!("FAILED"), &json!(text)));
    assert_eq!((model.asked().len(), alice.count()), (1, 1));
    alice.delete(&format!("/memories/{}", there["id"].as_str().unwrap())).expect(204);
    alice.post(&format!("/api/me/jobs/{id}/replay"), json!({})).expect(202);
    assert_eq!(done(&alice, &id)["status"], "SUCCEEDED");
    assert_eq!(texts(&alice), vec![text]);
}
