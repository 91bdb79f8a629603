//! Where mem0 shows or destroys what is another's, and this face does not. Each rule holds in files and in PostgreSQL.

use serde_json::{Value, json};

use crate::ground::Layout;
use crate::house::{Caller, House, value};

macro_rules! in_files_and_rows {
    ($($rule:ident)*) => {
        mod file { $(#[test] fn $rule() { super::$rule(crate::ground::Layout::File); })* }
        mod rls { $(#[test] fn $rule() { super::$rule(crate::ground::Layout::Rls); })* }
    };
}

in_files_and_rows! {
    i01_a_users_credential_opens_their_own_space_whomever_they_name
    i02_a_star_ranges_over_ones_own
    i03_a_star_deletes_nobody_elses
    i04_a_condition_within_a_filter_leads_nowhere_else
    i05_an_id_of_somebody_else_answers_as_one_that_nobody_has
    i06_what_is_deleted_is_in_no_history
    i07_ids_in_metadata_are_metadata
    i08_a_filter_that_says_nothing_shows_nothing_of_others
    i09_lists_of_entities_and_resets_are_ones_own
    i10_a_key_ends_with_its_next_request
}

/// Adds a text of the caller's by this face; its id.
#[track_caller]
fn add(caller: &Caller, body: Value) -> String {
    let mut whole = json!({"messages": value(&caller.owner), "infer": false});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let answer = caller.post("/mem0/v3/memories/add/", whole).expect(200).json();
    answer["results"][0]["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn ids(caller: &Caller, filters: Value) -> Vec<String> {
    let page = caller.post("/mem0/v3/memories/", json!({ "filters": filters })).expect(200).json();
    assert_eq!(page["count"], page["results"].as_array().unwrap().len());
    page["results"].as_array().unwrap().iter().map(|memory| memory["id"].as_str().unwrap().to_owned()).collect()
}

/// Alice and Bob, each with one memory.
fn two(house: &House) -> ((Caller, String), (Caller, String)) {
    let (alice, bob) = (house.alice(), house.bob());
    let (hers, his) = (add(&alice, json!({})), add(&bob, json!({})));
    ((alice, hers), (bob, his))
}

/// I1
fn i01_a_users_credential_opens_their_own_space_whomever_they_name(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, hers), (_, _)) = two(&house);
    let (bob, nobody) = (json!({"user_id": "bob-456"}), json!({"user_id": "nobody-789"}));
    let asking = |user: &Value| {
        let user_id = user["user_id"].as_str().unwrap();
        vec![
            (
                "POST",
                "/mem0/v3/memories/add/".to_owned(),
                Some(json!({"messages": "x", "infer": false, "user_id": user_id})),
            ),
            (
                "POST",
                "/mem0/v3/memories/add/".to_owned(),
                Some(json!({"messages": "x", "infer": false, "filters": user})),
            ),
            ("POST", "/mem0/v3/memories/".to_owned(), Some(json!({ "filters": user }))),
            ("POST", "/mem0/v3/memories/search/".to_owned(), Some(json!({"query": "x", "filters": {"NOT": user}}))),
            ("POST", "/mem0/v2/memories/".to_owned(), Some(user.clone())),
            ("POST", "/mem0/search".to_owned(), Some(json!({"query": "x", "user_id": user_id}))),
            ("GET", format!("/mem0/v1/memories/?user_id={user_id}"), None),
            ("GET", format!("/mem0/v1/memories/{hers}/?user_id={user_id}"), None),
            ("DELETE", format!("/mem0/v1/memories/?user_id={user_id}"), None),
            ("DELETE", format!("/mem0/v2/entities/user/{user_id}/"), None),
            ("GET", format!("/mem0/v2/entities/user/{user_id}/"), None),
        ]
    };
    for ((method, path, body), (_, elsewhere, same)) in asking(&bob).into_iter().zip(asking(&nobody)) {
        let call = |path: &str, body: Option<Value>| {
            alice.call(method, path, body.map(|body| body.to_string().into_bytes()).as_deref())
        };
        let answer = call(&path, body).expect(403);
        assert_eq!(answer.code(), "not_your_space", "{method} {path}");
        assert_eq!(answer.body, call(&elsewhere, same).expect(403).body, "{method} {path}");
    }
    assert_eq!(ids(&alice, json!({})), [hers]);
    // A service acts for those it is made for, and for nobody else.
    let shop = house.caller("alice-123", &house.service_key("alice*"));
    assert_eq!(ids(&shop, json!({"user_id": "alice-123"})).len(), 1);
    shop.post("/mem0/v3/memories/", json!({ "filters": bob })).expect(403);
}

/// I2
fn i02_a_star_ranges_over_ones_own(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, hers), (_, _)) = two(&house);
    for star in [json!({"user_id": "*"}), json!({"OR": [{"user_id": "*"}, {"agent_id": "*"}]})] {
        assert_eq!(ids(&alice, star.clone()), [hers.as_str()], "{star}");
        let service = house.caller("", &house.service_key("*"));
        let refused = service.post("/mem0/v3/memories/", json!({ "filters": star })).expect(400);
        assert!(refused.json()["detail"].as_str().unwrap().contains("\"user_id\""));
    }
    for star in ["agent_id", "run_id", "app_id"] {
        assert!(ids(&alice, json!({ star: "*" })).is_empty());
    }
}

/// I3
fn i03_a_star_deletes_nobody_elses(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, _), (bob, his)) = two(&house);
    let service = house.caller("", &house.service_key("*"));
    for path in [
        "/mem0/v1/memories/?user_id=*",
        "/mem0/memories?user_id=*",
        "/mem0/v1/memories/?user_id=*&agent_id=*&app_id=*&run_id=*",
    ] {
        service.delete(path).expect(400);
        alice.delete(path).expect(400);
    }
    for nothing in
        ["", "?", "?filters=%5Bobject+Object%5D", "?filters=%7B%27user_id%27%3A+%27alice-123%27%7D", "?name=x"]
    {
        service.delete(&format!("/mem0/v1/memories/{nothing}")).expect(400);
        alice.delete(&format!("/mem0/v1/memories/{nothing}")).expect(400);
    }
    assert_eq!((alice.count(), ids(&bob, json!({}))), (1, vec![his]));
}

