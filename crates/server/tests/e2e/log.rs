//! What the server says of what it does: enough to find a request, and nobody's secrets.

use serde_json::json;

use crate::chance::Chance;
use crate::ground::{Ground, Layout};
use crate::house::{DIMENSION, House, NO_MODEL, value};
use locule_testbed::{Flavour, Postgres};

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

/// PostgreSQL quotes whole rows and keys when it refuses them, and a trigger of the application's own may say anything.
#[test]
fn what_the_database_says_of_a_failure_names_nobody() {
    let settings = [&NO_MODEL[..], &[("LOCULE_LOG_FILTER", "trace")]].concat();
    let ground = Ground::new(Layout::Rls);
    let database = ground.database().to_owned();
    let mut house = House::at(ground, &settings);
    let (alice, bob) = (house.alice(), house.bob());
    let mut chance = Chance::of(1);
    let mut add = |memory: &str, metadata: serde_json::Value| {
        let embedding = chance.embedding(DIMENSION);
        alice.post("/memories", json!({"memory": memory, "metadata": metadata, "embedding": embedding}))
    };
    add("short", json!({})).expect(201);
    let psql = |sql: &str| Postgres::shared(Flavour::Debian15).psql_in(&database, sql);
    psql(
        "ALTER TABLE memories ADD CONSTRAINT few_words CHECK (length(memory) < 50);
         CREATE UNIQUE INDEX one_place ON memories (user_id, (metadata->>'place'));
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.metadata ? 'told' THEN
                 RAISE EXCEPTION 'no % of %', NEW.memory, NEW.user_id USING DETAIL = NEW.memory, HINT = NEW.user_id;
             END IF;
             PERFORM (NEW.metadata->>'number')::integer;
             RETURN NEW;
         END $$;
         CREATE TRIGGER tell BEFORE INSERT ON memories FOR EACH ROW EXECUTE FUNCTION tell()",
    );
    let secret = "swordfish";
    let long = format!("{secret} {}", "x".repeat(60));
    add(secret, json!({"place": "under-the-mat"})).expect(201);
    let mut answers = vec![add(&long, json!({}))];
    answers.push(add("elsewhere", json!({"place": "under-the-mat"})));
    answers.push(add(&format!("{secret} again"), json!({"told": true})));
    answers.push(add("a number", json!({"number": "under-the-mat"})));
    for answer in answers {
        assert_eq!(answer.status / 100, 5, "{}", answer.text());
        for word in [secret, "under-the-mat", "alice-123", "few_words", "SELECT", "INSERT"] {
            assert!(!answer.text().contains(word), "{word} in {}", answer.text());
        }
    }
    bob.get("/memories").expect(200);
    house.stop();
    let log = house.log();
    for state in ["23514, table memories, constraint few_words", "23505, table memories", "P0001", "22P02"] {
        assert!(log.iter().any(|line| line.contains(state)), "{state} is not in the log");
    }
    for line in log {
        for word in
            [secret, "under-the-mat", "alice-123", "bob-456", "SELECT ", "INSERT ", "UPDATE ", "DETAIL", "Failing row"]
        {
            assert!(!line.contains(word), "{word} in {line}");
        }
    }
}
