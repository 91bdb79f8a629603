//! The context that agents share, over HTTP.

use serde_json::{Value, json};

use crate::ground::Layout;
use crate::house::{Caller, House, NO_MODEL};

for_each_layout! {
    agents_share_what_is_for_them_and_nobody_else_sees_it
    what_an_agent_may_not_is_refused
    a_value_is_changed_on_what_was_read
    models_call_tools
    ten_who_append_a_hundred_times_each_lose_nothing
    changes_are_streamed_also_those_of_another_server
}

fn keys(caller: &Caller, path: &str) -> Vec<String> {
    let entries = caller.get(path).expect(200).json()["entries"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
}

fn agents_share_what_is_for_them_and_nobody_else_sees_it(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    alice.send("PUT", "/context/agents", json!({"name": "writer", "topics": ["research", "news"]})).expect(200);
    let body = br#"{"key": "found \u0000\ud800", "value": [123456789012345678901234567890, 1.50, "\ud800"], "topics": ["research"]}"#;
    let pushed = alice.call("POST", "/context", Some(body)).expect(200);
    assert!(pushed.text().contains(r#""value":[123456789012345678901234567890,1.50,"\ud800"]"#), "{}", pushed.text());
    assert!(pushed.text().contains(r#""key":"found \u0000\ud800""#), "{}", pushed.text());
    assert_eq!(alice.get("/context?agent=writer").expect(200).text(), format!("{{\"entries\":[{}]}}", pushed.text()));
    alice.delete("/context?all=true").expect(200);

    alice.send("PUT", "/context/agents", json!({"name": "writer", "topics": ["research", "news"]})).expect(200);
    alice.post("/context", json!({"key": "a", "value": 1, "topics": ["research"], "ttl_s": 60})).expect(200);
    alice
        .post("/context", json!({"key": "b", "value": {"x": []}, "agents": ["critic"], "metadata": {"m": 1}}))
        .expect(200);
    alice.post("/context", json!({"key": "c", "value": null})).expect(200);
    assert_eq!(keys(&alice, "/context"), ["a", "b", "c"]);
    assert_eq!(keys(&alice, "/context?agent=writer&values=false"), ["a", "c"]);
    assert_eq!(keys(&alice, "/context?agent=critic"), ["b", "c"]);
    assert_eq!(keys(&alice, "/context?agent="), ["c"], "no name is not everybody's");
    assert_eq!(keys(&alice, "/context?topic=research"), ["a"]);
    assert_eq!(keys(&alice, "/context?key=b&agent=writer"), Vec::<String>::new());
    let statistics = alice.get("/context/statistics").expect(200).json();
    assert_eq!((&statistics["active_items"], &statistics["private_items"]), (&json!(3), &json!(2)));
    let topics = alice.get("/context/topics").expect(200).json();
    assert_eq!(topics["topics"][0], json!({"name": "research", "subscribers": ["writer"], "entries": 1}));

    for path in ["/context", "/context/topics", "/context/agents"] {
        let seen = bob.get(path).expect(200).json();
        assert!(seen.as_object().unwrap().values().all(|list| list == &json!([])), "{path}: {seen}");
    }
    bob.get("/api/alice-123/context").expect(403);
    assert_eq!(bob.delete("/context?key=a").expect(200).json()["removed"], false);
    bob.delete("/context/topics?topic=research").expect(404);
    bob.delete("/context?all=true").expect(200);
    assert_eq!(
        alice.delete("/context/topics?topic=research").expect(200).json(),
        json!({"subscribers": 1, "entries": 1})
    );
    assert_eq!(alice.delete("/context?key=b&agent=writer").expect(200).json()["removed"], false);
    assert_eq!(alice.delete("/context?key=b").expect(200).json()["removed"], true);
    assert_eq!(keys(&alice, "/context"), ["c"]);
    for wrong in ["/context", "/context?all=false", "/context?key=c&all=true", "/context?agent=x"] {
        alice.delete(wrong).expect(422);
    }
    for wrong in [json!({"key": 1, "value": 1}), json!({"key": "k"}), json!({"key": "k", "value": 1, "topics": "t"})] {
        alice.post("/context", wrong).expect(422);
    }
    assert_eq!(keys(&alice, "/context"), ["c"]);
}

fn what_an_agent_may_not_is_refused(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let alice = house.alice();
    alice.send("PUT", "/context/agents", json!({"name": "clerk", "posts": ["sales"]})).expect(200);
    let push = |sender: &str, topic: &str, revision: Option<u64>| {
        let body = json!({"key": "k", "value": 1, "topics": [topic], "sender": sender, "expected_revision": revision});
        alice.post("/context", body)
    };
    push("clerk", "secret", None).expect(403);
    assert_eq!(keys(&alice, "/context"), Vec::<String>::new());
    let written = push("clerk", "sales", Some(0)).expect(200).json();
    push("boss", "sales", None).expect(403);
    push("clerk", "sales", Some(0)).expect(409);
    push("clerk", "sales", written["revision"].as_u64()).expect(200);
    alice.post("/context/append", json!({"key": "k", "value": 1})).expect(409);
}

fn a_value_is_changed_on_what_was_read(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let edit = |caller: &Caller, value: Value, revision: u64, more: Value| {
        let mut body = json!({"key": "k", "value": value, "expected_revision": revision});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        caller.send("PATCH", "/context", body)
    };
    let first = edit(&alice, json!(1), 0, json!({"agents": ["a"], "ttl_s": 60})).expect(200).json();
    edit(&alice, json!(2), 0, json!({})).expect(409);
    let second = edit(&alice, json!(2), first["revision"].as_u64().unwrap(), json!({})).expect(200).json();
    assert_eq!((&second["audience"], &second["ttl_s"]), (&json!(["a"]), &json!(60.0)));
    edit(&alice, json!(3), second["revision"].as_u64().unwrap(), json!({"sender": "stranger"})).expect(403);
    edit(&bob, json!("bob's"), 0, json!({})).expect(200);
    bob.send("PATCH", "/api/alice-123/context", json!({"key": "k", "value": 4})).expect(403);
    assert_eq!(alice.get("/context?key=k").expect(200).json()["entries"], json!([second]));
    alice.send("PATCH", "/context", json!({"key": "k"})).expect(422);

    // A key may be any text, of any length: it is asked for in a body, and several are at once.
    let long = format!("é\u{0}{}", "x".repeat(100_000));
    alice.post("/context", json!({"key": long, "value": 5})).expect(200);
    alice.call("POST", "/context", Some(br#"{"key": "\ud800", "value": 6, "topics": ["t"]}"#)).expect(200);
    let read = |body: Value| alice.post("/context/read", body).expect(200).json();
    let found = read(json!({"keys": [long, "nothing", "k"]}));
    assert_eq!((&found["entries"][0]["value"], &found["entries"][1]), (&json!(5), &second));
    assert_eq!(found["entries"].as_array().unwrap().len(), 2);
    assert_eq!(read(json!({"keys": ["k"], "agent": "b"})), json!({"entries": []}));
    assert_eq!(read(json!({"keys": []})), json!({"entries": []}), "no keys are not all of them");
    assert_eq!(read(json!({"agent": "b", "values": false}))["entries"][0]["key"], json!(long));
    let half = alice.call("POST", "/context/read", Some(br#"{"topic": "t", "keys": ["\uD800"]}"#)).expect(200);
    assert!(half.text().contains(r#""key":"\ud800","value":6"#), "{}", half.text());
    alice.post("/context/read", json!({"keys": "k"})).expect(422);
    alice.post("/context/read", json!({"keys": vec!["k"; 1001]})).expect(413);

    let remove = |caller: &Caller, body: &str| {
        caller.call("POST", "/context/remove", Some(body.as_bytes())).expect(200).json()["removed"].clone()
    };
    assert_eq!(remove(&bob, r#"{"key": "\ud800"}"#), false);
    assert_eq!(remove(&alice, r#"{"key": "k", "agent": "b"}"#), false);
    assert_eq!(remove(&alice, r#"{"key": "\ud800"}"#), true);
    assert_eq!(remove(&alice, &json!({"key": long}).to_string()), true);
    alice.post("/context/remove", json!({})).expect(422);
    bob.post("/api/alice-123/context/remove", json!({"key": "k"})).expect(403);
    assert_eq!(keys(&alice, "/context"), ["k"]);

    // An agent leaves some of its topics.
    let agent = |body: Value| alice.send("PUT", "/context/agents", body);
    agent(json!({"name": "a", "topics": ["t", "u"]})).expect(200);
    assert_eq!(agent(json!({"name": "a", "leaves": ["t", "v"]})).expect(200).json()["topics"], json!(["u"]));
    agent(json!({"name": "nobody", "leaves": ["t"]})).expect(200);
    agent(json!({"name": "a", "leaves": ["u"], "posts": []})).expect(422);
    let agents = alice.get("/context/agents").expect(200).json();
    assert_eq!(agents, json!({"agents": [{"name": "a", "topics": ["u"], "posts": null}]}));
}

fn models_call_tools(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let alice = house.alice();
    for (framework, place) in [
        ("openai", "/function/parameters"),
        ("anthropic", "/input_schema"),
        ("langchain", "/args_schema"),
        ("langgraph", "/parameters"),
    ] {
        let tools = alice.get(&format!("/context/tools?framework={framework}")).expect(200).json();
        assert_eq!(tools["tools"].as_array().unwrap().len(), 7);
        assert_eq!(tools["tools"][1].pointer(place).unwrap()["required"], json!(["key", "value"]), "{framework}");
    }
    let readonly = alice.get("/context/tools?role=readonly&framework=langgraph").expect(200).json();
    let names: Vec<_> =
        readonly["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["get_context", "list_context", "discover_topics"]);
    alice.get("/context/tools?framework=crewai").expect(422);
    alice.get("/context/tools?role=king").expect(422);

    let call_as = |caller: &Caller, agent: &str, tool: &str, arguments: Value| {
        caller
            .post(&format!("/context/tools/{tool}"), json!({"agent": agent, "arguments": arguments}))
            .expect(200)
            .json()
    };
    let call = |agent: &str, tool: &str, arguments: Value| call_as(&alice, agent, tool, arguments);
    call("reader", "subscribe_to_topics", json!({"topics": ["t"]}));
    let pushed = call("writer", "push_context", json!({"key": "k", "value": "{\"a\": 5}", "topics": ["t"]}));
    assert_eq!(
        (&pushed["success"], &pushed["value"], &pushed["ttl_hours"]),
        (&json!(true), &json!({"a": 5}), &json!(24))
    );
    assert_eq!(pushed["message"], "Context 'k' shared with topics: t");
    let got = call("reader", "get_context", json!({"keys": ["k", "unknown"]}));
    assert_eq!((&got["context"], &got["keys_found"]), (&json!({"k": {"a": 5}}), &json!(["k"])));
    assert_eq!(call("other", "get_context", json!({}))["context"], json!({}));
    let listed = call("reader", "list_context", json!({}));
    assert_eq!((&listed["keys_by_topic"], &listed["total_keys"]), (&json!({"t": ["k"]}), &json!(1)));
    let topics = call("other", "discover_topics", json!({"include_subscriber_names": true}));
    assert_eq!(topics["topics"]["t"], json!({"subscriber_count": 1, "is_active": true, "subscribers": ["reader"]}));
    let wrong = call("writer", "push_context", json!({"key": "k", "value": 1, "topics": "t"}));
    assert_eq!(wrong["success"], false);
    alice.send("PUT", "/context/agents", json!({"name": "writer", "posts": ["u"]})).expect(200);
    let denied = call("writer", "push_context", json!({"key": "l", "value": 1, "topics": ["t"]}));
    assert!(denied["success"] == false && denied["error"].as_str().unwrap().contains("Permission denied"), "{denied}");
    let left = call("reader", "unsubscribe_from_topics", json!({"topics": ["t", "x"]}));
    assert_eq!((&left["topics_unsubscribed"], &left["topics_not_subscribed"]), (&json!(["t"]), &json!(["x"])));
    assert_eq!(call("a", "delete_topic", json!({"topic": "t"}))["success"], false);
    assert_eq!(call("a", "delete_topic", json!({"topic": "t", "confirm": true}))["context_items_deleted"], 1);
    assert_eq!(call("a", "delete_topic", json!({"topic": "t", "confirm": true}))["available_topics"], json!([]));

    // A key that may only look calls what only looks; a role has its own tools and no others.
    let reader = house.caller("alice-123", &house.reader_key("alice-123"));
    assert_eq!(call_as(&reader, "a", "list_context", json!({}))["success"], true);
    let push = json!({"agent": "a", "arguments": {"key": "k", "value": 1}});
    reader.post("/context/tools/push_context", push).expect(403);
    alice.post("/context/tools/push_context", json!({"agent": "a", "role": "readonly"})).expect(403);
    alice.post("/context/tools/unknown", json!({"agent": "a"})).expect(404);
    assert_eq!(keys(&alice, "/context"), Vec::<String>::new());
}

fn ten_who_append_a_hundred_times_each_lose_nothing(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    std::thread::scope(|threads| {
        for writer in 0..10 {
            let alice = house.alice();
            threads.spawn(move || {
                for number in 0..100 {
                    let body = json!({"key": "list", "value": format!("{writer}-{number}")});
                    while alice.post("/context/append", body.clone()).status != 200 {}
                }
            });
        }
    });
    let list = house.alice().get("/context?key=list").expect(200).json()["entries"][0]["value"].clone();
    let list: std::collections::BTreeSet<_> =
        list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
    assert_eq!(list.len(), 1000);
}

fn changes_are_streamed_also_those_of_another_server(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let second = house.another();
    let (alice, elsewhere) = (house.alice(), house.alice().at(&second));
    let written = alice.post("/context", json!({"key": "before", "value": 1})).expect(200).json();
    let stream = |query: &str| {
        let mut wire = alice.wire();
        wire.send(&alice.bytes("GET", &format!("/context/changes{query}"), None)).unwrap();
        wire
    };
    let mut following = stream("");
    following.until("200 OK").unwrap();
    following.until("event: keys").unwrap();
    assert!(following.until("data: ").unwrap().contains(r#"{"keys":["before"]}"#));
    following.until("event: entry").unwrap();
    for (caller, key) in [(&alice, "here"), (&elsewhere, "there")] {
        caller.post("/context", json!({"key": key, "value": 1})).expect(200);
        house.bob().post("/context", json!({"key": "bob's own", "value": 1})).expect(200);
        following.until("event: entry").unwrap();
        assert!(following.until("data: ").unwrap().contains(&format!(r#""key":"{key}""#)));
    }
    elsewhere.delete("/context?key=before").expect(200);
    following.until("event: removed").unwrap();
    assert!(following.until("data: ").unwrap().contains(r#"{"key":"before"}"#));

    // What was written at once is told up to the last of it, so that whoever breaks off before goes on with all of it.
    for key in ["x", "y"] {
        alice.post("/context", json!({"key": key, "value": 1, "topics": ["t", "u"]})).expect(200);
    }
    let before = alice.get("/context?key=y").expect(200).json()["entries"][0]["revision"].as_u64().unwrap();
    alice.delete("/context/topics?topic=t").expect(200);
    let at_once = alice.get(&format!("/context/changes?wait_s=0&after={before}")).expect(200).text();
    let ids: Vec<u64> =
        at_once.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids[..2], [before, before], "{at_once}");
    assert!(ids.len() == 3 && ids[2] > before, "{at_once}");
    alice.delete("/context/topics?topic=u").expect(200);

    // From a revision on; for an agent that may read none of it; and no more streams than there may be.
    let after = written["revision"].as_u64().unwrap();
    let told = alice.get(&format!("/context/changes?wait_s=0&after={after}")).expect(200).text();
    assert_eq!(told.matches("event: entry").count(), 2, "{told}");
    assert!(told.contains(r#"{"keys":["here","there"]}"#), "{told}");
    for wrong in ["x", "-1", "NaN"] {
        alice.get(&format!("/context/changes?wait_s={wrong}")).expect(422);
    }
    let mut more: Vec<_> = (0..15).map(|_| stream("")).collect();
    more.iter_mut().for_each(|wire| drop(wire.until("event: keys").unwrap()));
    alice.get("/context/changes?wait_s=0").expect(429);
    house.bob().get("/context/changes?wait_s=0").expect(200);
}
