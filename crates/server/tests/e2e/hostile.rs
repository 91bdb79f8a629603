//! What comes in that nobody should send: each is refused in the same form, and nothing of it is kept.

use locule::limit;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{Caller, DIMENSION, House, NO_MODEL, value};
use crate::wire::{Answer, Wire};

for_each_layout! {
    every_bound_takes_its_limit_and_not_one_more
    values_that_make_no_sense_are_refused
    naming_somebody_else_anywhere_is_refused_and_nothing_is_kept
    ids_that_are_meant_as_something_else_are_nobodys
    two_thousand_requests_with_broken_bytes_break_nothing
}

/// A house with a memory of each of the two, which must be there unchanged at the end.
struct Siege {
    house: House,
    alice: Caller,
    bob: Caller,
    before: [String; 2],
}

impl Siege {
    fn new() -> Self {
        Siege::on(Layout::File)
    }

    fn on(layout: Layout) -> Self {
        let house = House::on(layout, &NO_MODEL);
        let (alice, bob) = (house.alice(), house.bob());
        alice.add_with_vector(&mut Chance::of(1), DIMENSION);
        bob.add_with_vector(&mut Chance::of(2), DIMENSION);
        let before = [&alice, &bob].map(|caller| caller.get("/memories").expect(200).text());
        Siege { house, alice, bob, before }
    }

    /// Fails if anything was kept.
    fn over(self) {
        let after = [&self.alice, &self.bob].map(|caller| caller.get("/memories").expect(200).text());
        assert_eq!(after, self.before);
    }

    #[track_caller]
    fn refused(&self, what: &str, answer: Answer, status: u16) {
        answer.assert_problem(what);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
}

fn memory(with: Value) -> Value {
    let mut memory = json!({"memory": value("alice-123"), "embedding": Chance::of(7).embedding(DIMENSION)});
    memory.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    memory
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({"a": 1}), |inner, _| json!({"a": inner}))
}

/// A metadata object of exactly so many bytes as JSON.
fn metadata(bytes: usize) -> Value {
    json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())})
}

