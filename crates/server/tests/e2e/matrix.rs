//! Who may call what: every route and every kind of caller, in one table.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use locule::auth::KeyKind;
use locule::memory::Metadata;
use locule::work::{Crew, Done, Failure, Runner, Work};
use locule::{Act, JobId, JobKind, JobStatus, NewJob, Request, Target};
use serde_json::Value;

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{Caller, DIMENSION, House, NO_MODEL, path_of};

for_each_layout! {
    everybody_may_do_what_the_table_says_and_each_refusal_is_written_down_once
}

/// Every route at its own listener, and the status that each caller gets.
///
/// `nobody` has no credential; `expired` a token of the day before; the `stranger` is Bob on Alice's path; the `reader`
/// has a key that may look into Alice's space; the `owner` is Alice. A service acts for Alice: named in the path, by
/// `me` and a header (`+act-as`), by `me` alone (`alone`), or with a key for other people (`others`).
const TABLE: &str = "
    route                                             nobody expired stranger reader owner service +act-as alone others operator
    GET    /api/{user_id}/memories                    401    401     403      200    200   200     200     422   403    403
    POST   /api/{user_id}/memories                    401    401     403      403    201   201     201     422   403    403
    DELETE /api/{user_id}/memories                    401    401     403      403    200   200     200     422   403    403
    DELETE /api/{user_id}/memories/expired            401    401     403      403    200   200     200     422   403    403
    POST   /api/{user_id}/memories/search             401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/memories/{id}               401    401     403      200    200   200     200     422   403    403
    PATCH  /api/{user_id}/memories/{id}               401    401     403      403    200   200     200     422   403    403
    DELETE /api/{user_id}/memories/{id}               401    401     403      403    204   204     204     422   403    403
    GET    /api/{user_id}/memories/{id}/history       401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/memories/{id}/neighbours    401    401     403      200    200   200     200     422   403    403
    POST   /api/{user_id}/memories/{id}/promote       401    401     403      403    200   200     200     422   403    403
    GET    /api/{user_id}/relationships               401    401     403      200    200   200     200     422   403    403
    POST   /api/{user_id}/relationships               401    401     403      403    201   201     201     422   403    403
    GET    /api/{user_id}/relationships/{id}          401    401     403      200    200   200     200     422   403    403
    DELETE /api/{user_id}/relationships/{id}          401    401     403      403    204   204     204     422   403    403
    GET    /api/{user_id}/runs                        401    401     403      200    200   200     200     422   403    403
    DELETE /api/{user_id}/runs/{id}                   401    401     403      403    200   200     200     422   403    403
    GET    /api/{user_id}/memories/{id}/feedback      401    401     403      200    200   200     200     422   403    403
    PUT    /api/{user_id}/memories/{id}/feedback      401    401     403      403    200   200     200     422   403    403
    GET    /api/{user_id}/settings                    401    401     403      200    200   200     200     422   403    403
    PATCH  /api/{user_id}/settings                    401    401     403      403    200   200     200     422   403    403
    GET    /api/{user_id}/jobs                        401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/jobs/{id}                   401    401     403      200    200   200     200     422   403    403
    DELETE /api/{user_id}/jobs/{id}                   401    401     403      403    204   204     204     422   403    403
    POST   /api/{user_id}/jobs/{id}/replay            401    401     403      403    202   202     202     422   403    403
    GET    /api/{user_id}/context                     401    401     403      200    200   200     200     422   403    403
    POST   /api/{user_id}/context                     401    401     403      403    200   200     200     422   403    403
    PATCH  /api/{user_id}/context                     401    401     403      403    200   200     200     422   403    403
    DELETE /api/{user_id}/context                     401    401     403      403    200   200     200     422   403    403
    POST   /api/{user_id}/context/read                401    401     403      200    200   200     200     422   403    403
    POST   /api/{user_id}/context/remove              401    401     403      403    200   200     200     422   403    403
    POST   /api/{user_id}/context/append              401    401     403      403    200   200     200     422   403    403
    DELETE /api/{user_id}/context/expired             401    401     403      403    200   200     200     422   403    403
    GET    /api/{user_id}/context/statistics          401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/context/changes             401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/context/topics              401    401     403      200    200   200     200     422   403    403
    DELETE /api/{user_id}/context/topics              401    401     403      403    404   404     404     422   403    403
    GET    /api/{user_id}/context/agents              401    401     403      200    200   200     200     422   403    403
    PUT    /api/{user_id}/context/agents              401    401     403      403    200   200     200     422   403    403
    GET    /api/{user_id}/context/tools               401    401     403      200    200   200     200     422   403    403
    POST   /api/{user_id}/context/tools/{id}          401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/usage                       401    401     403      200    200   200     200     422   403    403
    GET    /api/{user_id}/export                      401    401     403      403    200   200     200     422   403    403
    DELETE /api/{user_id}                             401    401     403      403    200   200     200     422   403    403
    GET    /project                                    401    401     403      403    403   200       403     200   403    403
    PATCH  /project                                    401    401     403      403    403   200       403     200   403    403
    GET    /project/webhooks                           401    401     403      403    403   200       403     200   403    403
    POST   /project/webhooks                           401    401     403      403    403   201       403     201   403    403
    GET    /project/webhooks/{id}                      401    401     403      403    403   200       403     200   403    403
    PATCH  /project/webhooks/{id}                      401    401     403      403    403   200       403     200   403    403
    DELETE /project/webhooks/{id}                      401    401     403      403    403   204       403     204   403    403
    GET    /healthz                                   200    200     200      200    200   200     200     200   200    200
    GET    /readyz                                    200    200     200      200    200   200     200     200   200    200
    GET    /openapi.json                              200    200     200      200    200   200     200     200   200    200
    GET    /operator/users                            401    401     403      403    403   403     403     403   403    200
    POST   /operator/users                            401    401     403      403    403   403     403     403   403    201
    GET    /operator/users/{id}                       401    401     403      403    403   403     403     403   403    200
    DELETE /operator/users/{id}                       401    401     403      403    403   403     403     403   403    200
    POST   /operator/users/{id}/suspend               401    401     403      403    403   403     403     403   403    204
    POST   /operator/users/{id}/resume                401    401     403      403    403   403     403     403   403    204
    GET    /operator/statistics                       401    401     403      403    403   403     403     403   403    200
    GET    /metrics                                   401    401     403      403    403   403     403     403   403    200
