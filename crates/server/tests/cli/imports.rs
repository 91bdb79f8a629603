//! Importing what mem0 has exported.

use serde_json::{Value, json};

use crate::home::Home;

fn record(number: usize, user: Option<&str>) -> Value {
    json!({
        "id": format!("5f0c2a9e-3a0f-4f0e-9a83-{number:012x}"), "memory": format!("Prefers aisle {number}"), "user_id": user,
        "agent_id": null, "app_id": null, "run_id": format!("trip-{number}"), "session_id": format!("trip-{number}"),
        "metadata": {"source": "chat"}, "categories": ["travel"], "hash": "…", "expiration_date": null,
        "created_at": "2024-03-01T09:15:00.120000+02:00", "updated_at": "2024-03-02T09:15:00+00:00",
    })
}

fn memories(home: &Home, user: &str) -> Vec<Value> {
    let export: Value = serde_json::from_str(&home.run(&["user", "export", user]).done()).unwrap();
    export["memories"].as_array().unwrap().clone()
}

#[test]
fn each_memory_goes_to_the_user_it_names_with_its_id_and_times() {
    let home = Home::new();
    let records: Vec<_> = (0..9).map(|number| record(number, Some(["alice", "bob-1", "u 3"][number % 3]))).collect();
    home.write("export.json", &json!({"count": 9, "next": null, "results": records}).to_string());
    let plan = home.run(&["import", "--mem0", "export.json", "--dry-run", "--json"]).json();
    assert_eq!(plan["users"], json!({"alice": 3, "bob-1": 3, "u 3": 3}));
    home.run(&["user", "export", "alice"]).refused(3, "There is no user");

    let run = home.run(&["import", "--mem0", "export.json", "--json"]).json();
    assert_eq!((&run["records"], &run["imported"], &run["skipped"]), (&json!(9), &json!(9), &json!(0)));
    let found = memories(&home, "bob-1");
    assert_eq!(found.len(), 3);
    let first = &found[0];
    assert_eq!(first["id"], "5f0c2a9e-3a0f-4f0e-9a83-000000000001");
    assert_eq!(first["content"], "Prefers aisle 1");
    assert_eq!(
        (&first["created_at"], &first["updated_at"]),
        (&json!("2024-03-01T07:15:00.12Z"), &json!("2024-03-02T09:15:00Z"))
    );
    assert_eq!((&first["run_id"], &first["categories"][0]), (&json!("trip-1"), &json!("travel")));
    assert!(first["embedding"].as_str().is_some_and(|vector| vector.len() > 100));

    // Cut short, or done already: again puts nothing in twice.
    let lines: Vec<_> = records.iter().chain(&[record(9, Some("alice"))]).map(Value::to_string).collect();
    home.write("lines.jsonl", &lines.join("\n"));
    let again = home.run(&["import", "--mem0", "lines.jsonl", "--json"]).json();
    assert_eq!((&again["imported"], &again["skipped"]), (&json!(1), &json!(9)));
    assert_eq!(memories(&home, "alice").len(), 4);
}

#[test]
fn a_record_that_is_wrong_is_named_and_nothing_is_half_done() {
    let home = Home::new();
    let mut records: Vec<_> = (0..450).map(|number| record(number, Some("alice"))).collect();
    records[300]["metadata"] = json!([1]);
    records[440]["user_id"] = json!(null);
    records[449]["expiration_date"] = json!("2024-12-31");
    home.write("export.json", &json!(records).to_string());
    let run = home.run(&["import", "--mem0", "export.json"]);
    assert!(run.err.contains("record 301: its `metadata` is no object"), "{run:?}");
    assert!(run.err.contains("record 441: it names no user"), "{run:?}");
    run.refused(2, "2 of 450 records are wrong. Nothing was imported");
    home.run(&["user", "export", "alice"]).refused(3, "There is no user");

    let run = home.run(&["import", "--mem0", "export.json", "--skip-bad", "--json"]).json();
    assert_eq!((&run["imported"], &run["expired"], run["bad"].as_array().unwrap().len()), (&json!(447), &json!(1), 2));
    assert_eq!(run["bad"][0]["record"], 301);
    let run = home.run(&["import", "--mem0", "export.json", "--skip-bad", "--user", "bob", "--json"]).json();
    assert_eq!((&run["imported"], &run["skipped"]), (&json!(1), &json!(447)));
    assert_eq!(memories(&home, "bob").len(), 1);

    home.write("cut.json", "[{\"memory\":\"a\",\"user_id\":\"carol\"},");
    home.run(&["import", "--mem0", "cut.json"]).refused(2, "After 1 records");
    home.run(&["user", "export", "carol"]).refused(3, "There is no user");
    home.run(&["import", "--mem0", "missing.json"]).refused(1, "cannot be read");
    home.run(&["import", "--mem0", "cut.json", "--user", "me"]).refused(2, "");
}
