//! What comes from outside the server: requests as PostgREST binds them, Supabase's own functions, and rows that people write
//! for themselves, which the server has to notice.

use crate::place::{Place, Who, claims, literal};

rules! { Place::new;
    the_functions_of_supabase_answer_as_there
    every_subject_is_exactly_itself
    what_one_writes_gets_its_books_kept
    relationships_count_and_are_free_again
    what_the_server_holds_is_seen_to_be_old
    sizes_are_counted_as_the_server_counts
    ids_are_in_the_order_of_adding
    ids_carry_the_tag_of_their_space
    an_older_id_does_not_lead_time_astray
    a_text_that_changes_loses_its_vector
    the_service_acts_for_others
    two_writers_give_no_number_twice
    what_cannot_be_kept_is_refused
    a_stranger_waits_for_nobody
}

fn the_functions_of_supabase_answer_as_there(place: &Place) {
    let subject = "4e8a5f3a-0d7e-4a53-9c3b-0123456789ab";
    let with = format!(r#"{{"sub":"{subject}","role":"authenticated","email":"a@example.com","n":1}}"#);
    let asked =
        "SELECT auth.uid()::text = (SELECT auth.jwt() ->> 'sub'), auth.role(), auth.email(), auth.jwt() ->> 'n'";
    assert_eq!(place.see(Who::Claims("authenticated", &with), asked), "t|authenticated|a@example.com|1");
    assert_eq!(place.see(Who::Claims("authenticated", "{}"), "SELECT auth.uid() IS NULL, auth.role() IS NULL"), "t|t");
    // The owner that a row gets is who Supabase's function says, wherever that is a UUID.
    let add = "INSERT INTO memories (memory) VALUES ('x') RETURNING user_id = auth.uid()::text";
    assert_eq!(place.see(Who::Claims("authenticated", &with), add), "t");
    assert_eq!(place.ask(Who::Rest("alice-123"), "SELECT auth.uid()"), Err("22P02".to_owned()));
    assert_eq!(place.see(Who::Rest("alice-123"), "SELECT auth.jwt() ->> 'sub'"), "alice-123");
    assert_eq!(place.see(Who::Anon, "SELECT auth.role()"), "anon");
}

fn every_subject_is_exactly_itself(place: &Place) {
    let multi_byte = "ü🫖".repeat(21) + "üü"; // 130 bytes
    let subjects = [
        "alice-123",
        "Alice-123",
        "o'brien",
        "''; DROP TABLE memories; --",
        "back\\slash",
        "\"quoted\"",
        "line\nbreak",
        "tab\tand\u{7f}",
        "a b",
        "%_",
        "{\"sub\":\"alice-123\"}",
        "A\u{30a}lice",
        "Ålice",
        multi_byte.as_str(),
        &"x".repeat(255),
    ];
    for (index, subject) in subjects.iter().enumerate() {
        let text = format!("text {index}");
        place.commit(Who::Rest(subject), &format!("INSERT INTO memories (memory) VALUES ('{text}')"));
        assert_eq!(
            place.root(&format!("SELECT user_id = {} FROM memories WHERE memory = '{text}'", literal(subject))),
            "t"
        );
    }
    for (index, subject) in subjects.iter().enumerate() {
        for who in [Who::Server(subject), Who::Rest(subject)] {
            assert_eq!(place.see(who, "SELECT memory FROM memories"), format!("text {index}"));
        }
    }
    // Text cannot hold a NUL, however it is written; and an index holds no longer ids than the server takes.
    let nul = r#"{"sub":"al\u0000ice"}"#;
    assert_eq!(place.ask(Who::Claims("authenticated", nul), "SELECT count(*) FROM memories"), Err("22P05".to_owned()));
    let long = "x".repeat(256);
    assert_eq!(place.ask(Who::Rest(&long), "INSERT INTO memories (memory) VALUES ('x')"), Err("23514".to_owned()));
    place.root("DELETE FROM memories");
}

fn state(place: &Place, subject: &str) -> String {
    place.root(&format!("SELECT revision, memories, size_bytes FROM space_state WHERE user_id = '{subject}'"))
}

fn what_one_writes_gets_its_books_kept(place: &Place) {
    let books = Who::Rest("books");
    let add = "INSERT INTO memories (user_id, memory, agent_id, categories, metadata)
         VALUES ('books', 'tea', '', NULL, NULL), ('books', 'milk', 'chef', '{a,b}', '{\"k\": 1}')
         RETURNING number, hash = md5(memory), agent_id IS NULL, categories, metadata, substr(id::text, 15, 1)";
    assert_eq!(place.commit(books, add), "1|t|t|{}|{}|7\n2|t|f|{a,b}|{\"k\": 1}|7");
    assert_eq!(state(place, "books"), "2|2|14");
    place.commit(books, "UPDATE memories SET memory = 'green tea' WHERE number = 1");
    assert_eq!(state(place, "books"), "3|2|20");
    place.commit(books, "DELETE FROM memories WHERE number = 2");
    assert_eq!(state(place, "books"), "4|1|9");
    let past = "SELECT number, operation, old_value, new_value, created_at IS NOT NULL, actor FROM memory_history ORDER BY number";
    let told = "1|create||{\"memory\": \"tea\"}|t|books\n2|create|||t|books\n\
         3|update|{\"memory\": \"tea\"}|{\"memory\": \"green tea\"}|t|books\n4|delete|||t|books";
    assert_eq!(place.see(books, past), told);
    // The same text is kept once, and may be added again once it is gone.
    assert_eq!(place.ask(books, "INSERT INTO memories (memory) VALUES ('green tea')"), Err("23505".to_owned()));
    assert!(place.ask(books, "INSERT INTO memories (memory, run_id) VALUES ('green tea', 'r')").is_ok());
    assert!(place.ask(books, "DELETE FROM memories; INSERT INTO memories (memory) VALUES ('green tea')").is_ok());
}

fn relationships_count_and_are_free_again(place: &Place) {
    let friend = Who::Rest("friend");
    place.commit(friend, "INSERT INTO memories (memory) VALUES ('tea'), ('milk'), ('rain')");
    assert_eq!(state(place, "friend"), "3|3|11");
    let relate = "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, metadata)
         SELECT one.id, other.id, 'with', '{\"k\": 1}' FROM memories one JOIN memories other ON one.number < other.number";
    place.commit(friend, relate);
    assert_eq!(state(place, "friend"), format!("6|3|{}", 11 + 3 * (64 + 4 + 7)));
    place.commit(
        friend,
        "DELETE FROM memory_relationships WHERE source_memory_id = (SELECT id FROM memories WHERE number = 2)",
    );
    assert_eq!(state(place, "friend"), format!("7|3|{}", 11 + 2 * 75));
    // A memory takes its own along.
    place.commit(friend, "DELETE FROM memories WHERE number = 1");
    assert_eq!(state(place, "friend"), "10|2|8");
}

fn what_the_server_holds_is_seen_to_be_old(place: &Place) {
    let space = "INSERT INTO space_state (space, revision, memories, size_bytes) VALUES (gen_random_uuid(), 7, 0, 0)";
    place.commit(Who::Server("warm"), space);
    place.commit(Who::Rest("warm"), "INSERT INTO memories (memory) VALUES ('tea')");
    assert_eq!(state(place, "warm"), "8|1|3");
    // Who came first without the server has a state that the server takes over.
    place.commit(Who::Rest("cold"), "INSERT INTO memories (memory) VALUES ('tea')");
    let adopt = "INSERT INTO space_state (space, revision, memories, size_bytes) VALUES (gen_random_uuid(), 0, 0, 0)
         ON CONFLICT (user_id) DO UPDATE SET space = excluded.space";
    place.commit(Who::Server("cold"), adopt);
    assert_eq!(state(place, "cold"), "1|1|3");
    // The server keeps its own books, and nobody keeps them twice.
    let own = "INSERT INTO memories (number, id, memory, hash) VALUES (2, locule.new_id(), 'milk', md5('milk'));
         SELECT revision, memories FROM space_state; SELECT count(*) FROM memory_history";
    assert_eq!(place.see(Who::Server("cold"), own), "1|1\n1");
}

fn sizes_are_counted_as_the_server_counts(place: &Place) {
    for (metadata, bytes) in [
        ("{}", 0),
        (r#"{"a":1}"#, 7),
        (r#"{"a":[],"b":{},"c":null}"#, 24),
        (r#"{"a":[1,2,[3,4]],"b":{"c":"x, y: z","d":true}}"#, 46),
        (r#"{"é":"\n\"\\"}"#, 15),
    ] {
        let counted = place.root(&format!("SELECT locule.size_bytes('tea', {}::jsonb)", literal(metadata)));
        assert_eq!(counted, (3 + bytes).to_string(), "{metadata}");
    }
}

fn ids_are_in_the_order_of_adding(place: &Place) {
    let order = "INSERT INTO memories (memory) SELECT 'n' || n FROM generate_series(1, 50) AS n;
         SELECT bool_and(number = place) FROM (SELECT number, row_number() OVER (ORDER BY id) AS place FROM memories) AS places";
    assert_eq!(place.see(Who::Rest("order"), order), "t");
    // Its time is now.
    let milliseconds = "SELECT abs(('x' || replace(substr(id::text, 1, 13), '-', ''))::bit(48)::bigint - extract(epoch FROM now()) * 1000) < 60000
         FROM memories";
    place.commit(Who::Rest("order"), "INSERT INTO memories (memory) VALUES ('one')");
    assert_eq!(place.see(Who::Rest("order"), milliseconds), "t");
    // Where the server's clock was ahead, ids still come after those it gave.
    place.commit(
        Who::Server("ahead"),
        "INSERT INTO space_state (revision) VALUES (0);
         INSERT INTO memories (number, id, memory, hash)
         VALUES (1, locule.new_id((extract(epoch FROM now()) * 1000 + 60000)::bigint << 12 | 4095), 'ahead', 'x')",
    );
    let after = "INSERT INTO memories (memory) VALUES ('a'), ('b');
         SELECT string_agg(memory, ',' ORDER BY id) FROM memories";
    assert_eq!(place.see(Who::Rest("ahead"), after), "ahead,a,b");
}

fn ids_carry_the_tag_of_their_space(place: &Place) {
    place.commit(Who::Server("tagged"), "INSERT INTO space_state (space, tag) VALUES (gen_random_uuid(), 3735928559)");
    let add = "INSERT INTO memories (memory) VALUES ('x') RETURNING substr(id::text, 29)";
    assert_eq!(place.see(Who::Rest("tagged"), add), "deadbeef");
}

fn an_older_id_does_not_lead_time_astray(place: &Place) {
    place.commit(
        Who::Server("old"),
        "INSERT INTO space_state (revision) VALUES (0);
         INSERT INTO memories (number, id, memory, hash) VALUES (1, 'ffffffff-ffff-4fff-bfff-ffffffffffff', 'old', 'x')",
    );
    let add =
        "INSERT INTO memories (memory) VALUES ('new') RETURNING number, id < '02000000-0000-7000-8000-000000000000'";
    assert_eq!(place.see(Who::Rest("old"), add), "2|t");
}

fn a_text_that_changes_loses_its_vector(place: &Place) {
    place.commit(Who::Rest("vectors"), "INSERT INTO memories (memory) VALUES ('tea'), ('milk')");
    place.commit(
        Who::Server("vectors"),
        "INSERT INTO memory_vectors (number, embedding) VALUES (1, '\\x003c003c'), (2, '\\x003c003c');
         UPDATE space_state SET size_bytes = size_bytes + 8",
    );
    assert_eq!(state(place, "vectors"), "2|2|15");
    let numbers = "SELECT string_agg(number::text, ',' ORDER BY number) FROM memory_vectors WHERE user_id = 'vectors'";
    place.commit(Who::Rest("vectors"), "UPDATE memories SET metadata = '{\"a\":1}' WHERE number = 1");
    assert_eq!(place.root(numbers), "1,2");
    place.commit(Who::Rest("vectors"), "UPDATE memories SET memory = 'coffee' WHERE number = 1");
    assert_eq!((place.root(numbers), state(place, "vectors")), ("2".to_owned(), "4|2|21".to_owned()));
    place.commit(Who::Rest("vectors"), "DELETE FROM memories");
    assert_eq!((place.root(numbers), state(place, "vectors")), (String::new(), "6|0|0".to_owned()));
}

fn the_service_acts_for_others(place: &Place) {
    let add = "INSERT INTO memories (user_id, memory, created_at) VALUES ('sam', 'old news', '2020-01-01'), ('sue', 'hers', now())
         RETURNING user_id, number, created_at < '2021-01-01'";
    assert_eq!(place.commit(Who::Service, add), "sam|1|t\nsue|1|f");
    assert_eq!(state(place, "sam"), "1|1|8");
    assert_eq!(place.see(Who::Rest("sam"), "SELECT operation, actor FROM memory_history"), "create|service_role");
    assert_eq!(
        place.ask(Who::Service, "UPDATE memories SET user_id = 'sue' WHERE user_id = 'sam'"),
        Err("42501".to_owned())
    );
    place.commit(Who::Service, "DELETE FROM memories WHERE user_id IN ('sam', 'sue')");
    assert_eq!((state(place, "sam"), state(place, "sue")), ("2|0|0".to_owned(), "2|0|0".to_owned()));
}

fn two_writers_give_no_number_twice(place: &Place) {
    place.commit(Who::Rest("busy"), "INSERT INTO memories (memory) VALUES ('first')");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for n in 0..10 {
                    place.commit(Who::Rest("busy"), &format!("INSERT INTO memories (memory) VALUES ('{writer} {n}')"));
                }
            });
        }
    });
    assert_eq!(state(place, "busy").split('|').take(2).collect::<Vec<_>>(), ["41", "41"]);
    assert_eq!(place.root("SELECT count(DISTINCT number), max(number) FROM memories WHERE user_id = 'busy'"), "41|41");
    assert_eq!(
        place.root("SELECT count(DISTINCT number), max(number) FROM memory_history WHERE user_id = 'busy'"),
        "41|41"
    );
}