";

struct Row {
    method: &'static str,
    route: &'static str,
    expected: Vec<(&'static str, u16)>,
}

fn rows() -> Vec<Row> {
    let mut lines =
        TABLE.lines().map(str::split_whitespace).map(Iterator::collect::<Vec<_>>).filter(|line| !line.is_empty());
    let callers = lines.next().unwrap().split_off(1);
    let row = |line: Vec<&'static str>| Row {
        method: line[0],
        route: line[1],
        expected: callers.iter().copied().zip(line[2..].iter().map(|status| status.parse().unwrap())).collect(),
    };
    lines.map(row).collect()
}

fn is_operators(route: &str) -> bool {
    route.starts_with("/operator") || route == "/metrics"
}

/// A caller of this kind, who wants something of `alice`, and what stands for her in the path.
fn caller(house: &House, kind: &str, alice: &str) -> (Caller, String) {
    let named = alice.to_owned();
    let (caller, named) = match kind {
        "nobody" => (house.nobody(), named),
        "expired" => (house.caller(alice, &house.expired_token(alice)), named),
        "stranger" => (house.user("bob-456"), named),
        "reader" => (house.caller(alice, &house.reader_key(alice)), named),
        "owner" => (house.user(alice), named),
        "service" => (house.caller(alice, &house.service_key("*")), named),
        "+act-as" => (house.caller(alice, &house.service_key("alice*")).with("locule-act-as", alice), "me".to_owned()),
        "alone" => (house.caller(alice, &house.service_key("*")), "me".to_owned()),
        "others" => (house.caller(alice, &house.service_key("bob*")), named),
        "operator" => (house.caller("", &house.key(KeyKind::Operator).0), named),
        other => panic!("{other} is nobody"),
    };
    (caller, named)
}

