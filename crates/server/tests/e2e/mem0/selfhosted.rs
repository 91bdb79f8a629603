//! The paths of mem0's own server, with `X-API-Key`.

use serde_json::json;

use crate::house::{House, value};

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
