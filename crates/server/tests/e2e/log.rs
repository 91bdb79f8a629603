//! What the server says of what it does: enough to find a request, and nobody's secrets.

use serde_json::json;

use crate::ground::Layout;
use crate::house::{House, value};

for_each_layout! {
    at_its_most_talkative_the_log_gives_nobody_away
}

fn at_its_most_talkative_the_log_gives_nobody_away(layout: Layout) {
    let mut house = House::on(layout, &[("LOCULE_LOG_FILTER", "trace"), ("LOCULE_LOG_FORMAT", "json")]);
    let (alice, bob, operator) = (house.alice(), house.bob(), house.operator());
    let service = house.caller("alice-123", &house.service_key("alice-*")).with("locule-act-as", "alice-123");
    let secret = "the-password-is-swordfish";
    let memory = alice
        .post(
            "/memories",
            json!({"memory": format!("{secret} {}", value("alice-123")), "agent_id": "agent-of-alice",
        "metadata": {"where": "under-the-mat"}}),
        )
        .expect(201)
        .json();
    bob.add("nothing to see");
    let path = crate::house::path_of(&memory);
    alice
        .post("/memories/search", json!({"query": secret, "filters": {"metadata.where": "under-the-mat"}}))
        .expect(200);
    alice.patch(&path, json!({"memory": format!("{secret} again")})).expect(200);
    service.get("/api/me/memories").expect(200);
    alice.get("/export").expect(200);
    bob.get("/api/alice-123/memories").expect(403);
    bob.get(&path).expect(404);
    alice.post("/memories", json!({"memory": secret, secret: 1})).expect(422);
    alice.get(&format!("/memories?cursor={secret}")).expect(422);
    house.caller("alice-123", &format!("{}x", house.token("alice-123"))).get("/memories").expect(401);
    house.nobody().get(&format!("/{secret}")).expect(404);
    operator.post("/operator/users", json!({"user_id": "user-789"})).expect(201);
    operator.call("POST", "/operator/users/user-789/suspend", None).expect(204);
    alice.delete("").expect(200);
    house.stop();

    let log = house.log();
    assert!(log.iter().any(|line| line.contains("request_id")), "nothing of requests is logged");
    let credentials = [&alice, &bob, &operator, &service].map(|caller| caller.headers[0].1.replace("Bearer ", ""));
    let parts = |credential: &str| {
        credential.split(['.', '_']).filter(|part| part.len() > 12).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut words: Vec<String> = credentials.iter().flat_map(|credential| parts(credential)).collect();
    words.extend([secret, "under-the-mat", "agent-of-alice", "alice-123", "bob-456", "user-789"].map(str::to_owned));
    for line in log {
        for word in &words {
            assert!(!line.contains(word.as_str()), "{word} in {line}");
        }
    }
}
