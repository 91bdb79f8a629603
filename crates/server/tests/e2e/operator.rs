//! Those who run the installation: users and figures, never content.

use serde_json::json;

use locule::auth::KeyKind;

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{DIMENSION, House, NO_MODEL, operator};

for_each_layout! {
    users_are_made_listed_shown_and_counted
    who_is_suspended_is_out_at_once_and_loses_nothing
    an_operator_erases_whom_they_cannot_read
    each_key_opens_its_own_door_alone
    a_key_that_is_revoked_ends_with_the_request_under_way
    figures_name_nobody
}

fn users_are_made_listed_shown_and_counted(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let operator = house.operator();
    let made = operator.post("/operator/users", json!({"user_id": "alice-123"})).expect(201).json();
    assert_eq!((&made["user_id"], &made["state"], &made["memories"]), (&json!("alice-123"), &json!("open"), &json!(0)));
    // Making her again is no second one.
    operator.post("/operator/users", json!({"user_id": "alice-123"})).expect(201);
    house.bob().add_with_vector(&mut Chance::of(1), DIMENSION);
    for n in 0..5 {
        operator.post("/operator/users", json!({"user_id": format!("user-{n}")})).expect(201);
    }

    let page = |query: &str| {
        let page = operator.get(&format!("/operator/users?{query}")).expect(200).json();
        page["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["user_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(page(""), ["alice-123", "bob-456", "user-0", "user-1", "user-2", "user-3", "user-4"]);
    assert_eq!(page("limit=2&after=bob-456"), ["user-0", "user-1"]);
    assert_eq!(operator.get("/operator/users/bob-456").expect(200).json()["user_id"], "bob-456");
    operator.get("/operator/users/nobody-789").expect(404).assert_problem("an unknown user");
    for (path, status) in [("limit=0", 422), ("limit=1001", 413), ("after=..", 422), ("owner=x", 422)] {
        operator.get(&format!("/operator/users?{path}")).expect(status).assert_problem(path);
    }
    for user in [json!("me"), json!(".."), json!(""), json!("x".repeat(256)), json!("a\u{0}b"), json!(7)] {
        operator.post("/operator/users", json!({"user_id": user})).expect(422).assert_problem("a user id");
    }
    let statistics = operator.get("/operator/statistics").expect(200).json();
    assert_eq!((&statistics["users"], &statistics["suspended"]), (&json!(7), &json!(0)));
}

fn who_is_suspended_is_out_at_once_and_loses_nothing(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob, operator) = (house.alice(), house.bob(), house.operator());
    let service = house.caller("alice-123", &house.service_key("*"));
    let mut chance = Chance::of(1);
    alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    // These connections are open, and stay so.
    assert_eq!((alice.count(), service.count()), (1, 1));
    operator.call("POST", "/operator/users/alice-123/suspend", None).expect(204);
    for caller in [&alice, &service] {
        for (method, path) in [("GET", "/memories"), ("GET", "/usage"), ("GET", "/export"), ("DELETE", "/memories")] {
            let refused = caller.call(method, path, None).expect(403);
            assert_eq!(refused.code(), "space_suspended");
        }
    }
    assert_eq!(bob.count(), 1);
    assert_eq!(operator.get("/operator/users/alice-123").expect(200).json()["state"], "suspended");
    assert_eq!(operator.get("/operator/statistics").expect(200).json()["suspended"], 1);
    operator.call("POST", "/operator/users/alice-123/resume", None).expect(204);
    assert_eq!((alice.count(), service.count()), (1, 1));
    assert_eq!(house.denials(), 8);
}

fn an_operator_erases_whom_they_cannot_read(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob, operator) = (house.alice(), house.bob(), house.operator());
    let mut chance = Chance::of(1);
    alice.add_with_vector(&mut chance, DIMENSION);
    bob.add_with_vector(&mut chance, DIMENSION);
    for path in ["/api/alice-123/memories", "/api/me/memories", "/api/alice-123/export", "/openapi.json", "/docs/"] {
        operator.get(path).expect(404).assert_problem(path);
    }
    let receipt = operator.delete("/operator/users/alice-123").expect(200).json();
    assert_eq!((&receipt["erased"], &receipt["residue"]), (&json!(true), &json!(0)));
    alice.get("/memories").expect(401);
    operator.get("/operator/users/alice-123").expect(404);
    assert_eq!(bob.count(), 1);
    // Erasing her again finds nothing and is no fault.
    assert_eq!(operator.delete("/operator/users/alice-123").expect(200).json()["files_removed"], 0);
    // In the trail there is no Alice any more.
    let engine = house.engine();
    let trail = engine.trail(&self::operator(&engine), 1000).unwrap();
    assert!(trail.iter().any(|entry| entry.act == "erase" && entry.outcome == "ok"));
    assert!(trail.iter().all(|entry| entry.target.as_deref() != Some("alice-123")));
}

fn each_key_opens_its_own_door_alone(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let operator = house.operator();
    let public = house.caller("", operator.headers[0].1.strip_prefix("Bearer ").unwrap());
    for path in ["/api/alice-123/memories", "/api/me/memories"] {
        assert_eq!(public.get(path).expect(403).code(), "not_allowed");
    }
    let user = house.alice().at_operators();
    let service = house.caller("", &house.service_key("*")).at_operators();
    let nobody = house.nobody().at_operators();
    for path in ["/operator/users", "/operator/users/alice-123", "/operator/statistics", "/metrics"] {
        assert_eq!(user.get(path).expect(403).code(), "not_allowed");
        assert_eq!(service.get(path).expect(403).code(), "not_allowed");
        nobody.get(path).expect(401);
    }
}

fn a_key_that_is_revoked_ends_with_the_request_under_way(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let identity = house.engine().identity("alice-123").unwrap();
    let issuer = locule::Issuer::default();
    let act_as = locule::auth::ActAs::Anyone;
    for kind in [KeyKind::User { identity, read_only: false }, KeyKind::Service { issuer, act_as }] {
        let (key, id) = house.key(kind);
        let caller = house.caller("alice-123", &key);
        caller.get("/memories").expect(200);
        let engine = house.engine();
        engine.revoke_key(&operator(&engine), &id).unwrap();
        assert_eq!(caller.get("/memories").expect(401).code(), "unauthenticated");
    }
}

fn figures_name_nobody(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, operator) = (house.alice(), house.operator());
    alice.add_with_vector(&mut Chance::of(1), DIMENSION);
    alice.get("/api/bob-456/memories").expect(403);
    alice.get("/api/alice-123/nothing/here").expect(404);
    for n in 0..50 {
        // Whatever a stranger makes up is not kept.
        house.nobody().call(&format!("MADEUP{n}"), &format!("/made/up/{n}"), None).expect(404);
        house.nobody().call(&format!("MADEUP{n}"), "/healthz", None).expect(405);
    }
    let metrics = operator.get("/metrics").expect(200);
    assert!(metrics.header("content-type").unwrap().contains("openmetrics"));
    let text = metrics.text();
    assert!(text.contains("locule_requests_total{") && text.contains("/api/{user_id}/memories"), "{text}");
    for word in ["alice", "bob", "MADEUP", "made/up"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    let statistics = operator.get("/operator/statistics").expect(200).text();
    assert!(!statistics.contains("alice"));
}