fn every_bound_takes_its_limit_and_not_one_more(layout: Layout) {
    let siege = Siege::on(layout);
    let alice = &siege.alice;
    let filter_depth = |levels: usize| (1..levels).fold(json!({"agent_id": "x"}), |inner, _| json!({"NOT": inner}));
    let text = |bytes: usize| json!({"memory": "m".repeat(bytes)});
    let batch = |count: usize| {
        let memories: Vec<_> =
            (0..count).map(|n| json!({"memory": format!("{n}"), "embedding": [1, 2, 3, 4, 5, 6, 7, 8]})).collect();
        json!({"memories": memories})
    };
    let search = |with: Value| {
        let mut search = json!({"query": "anything"});
        search.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        search
    };
    let label = |name: &str, bytes: usize| memory(json!({name: "l".repeat(bytes)}));
    type Make<'a> = Box<dyn Fn(usize) -> Value + 'a>;
    let adds: Vec<(limit::Bound, Make)> = vec![
        (limit::MEMORY_BYTES, Box::new(|n| memory(text(n)))),
        (limit::LABEL_BYTES, Box::new(|n| label("agent_id", n))),
        (limit::LABEL_BYTES, Box::new(|n| label("run_id", n))),
        (limit::LABEL_BYTES, Box::new(|n| label("app_id", n))),
        (limit::LABEL_BYTES, Box::new(|n| memory(json!({"categories": ["c".repeat(n)]})))),
        (limit::CATEGORIES, Box::new(|n| memory(json!({"categories": vec!["c"; n]})))),
        (limit::METADATA_BYTES, Box::new(|n| memory(json!({"metadata": metadata(n)})))),
        (limit::JSON_DEPTH, Box::new(|n| memory(json!({"metadata": nested(n)})))),
        (limit::BATCH, Box::new(batch)),
    ];
    for (bound, make) in &adds {
        let refused = alice.post("/memories", make(bound.max + 1));
        assert!(refused.json()["detail"].as_str().unwrap().contains(&bound.max.to_string()), "{}", refused.text());
        siege.refused(bound.name, refused, 413);
        let added = alice.post("/memories", make(bound.max));
        assert_eq!(added.status, 201, "{}: {}", bound.name, added.text());
        for memory in added.json()["memories"].as_array().unwrap_or(&vec![added.json()]) {
            if bound.max == limit::BATCH.max && bound.name == limit::BATCH.name {
                break;
            }
            alice.delete(&crate::house::path_of(memory)).expect(204);
        }
        if bound.name == limit::BATCH.name {
            let old = json!({"NOT": {"memory": {"contains": "alice-123"}}}).to_string();
            let path = format!("/memories?filters={}", encoded(&old));
            assert_eq!(alice.delete(&path).expect(200).json()["deleted"], limit::BATCH.max);
        }
    }
    let searches: Vec<(limit::Bound, Make)> = vec![
        (limit::QUERY_BYTES, Box::new(|n| search(json!({"query": "q".repeat(n)})))),
        (limit::SEARCH_LIMIT, Box::new(|n| search(json!({"limit": n})))),
        (limit::FILTER_NODES, Box::new(|n| search(json!({"filters": {"OR": vec![json!({"agent_id": "x"}); n]}})))),
        (limit::FILTER_DEPTH, Box::new(|n| search(json!({"filters": filter_depth(n)})))),
        (limit::FILTER_VALUES, Box::new(|n| search(json!({"filters": {"agent_id": {"in": vec!["x"; n]}}})))),
    ];
    for (bound, make) in &searches {
        siege.refused(bound.name, alice.post("/memories/search", make(bound.max + 1)), 413);
        let found = alice.post("/memories/search", make(bound.max));
        assert_eq!(found.status, 200, "{}: {}", bound.name, found.text());
    }
    // Of relationships and sessions too.
    let mut chance = Chance::of(8);
    let ends = [(), ()].map(|()| alice.add_with_vector(&mut chance, DIMENSION));
    let edge = |with: Value| {
        let mut edge =
            json!({"source_memory_id": ends[0]["id"], "target_memory_id": ends[1]["id"], "relationship_type": "r"});
        edge.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        edge
    };
    let edges = |count: usize| {
        let edges: Vec<_> = (0..count).map(|n| edge(json!({"relationship_type": n.to_string()}))).collect();
        json!({"relationships": edges})
    };
    let relates: Vec<(limit::Bound, Make)> = vec![
        (limit::LABEL_BYTES, Box::new(|n| edge(json!({"relationship_type": "r".repeat(n)})))),
        (limit::METADATA_BYTES, Box::new(|n| edge(json!({"metadata": metadata(n)})))),
        (limit::JSON_DEPTH, Box::new(|n| edge(json!({"metadata": nested(n), "relationship_type": "deep"})))),
        (limit::BATCH, Box::new(|n| json!({"relationships": vec![edge(json!({})); n]}))),
    ];
    for (bound, make) in &relates {
        siege.refused(bound.name, alice.post("/relationships", make(bound.max + 1)), 413);
        let related = alice.post("/relationships", make(bound.max));
        assert_eq!(related.status, 201, "{}: {}", bound.name, related.text());
    }
    siege.refused(limit::RELATIONSHIPS.name, alice.post("/relationships", edges(limit::RELATIONSHIPS.max)), 413);
    let walk = format!("{}/neighbours", crate::house::path_of(&ends[0]));
    for (bound, path) in [
        (limit::HOPS, format!("{walk}?hops=")),
        (limit::NEIGHBOURS, format!("{walk}?limit=")),
        (limit::PAGE, "/relationships?limit=".to_owned()),
        (limit::PAGE, "/runs?limit=".to_owned()),
    ] {
        siege.refused(&path, alice.get(&format!("{path}{}", bound.max + 1)), 413);
        siege.refused(&path, alice.get(&format!("{path}0")), 422);
        alice.get(&format!("{path}{}", bound.max)).expect(200);
    }
    let session = |ttl_s: usize| memory(json!({"run_id": "r", "ttl_s": ttl_s}));
    siege.refused("a session", alice.post("/memories", session(limit::SESSION_TTL_S.max + 1)), 413);
    let brief = alice.post("/memories", session(limit::SESSION_TTL_S.max)).expect(201).json();
    for gone in [&ends[0], &ends[1], &brief] {
        alice.delete(&crate::house::path_of(gone)).expect(204);
    }
    siege.refused("a run", alice.delete(&format!("/runs/{}", "r".repeat(limit::LABEL_BYTES.max + 1))), 413);

    // Of words, those beyond the bound are left to the vector.
    let words = (0..limit::QUERY_TERMS.max + 1).map(|n| format!("w{n} ")).collect::<String>();
    alice.post("/memories/search", json!({"query": words})).expect(200);

    alice.get(&format!("/memories?limit={}", limit::PAGE.max)).expect(200);
    siege.refused("a page", alice.get(&format!("/memories?limit={}", limit::PAGE.max + 1)), 413);

    // A vector of more numbers than any has; one of as many as any has is refused because vectors here have 8.
    let numbers = |count: usize| json!({"embedding": vec![1; count]});
    siege.refused("the dimension", alice.post("/memories/search", numbers(limit::DIMENSION.max)), 422);
    siege.refused("the dimension", alice.post("/memories/search", numbers(limit::DIMENSION.max + 1)), 422);

    // A body is counted to its last byte.
    let mut body = memory(json!({})).to_string().into_bytes();
    body.resize(limit::BODY_BYTES.max, b' ');
    let added = alice.call("POST", "/memories", Some(&body)).expect(201).json();
    alice.delete(&crate::house::path_of(&added)).expect(204);
    body.push(b' ');
    let wire = alice.clone();
    siege.refused("the body", wire.call("POST", "/memories", Some(&body)), 413);

    // A user's id too.
    for (bytes, status) in [(limit::SUBJECT_BYTES.max, 200), (limit::SUBJECT_BYTES.max + 1, 403)] {
        let service = siege.house.caller("", &siege.house.service_key("*"));
        assert_eq!(service.get(&format!("/api/{}/memories", "u".repeat(bytes))).status, status);
    }
    siege.over();
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_body_that_is_not_what_it_should_be_is_refused() {
    let siege = Siege::new();
    let alice = &siege.alice;
    let deep = "[".repeat(100_000);
    let deep_object = r#"{"a":"#.repeat(200);
    let bodies: [&[u8]; 22] = [
        b"",
        b" ",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"\"memory\"",
        b"{\"memory\": \"a\"",
        b"{\"memory\": \"a\"} x",
        b"{\"memory\": \"\xff\xfe\"}",
        b"{\"memory\": \"\\ud800\"}",
        b"{'memory': 'a'}",
        b"{\"memory\": \"a\",}",
        b"\xef\xbb\xbf{\"memory\": \"a\"}",
        b"{\"memory\": null}",
        b"{\"memory\": 5}",
        b"{\"memory\": [\"a\"]}",
        b"{\"memories\": {}}",
        b"{\"memories\": []}",
        b"{\"memories\": [\"a\"]}",
        deep.as_bytes(),
        deep_object.as_bytes(),
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        for (method, path) in [("POST", "/memories"), ("POST", "/memories/search"), ("PATCH", "/memories/x")] {
            let answer = alice.call(method, path, Some(body));
            answer.assert_problem(&what);
            assert!([404, 422].contains(&answer.status), "{method} {path} {what}: {}", answer.text());
        }
    }
    let good = memory(json!({})).to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
    ] {
        let head = format!("content-type: {kind}\r\ncontent-length: {}\r\n", good.len());
        siege.refused(kind, raw(alice, "POST", "/api/me/memories", &head, good.as_bytes()), 422);
    }
    // Cut off: the client says so many bytes and goes.
    let mut wire = alice.wire();
    wire.send(request(alice, "POST", "/api/me/memories", "content-length: 1000\r\n").as_bytes()).unwrap();
    wire.send(&good.as_bytes()[..20]).unwrap();
    wire.end().unwrap();
    if let Ok(answer) = wire.answer("POST") {
        assert!((400..500).contains(&answer.status));
    }
    siege.over();
}