/// I4
fn i04_a_condition_within_a_filter_leads_nowhere_else(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, hers), (_, _)) = two(&house);
    let service = house.caller("alice-123", &house.service_key("*"));
    let bob = json!({"user_id": "bob-456"});
    for within in [
        json!({"AND": [bob]}),
        json!({"AND": [{"OR": [bob]}]}),
        json!({"AND": [{"AND": [{"user_id": {"eq": "bob-456"}}]}]}),
    ] {
        let mut filters = json!({"user_id": "alice-123"});
        filters.as_object_mut().unwrap().extend(within.as_object().unwrap().clone());
        assert!(ids(&service, filters.clone()).is_empty(), "{filters}");
        let search = json!({"query": "anything", "filters": filters});
        assert_eq!(service.post("/mem0/v3/memories/search/", search.clone()).expect(200).json()["results"], json!([]));
        assert_eq!(service.post("/mem0/search", search.clone()).expect(200).json()["results"], json!([]));
        alice.post("/mem0/v3/memories/search/", search).expect(403);
    }
    let either = json!({"user_id": "alice-123", "OR": [bob, {"NOT": {"agent_id": "*"}}]});
    assert_eq!(ids(&service, either), [hers]);
}

/// I5
fn i05_an_id_of_somebody_else_answers_as_one_that_nobody_has(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, hers), (bob, _)) = two(&house);
    let unknown = "0199b1c2-7f3e-7abc-8def-0123456789ab".to_owned();
    let others = house.caller("", &house.service_key("bob*"));
    for caller in [&bob, &others] {
        for (method, path, body) in [
            ("GET", "/mem0/v1/memories/{id}/", None),
            ("PUT", "/mem0/v1/memories/{id}/", Some(json!({"text": "x"}))),
            ("DELETE", "/mem0/v1/memories/{id}/", None),
            ("GET", "/mem0/v1/memories/{id}/history/", None),
            ("GET", "/mem0/v1/event/{id}/", None),
            ("GET", "/mem0/memories/{id}", None),
            ("DELETE", "/mem0/memories/{id}", None),
        ] {
            let body = body.map(|body: Value| body.to_string().into_bytes());
            let ask = |id: &str| caller.call(method, &path.replace("{id}", id), body.as_deref());
            assert_eq!(ask(&hers).alike(), ask(&unknown).alike(), "{method} {path}");
        }
        let batch = |id: &str| caller.send("DELETE", "/mem0/v1/batch/", json!({"memories": [{"memory_id": id}]}));
        assert_eq!(batch(&hers).expect(404).alike(), batch(&unknown).expect(404).alike());
    }
    assert_eq!(ids(&alice, json!({})), [hers.as_str()]);
    // A service that acts for her is led there by the id alone.
    let service = house.caller("alice-123", &house.service_key("*"));
    assert_eq!(service.get(&format!("/mem0/v1/memories/{hers}/")).expect(200).json()["user_id"], "alice-123");
}

