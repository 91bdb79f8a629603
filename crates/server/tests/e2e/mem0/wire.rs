//! What holds of every request and answer of the face.

use serde_json::{Value, json};

use crate::house::{House, value};

#[test]
fn paths_end_and_begin_with_slashes_or_do_not_and_no_answer_is_empty_or_leads_elsewhere() {
    let house = House::with(&[("LOCULE_MEM0_PREFIX", "/remember")]);
    let alice = house.alice();
    for path in ["/mem0/v1/ping/", "/mem0//v1/ping/", "/mem0/v1/ping", "/remember/v1/ping/", "/remember//v1/ping/"] {
        let answer = alice.get(path).expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let ping = answer.json();
        for key in ["org_id", "project_id", "user_email", "status"] {
            assert!(ping[key].as_str().is_some_and(|text| !text.is_empty() && !text.contains('@')), "{ping}");
        }
    }
    let said = json!({"messages": value("alice-123"), "infer": false});
    let id =
        alice.post("/mem0/v3/memories/add/", said).expect(200).json()["results"][0]["id"].as_str().unwrap().to_owned();
    let deleted = alice.delete(&format!("/mem0/v1/memories/{id}/")).expect(200);
    assert_eq!(deleted.json()["message"], "Memory deleted successfully!");
    alice.get("/mem0/v9/nothing/").expect(404).json()["detail"].as_str().unwrap();
    alice.post("/mem0/v1/ping/", json!({})).expect(405).json()["detail"].as_str().unwrap();
}

#[test]
fn pages_in_a_browser_ask_only_from_origins_that_were_named() {
    let house = House::with(&[("LOCULE_CORS_ORIGINS", "https://app.example.com, http://localhost:3000")]);
    let from = |origin: &str| house.alice().with("origin", origin);
    let asks = |origin: &str| {
        from(origin)
            .with("access-control-request-method", "POST")
            .with("access-control-request-headers", "authorization,mem0-user-id,x-mem0-client")
            .call("OPTIONS", "/mem0/v3/memories/search/", None)
    };
    for origin in ["https://app.example.com", "http://localhost:3000"] {
        let preflight = asks(origin).expect(200);
        assert_eq!(preflight.header("access-control-allow-origin"), Some(origin));
        let allowed = preflight.header("access-control-allow-headers").unwrap();
        assert!(
            ["authorization", "mem0-user-id", "x-mem0-client"].iter().all(|name| allowed.contains(name)),
            "{allowed}"
        );
        let answer = from(origin).get("/mem0/v1/ping/").expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.header("access-control-expose-headers").unwrap().contains("retry-after"));
    }
    for origin in ["https://evil.example.com", "https://app.example.com.evil.com", "null"] {
        assert_eq!(asks(origin).header("access-control-allow-origin"), None);
        assert_eq!(from(origin).get("/memories").expect(200).header("access-control-allow-origin"), None);
    }
    // Allowed to ask is not let in, and by default nobody is allowed.
    house.nobody().with("origin", "https://app.example.com").get("/mem0/v1/ping/").expect(401);
    let usual = House::with(&[]);
    let answer = usual.alice().with("origin", "https://app.example.com").get("/mem0/v1/ping/").expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn pages_have_an_exact_count_and_addresses_that_lead_on() {
    let house = House::with(&[]);
    let alice = house.alice();
    let said: Vec<Value> = (0..5).map(|_| json!({"role": "user", "content": value("alice-123")})).collect();
    alice.post("/mem0/v3/memories/add/", json!({"messages": said, "infer": false})).expect(200);
    let (mut path, mut seen) = ("/mem0/v3/memories/?page=1&page_size=2".to_owned(), Vec::new());
    loop {
        let page = alice.post(&path, json!({})).expect(200).json();
        assert_eq!(page["count"], 5);
        seen.extend(page["results"].as_array().unwrap().iter().map(|memory| memory["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix("http://test").unwrap().to_owned();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let beyond = alice.post("/mem0/v3/memories/?page=9&page_size=2", json!({})).expect(404);
    assert_eq!(beyond.json()["detail"], "Invalid page.");
    for bad in ["page=0", "page_size=201", "page=x"] {
        alice.post(&format!("/mem0/v3/memories/?{bad}"), json!({})).expect(400);
    }
}

#[test]
fn too_many_requests_and_a_full_space_say_so_in_the_clients_words() {
    let house = House::with(&[("LOCULE_QUOTA_MEMORIES", "2")]);
    let alice = house.alice();
    let said = || json!({"messages": value("alice-123"), "infer": false});
    alice.post("/mem0/v3/memories/add/", said()).expect(200);
    alice.post("/mem0/v3/memories/add/", said()).expect(200);
    let full = alice.post("/mem0/v3/memories/add/", said()).expect(413);
    assert_eq!(full.json()["code"], "quota_exceeded");
    assert_eq!(alice.count(), 2);

    let house = House::with(&[("LOCULE_RATE_PER_S", "1")]);
    let alice = house.alice();
    let answers: Vec<_> = (0..20).map(|_| alice.post("/mem0/v3/memories/", json!({}))).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.header("retry-after").unwrap().parse::<u32>().is_ok());
    assert!(refused.json()["detail"].is_string());
}

#[test]
fn what_is_added_without_a_model_is_kept_word_for_word_and_says_so() {
    let house = House::with(&[]);
    let alice = house.alice();
    let text = value("alice-123");
    let answer = alice.post("/mem0/v3/memories/add/", json!({ "messages": text })).expect(200).json();
    assert_eq!((&answer["status"], &answer["inferred"]), (&json!("SUCCEEDED"), &json!(false)));
    assert!(answer["message"].as_str().unwrap().contains("word for word"));
    let event = alice.get(&format!("/mem0/v1/event/{}/", answer["event_id"].as_str().unwrap())).expect(200).json();
    assert_eq!((&event["status"], &event["results"][0]["memory"]), (&json!("SUCCEEDED"), &json!(text)));
    assert_eq!(alice.get("/mem0/v1/events/").expect(200).json()["count"], 1);
}

#[test]
fn a_text_told_later_and_one_that_ends_keep_their_days() {
    let house = House::with(&[]);
    let alice = house.alice();
    let said = json!({"messages": value("alice-123"), "infer": false, "timestamp": 1_600_000_000, "expiration_date": "2999-01-31"});
    let added = alice.post("/mem0/v3/memories/add/", said).expect(200).json();
    let path = format!("/mem0/v1/memories/{}/", added["event_id"].as_str().unwrap());
    let memory = alice.get(&path).expect(200).json();
    assert_eq!(memory["created_at"], "2020-09-13T12:26:40.000000+00:00");
    assert_eq!(memory["expiration_date"], "2999-01-31");
    let filters = json!({"filters": {"created_at": {"lt": "2021-01-01"}, "expiration_date": {"gte": "2999-01-31"}}});
    assert_eq!(alice.post("/mem0/v3/memories/", filters).expect(200).json()["count"], 1);
    let past = json!({"messages": value("alice-123"), "infer": false, "expiration_date": "2001-01-01"});
    alice.post("/mem0/v3/memories/add/", past).expect(200);
    assert_eq!(alice.count(), 1);
    let bad = json!({"messages": "x", "infer": false, "expiration_date": "soon"});
    alice.post("/mem0/v3/memories/add/", bad).expect(400);
}
