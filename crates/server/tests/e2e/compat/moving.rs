//! What mem0's own library keeps comes along: written by it, read by `deploy/export-from-mem0.py`, imported.

use std::path::Path;

use locule_testbed::{Flavour, Postgres};
use serde_json::{Value, json};

use super::{installed, lowly, put, scripts};
use crate::house::House;

/// Has the library keep memories as this configuration says, and brings them along.
fn come_along(store: &dyn Fn(&Path) -> Value) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let config = json!({"vector_store": store(home), "history_db_path": home.join("history.db")});
    std::fs::write(home.join("config.json"), config.to_string()).unwrap();
    let python = installed().join("python2/bin/python");
    let run = |script: &Path| {
        let output = lowly(&python, home).arg(put(script, home)).arg("config.json").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", script.display());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&scripts().join("library.py")).ends_with("ok\n"));
    let exported = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/export-from-mem0.py"));
    assert_eq!(exported.lines().count(), 154);

    let house = House::with(&[]);
    let file = house.home().join("export.jsonl");
    std::fs::write(&file, &exported).unwrap();
    let file = file.display().to_string();
    house.run(&["import", "--mem0", &file, "--dry-run"]);
    assert_eq!(house.user("alice-123").count(), 0);
    house.run(&["import", "--mem0", &file]);
    house.run(&["import", "--mem0", &file]);
    let (alice, bob) = (house.user("alice-123"), house.user("bob-456"));
    assert_eq!((alice.count(), bob.count()), (2, 152));

    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept = |memories: Vec<Value>, text: &str| -> Value {
        let was = lines.iter().find(|line| line["memory"] == text).unwrap();
        let now = memories.into_iter().find(|memory| memory["id"] == was["id"]).unwrap();
        assert_eq!(now["memory"], text);
        let instant = |memory: &Value| memory["created_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(instant(&now), instant(was));
        now
    };
    assert_eq!(kept(alice.all(), "I am allergic to peanuts")["metadata"]["topic"], "food");
    let run = kept(alice.all(), "I run at night");
    assert_eq!((&run["run_id"], &run["agent_id"]), (&json!("r-1"), &json!("coach")));
    assert_eq!(run["metadata"]["actor_id"], "ali");
    kept(bob.all(), "I live in Bruges");
    // An id of mem0's leads a service to its owner, and nobody else to anything; not once the owner is erased.
    let by_id = format!("/mem0/v1/memories/{}/", run["id"].as_str().unwrap());
    let service = house.caller("alice-123", &house.service_key("*"));
    assert_eq!(service.get(&by_id).expect(200).json()["user_id"], "alice-123");
    house.caller("bob-456", &house.service_key("bob-456")).get(&by_id).expect(404);
    bob.get(&by_id).expect(404);
    assert!(kept(bob.all(), "I like green tea")["expiration"].is_string());
    let found = alice.post("/memories/search", json!({"query": "what must I not eat?", "limit": 1})).expect(200).json();
    assert_eq!(found["results"][0]["memory"], "I am allergic to peanuts");
    service.delete("/mem0/v2/entities/user/alice-123/").expect(200);
    service.get(&by_id).expect(404);
}

#[test]
fn what_mem0s_library_keeps_in_qdrant_comes_along() {
    come_along(
        &|home| json!({"provider": "qdrant", "config": {"path": home.join("qdrant"), "on_disk": true, "embedding_model_dims": 8}}),
    );
}

#[test]
fn what_mem0s_library_keeps_in_pgvector_comes_along() {
    let postgres = Postgres::shared(Flavour::Eighteen);
    let database = postgres.fresh_database();
    come_along(&|_| {
        json!({"provider": "pgvector", "config": {"connection_string": database.url(), "collection_name": "mem0",
            "embedding_model_dims": 8}})
    });
}