/// I6
fn i06_what_is_deleted_is_in_no_history(layout: Layout) {
    let house = House::on(layout, &[]);
    let alice = house.alice();
    let text = value("alice-123");
    let id = add(&alice, json!({ "messages": text }));
    alice.send("PUT", &format!("/mem0/v1/memories/{id}/"), json!({"text": value("alice-123")})).expect(200);
    alice.delete(&format!("/mem0/v1/memories/{id}/")).expect(200);
    let history = alice.get(&format!("/mem0/v1/memories/{id}/history/")).expect(200);
    let events: Vec<_> = history.json().as_array().unwrap().iter().map(|line| line["event"].clone()).collect();
    assert_eq!(events, ["ADD", "UPDATE", "DELETE"]);
    assert!(!history.text().contains('«'), "{}", history.text());
    // That nothing is left of a user who is erased is shown where erasing is: the face uses the same.
    add(&alice, json!({}));
    alice.delete("/mem0/v2/entities/user/alice-123/").expect(200);
    alice.get("/mem0/v1/ping/").expect(200);
    alice.post("/mem0/v3/memories/", json!({})).expect(401);
    let service = house.caller("alice-123", &house.service_key("*"));
    assert!(ids(&service, json!({"user_id": "alice-123"})).is_empty());
}

/// I7
fn i07_ids_in_metadata_are_metadata(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, hers), (bob, _)) = two(&house);
    let moved = json!({"user_id": "bob-456", "agent_id": "x", "run_id": "y"});
    alice.send("PUT", &format!("/mem0/v1/memories/{hers}/"), json!({ "metadata": moved })).expect(200);
    add(&alice, json!({ "metadata": moved }));
    let memory = alice.get(&format!("/mem0/v1/memories/{hers}/")).expect(200).json();
    assert_eq!(
        (&memory["user_id"], &memory["agent_id"], &memory["metadata"]),
        (&json!("alice-123"), &Value::Null, &moved)
    );
    assert_eq!((alice.count(), bob.count()), (2, 1));
    assert_eq!(ids(&alice, json!({"metadata": {"user_id": "bob-456"}})).len(), 2);
}

/// I8
fn i08_a_filter_that_says_nothing_shows_nothing_of_others(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, hers), _) = two(&house);
    for body in
        [json!({}), json!({"filters": {}}), json!({"filters": null}), json!({"filters": {"NOT": {"agent_id": "x"}}})]
    {
        let page = alice.post("/mem0/v3/memories/", body.clone()).expect(200).json();
        assert_eq!(page["results"][0]["id"], hers.as_str(), "{body}");
        assert_eq!(page["count"], 1);
        house.caller("", &house.service_key("*")).post("/mem0/v3/memories/", body).expect(400);
    }
}

/// I9
fn i09_lists_of_entities_and_resets_are_ones_own(layout: Layout) {
    let house = House::on(layout, &[]);
    let ((alice, _), (bob, _)) = two(&house);
    add(&alice, json!({"agent_id": "chef", "run_id": "r-1", "app_id": "kitchen"}));
    let names = |caller: &Caller| {
        let page = caller.get("/mem0/v1/entities/").expect(200).json();
        let entities = page["results"].as_array().unwrap().iter();
        entities.map(|entity| format!("{}:{}", entity["type"], entity["name"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(names(&alice), ["agent:chef", "app:kitchen", "run:r-1", "user:alice-123"]);
    assert_eq!(names(&bob), ["user:bob-456"]);
    assert_eq!(names(&house.caller("", &house.service_key("*"))), ["user:alice-123", "user:bob-456"]);
    assert_eq!(names(&house.caller("", &house.service_key("bob*"))), ["user:bob-456"]);
    for path in ["/mem0/reset", "/mem0/configure"] {
        house.caller("", &house.service_key("*")).post(path, json!({})).expect(403);
        alice.post(path, json!({})).expect(403);
    }
    assert_eq!((alice.count(), bob.count()), (2, 1));
}

/// I10: a key is looked up by its id and compared by one hash, so that nothing slow needs a cache that outlives it.
fn i10_a_key_ends_with_its_next_request(layout: Layout) {
    let house = House::on(layout, &[]);
    let kind =
        locule::auth::KeyKind::User { identity: house.engine().identity("alice-123").unwrap(), read_only: false };
    let (text, id) = house.key(kind);
    let mut alice = house.nobody();
    alice.owner = "alice-123".to_owned();
    let alice = alice.with("authorization", &format!("Token {text}"));
    add(&alice, json!({}));
    house.run(&["key", "revoke", &id]);
    alice.post("/mem0/v3/memories/", json!({})).expect(401);
    let wrong = format!("Token {}x", &text[..text.len() - 1]);
    house.nobody().with("authorization", &wrong).get("/mem0/v1/ping/").expect(401);
}
