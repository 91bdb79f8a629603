//! Webhooks: who sets them up, what they are told, and what they are never told.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use locule::auth::{ActAs, KeyKind};
use locule_testbed::{Asked, Say, Web};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{Caller, DIMENSION, House, NO_MODEL, value};

for_each_layout! {
    a_webhook_is_told_of_its_own_users_until_it_has_heard_and_of_nobody_else
}

/// What the server is told so that receivers of tests can be reached.
const ALLOWED: (&str, &str) = ("LOCULE_WEBHOOKS_ALLOW", "127.0.0.1");

/// The webhooks of the project of a service.
fn path(service: &Caller) -> String {
    let ping = service.get("/mem0/v1/ping/").expect(200).json();
    format!("/mem0/api/v1/webhooks/projects/{}/", ping["project_id"].as_str().unwrap())
}

fn hook(service: &Caller, receiver: &Web, events: &[&str]) -> Value {
    let body = json!({"url": format!("{}/hook", receiver.url()), "name": "hook", "event_types": events});
    service.post(&path(service), body).expect(201).json()
}

fn event(asked: &Asked) -> Value {
    asked.json()["event_details"].clone()
}

fn a_webhook_is_told_of_its_own_users_until_it_has_heard_and_of_nobody_else(layout: Layout) {
    let house = House::on(layout, &[ALLOWED]);
    let ours = Web::saying([Say::status(500)], Say::status(200));
    let theirs = Web::saying([], Say::status(200));
    let service = house.caller("alice-123", &house.service_key("*"));
    let issuer = locule::Issuer::try_from("https://other.example.com").unwrap();
    let other = house.key(KeyKind::Service { issuer, act_as: ActAs::Anyone }).0;
    let other = house.caller("alice-123", &other);
    let made = hook(&service, &ours, &["memory_add", "memory_update", "memory_delete"]);
    hook(&other, &theirs, &["memory_add", "memory_update", "memory_delete", "memory_categorize"]);
    // Neither service is shown the other's.
    assert_eq!(service.get(&path(&service)).expect(200).json().as_array().unwrap().len(), 1);
    assert_ne!(path(&service), path(&other));
    other.get(&path(&service)).expect(403);
    let id = made["webhook_id"].as_str().unwrap();
    other.delete(&format!("/mem0/api/v1/webhooks/{id}/")).expect(404);

    // Two of the same name, and of two applications.
    let add = |caller: &Caller, text: &str| {
        let body = json!({"messages": text, "user_id": "alice-123", "infer": false});
        let added = caller.post("/mem0/v3/memories/add/", body).expect(200).json();
        added["results"][0]["id"].as_str().unwrap().to_owned()
    };
    let (text, others) = (value("alice-123"), value("alice-123"));
    let memory = add(&service, &text);
    add(&other, &others);
    let asked = ours.wait_for(2);
    for asked in &asked {
        assert_eq!(event(asked), json!({"id": memory, "data": {"memory": text}, "event": "ADD"}));
        assert_eq!(asked.path, "/hook");
    }
    assert_eq!(asked[0].header("locule-delivery"), asked[1].header("locule-delivery"), "the same, tried again");
    let secret = made["secret"].as_str().unwrap();
    assert_genuine(secret, &asked[1]);

    service.send("PUT", &format!("/mem0/v1/memories/{memory}/"), json!({"metadata": {"a": 1}})).expect(200);
    assert_eq!(event(&ours.wait_for(3)[2])["event"], "UPDATE");
    service.delete(&format!("/mem0/v1/memories/{memory}/")).expect(200);
    let last = ours.wait_for(4).pop().unwrap();
    assert_eq!(event(&last), json!({"id": memory, "data": null, "event": "DELETE"}));

    let heard = theirs.wait_for(1);
    assert_eq!((heard.len(), &event(&heard[0])["data"]["memory"]), (1, &json!(others)));
    assert!(ours.asked().iter().all(|asked| !asked.body.contains(&others)));
    // What is deleted hears nothing more.
    service.delete(&format!("/mem0/api/v1/webhooks/{id}/")).expect(200);
    service.delete(&format!("/mem0/api/v1/webhooks/{id}/")).expect(404);
    add(&service, &value("alice-123"));
    add(&other, &value("alice-123"));
    theirs.wait_for(2);
    assert_eq!(ours.asked().len(), 4);
}