fn what_cannot_be_kept_is_refused(place: &Place) {
    for columns in [
        "metadata) VALUES ('x', '[1]'",
        "metadata) VALUES ('x', '\"text\"'",
        "categories) VALUES ('x', '{{a,b},{c,d}}'",
        "categories) VALUES ('x', '{a,NULL}'",
    ] {
        let add = format!("INSERT INTO memories (memory, {columns})");
        assert_eq!(place.ask(Who::Rest("odd"), &add), Err("23514".to_owned()), "{add}");
    }
    // A list of categories may be long.
    let many = "INSERT INTO memories (memory, categories)
         SELECT 'many', array_agg(repeat('c', 28) || n) FROM generate_series(1000, 1999) AS n";
    assert_eq!(place.ask(Who::Rest("odd"), many), Ok(String::new()));
}

/// Were a row that is not one's own looked at before it is refused, one would wait for the other's writer and learn of it.
fn a_stranger_waits_for_nobody(place: &Place) {
    place.commit(Who::Rest("writer"), "INSERT INTO memories (memory) VALUES ('x')");
    std::thread::scope(|scope| {
        let hold = scope.spawn(|| {
            place.commit(Who::Server("writer"), "SELECT 1 FROM space_state FOR UPDATE; SELECT pg_sleep(3)");
        });
        let since = std::time::Instant::now();
        while since.elapsed().as_secs_f32() < 2.5 && !hold.is_finished() {
            let refused =
                place.ask(Who::Rest("stranger"), "INSERT INTO memories (user_id, memory) VALUES ('writer', 'x')");
            assert_eq!(refused, Err("42501".to_owned()));
            if place.root("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "0" {
                return;
            }
        }
        panic!("the other writer never held its space while it was tried");
    });
    let _ = claims("x");
}
