//! The paths of mem0's own server, with `X-API-Key`.

use locule::auth::KeyKind;
use locule_testbed::{Say, Web};
use serde_json::json;

use crate::house::{House, NO_MODEL, value};

#[test]
fn item_20_callers_of_mem0s_own_server_go_on_with_another_address() {
    let house = House::with(&[]);
    let mut caller = house.nobody();
    caller.owner = "alice-123".to_owned();
    let caller = caller.with("x-api-key", &house.service_key("*"));
    let text = value("alice-123");
    let said = json!({"messages": [{"role": "user", "content": text}], "user_id": "alice-123", "infer": false,
        "metadata": {"topic": "food"}});
    let added = caller.post("/mem0/memories", said).expect(200).json();
    let id = added["results"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&added["results"][0]["memory"], &added["results"][0]["event"]), (&json!(text), &json!("ADD")));

    let listed = caller.get("/mem0/memories?user_id=alice-123").expect(200).json();
    assert_eq!(listed["results"][0]["id"], id.as_str());
    let found = |filters| {
        let search = json!({"query": "anything", "filters": filters, "explain": true});
        caller.post("/mem0/search", search).expect(200).json()["results"].clone()
    };
    // Keys that are no fields are the metadata's here.
    assert_eq!(found(json!({"user_id": "alice-123", "topic": "food"}))[0]["id"], id.as_str());
    assert!(found(json!({"user_id": "alice-123"}))[0]["score_details"].is_object());
    assert_eq!(found(json!({"user_id": "alice-123", "topic": {"ne": "food"}})), json!([]));

    assert_eq!(caller.get(&format!("/mem0/memories/{id}")).expect(200).json()["memory"], json!(text));
    let changed =
        caller.send("PUT", &format!("/mem0/memories/{id}"), json!({"metadata": {"topic": "tea"}})).expect(200);
    assert_eq!(changed.json()["message"], "Memory updated successfully!");
    caller.send("PUT", &format!("/mem0/memories/{id}"), json!({})).expect(400);
    assert_eq!(caller.get(&format!("/mem0/memories/{id}/history")).expect(200).json()[0]["event"], "ADD");
    assert_eq!(caller.get("/mem0/entities").expect(200).json()[0]["id"], "alice-123");
    assert_eq!(
        caller.delete(&format!("/mem0/memories/{id}")).expect(200).json()["message"],
        "Memory deleted successfully"
    );
    caller.get(&format!("/mem0/memories/{id}")).expect(404);
    caller.get("/mem0/memories/x").expect(400);
    caller.delete("/mem0/memories").expect(400);
    assert_eq!(
        caller.delete("/mem0/memories?user_id=alice-123").expect(200).json()["message"],
        "All relevant memories deleted"
    );

    let refused = house.nobody().get("/mem0/memories").expect(401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert!(refused.json()["detail"].as_str().unwrap().starts_with("Authentication required."));
}

#[test]
fn who_comes_is_told_who_they_are_and_how_accounts_are_made_here() {
    let house = House::with(&NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let me = alice.get("/mem0/auth/me").expect(200).json();
    assert_eq!((&me["name"], &me["role"], &me["email"]), (&json!("alice-123"), &json!("user"), &json!(null)));
    let identity = house.engine().identity("alice-123").unwrap();
    let (_, id) = house.key(KeyKind::User { identity, read_only: false });
    let keys = alice.get("/mem0/api-keys").expect(200);
    let listed = keys.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(id)));
    assert!(listed[0].get("key").is_none() && listed[0].get("hash").is_none(), "{listed}");
    assert_eq!(bob.get("/mem0/api-keys").expect(200).json(), json!([]));
    for (method, path) in [
        ("POST", "/mem0/auth/register"),
        ("POST", "/mem0/auth/login"),
        ("POST", "/mem0/api-keys"),
        ("POST", "/mem0/reset"),
        ("POST", "/mem0/configure"),
        ("GET", "/mem0/requests"),
    ] {
        let refused = alice.call(method, path, None).expect(403).json();
        assert!(refused["detail"].as_str().unwrap().contains("ocule"), "{path}: {refused}");
    }
}

#[test]
fn a_model_writes_instructions_where_there_is_one() {
    let house = House::with(&NO_MODEL);
    let use_case = json!({"use_case": "a cookbook"});
    let refused = house.alice().post("/mem0/generate-instructions", use_case.clone()).expect(400).json();
    assert!(refused["detail"].as_str().unwrap().contains("chat.model"), "{refused}");

    let written = json!({"custom_instructions": "Note diets.", "test_message": "I am vegan."});
    let said = [Say::chat(&format!("Here: {written}")), Say::chat("No."), Say::status(500)];
    let model = Web::saying(said, Say::status(500));
    let url = model.url();
    let house = House::with(&[NO_MODEL[0], NO_MODEL[1], ("LOCULE_CHAT_MODEL", "small"), ("LOCULE_CHAT_URL", &url)]);
    let alice = house.alice();
    assert_eq!(alice.post("/mem0/generate-instructions", use_case.clone()).expect(200).json(), written);
    assert!(model.asked()[0].body.contains("a cookbook"));
    for _ in 0..2 {
        let failed = alice.post("/mem0/generate-instructions", use_case.clone()).expect(503).json();
        assert_eq!(failed["code"], "provider_unavailable");
    }
    alice.post("/mem0/generate-instructions", json!({"use_case": " "})).expect(400);
    let shown = alice.get("/mem0/configure").expect(200).json();
    assert_eq!(shown["llm"]["config"], json!({"model": "small", "api_key": "[redacted]"}));
}