#[test]
fn what_a_receiver_has_had_it_is_not_sent_again() {
    let house = House::with(&[ALLOWED, NO_MODEL[0], NO_MODEL[1]]);
    let said = [Say::status(200), Say::status(200), Say::status(200), Say::status(503)];
    let receiver = Web::saying(said, Say::status(200));
    let service = house.caller("alice-123", &house.service_key("*"));
    hook(&service, &receiver, &["memory_add", "memory_categorize", "memory_delete"]);
    let mut chance = Chance::of(1);
    let memory = |categories: Value| json!({"memory": value("alice-123"), "categories": categories});
    let mut memories: Vec<_> = (0..11).map(|_| memory(json!([]))).collect();
    memories.push(memory(json!(["food"])));
    memories.iter_mut().for_each(|memory| memory["embedding"] = json!(chance.embedding(DIMENSION)));
    let added = service.post("/memories", json!({ "memories": memories })).expect(201).json();
    // More than one job tells, and one of them once more: 12 additions, a label, and what was refused.
    let asked = receiver.wait_for(14);
    let mut deliveries: Vec<_> = asked.iter().map(|asked| asked.header("locule-delivery").unwrap()).collect();
    assert_eq!((deliveries[3], deliveries.len()), (deliveries[4], 14));
    deliveries.dedup();
    let mut told: Vec<_> = asked.iter().map(event).collect();
    told.dedup();
    let ids = added["memories"].as_array().unwrap().iter().map(|memory| &memory["id"]);
    assert!(ids.clone().eq(told[..12].iter().map(|event| &event["id"])), "each once, in their order");
    let last = ids.clone().next_back().unwrap();
    assert_eq!(told[12], json!({"event": "CATEGORIZE", "memory_id": last, "categories": ["food"]}));
    deliveries.sort_unstable();
    deliveries.dedup();
    assert_eq!(deliveries.len(), 13, "every event has an id of its own");

    // Who deletes everything has it told, too.
    service.delete("/memories").expect(200);
    let gone = receiver.wait_for(26);
    assert!(gone[14..].iter().all(|asked| event(asked)["event"] == "DELETE" && event(asked)["data"].is_null()));
}

#[test]
fn a_user_sets_up_no_webhook_and_nobody_one_that_leads_inside() {
    let house = House::with(&[]);
    let (alice, service) = (house.alice(), house.caller("alice-123", &house.service_key("*")));
    let body = |url: &str| json!({"url": url, "name": "hook", "event_types": ["memory_add"]});
    alice.post(&path(&alice), body("https://example.com/")).expect(403);
    alice.get(&path(&alice)).expect(403);
    for inside in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "ftp://example.com",
        "",
    ] {
        service.post(&path(&service), body(inside)).expect(400);
    }
    service.post(&path(&service), json!({"url": "https://example.com", "event_types": ["nothing"]})).expect(400);
    assert_eq!(service.get(&path(&service)).expect(200).json(), json!([]));

    let made = service.post(&path(&service), body("https://example.com/")).expect(201).json();
    let change = format!("/mem0/api/v1/webhooks/{}/", made["webhook_id"].as_str().unwrap());
    service.send("PUT", &change, json!({"url": "https://10.0.0.1/"})).expect(400);
    service.send("PUT", &change, json!({"name": "renamed", "is_active": false})).expect(200);
    let listed = service.get(&path(&service)).expect(200).json();
    assert_eq!((&listed[0]["name"], &listed[0]["is_active"]), (&json!("renamed"), &json!(false)));
    assert_eq!((&listed[0]["url"], listed[0].get("secret")), (&json!("https://example.com/"), None));
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_name_that_stands_for_this_machine_is_asked_nothing() {
    let house = House::with(&[]);
    let service = house.caller("alice-123", &house.service_key("*"));
    let receiver = Web::saying([], Say::status(200));
    let url = format!("https://localhost:{}/", receiver.address().port());
    service.post(&path(&service), json!({"url": url, "event_types": ["memory_add"]})).expect(201);
    let body = json!({"messages": value("alice-123"), "user_id": "alice-123", "infer": false});
    service.post("/mem0/v3/memories/add/", body).expect(200);
    let begun = Instant::now();
    let job = loop {
        let jobs = service.get("/api/alice-123/jobs").expect(200).json();
        assert_eq!(jobs["total"], 1);
        if jobs["jobs"][0]["status"] == "failed" {
            break jobs["jobs"][0].clone();
        }
        assert!(begun.elapsed() < PATIENCE, "nothing becomes of {jobs}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(job["error"].as_str().unwrap().contains("public internet"), "{job}");
    assert_eq!((&job["attempts"], receiver.asked().len()), (&json!(1), 0));
}

/// Verifies a delivery as the documentation tells receivers to, in both languages, and that nothing else passes.
fn assert_genuine(secret: &str, asked: &Asked) {
    let header = asked.header("locule-signature").unwrap();
    let page = include_str!("../../../../../docs/webhooks.md");
    let snippet = |language: &str| {
        let start = page.split(&format!("```{language}\n")).nth(1).unwrap();
        start.split("```").next().unwrap().to_owned()
    };
    let given = |body: &str| json!({"secret": secret, "header": header, "body": body}).to_string();
    let python = snippet("python")
        + "\nimport json, sys\ngiven = json.load(sys.stdin)\n\
           print(is_from_locule(given['secret'], given['header'], given['body'].encode()))\n";
    let types = [": string", ": number", ": boolean"];
    let typescript = types.iter().fold(snippet("ts"), |text, kind| text.replace(kind, ""))
        + "\nimport { readFileSync } from 'node:fs';\nconst given = JSON.parse(readFileSync(0, 'utf8'));\n\
           console.log(isFromLocule(given.secret, given.header, given.body));\n";
    let run = |program: &str, arguments: &[&str], input: &str| {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_lowercase()
    };
    for (program, arguments) in
        [("python3", ["-c", &*python].as_slice()), ("node", ["--input-type=module", "-e", &*typescript].as_slice())]
    {
        assert_eq!(run(program, arguments, &given(&asked.body)), "true", "{program}");
        assert_eq!(run(program, arguments, &given(&asked.body.replace("ADD", "DEL"))), "false", "{program}");
    }
}
