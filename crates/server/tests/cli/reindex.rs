//! Another embedding model, and vectors made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use locule_testbed::{Asked, Say, Web};
use serde_json::{Value, json};

use crate::home::Home;

/// An OpenAI-compatible endpoint whose vectors have three numbers, and which can be down.
fn model(is_down: &Arc<AtomicBool>) -> Web {
    let is_down = is_down.clone();
    Web::answering(move |asked: &Asked| {
        if is_down.load(Ordering::SeqCst) {
            return Say::status(400);
        }
        let texts = asked.json()["input"].as_array().unwrap().clone();
        let vector = |(index, text): (usize, &Value)| json!({"index": index, "embedding": [1.0, text.as_str().unwrap().len() as f32, index as f32]});
        Say::json(&json!({"data": texts.iter().enumerate().map(vector).collect::<Vec<_>>()}))
    })
}

#[test]
fn vectors_are_made_anew_when_another_model_is_configured() {
    let home = Home::new();
    for (user, count) in [("alice", 70), ("bob", 1)] {
        let lines: Vec<_> =
            (0..count).map(|number| json!({"content": format!("{user} {number}")}).to_string()).collect();
        home.write("memories.jsonl", &lines.join("\n"));
        home.run(&["user", "import", user, "memories.jsonl"]).done();
    }
    home.run(&["user", "create", "carol"]).done();
    let export = |user: &str| serde_json::from_str::<Value>(&home.run(&["user", "export", user]).done()).unwrap();
    let before = export("alice");

    let is_down = Arc::new(AtomicBool::new(true));
    let model = model(&is_down);
    home.write(
        "locule.toml",
        &format!(
            "[embedding]\nprovider = \"openai\"\nkey = \"sk-x\"\nurl = \"{}\"\nmodel = \"three\"\ndimension = 3\n",
            model.url()
        ),
    );
    home.write("more.jsonl", &json!({"content": "one more"}).to_string());
    home.run(&["user", "import", "alice", "more.jsonl"]).refused(1, "");
    home.run(&["reindex", "alice"]).refused(1, "");
    assert_eq!(export("alice")["memories"], before["memories"], "what fails changes nothing");
    is_down.store(false, Ordering::SeqCst);
    home.run(&["user", "import", "alice", "more.jsonl"]).refused(4, "locule reindex");

    let done = home.run(&["reindex", "alice", "--json"]).json();
    let told = json!({"memories": 70, "from": "all-MiniLM-L6-v2/int8/1", "to": "three"});
    assert_eq!(done, json!({"users": [{"user_id": "alice", "reindexed": told}]}));
    let done = home.run(&["reindex", "--all", "--json"]).json();
    let counts: Vec<_> = done["users"].as_array().unwrap().iter().map(|user| &user["reindexed"]["memories"]).collect();
    assert_eq!(counts, [0, 1, 0]);
    // The same memories, with vectors of three half-precision numbers.
    let after = export("alice");
    let bare = |export: &Value| {
        let mut memories = export["memories"].as_array().unwrap().clone();
        memories.iter_mut().for_each(|memory| drop(memory.as_object_mut().unwrap().remove("embedding")));
        memories
    };
    assert_eq!(bare(&after), bare(&before));
    assert!(
        after["memories"].as_array().unwrap().iter().all(|memory| memory["embedding"].as_str().unwrap().len() == 8)
    );
    home.run(&["user", "import", "alice", "more.jsonl"]).done();
    home.run(&["audit", "verify"]).done();
    home.run(&["reindex", "nobody"]).refused(3, "There is no user");
    home.run(&["reindex"]).refused(2, "");
}