fn body(method: &str, route: &str, alice: &str, memories: &[Value; 2]) -> Option<Vec<u8>> {
    let embedding = Chance::of(3).embedding(DIMENSION);
    let body = match (method, route) {
        ("POST", "/api/{user_id}/memories") => {
            serde_json::json!({"memory": crate::house::value(alice), "embedding": embedding})
        }
        ("POST", "/api/{user_id}/memories/search") => serde_json::json!({"embedding": embedding}),
        ("POST", "/api/{user_id}/relationships") => serde_json::json!({"source_memory_id": memories[1]["id"],
            "target_memory_id": memories[0]["id"], "relationship_type": "new"}),
        ("PATCH", "/api/{user_id}/settings" | "/project") => serde_json::json!({"custom_instructions": "of the test"}),
        ("PATCH", "/project/webhooks/{id}") => serde_json::json!({"name": "changed"}),
        ("POST", "/project/webhooks") => serde_json::json!({"name": "hook", "url": "https://example.com/hook",
            "event_types": ["memory_categorize"]}),
        ("PUT", "/api/{user_id}/memories/{id}/feedback") => serde_json::json!({"feedback": "POSITIVE"}),
        ("POST" | "PATCH", "/api/{user_id}/context" | "/api/{user_id}/context/append") => {
            serde_json::json!({"key": "k", "value": crate::house::value(alice)})
        }
        ("POST", "/api/{user_id}/context/read") => serde_json::json!({"keys": ["k"]}),
        ("POST", "/api/{user_id}/context/remove") => serde_json::json!({"key": "k"}),
        ("PUT", "/api/{user_id}/context/agents") => serde_json::json!({"name": "clerk", "topics": ["t"]}),
        ("POST", "/api/{user_id}/context/tools/{id}") => serde_json::json!({"agent": "clerk"}),
        ("PATCH", _) => serde_json::json!({"metadata": {"changed": true}}),
        ("POST", "/operator/users") => serde_json::json!({"user_id": alice}),
        _ => return None,
    };
    Some(body.to_string().into_bytes())
}

/// What a route has to be asked with.
fn asked(method: &str, route: &str) -> &'static str {
    match (method, route) {
        ("DELETE", "/api/{user_id}/context") => "?key=k",
        ("DELETE", "/api/{user_id}/context/topics") => "?topic=t",
        ("GET", "/api/{user_id}/context/changes") => "?wait_s=0",
        _ => "",
    }
}

