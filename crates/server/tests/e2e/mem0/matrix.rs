//! Who gets what from the face of mem0, route by route.

use std::collections::BTreeSet;

use locule::auth::KeyKind;
use serde_json::{Value, json};

use crate::ground::Layout;
use crate::house::{Caller, House, NO_MODEL, path_of, value};

/// Every route of the face, and the status that each caller gets; who they are, `matrix` tells. Whom a request is about is
/// named in its body or its query; a memory's id alone leads nobody to what is another's.
const TABLE: &str = "
    route                                     nobody expired stranger reader owner service +act-as alone others operator
    GET    /mem0/v1/ping                      401    401     200      200    200   200     200     200   200    200
    POST   /mem0/v3/memories/add              401    401     403      403    200   200     200     400   403    403
    POST   /mem0/v3/memories                  401    401     403      200    200   200     200     400   403    403
    POST   /mem0/v3/memories/search           401    401     403      200    200   200     200     400   403    403
    GET    /mem0/v1/memories/{id}             401    401     404      200    200   200     200     200   404    403
    PUT    /mem0/v1/memories/{id}             401    401     404      403    200   200     200     200   404    403
    DELETE /mem0/v1/memories/{id}             401    401     404      403    200   200     200     200   404    403
    GET    /mem0/v1/memories/{id}/history     401    401     200      200    200   200     200     200   200    403
    POST   /mem0/v1/memories                  401    401     403      403    200   200     200     400   403    403
    GET    /mem0/v1/memories                  401    401     403      200    200   200     200     400   403    403
    DELETE /mem0/v1/memories                  401    401     403      403    200   200     200     400   403    403
    POST   /mem0/v2/memories                  401    401     403      200    200   200     200     400   403    403
    POST   /mem0/v1/memories/search           401    401     403      200    200   200     200     400   403    403
    POST   /mem0/v2/memories/search           401    401     403      200    200   200     200     400   403    403
    GET    /mem0/v1/entities                  401    401     403      200    200   200     200     200   403    403
    GET    /mem0/v2/entities/{kind}/{name}    401    401     403      200    200   200     200     200   403    403
    DELETE /mem0/v1/entities/{kind}/{name}    401    401     403      403    200   200     200     200   403    403
    DELETE /mem0/v2/entities/{kind}/{name}    401    401     403      403    200   200     200     200   403    403
    PUT    /mem0/v1/batch                     401    401     404      403    200   200     200     200   404    403
    DELETE /mem0/v1/batch                     401    401     404      403    200   200     200     200   404    403
    GET    /mem0/v1/event/{id}                401    401     404      200    200   200     200     200   404    403
    GET    /mem0/v1/events                    401    401     403      200    200   200     200     200   403    403
    POST   /mem0/v1/feedback                  401    401     404      403    200   200     200     200   404    403
    POST   /mem0/v1/exports                   401    401     403      403    201   201     201     400   403    403
    POST   /mem0/v1/exports/get               401    401     403      404    404   404     400     400   403    403
    POST   /mem0/v1/summary                   401    401     403      403    200   200     200     400   403    403
    POST /mem0/api/v1/orgs/organizations/{org}/projects 401 401 200 403 200 200 403 200 403 403
    GET /mem0/api/v1/orgs/organizations/{org}/projects/{project} 401 401 200 200 200 200 403 200 403 403
    PATCH /mem0/api/v1/orgs/organizations/{org}/projects/{project} 401 401 200 403 200 200 403 200 403 403
    DELETE /mem0/api/v1/orgs/organizations/{org}/projects/{project} 401 401 403 403 403 403 403 403 403 403
    GET    /mem0/api/v1/orgs/organizations/{org}/projects/{project}/members 401 401 200 200 200 200 200 200 200 200
    POST   /mem0/api/v1/orgs/organizations/{org}/projects/{project}/members 401 401 403 403 403 403 403 403 403 403
    PUT    /mem0/api/v1/orgs/organizations/{org}/projects/{project}/members 401 401 403 403 403 403 403 403 403 403
    DELETE /mem0/api/v1/orgs/organizations/{org}/projects/{project}/members 401 401 403 403 403 403 403 403 403 403
    GET /mem0/api/v1/webhooks/projects/{project} 401 401 403 403 403 200 403 200 403 403
    POST /mem0/api/v1/webhooks/projects/{project} 401 401 403 403 403 201 403 201 403 403
    PUT /mem0/api/v1/webhooks/{webhook} 401 401 403 403 403 404 403 404 403 403
    DELETE /mem0/api/v1/webhooks/{webhook} 401 401 403 403 403 404 403 404 403 403
    GET    /mem0/v2/entities/user/{name}/profile 401 401     403      200    200   200     200     200   403    403
    GET    /mem0/v2/profiles/settings         401    401     200      200    200   200     200     200   200    200
    POST   /mem0/v2/profiles/settings         401    401     200      200    200   200     200     200   200    200
    POST   /mem0/v2/profiles/jobs             401    401     400      400    400   400     400     400   400    400
    GET    /mem0/v2/profiles/jobs/{id}        401    401     400      400    400   400     400     400   400    400
    POST   /mem0/memories                     401    401     403      403    200   200     200     400   403    403
    GET    /mem0/memories                     401    401     403      200    200   200     200     400   403    403
    DELETE /mem0/memories                     401    401     403      403    200   200     200     400   403    403
    GET    /mem0/memories/{id}                401    401     404      200    200   200     200     200   404    403
    PUT    /mem0/memories/{id}                401    401     404      403    200   200     200     200   404    403
    DELETE /mem0/memories/{id}                401    401     404      403    200   200     200     200   404    403
    GET    /mem0/memories/{id}/history        401    401     200      200    200   200     200     200   200    403
    POST   /mem0/search                       401    401     403      200    200   200     200     400   403    403
    GET    /mem0/entities                     401    401     403      200    200   200     200     200   403    403
    DELETE /mem0/entities/{kind}/{name}       401    401     403      403    200   200     200     200   403    403
    POST   /mem0/reset                        401    401     403      403    403   403     403     403   403    403
    GET    /mem0/configure                    401    401     200      200    200   200     200     200   200    200
    POST   /mem0/configure                    401    401     403      403    403   403     403     403   403    403
    GET    /mem0/configure/providers          401    401     200      200    200   200     200     200   200    200
    POST   /mem0/generate-instructions        401    401     400      400    400   400     400     400   400    400
    GET    /mem0/auth/setup-status            200    200     200      200    200   200     200     200   200    200
    POST   /mem0/auth/register                403    403     403      403    403   403     403     403   403    403
    POST   /mem0/auth/login                   403    403     403      403    403   403     403     403   403    403
    POST   /mem0/auth/refresh                 403    403     403      403    403   403     403     403   403    403
    GET    /mem0/auth/me                      401    401     200      200    200   200     200     200   200    200
    PATCH  /mem0/auth/me                      401    401     403      403    403   403     403     403   403    403
    POST   /mem0/auth/change-password         401    401     403      403    403   403     403     403   403    403
    POST   /mem0/auth/onboarding-complete     401    401     200      200    200   200     200     200   200    200
    GET    /mem0/api-keys                     401    401     200      200    200   200     200     200   200    200
    POST   /mem0/api-keys                     401    401     403      403    403   403     403     403   403    403
    DELETE /mem0/api-keys/{id}                401    401     403      403    403   403     403     403   403    403
    GET    /mem0/requests                     401    401     403      403    403   403     403     403   403    403