/// The head of a request by hand, up to and with its empty line.
fn request(caller: &Caller, method: &str, target: &str, headers: &str) -> String {
    let own: String = caller.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nhost: test\r\n{own}{headers}\r\n")
}

fn raw(caller: &Caller, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
    let mut wire = caller.wire();
    wire.send(request(caller, method, target, headers).as_bytes()).unwrap();
    wire.send(body).unwrap();
    let answer = wire.answer(method).unwrap();
    caller.look_through(&answer);
    answer
}

fn values_that_make_no_sense_are_refused(layout: Layout) {
    let siege = Siege::on(layout);
    let alice = &siege.alice;
    let embedding = |text: &str| format!(r#"{{"memory": "a", "embedding": {text}}}"#);
    for numbers in [
        "[]",
        "\"\"",
        "[1]",
        "[1,2,3,4,5,6,7,8,9]",
        "[0,0,0,0,0,0,0,0]",
        "[NaN,1,1,1,1,1,1,1]",
        "[1e39,1,1,1,1,1,1,1]",
        "[1e400,1,1,1,1,1,1,1]",
        "[-Infinity,1,1,1,1,1,1,1]",
        "[null,1,1,1,1,1,1,1]",
        "[\"1\",1,1,1,1,1,1,1]",
        "[[1],1,1,1,1,1,1,1]",
        "{}",
        "true",
        "8",
        "\"AAAA\"",
        "\"!!!!\"",
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
        // Eight times not-a-number, as bytes.
        "\"AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/AADAfwAAwH8=\"",
    ] {
        siege.refused(numbers, alice.call("POST", "/memories", Some(embedding(numbers).as_bytes())), 422);
        let search = format!(r#"{{"embedding": {numbers}}}"#);
        siege.refused(numbers, alice.call("POST", "/memories/search", Some(search.as_bytes())), 422);
    }
    for (field, bad) in [
        ("memory", json!(" \n ")),
        ("memory", json!("a\u{0}b")),
        ("agent_id", json!("")),
        ("run_id", json!("\u{0}")),
        ("app_id", json!(5)),
        ("categories", json!("food")),
        ("categories", json!([""])),
        ("categories", json!([1])),
        ("metadata", json!("x")),
        ("metadata", json!([])),
        ("expiration", json!("tomorrow")),
        ("expiration", json!("9999999-01-01")),
        ("expiration", json!(1)),
        // A session without a run, or without an end.
        ("session", json!(true)),
        ("session", json!("yes")),
        ("ttl_s", json!(60)),
        ("ttl_s", json!(0)),
        ("ttl_s", json!(-1)),
        ("ttl_s", json!(1.5)),
        ("user_id", json!(5)),
        // What is ours to say.
        ("id", json!("0199b1c2-7f3e-7abc-8def-0123456789ab")),
        ("created_at", json!("2001-01-01T00:00:00Z")),
        ("updated_at", json!("2001-01-01T00:00:00Z")),
        ("owner", json!("bob-456")),
        ("score", json!(1)),
        ("hash", json!("x")),
        ("space", json!("x")),
        ("role", json!("operator")),
        ("quota", json!(1)),
        ("existing", json!(true)),
        ("__proto__", json!({})),
    ] {
        siege.refused(field, alice.post("/memories", memory(json!({field: bad}))), 422);
        siege.refused(field, alice.post("/memories", json!({"memories": [memory(json!({field: bad}))]})), 422);
    }
    for beside in [
        json!({"memory": "a"}),
        json!({"agent_id": "a"}),
        json!({"metadata": {}}),
        json!({"embedding": [1]}),
        json!({"categories": []}),
        json!({"session": true}),
        json!({"ttl_s": 60}),
    ] {
        let mut list = json!({"memories": [memory(json!({}))]});
        list.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        siege.refused(&beside.to_string(), alice.post("/memories", list), 422);
    }
    for body in [
        json!({}),
        json!({"query": ""}),
        json!({"query": " "}),
        json!({"query": 5}),
        json!({"query": null}),
        json!({"query": "a", "limit": 0}),
        json!({"query": "a", "limit": -1}),
        json!({"query": "a", "limit": 1.5}),
        json!({"query": "a", "limit": "10"}),
        json!({"query": "a", "limit": 1e30}),
        json!({"query": "a", "threshold": 2}),
        json!({"query": "a", "threshold": -0.1}),
        json!({"query": "a", "threshold": "x"}),
        json!({"query": "a", "filters": []}),
        json!({"query": "a", "filters": "x"}),
        json!({"query": "a", "filters": {"owner": "x"}}),
        json!({"query": "a", "filters": {"agent_id": {"regex": ".*"}}}),
        json!({"query": "a", "filters": {"agent_id": {}}}),
        json!({"query": "a", "filters": {"metadata.a'b\"c;--": {"gt": {}}}}),
        json!({"query": "a", "explain": "yes"}),
        json!({"query": "a", "unknown": 1}),
        json!({"query": "a", "top_k": 5}),
    ] {
        siege.refused(&body.to_string(), alice.post("/memories/search", body.clone()), 422);
    }
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.0",
        "limit=99999999999999999999999",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=",
        "unknown=1",
        "user_id=alice-123&user_id=alice-123",
        "filters=x",
        "filters=[]",
        "filters=%ff",
        "owner=bob-456",
        "access_token=x",
    ] {
        siege.refused(query, alice.get(&format!("/memories?{query}")), 422);
        if !query.starts_with("limit=") && !query.starts_with("cursor=") {
            siege.refused(query, alice.delete(&format!("/memories?{query}")), 422);
        }
    }
    let path = crate::house::path_of(&alice.all()[0]);
    for body in [
        json!({}),
        json!({"memory": null}),
        json!({"memory": ""}),
        json!({"id": "x"}),
        json!({"created_at": "2001-01-01"}),
        json!({"owner": "bob-456"}),
        json!({"embedding": [0, 0, 0, 0, 0, 0, 0, 0]}),
        json!({"metadata": {"a": nested(32)}}),
    ] {
        let answer = alice.patch(&path, body.clone());
        assert!([413, 422].contains(&answer.status), "{body}: {}", answer.text());
        answer.assert_problem(&body.to_string());
    }
    for session in [
        json!({"run_id": "r", "ttl_s": 0}),
        json!({"run_id": "r", "ttl_s": 60, "expiration": "2999-01-01"}),
        json!({"run_id": "r", "session": true, "expiration": "2999-01-01"}),
        json!({"run_id": "r", "session": false, "ttl_s": -60}),
    ] {
        siege.refused(&session.to_string(), alice.post("/memories", memory(session.clone())), 422);
    }
    let ends = ["0199b1c2-7f3e-7abc-8def-0123456789ab", "0199b1c2-7f3e-7abc-8def-0123456789ac"];
    let edge = |with: Value| {
        let mut edge = json!({"source_memory_id": ends[0], "target_memory_id": ends[1], "relationship_type": "r"});
        edge.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        edge
    };
    for with in [
        json!({"relationship_type": ""}),
        json!({"relationship_type": "a\u{0}b"}),
        json!({"relationship_type": null}),
        json!({"strength": -0.01}),
        json!({"strength": 1.01}),
        json!({"strength": "1"}),
        json!({"metadata": []}),
        json!({"source_memory_id": 5}),
        json!({"target_memory_id": null}),
        json!({"id": ends[0]}),
        json!({"created_at": "2001-01-01T00:00:00Z"}),
        json!({"type": "r"}),
    ] {
        siege.refused(&with.to_string(), alice.post("/relationships", edge(with.clone())), 422);
        let list = json!({"relationships": [edge(json!({})), edge(with.clone())]});
        siege.refused(&with.to_string(), alice.post("/relationships", list), 422);
    }
    for body in [
        json!({}),
        json!([]),
        json!({"relationships": []}),
        json!({"relationships": {}}),
        json!({"relationships": [edge(json!({}))], "strength": 1}),
        json!({"relationships": [edge(json!({}))], "relationship_type": "r"}),
        json!({"source_memory_id": ends[0]}),
    ] {
        siege.refused(&body.to_string(), alice.post("/relationships", body.clone()), 422);
    }
    let own = crate::house::path_of(&alice.all()[0]);
    for path in [
        "/relationships?direction=out",
        "/relationships?memory_id=x&direction=up",
        "/relationships?cursor=x",
        "/relationships?relationship_type=",
        "/relationships?relationship_type=%00",
        "/relationships?hops=1",
        "/runs?cursor=x",
        "/runs?cursor=1.5",
        "/runs?run_id=r",
        &format!("{own}/neighbours?direction=up"),
        &format!("{own}/neighbours?hops=-1"),
        &format!("{own}/neighbours?relationship_type=%00"),
        &format!("{own}/neighbours?depth=1"),
    ] {
        siege.refused(path, alice.get(path), 422);
    }
    for run in ["%00", "a%00b", "%ff"] {
        siege.refused(run, alice.delete(&format!("/runs/{run}")), 422);
    }
    // A text in SQL's own words is a text.
    for text in ["'; DROP TABLE memories; --", "\" OR 1=1", "a NEAR/2 b", "memory:*", "(((", "NOT", "^a", "%_\\"] {
        alice.post("/memories/search", json!({"query": text, "filters": {"memory": {"contains": text}}})).expect(200);
        alice.get(&format!("/memories?agent_id={}", encoded(text))).expect(200);
    }
    siege.over();
}

#[test]
fn a_key_said_twice_is_no_way_around_a_check() {
    let siege = Siege::new();
    let alice = &siege.alice;
    let embedding = json!(Chance::of(1).embedding(DIMENSION));
    for twice in [
        format!(r#"{{"memory": "a", "memory": "b", "embedding": {embedding}}}"#),
        format!(r#"{{"memory": "a", "embedding": {embedding}, "user_id": "bob-456", "user_id": "alice-123"}}"#),
        format!(r#"{{"memory": "a", "embedding": {embedding}, "user_id": "alice-123", "user_id": "bob-456"}}"#),
        format!(r#"{{"memories": [{{"memory": "a", "embedding": {embedding}}}], "memories": []}}"#),
    ] {
        let answer = alice.call("POST", "/memories", Some(twice.as_bytes()));
        answer.assert_problem(&twice);
        assert!([403, 422].contains(&answer.status), "{twice}");
    }
    for twice in [r#"{"query": "a", "query": "b"}"#, r#"{"query": "a", "user_id": "bob-456", "user_id": "alice-123"}"#]
    {
        siege.refused(twice, alice.call("POST", "/memories/search", Some(twice.as_bytes())), 422);
    }
    siege.over();
}

fn naming_somebody_else_anywhere_is_refused_and_nothing_is_kept(layout: Layout) {
    let siege = Siege::on(layout);
    let alice = &siege.alice;
    let path = crate::house::path_of(&alice.all()[0]);
    let expected = alice.get("/api/bob-456/memories").expect(403).alike();
    let mut denials = 1;
    let mut check = |what: &str, answer: Answer| {
        assert_eq!(answer.alike(), expected, "{what}");
        denials += 1;
        assert_eq!(siege.house.denials(), denials, "{what}");
    };
    for other in ["bob-456", "nobody-789", "Alice-123", "alice-123 ", "", "*", "me"] {
        check(other, alice.post("/memories", memory(json!({"user_id": other}))));
        check(
            other,
            alice.post("/memories", json!({"memories": [memory(json!({})), memory(json!({"user_id": other}))]})),
        );
        check(other, alice.post("/memories", json!({"memories": [memory(json!({}))], "user_id": other})));
        check(
            other,
            alice.patch(&path, json!({"memory": "changed", "embedding": [1, 2, 3, 4, 5, 6, 7, 8], "user_id": other})),
        );
        check(other, alice.post("/memories/search", json!({"query": "a", "user_id": other})));
        // Before it is looked whether the memories are there.
        let edge =
            json!({"source_memory_id": "x", "target_memory_id": "y", "relationship_type": "r", "user_id": other});
        check(other, alice.post("/relationships", edge.clone()));
        check(other, alice.post("/relationships", json!({"relationships": [edge]})));
        for list in ["/relationships?", "/runs?", "/memories/x/neighbours?"] {
            check(other, alice.get(&format!("{list}user_id={}", encoded(other))));
        }
        for filter in [
            json!({"user_id": other}),
            json!({"user_id": {"ne": other}}),
            json!({"user_id": ["alice-123", other]}),
            json!({"OR": [{"user_id": "alice-123"}, {"user_id": {"in": [other]}}]}),
            json!({"NOT": [{"AND": [{"user_id": {"eq": other}}]}]}),
        ] {
            check(other, alice.post("/memories/search", json!({"query": "a", "filters": filter})));
            let query = format!("/memories?filters={}", encoded(&filter.to_string()));
            check(other, alice.get(&query));
            check(other, alice.delete(&query));
        }
        check(other, alice.get(&format!("/memories?user_id={}", encoded(other))));
        check(other, alice.delete(&format!("/memories?user_id={}", encoded(other))));
    }
    // A user does not act for anybody, not even for themselves.
    for other in ["bob-456", "alice-123"] {
        siege.refused(other, alice.clone().with("locule-act-as", other).get("/memories"), 422);
    }
    let service = siege.house.caller("alice-123", &siege.house.service_key("alice-*"));
    siege.refused("two names", service.clone().with("locule-act-as", "alice-124").get("/memories"), 422);
    siege.refused(
        "a header twice",
        service.clone().with("locule-act-as", "alice-123").with("locule-act-as", "alice-123").get("/api/me/memories"),
        422,
    );
    check("a service of others", service.clone().with("locule-act-as", "bob-456").get("/api/me/memories"));
    check("a body of another", service.post("/memories", memory(json!({"user_id": "bob-456"}))));
    siege.over();
}

fn ids_that_are_meant_as_something_else_are_nobodys(layout: Layout) {
    let siege = Siege::on(layout);
    let long = "x".repeat(300);
    let names = [
        "%2e%2e",
        "%2e",
        "%00",
        "alice-123%00",
        "%0a",
        "%2f",
        "alice-123%2f..%2fbob-456",
        "me%2f..",
        "me%2F..%2Fbob-456",
        "%ff%fe",
        "bob-456%ff",
        "A%CC%8Alice",
        "%20",
        "alice-123%20",
        "*",
        "%25",
        "alice-123%09",
        "urn:locule:space:x",
        "..%5c..%5cetc",
        &long,
        "%c0%ae%c0%ae",
        "alice-123;",
        "alice-123,bob-456",
        "{user_id}",
        "null",
        "undefined",
        "0",
        "operator",
        "%E2%80%AEalice-123",
    ];
    let service = siege.house.caller("", &siege.house.service_key("alice-1*"));
    for name in names {
        for caller in [&siege.alice, &service] {
            if caller.headers == service.headers && name.starts_with("alice-123") && !name.contains(['%', '/']) {
                continue;
            }
            for (method, path) in [("GET", "memories"), ("DELETE", "memories"), ("GET", "export")] {
                let answer = caller.call(method, &format!("/api/{name}/{path}"), None);
                // A service's key may cover a name that looks odd; it is then a user like any other, with nothing in it.
                if caller.headers == service.headers && answer.status == 200 {
                    assert!(name.starts_with("alice-1"), "{name}");
                    continue;
                }
                siege.refused(name, answer, 403);
            }
        }
    }
    // A path that a client has not tidied up is no path.
    for path in [
        "/api/../api/bob-456/memories",
        "/api/./me/memories",
        "//api/me/memories",
        "/api//memories",
        "/API/me/memories",
        "/api/me/../bob-456/memories",
    ] {
        let answer = siege.alice.get(path);
        assert!([403, 404].contains(&answer.status), "{path}: {}", answer.text());
        answer.assert_problem(path);
    }
    siege.over();
}

#[test]
fn a_credential_comes_once_and_in_one_place() {
    let siege = Siege::new();
    let (alice, nobody) = (&siege.alice, siege.house.nobody());
    let token = alice.headers[0].1.strip_prefix("Bearer ").unwrap();
    let path = "/api/alice-123/memories";
    let with = |headers: &str| raw(&nobody, "GET", path, headers, b"");
    for good in [
        format!("authorization: bearer {token}\r\n"),
        format!("AUTHORIZATION: BEARER {token}\r\n"),
        format!("x-api-key: {token}\r\n"),
    ] {
        // The one who asks holds a token all the same, and may see what is hers.
        let mut wire = alice.wire();
        wire.send(request(&nobody, "GET", path, &good).as_bytes()).unwrap();
        assert_eq!(wire.answer("GET").unwrap().status, 200, "{good}");
    }
    let basic = "authorization: Basic YWxpY2UtMTIzOnB3\r\n";
    for bad in [
        String::new(),
        basic.to_owned(),
        format!("authorization: {token}\r\n"),
        format!("authorization: Bearer  {token}\r\n"),
        format!("authorization: Bearer {token} {token}\r\n"),
        format!("authorization: Bearer\t{token}\r\n"),
        format!("authorization: Bearer{token}\r\n"),
        "authorization: Bearer\r\n".to_owned(),
        "authorization: Bearer \r\n".to_owned(),
        format!("authorization: Bearer \"{token}\"\r\n"),
        format!("authorization: Bearer {token}=\r\n"),
        format!("authorization: Bearer {}\r\n", token.to_uppercase()),
        format!("authorization: Bearer {}\r\n", &token[..token.len() - 1]),
        format!("authorization: Bearer {token}\r\nauthorization: Bearer {token}\r\n"),
        format!("authorization: Bearer {token}\r\n{basic}"),
        format!("authorization: Bearer {token}\r\nx-api-key: {token}\r\n"),
        format!("x-api-key: {token}\r\nx-api-key: {token}\r\n"),
        "authorization: Bearer locule_0123456789abcdef_00_000000\r\n".to_owned(),
        "authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZS0xMjMifQ.\r\n".to_owned(),
        format!("authorization: Bearer {}\r\n", "x".repeat(limit::TOKEN_BYTES.max)),
        format!("authorization: Bearer {}\r\n", "x".repeat(limit::TOKEN_BYTES.max + 1)),
        format!("cookie: token={token}\r\n"),
        format!("x-forwarded-user: alice-123\r\nx-http-method-override: DELETE\r\nx-real-user: {token}\r\n"),
    ] {
        siege.refused(&bad, with(&bad), 401);
    }
    let denials = siege.house.denials();
    for query in ["key", "api_key", "token", "access_token", "authorization"] {
        siege.refused(query, nobody.get(&format!("{path}?{query}={token}")), 401);
    }
    assert_eq!(siege.house.denials(), denials + 5);
    siege.over();
}

#[test]
fn methods_and_paths_that_are_not_there_say_so() {
    let siege = Siege::new();
    let alice = &siege.alice;
    for method in ["PUT", "TRACE", "OPTIONS", "PROPFIND", "LOCK", "get", "A!#$%"] {
        siege.refused(method, alice.call(method, "/memories", None), 405);
    }
    for path in [
        "/nothing",
        "/api",
        "/api/me/nothing",
        "/api/me/memories/x/y",
        "/api/me/memories/x/history/y",
        "/operator/users",
        "/metrics",
        "/.env",
        "/admin",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/openapi.json/x",
        "/healthz/x",
    ] {
        for method in ["GET", "POST", "DELETE", "BREW"] {
            siege.refused(path, alice.call(method, path, None), 404);
        }
    }
    // HEAD is GET without its body.
    let head = alice.call("HEAD", "/memories", None).expect(200);
    let get = alice.get("/memories").expect(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.header("content-length"));
    alice.call("HEAD", "/api/bob-456/memories", None).expect(403);
    siege.house.nobody().call("HEAD", "/api/alice-123/memories", None).expect(401);
    // Nobody else's page may read an answer.
    let across = raw(alice, "GET", "/api/me/memories", "origin: https://evil.example\r\n", b"");
    assert!(across.headers.iter().all(|(name, _)| !name.starts_with("access-control-")));
    let asked = raw(
        &siege.house.nobody(),
        "OPTIONS",
        "/api/me/memories",
        "origin: https://evil.example\r\naccess-control-request-method: GET\r\n",
        b"",
    );
    assert!(asked.headers.iter().all(|(name, _)| !name.starts_with("access-control-")));
    siege.over();
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let siege = Siege::new();
    let alice = &siege.alice;
    let closed = |bytes: &[u8]| {
        let mut wire = alice.wire();
        // The server may close before all of it is sent.
        let _ = wire.send(bytes);
        let _ = wire.end();
        let rest = wire.rest().unwrap_or_default();
        alice.look_through(&Answer { status: 0, headers: Vec::new(), body: rest.clone() });
        String::from_utf8_lossy(&rest).into_owned()
    };
    let long = format!("x-long: {}\r\n", "x".repeat(20 * 1024));
    let ten_megabytes = format!("authorization: Bearer {}\r\n", "x".repeat(10 << 20));
    let many: String = (0..2_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let own = &format!("authorization: {}\r\n", alice.headers[0].1);
    for headers in [&long, &ten_megabytes, &many] {
        let answer = closed(format!("GET /api/me/memories HTTP/1.1\r\nhost: x\r\n{own}{headers}\r\n").as_bytes());
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
        assert!(!answer.contains("HTTP/1.1 200"));
    }
    for junk in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}hello",
        "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET / HTTP/1.1\r\n x: y\r\n\r\n",
        "GET /\u{0} HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /api/me/memories HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "POST /api/me/memories HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked, identity\r\n\r\n0\r\n\r\n",
    ] {
        let answer = closed(junk.as_bytes());
        assert!(!answer.contains("HTTP/1.1 2") && !answer.contains("HTTP/1.1 5"), "{junk:?}: {answer}");
    }
    // Two lengths, one smuggled request: it is never taken for a second one.
    let inner = request(alice, "DELETE", "/api/me/memories", "");
    let smuggled = format!(
        "POST /api/me/memories HTTP/1.1\r\nhost: x\r\n{own}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        inner.len() + 5
    );
    let answer = closed(smuggled.as_bytes());
    assert!(!answer.contains("deleted"), "{answer}");
    siege.over();
}

#[test]
fn who_sends_the_head_of_a_request_too_slowly_is_not_waited_for() {
    let siege = Siege::new();
    let mut slow = [&b""[..], b"G", b"GET /api/me/memories HTTP/1.1\r\nhost: x\r\nx-slow: "].map(|begun| {
        let mut wire = siege.alice.wire();
        wire.send(begun).unwrap();
        wire
    });
    // Reading ends because the server closes: were it to wait, reading would end in an error of time.
    for wire in &mut slow {
        let rest = String::from_utf8(wire.rest().unwrap()).unwrap();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
    }
    siege.over();
}

#[test]
fn requests_sent_at_once_are_answered_in_their_order() {
    let siege = Siege::new();
    let (alice, bob) = (&siege.alice, &siege.bob);
    let mut wire: Wire = alice.wire();
    // On one connection, in the names of two: each answer is for whom it was asked.
    let mut bytes = Vec::new();
    for n in 0..50 {
        let (caller, path) = match n % 3 {
            0 => (alice, "/api/me/memories"),
            1 => (bob, "/api/me/memories"),
            _ => (alice, "/api/bob-456/memories"),
        };
        bytes.extend(caller.bytes("GET", path, None));
    }
    wire.send(&bytes).unwrap();
    for n in 0..50 {
        let answer = wire.answer("GET").unwrap();
        let (caller, status) = [(alice, 200), (bob, 200), (alice, 403)][n % 3];
        caller.look_through(&answer);
        assert_eq!(answer.status, status);
        assert_eq!(answer.text().contains(&caller.owner), status == 200);
    }
    siege.over();
}

fn two_thousand_requests_with_broken_bytes_break_nothing(layout: Layout) {
    let siege = Siege::on(layout);
    let (alice, bob) = (&siege.alice, &siege.bob);
    let foreign = crate::house::path_of(&bob.all()[0]);
    let own = crate::house::path_of(&alice.all()[0]);
    let embedding = Chance::of(1).embedding(DIMENSION);
    // Nothing here would be kept even if it came through whole.
    let search = json!({"query": "a", "embedding": embedding, "filters": {"AND": [{"agent_id": {"in": ["x"]}}, {"metadata.a.b": {"gte": 1.5}}]}, "explain": true});
    let refused = json!({"memory": "a", "embedding": embedding, "metadata": {"a": [1, null]}, "categories": ["x"], "user_id": "bob-456"});
    let edge = json!({"source_memory_id": "x", "target_memory_id": "y", "relationship_type": "r", "strength": 0.5});
    let seeds = [
        alice.bytes("GET", "/memories?limit=3&agent_id=x", None),
        alice.bytes("GET", &own, None),
        alice.bytes("GET", &foreign.replace("/memories", "/api/alice-123/memories"), None),
        alice.bytes("POST", "/memories/search", Some(search.to_string().as_bytes())),
        alice.bytes("POST", "/api/bob-456/memories", Some(refused.to_string().as_bytes())),
        alice.bytes("PATCH", "/api/bob-456/memories/x", Some(refused.to_string().as_bytes())),
        bob.bytes("DELETE", "/api/alice-123/memories?agent_id=x", None),
        alice.bytes("GET", "/export", None),
        alice.bytes("GET", &format!("{own}/neighbours?hops=2&direction=in&limit=5"), None),
        alice.bytes("GET", "/relationships?memory_id=x&direction=both", None),
        alice.bytes("GET", "/runs?limit=3&cursor=7", None),
        alice.bytes("POST", "/relationships", Some(edge.to_string().as_bytes())),
        siege.house.nobody().bytes("GET", "/openapi.json", None),
    ];
    let tokens: [&[u8]; 12] =
        [b"\0", b"\xff", b"\r\n", b"\n", b"%00", b"%", b"{", b"\"", b"[[[[", b"1e999", "\u{202e}".as_bytes(), b"  "];
    let mut chance = Chance::of(20_261_124);
    for round in 0..2_000 {
        let mut bytes = chance.one_of(&seeds).clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            match chance.below(6) {
                0 => bytes[at] = chance.draw() as u8,
                1 => bytes[at] ^= 1 << chance.below(8),
                2 => drop(bytes.remove(at)),
                3 => drop(bytes.splice(at..at, chance.one_of(&tokens).iter().copied())),
                4 => bytes.truncate(at.max(1)),
                _ => {
                    let end = (at + chance.below(20)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
            }
        }
        let mut wire = alice.wire();
        let _ = wire.send(&bytes);
        let _ = wire.end();
        let rest = wire.rest().unwrap_or_default();
        let text = String::from_utf8_lossy(&rest);
        assert!(!text.contains("HTTP/1.1 5"), "round {round}: {text}\n{}", String::from_utf8_lossy(&bytes));
        // Bob only ever asks for what is Alice's.
        assert!(!text.contains("«bob-456:"), "round {round}: {text}");
    }
    siege.over();
}