fn everybody_may_do_what_the_table_says_and_each_refusal_is_written_down_once(layout: Layout) {
    let house = House::on(layout, &NO_MODEL);
    let service = house.service_key("*");
    let (mut wrong, mut denials) = (Vec::new(), 0);
    let mut kept = None;
    for (number, Row { method, route, expected }) in rows().into_iter().enumerate() {
        for (kind, status) in expected {
            // Whom nobody has done anything to serves again.
            let alice = kept.take().unwrap_or_else(|| Alice::new(&house, &service, &format!("{number}-{kind}")));
            let id = alice.id_for(route, &house, &service);
            let (caller, named) = caller(&house, kind, &alice.name);
            let caller = if is_operators(route) { caller.at_operators() } else { caller };
            let path = route.replace("{user_id}", &named).replace("{id}", &id);
            let path = path + asked(method, route);
            let answer = caller.call(method, &path, body(method, route, &alice.name, &alice.memories).as_deref());
            if answer.status != status {
                wrong.push(format!("{kind}: {method} {route}: {} and not {status}: {}", answer.status, answer.text()));
            }
            if answer.status >= 400 {
                answer.assert_problem(&format!("{kind}: {method} {route}"));
                alice.assert_unchanged(&format!("{kind}: {method} {route}"));
            }
            denials += usize::from([401, 403].contains(&answer.status));
            let changed =
                answer.status < 400 && method != "GET" && !route.ends_with("/search") && !route.ends_with("/read");
            kept = (!changed).then_some(alice);
        }
        if house.denials() != denials {
            wrong.push(format!("{method} {route}: {} refusals on record and not {denials}", house.denials()));
            denials = house.denials();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Somebody whom a caller wants something of: two memories and what is between them.
struct Alice {
    name: String,
    own: Caller,
    memories: [Value; 2],
    relationship: Value,
    /// A job of hers, which has failed.
    job: JobId,
}

/// Whoever cannot do what is asked.
struct Refusing;

impl Runner for Refusing {
    fn kind(&self) -> JobKind {
        JobKind::Extract
    }

    fn run(&self, _: &Work) -> Result<Done, Failure> {
        Err(Failure::last("it cannot be done"))
    }
}

/// A job of somebody's that has failed: here, or in the server, which cannot do it either as nothing is to be read in it.
fn failed_job(house: &House, name: &str, service: &str) -> JobId {
    let engine = house.engine();
    let principal = engine.authenticate(service).unwrap();
    let scope = engine.gate().write(&principal, Target::Named(name), Act::WriteMemories, &Request::default()).unwrap();
    let job = engine.add_job(scope, NewJob::new(JobKind::Extract, Metadata::new())).unwrap();
    let crew = Crew::new(engine.clone(), vec![Box::new(Refusing)]);
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        crew.pass().unwrap();
        let scope =
            engine.gate().read(&principal, Target::Named(name), Act::ReadMemories, &Request::default()).unwrap();
        let now = engine.job(scope, job.id).unwrap();
        if now.status == JobStatus::Failed {
            return job.id;
        }
        assert!(Instant::now() < patience, "nobody ends it: {now:?}");
    }
}

/// A webhook, the only one there is.
fn webhook(house: &House, service: &str) -> String {
    let service = house.caller("", service);
    let call = |method: &str, path: &str, body: Option<Value>| {
        service.call(method, path, body.map(|body| body.to_string().into_bytes()).as_deref())
    };
    let there = call("GET", "/project/webhooks", None).expect(200).json();
    for one in there["webhooks"].as_array().unwrap() {
        call("DELETE", &format!("/project/webhooks/{}", one["id"].as_str().unwrap()), None).expect(204);
    }
    let new =
        serde_json::json!({"name": "hook", "url": "https://example.com/hook", "event_types": ["memory_categorize"]});
    let made = call("POST", "/project/webhooks", Some(new)).expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

impl Alice {
    fn new(house: &House, service: &str, which: &str) -> Self {
        let name = format!("alice-{which}").replace('+', "");
        let own = house.caller(&name, service);
        let mut chance = Chance::of(1);
        let memories = [(), ()].map(|()| own.add_with_vector(&mut chance, DIMENSION));
        let relationship = own.relate(&memories[0], "old", &memories[1]);
        let job = failed_job(house, &name, service);
        Alice { name, own, memories, relationship, job }
    }

    /// What stands for `{id}` in a route.
    fn id_for(&self, route: &str, house: &House, service: &str) -> String {
        match route {
            _ if route.contains("/jobs/") => self.job.to_string(),
            "/project/webhooks/{id}" => webhook(house, service),
            _ if route.starts_with("/operator") => self.name.clone(),
            _ if route.contains("/tools/") => "list_context".to_owned(),
            _ if route.contains("/relationships/") => self.relationship["id"].as_str().unwrap().to_owned(),
            _ => path_of(&self.memories[0]).replace("/memories/", ""),
        }
    }

    fn assert_unchanged(&self, after: &str) {
        let related = self.own.get("/relationships").expect(200).json()["total"].as_u64();
        let job = self.own.get(&format!("/jobs/{}", self.job)).expect(200).json()["status"].take();
        assert_eq!((self.own.count(), related, job.as_str()), (2, Some(1), Some("failed")), "{after} did something");
    }
}

/// Each method and path of the document that the server gives out.
fn documented(house: &House) -> BTreeSet<(String, String)> {
    let document = house.nobody().get("/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut routes = BTreeSet::new();
    // The face of mem0 has a table of its own.
    for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.starts_with("/mem0")) {
        let methods =
            item.as_object().unwrap().keys().filter(|key| !["summary", "description", "parameters"].contains(&&***key));
        routes.extend(methods.map(|method| (method.to_ascii_uppercase(), path.clone())));
    }
    routes
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let house = House::with(&NO_MODEL);
    let table: BTreeSet<_> = rows().iter().map(|row| (row.method.to_owned(), row.route.to_owned())).collect();
    assert_eq!(table, documented(&house));

    // Nor is there a method beyond those, at either listener. (That the router has no path beyond those of the document,
    // a test beside the router tells.)
    let alice = house.alice();
    for row in rows() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if table.contains(&(method.to_owned(), row.route.to_owned())) {
                continue;
            }
            let path = row.route.replace("{user_id}", "alice-123").replace("{id}", "x");
            let caller = if is_operators(row.route) { house.operator() } else { alice.clone() };
            let answer = caller.call(method, &path, None).expect(405);
            answer.assert_problem(&format!("{method} {}", row.route));
            let allowed = answer.header("allow").unwrap_or_default().to_owned();
            assert!(allowed.contains(row.method), "{} is not in {allowed:?}", row.method);
        }
    }
    assert_eq!(house.denials(), 0);
}

#[test]
fn each_listener_has_its_own_routes_alone() {
    let house = House::with(&NO_MODEL);
    let operator = house.operator();
    for row in rows() {
        let path = row.route.replace("{user_id}", "me").replace("{id}", "x");
        let both = path == "/healthz" || path == "/readyz";
        if is_operators(row.route) {
            house.alice().call(row.method, &path, None).expect(404);
        } else if !both {
            operator.call(row.method, &path, None).expect(404);
        }
    }
}

#[test]
fn every_operation_documents_how_it_refuses() {
    let house = House::with(&NO_MODEL);
    let document: Value = house.nobody().get("/openapi.json").expect(200).json();
    for row in rows().iter().filter(|row| row.route.starts_with("/api")) {
        let responses = &document["paths"][row.route][row.method.to_ascii_lowercase()]["responses"];
        for status in ["401", "403"] {
            let schema = &responses[status]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{} {} {status}", row.method, row.route);
        }
    }
}