";

type Row = (&'static str, &'static str, Vec<(&'static str, u16)>);

fn rows() -> Vec<Row> {
    let mut lines =
        TABLE.lines().map(str::split_whitespace).map(Iterator::collect::<Vec<_>>).filter(|line| !line.is_empty());
    let callers = lines.next().unwrap().split_off(1);
    let status = |status: &&str| status.parse().unwrap();
    lines.map(|line| (line[0], line[1], callers.iter().copied().zip(line[2..].iter().map(status)).collect())).collect()
}

fn caller(house: &House, kind: &str, alice: &str) -> Caller {
    match kind {
        "nobody" => house.nobody(),
        "expired" => house.caller(alice, &house.expired_token(alice)),
        "stranger" => house.user("bob-456"),
        "reader" => house.caller(alice, &house.reader_key(alice)),
        "owner" => house.user(alice),
        "service" | "alone" => house.caller(alice, &house.service_key("*")),
        "+act-as" => house.caller(alice, &house.service_key("alice*")).with("locule-act-as", alice),
        "others" => house.caller(alice, &house.service_key("bob*")),
        "operator" => house.caller("", &house.key(KeyKind::Operator).0),
        other => panic!("{other} is nobody"),
    }
}

/// The body of a request about this user, if it names one, and about this memory.
fn body(method: &str, route: &str, alice: &str, names: bool, id: &str) -> Option<Value> {
    let mut body = match route.trim_start_matches("/mem0") {
        "/v3/memories/add" | "/v1/memories" | "/memories" if method == "POST" => {
            json!({"messages": value(alice), "infer": false})
        }
        "/v3/memories" | "/v2/memories" => json!({}),
        "/v3/memories/search" | "/v2/memories/search" | "/v1/memories/search" | "/search" => {
            json!({"query": "anything"})
        }
        "/v1/memories/{id}" | "/memories/{id}" if method == "PUT" => json!({"metadata": {"changed": true}}),
        "/v1/batch" => return Some(json!({"memories": [{"memory_id": id, "metadata": {"changed": true}}]})),
        "/v1/feedback" => return Some(json!({"memory_id": id, "feedback": "POSITIVE"})),
        "/v1/exports" | "/v1/exports/get" | "/v1/summary" => json!({}),
        "/api/v1/orgs/organizations/{org}/projects" | "/api/v1/orgs/organizations/{org}/projects/{project}"
            if method != "GET" =>
        {
            return Some(json!({"description": "of the test"}));
        }
        "/api/v1/webhooks/projects/{project}" if method == "POST" => {
            return Some(json!({"url": "https://example.com"}));
        }
        _ => return None,
    };
    if names && method == "POST" {
        let in_filters = ["/v3/memories/search", "/v2/", "/v1/exports", "/v1/summary"];
        if in_filters.iter().any(|part| route.contains(part)) {
            body["filters"] = json!({ "user_id": alice });
        } else {
            body["user_id"] = json!(alice);
        }
    }
    Some(body)
}

fn everybody_gets_what_the_table_says(layout: Layout) {
    // With its own model: this face takes no vectors.
    let house = House::on(layout, &[]);
    let service = house.service_key("*");
    let mut wrong = Vec::new();
    for (number, (method, route, expected)) in rows().into_iter().enumerate() {
        for (kind, status) in expected {
            let alice = format!("alice-{number}-{kind}").replace('+', "");
            let own = house.caller(&alice, &service);
            let memory = own.add("The owner said");
            let id = path_of(&memory).replace("/memories/", "");
            let names = !matches!(kind, "alone" | "+act-as");
            let about_users =
                ["/entities", "/events", "/v1/memories", "/mem0/memories"].iter().any(|end| route.ends_with(end));
            let mut path = route.replace("{id}", &id).replace("{kind}", "user").replace("{name}", &alice);
            if names && about_users && method != "POST" {
                path = format!("{path}?user_id={alice}");
            } else if kind == "+act-as" && method == "DELETE" && route.ends_with("/memories") {
                path.push_str("?user_id=");
                path.push_str(&alice);
            }
            let caller = caller(&house, kind, &alice);
            if path.contains("{project}") || path.contains("{webhook}") {
                let ping = caller.get("/mem0/v1/ping").json();
                path = path.replace("{project}", ping["project_id"].as_str().unwrap_or("prj_none"));
                path = path.replace("{webhook}", "wh_aaaaaaaaaaaaaaaaaaaaaaaaaa");
            }
            path = path.replace("{org}", "org_locule");
            let body = body(method, route, &alice, names, &id);
            let body = body.map(|body| body.to_string().into_bytes());
            let answer = caller.call(method, &path, body.as_deref());
            if answer.status != status {
                wrong.push(format!("{kind}: {method} {route}: {} and not {status}: {}", answer.status, answer.text()));
            }
            if answer.status >= 400 {
                let problem = answer.json();
                assert!(problem["detail"].is_string() && problem["code"].is_string(), "{kind}: {method} {route}");
                assert_eq!(own.count(), 1, "{kind}: {method} {route} did something");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

mod file {
    #[test]
    fn everybody_gets_what_the_table_says() {
        super::everybody_gets_what_the_table_says(crate::ground::Layout::File);
    }
}
mod rls {
    #[test]
    fn everybody_gets_what_the_table_says() {
        super::everybody_gets_what_the_table_says(crate::ground::Layout::Rls);
    }
}

#[test]
fn the_table_of_mem0s_face_has_every_route_and_no_other() {
    let house = House::with(&NO_MODEL);
    let document = house.nobody().get("/openapi.json").expect(200).json();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/mem0")) {
        let methods =
            item.as_object().unwrap().keys().filter(|key| !["summary", "description", "parameters"].contains(&&***key));
        documented.extend(methods.map(|method| (method.to_ascii_uppercase(), path.clone())));
    }
    let table: BTreeSet<_> =
        rows().iter().map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned())).collect();
    assert_eq!(table, documented);
}
