//! What comes in that nobody should send: it is refused in the form that all refusals have, in no time, and nothing is changed;
//! or it is taken for what it says, and comes out as it went in.

use std::time::{Duration, Instant};

use locule::limit;
use serde_json::json;

use crate::ground::Layout;
use crate::house::{Caller, House, NO_MODEL};
use crate::wire::Answer;

for_each_layout! {
    odd_names_are_names_like_others
    what_is_no_context_is_refused_and_changes_nothing
}

/// How long any of this may take, on a busy machine and without optimisation.
const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn soon(ask: impl FnOnce() -> Answer) -> Answer {
    let began = Instant::now();
    let answer = ask();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    answer
}

fn raw(caller: &Caller, method: &str, path: &str, body: &str) -> Answer {
    soon(|| caller.call(method, path, Some(body.as_bytes())))
}

fn odd_names_are_names_like_others(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    let long = format!("\"{}\"", "k".repeat(limit::CONTEXT_NAME_BYTES.max));
    let names = [
        r#""""#,
        r#"" ""#,
        r#""\u0000""#,
        r#""\ud800""#,
        r#""\udfff\ud800""#,
        r#""\ud83d\ude00""#,
        r#""%""#,
        r#""_""#,
        r#""__NO_SUBSCRIBERS__""#,
        r#""*""#,
        r#""null""#,
        r#""'; DROP TABLE context_entries; --""#,
        r#""\"quoted\"\\""#,
        r#""$1""#,
        r#""alice-123""#,
        r#""../../etc/passwd""#,
        r#""\u202e\u0001\u007f\ufeff""#,
        &long,
    ];
    for name in names {
        raw(&alice, "PUT", "/context/agents", &format!(r#"{{"name": {name}, "topics": [{name}]}}"#)).expect(200);
        let push = format!(r#"{{"key": {name}, "value": {name}, "topics": [{name}], "sender": {name}}}"#);
        let pushed = raw(&alice, "POST", "/context", &push).expect(200).text();
        // It reaches whoever is called just so, and nobody whose name is like it.
        let read = format!(r#"{{"keys": [{name}], "agent": {name}, "topic": {name}}}"#);
        let found = raw(&alice, "POST", "/context/read", &read).expect(200).text();
        assert_eq!(found, format!("{{\"entries\":[{pushed}]}}"), "{name:.40}");
    }
    let all = alice.get("/context?values=false").expect(200).text();
    assert_eq!(all.matches(r#"{"key":"#).count(), names.len(), "{all:.2000}");
    for name in names {
        let call = format!(r#"{{"agent": {name}, "arguments": {{}}}}"#);
        let seen = raw(&alice, "POST", "/context/tools/get_context", &call).expect(200).text();
        assert!(seen.contains(&format!(r#""keys_found":[{name}]"#)), "{name:.40}: {seen:.200}");
        assert!(raw(&bob, "POST", "/context/tools/get_context", &call).expect(200).text().contains(r#""context":{}"#));
    }
    for name in names {
        let stranger = format!(r#"{{"key": {name}, "agent": "x"}}"#);
        assert_eq!(raw(&alice, "POST", "/context/remove", &stranger).expect(200).json()["removed"], false);
        let own = format!(r#"{{"key": {name}, "agent": {name}}}"#);
        assert_eq!(raw(&alice, "POST", "/context/remove", &own).expect(200).json()["removed"], true, "{name:.40}");
    }
    assert_eq!(alice.get("/context").expect(200).json(), json!({"entries": []}));
}

fn what_is_no_context_is_refused_and_changes_nothing(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let (alice, bob) = (house.alice(), house.bob());
    for caller in [&alice, &bob] {
        caller.send("PUT", "/context/agents", json!({"name": "a", "topics": ["t"], })).expect(200);
        caller.post("/context", json!({"key": "k", "value": [1], "topics": ["t"]})).expect(200);
    }
    let everything = || {
        ["/context", "/context/agents", "/context/topics", "/usage"]
            .map(|path| [&alice, &bob].map(|caller| caller.get(path).expect(200).text()))
    };
    let before = everything();
    let refused = |method: &str, path: &str, body: &str, status: u16| {
        let answer = raw(&alice, method, path, body);
        let what = format!("{method} {path} {:.80}", body);
        answer.assert_problem(&what);
        assert_eq!(answer.status, status, "{what}: {:.300}", answer.text());
        assert!(answer.body.len() < 2000, "{what}: an answer of {} bytes", answer.body.len());
    };
    let push = |value: &str| format!(r#"{{"key": "k", "value": {value}}}"#);
    let brackets = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let (many, deep) = (limit::CONTEXT_NAMES.max + 1, limit::CONTEXT_DEPTH.max + 1);
    let names = |count: usize| serde_json::to_string(&vec!["t"; count]).unwrap();

    for path in ["/context", "/context/append"] {
        // Nothing that is JSON.
        for value in ["", "NaN", "Infinity", "-", "01", "1.", "'a'", "{1:2}", "[1,]", "nul", "\"\u{1}\"", r#""\x""#] {
            refused("POST", path, &push(value), 422);
        }
        refused("POST", path, &push(&brackets(deep)), 422);
        refused("POST", path, &push(&brackets(100_000)), 422);
        refused("POST", path, &push(&"[".repeat(100_000)), 422);
        refused("POST", path, &push(&"{\"a\":".repeat(100_000)), 422);
        // One byte more than a value may have, and as many in fewer letters.
        refused("POST", path, &push(&format!("\"{}\"", "x".repeat(limit::CONTEXT_VALUE_BYTES.max - 1))), 422);
        refused("POST", path, &push(&format!("\"{}\"", "é".repeat(limit::CONTEXT_VALUE_BYTES.max / 6 + 1))), 422);
        refused("POST", path, &push(&"1".repeat(limit::CONTEXT_VALUE_BYTES.max + 1)), 422);
        refused("POST", path, &"x".repeat(limit::BODY_BYTES.max + 1), 413);
        // Twice the same, or what there is not.
        for body in [
            r#"{"key": "k", "key": "l", "value": 1}"#,
            r#"{"key": "k", "value": 1, "value": 2}"#,
            r#"{"key": "k", "value": 1, "audience": null}"#,
            r#"{"key": null, "value": 1}"#,
            r#"{"key": ["k"], "value": 1}"#,
            r#"{"value": 1}"#,
            r#"["k", 1]"#,
            "null",
            "",
        ] {
            refused("POST", path, body, 422);
        }
        for (field, values) in [
            ("ttl_s", &["1e400", "NaN", "\"60\"", "[]", "-1e999"][..]),
            ("agents", &["\"a\"", "[1]", "[null]", "{}", "5"]),
            ("topics", &["\"t\"", "[[\"t\"]]"]),
            ("sender", &["5", "[\"a\"]", "false"]),
            ("metadata", &["[]", "1", "\"x\"", "{\"a\":}"]),
            ("expected_revision", &["-1", "1.5", "1e30", "\"1\"", "99999999999999999999999"]),
            ("include_sender", &["1", "\"yes\"", "null"]),
        ] {
            for value in values {
                refused("POST", path, &format!(r#"{{"key": "k", "value": 1, "{field}": {value}}}"#), 422);
            }
        }
        refused("POST", path, &format!(r#"{{"key": "k", "value": 1, "topics": {}}}"#, names(many)), 413);
        refused("POST", path, &format!(r#"{{"key": "k", "value": 1, "agents": {}}}"#, names(many)), 413);
        let longer = "x".repeat(limit::CONTEXT_NAME_BYTES.max + 1);
        refused("POST", path, &format!(r#"{{"key": "k", "value": 1, "sender": "{longer}"}}"#), 413);
        refused(
            "POST",
            path,
            &format!(r#"{{"key": "{}", "value": 1}}"#, "k".repeat(limit::CONTEXT_KEY_BYTES.max + 1)),
            413,
        );
    }
    for field in ["topics", "posts"] {
        refused("PUT", "/context/agents", &format!(r#"{{"name": "a", "{field}": {}}}"#, names(many)), 413);
        refused("PUT", "/context/agents", &format!(r#"{{"name": "a", "{field}": "t"}}"#), 422);
    }
    refused("PUT", "/context/agents", r#"{"name": "a"}"#, 422);
    refused("POST", "/context/read", &format!(r#"{{"keys": {}}}"#, names(many)), 413);
    refused("DELETE", "/context?key=k&key=l", "", 422);
    for query in ["after=-1", "after=1e3", "after=99999999999999999999", "wait_s=NaN", "wait_s=-1", "agent=a&agent=b"] {
        refused("GET", &format!("/context/changes?{query}"), "", 422);
    }

    // A tool's call is answered for the model to read; it changes nothing either.
    for (tool, arguments) in [
        ("push_context", r#"{"key": "k", "value": 1, "ttl_hours": -1}"#),
        ("push_context", r#"{"key": "k", "value": 1, "ttl_hours": 1e308}"#),
        ("push_context", r#"{"key": "k", "value": 1, "ttl_hours": "24"}"#),
        ("push_context", r#"{"key": "k", "value": 1, "topics": "t"}"#),
        ("push_context", r#"{"key": "k", "key": "l", "value": 1}"#),
        ("push_context", r#"{"key": "k"}"#),
        ("push_context", r#"{"key": "k", "value": 1, "agent": "b"}"#),
        ("subscribe_to_topics", r#"{"topics": {"t": 1}}"#),
        ("subscribe_to_topics", "[]"),
        ("push_context", r#"["k", 2]"#),
        ("delete_topic", r#"{"topic": "t"}"#),
        ("delete_topic", r#"{"topic": "t", "confirm": "yes"}"#),
        ("get_context", r#"{"keys": "k"}"#),
    ] {
        let call = format!(r#"{{"agent": "a", "arguments": {arguments}}}"#);
        let answer = raw(&alice, "POST", &format!("/context/tools/{tool}"), &call).expect(200).json();
        assert!(answer["success"] == false && answer["error"].is_string(), "{tool} {arguments}: {answer}");
    }
    refused("POST", "/context/tools/push_context", r#"{"agent": 5, "arguments": {}}"#, 422);
    let deepest = format!(r#"{{"agent": "a", "arguments": {{"key": "k", "value": {}}}}}"#, brackets(100_000));
    refused("POST", "/context/tools/push_context", &deepest, 422);
    assert_eq!(everything(), before);

    // What is JSON comes out as it went in, whatever it says.
    let digits = "9".repeat(5000);
    for value in [
        "1e400",
        "-0",
        "-0.0",
        "1E+2",
        &digits,
        &format!("-{digits}.{digits}e-{digits}"),
        r#"{"a":1,"a":2,"":{"__proto__":null}}"#,
        r#""\u0000\ud800\ufffe""#,
        &brackets(limit::CONTEXT_DEPTH.max),
        &format!("\"{}\"", "x".repeat(limit::CONTEXT_VALUE_BYTES.max - 2)),
    ] {
        let pushed = raw(&alice, "POST", "/context", &push(value)).expect(200);
        assert!(pushed.text().contains(&format!(r#""value":{value},"#)), "{value:.60}");
        assert_eq!(alice.get("/context?key=k").expect(200).text(), format!("{{\"entries\":[{}]}}", pushed.text()));
    }
    let ttl =
        |ttl_s: &str| raw(&alice, "POST", "/context", &format!(r#"{{"key": "k", "value": 1, "ttl_s": {ttl_s}}}"#));
    for over in ["-1", "-1e308"] {
        ttl(over).expect(200);
        assert_eq!(alice.get("/context").expect(200).json()["entries"], json!([]));
    }
    ttl("1e308").expect(200);
    assert_eq!(alice.get("/context").expect(200).json()["entries"].as_array().unwrap().len(), 1);
}

/// Within all bounds one can still ask for answers that would fill the memory: they are refused.
#[test]
fn answers_without_measure_are_refused() {
    let house = House::with(&NO_MODEL);
    let alice = house.alice();
    let topics: Vec<_> = (0..limit::CONTEXT_NAMES.max).map(|number| number.to_string()).collect();
    for number in 0..3 {
        let agent = format!("{number}{}", "a".repeat(60_000));
        soon(|| alice.send("PUT", "/context/agents", json!({"name": agent, "topics": topics}))).expect(200);
    }
    // Three agents of 60 KB in a thousand topics: each stands with each of them.
    soon(|| alice.get("/context/topics")).expect(413);
    let discover = json!({"agent": "x", "arguments": {"include_subscriber_names": true}});
    let answer = soon(|| alice.post("/context/tools/discover_topics", discover)).expect(200).json();
    assert!(answer["success"] == false && answer["error"].as_str().unwrap().contains("at most"), "{answer:.300}");
    alice.delete("/context?all=true").expect(200);
    // One key of a megabyte in a thousand topics, for somebody who follows them all.
    soon(|| alice.send("PUT", "/context/agents", json!({"name": "a", "topics": topics}))).expect(200);
    let key = "k".repeat(1 << 20);
    soon(|| alice.post("/context", json!({"key": key, "value": 1, "topics": topics}))).expect(200);
    let answer = soon(|| alice.post("/context/tools/list_context", json!({"agent": "a"}))).expect(200).json();
    assert!(answer["success"] == false && answer["error"].as_str().unwrap().contains("at most"), "{answer:.300}");
    // More than one answer of keys, and of values.
    for number in 0..16 {
        let key = format!("{number}{}", "k".repeat(limit::CONTEXT_KEY_BYTES.max / 2));
        soon(|| alice.post("/context", json!({"key": key, "value": 1}))).expect(200);
    }
    for path in ["/context", "/context?values=false", "/context/changes?wait_s=0"] {
        soon(|| alice.get(path)).expect(413);
    }
    let answer = soon(|| alice.post("/context/tools/get_context", json!({"agent": "a"}))).expect(200).json();
    assert!(answer["success"] == false && answer["error"].as_str().unwrap().contains("at most"), "{answer:.300}");
    println!("the server holds {} MiB", house.memory_bytes() >> 20);
    assert!(house.memory_bytes() < 700 << 20, "{} MiB", house.memory_bytes() >> 20);
}
