//! Taking a space out and putting it back.

use serde_json::{Value, json};

use crate::home::Home;

/// Memories with every kind of field, in the form that is written, as lines.
fn lines(count: usize) -> String {
    let line = |number: usize| {
        let mut memory = json!({
            "content": format!("Fact {number}: \"quoted\", Ünïcode \u{1f95c}, a\ttab and a\nnew line"),
            "created_at": format!("2025-01-{:02}T10:00:00.123456Z", number % 28 + 1),
            "metadata": {"number": number, "nested": {"list": [1, null, "x"], "float": 0.1}},
            "categories": ["food", "Ü"],
        });
        if number.is_multiple_of(2) {
            memory["agent_id"] = json!("travel");
            memory["run_id"] = json!("run 1");
            memory["app_id"] = json!("app/1");
            memory["expiration"] = json!("2999-01-01T00:00:00Z");
        }
        memory.to_string()
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

/// An export without the moment it was made.
fn timeless(export: &str) -> String {
    let (head, rest) = export.split_once('\n').unwrap();
    let mut head: Value = serde_json::from_str(&format!("{head}]}}")).unwrap();
    assert!(head["export_date"].take().is_string());
    format!("{head}\n{rest}")
}

#[test]
fn what_is_put_back_is_what_was_taken_out_to_the_byte() {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], &lines(1203)).done();
    home.run(&["user", "export", "alice", "--out", "first.json"]).done();
    let first = home.read("first.json");
    let parsed: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((parsed["user_id"].as_str(), parsed["total_memories"].as_u64()), (Some("alice"), Some(1203)));
    assert_eq!(first.lines().count(), 1205, "one memory to a line");

    home.run(&["user", "erase", "alice", "--yes"]).done();
    let run = home.run(&["user", "import", "alice", "first.json"]);
    assert!(run.err.contains("Imported 1203") && run.err.contains("0 were there"), "{run:?}");
    let second = home.run(&["user", "export", "alice"]).done();
    assert!(timeless(&first) == timeless(&second), "the second export differs from the first");

    let again = home.run(&["user", "import", "alice", "first.json", "--json"]).json();
    assert_eq!(again, json!({"imported": 0, "skipped": 1203, "relationships_imported": 0, "relationships_skipped": 0}));
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&first));
}

#[test]
fn relationships_are_put_back_after_their_memories() {
    let home = Home::new();
    let id = |n: usize| format!("0199b1c2-7f3e-7abc-8def-00000000000{n}");
    let memories: Vec<_> = (0..3).map(|n| json!({"id": id(n), "content": format!("Fact {n}")})).collect();
    let relationships = json!([
        {"id": id(7), "source_memory_id": id(0), "target_memory_id": id(1), "relationship_type": "supports",
         "strength": 0.29, "metadata": {"note": [1, null]}, "created_at": "2025-01-01T10:00:00.123456Z"},
        {"source_memory_id": id(1), "target_memory_id": id(2), "relationship_type": "supports"},
        {"source_memory_id": id(1), "target_memory_id": id(9), "relationship_type": "leads nowhere"},
    ]);
    let input = format!(r#"{{"memories":{},"relationships":{relationships}}}"#, json!(memories));
    let run = home.run_on(&["user", "import", "alice", "-", "--json"], &input);
    let summary = json!({"imported": 3, "skipped": 0, "relationships_imported": 2, "relationships_skipped": 1});
    assert_eq!(run.json(), summary);
    let first = home.run(&["user", "export", "alice"]).done();
    let parsed: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(parsed["total_relationships"], 2);
    assert_eq!(parsed["relationships"][0], relationships[0]);

    home.run(&["user", "erase", "alice", "--yes"]).done();
    home.run_on(&["user", "import", "alice", "-"], &first).done();
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&first));
    // Said twice it is not put in twice.
    let again = home.run_on(&["user", "import", "alice", "-", "--json"], &first).json();
    let summary = json!({"imported": 0, "skipped": 3, "relationships_imported": 0, "relationships_skipped": 2});
    assert_eq!(again, summary);
}

#[test]
fn an_export_goes_into_another_installation_whole() {
    let (here, there) = (Home::new(), Home::new());
    here.run_on(&["user", "import", "alice", "-"], &lines(5)).done();
    let export = here.run(&["user", "export", "alice"]).done();
    there.run_on(&["user", "import", "alice", "-"], &export).done();
    assert_eq!(timeless(&there.run(&["user", "export", "alice"]).done()), timeless(&export));
}

#[test]
fn context_goes_out_and_comes_back_as_it_was() {
    let home = Home::new();
    // What JSON can say and few can keep: U+0000, half of a pair, a number of thirty digits.
    let context = concat!(
        r#"{"memories":[],"agents":[{"name":"writer","topics":["research"],"posts":["research"]},{"name":"\ud800","topics":[],"posts":null}],"#,
        r#""context":[{"key":"a\u0000\ud800","value":{"n":123456789012345678901234567890,"x":[1.50]},"audience":["writer"],"#,
        r#""topics":["research"],"writer":"writer","metadata":{"m":1},"ttl_s":null,"created_at":"2025-01-01T10:00:00Z"},"#,
        r#"{"key":"open","value":null}]}"#
    );
    home.run_on(&["user", "import", "alice", "-"], context).done();
    let first = home.run(&["user", "export", "alice"]).done();
    for part in [
        r#"{"key":"a\u0000\ud800","value":{"n":123456789012345678901234567890,"x":[1.50]},"audience":["writer"]"#,
        r#"{"key":"open","value":null,"audience":null"#,
        r#"{"name":"writer","topics":["research"],"posts":["research"]}"#,
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
    home.run_on(
        &["user", "import", "alice", "-"],
        r#"{"memories":[],"context":[{"key":"open","value":"is there already"}]}"#,
    )
    .done();
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&first));
    home.run(&["user", "erase", "alice", "--yes"]).done();
    home.run_on(&["user", "import", "alice", "-"], &first).done();
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&first));
    let bad = home.run_on(&["user", "import", "alice", "-"], r#"{"memories":[],"context":[{"key":5,"value":1}]}"#);
    bad.refused(2, "a JSON string");
}

#[test]
fn context_that_is_no_context_is_not_imported() {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], r#"{"memories":[],"context":[{"key":"k","value":1}]}"#).done();
    let before = home.run(&["user", "export", "alice"]).done();
    let names = |count: usize| {
        serde_json::to_string(&(0..count).collect::<Vec<_>>().iter().map(ToString::to_string).collect::<Vec<_>>())
            .unwrap()
    };
    let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    for (entry, why) in [
        (format!(r#"{{"key":"l","value":{}}}"#, long(8 << 20)), "at most"),
        (format!(r#"{{"key":"l","value":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)), "at most 512"),
        (format!(r#"{{"key":{},"value":{}}}"#, long(8_000_000), long(8_000_000)), "at most"),
        (format!(r#"{{"key":"l","value":1,"topics":{}}}"#, names(1001)), "at most 1000"),
        (format!(r#"{{"key":"l","value":1,"audience":[{}]}}"#, long(70_000)), "at most"),
        (r#"{"key":"l","value":1,"ttl_s":1e400}"#.to_owned(), "number out of range"),
        (r#"{"key":"l","value":1,"metadata":[]}"#.to_owned(), "JSON object"),
        (r#"{"key":"l","value":1,"created_at":"-009000-01-01T00:00:00Z"}"#.to_owned(), "1970"),
        (r#"{"key":"l","value":NaN}"#.to_owned(), "expected"),
        (format!(r#"{{"key":"l","value":1,"more":{}}}"#, long(17 << 20)), "longer than"),
    ] {
        let run = home.run_on(&["user", "import", "alice", "-"], &format!(r#"{{"memories":[],"context":[{entry}]}}"#));
        assert!(run.err.contains(why), "{entry:.80}: {}", run.err);
        assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&before), "{entry:.80}");
    }
    let agents = format!(r#"{{"memories":[],"agents":[{{"name":"a","topics":{}}}]}}"#, names(1001));
    assert!(home.run_on(&["user", "import", "alice", "-"], &agents).err.contains("at most 1000"));
    // The largest entry there may be goes out and comes back.
    let largest = format!(r#"{{"memories":[],"context":[{{"key":{},"value":{}}}]}}"#, long(7_000_000), long(8_000_000));
    home.run_on(&["user", "import", "bob", "-"], &largest).done();
    let export = home.run(&["user", "export", "bob"]).done();
    home.run(&["user", "erase", "bob", "--yes"]).done();
    home.run_on(&["user", "import", "bob", "-"], &export).done();
    assert_eq!(timeless(&home.run(&["user", "export", "bob"]).done()), timeless(&export));
}

#[test]
fn an_import_reaches_one_user_whatever_the_file_says() {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"I'm allergic to peanuts"}"#).done();
    let export = home.run(&["user", "export", "alice"]).done();
    home.run_on(&["user", "import", "bob", "-"], &export).done();
    home.run_on(&["user", "import", "bob", "-"], r#"{"content":"I eat everything","user_id":"alice"}"#).done();
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&export));
    assert_eq!(home.run(&["user", "usage", "bob", "--json"]).json()["memories"], 2);
}

#[test]
fn standard_output_is_the_export_and_nothing_else() {
    let home = Home::new();
    home.run(&["user", "create", "alice"]).done();
    let run = home.run(&["user", "export", "alice"]);
    let export: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&export["memories"], run.code), (&json!([]), 0));
    assert!(run.err.contains("Exported 0 memories of alice"), "{run:?}");
    assert!(!run.err.contains('\u{1b}'), "a bar is drawn for nobody");
}

#[test]
fn an_export_takes_nobodys_place_and_leaves_no_half() {
    let home = Home::new();
    home.run(&["user", "create", "alice"]).done();
    home.write("mine.txt", "mine");
    home.run(&["user", "export", "alice", "--out", "mine.txt"]).refused(1, "already");
    assert_eq!(home.read("mine.txt"), "mine");
    home.run(&["user", "export", "nobody", "--out", "nobody.json"]).refused(3, "There is no user");
    assert!(!home.path("nobody.json").exists());
    home.run(&["user", "export", "alice", "--out", "no/such/place.json"]).refused(1, "cannot be written");
}

#[test]
fn what_is_no_import_is_refused_and_what_was_read_before_is_kept() {
    let home = Home::new();
    home.run(&["user", "import", "alice", "missing.json"]).refused(1, "cannot be read");
    for (input, words) in [
        ("5", "an export, a memory or an array"),
        ("{}", "content"),
        ("{\"content\":\"\"}", "blank"),
        ("{\"content\":\"a\",\"embedding\":\"!\"}", "base64"),
        ("{\"content\":\"a\",\"embedding\":\"AAAAAA==\"}", "384"),
        ("{\"content\":\"a\",\"embedding\":\"AAAA\"}", "cut short"),
        ("{\"content\":\"a\",\"id\":\"1\"}", "UUID"),
        ("{\"format\":\"of-tomorrow\",\"memories\":[]}", "of-tomorrow"),
        ("[{\"content\":\"a\"},", "After 1 memories"),
    ] {
        home.run_on(&["user", "import", "bob", "-"], input).refused(2, words);
    }
}

#[test]
fn vectors_of_another_model_are_made_anew() {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"I'm allergic to peanuts"}"#).done();
    let export = home.run(&["user", "export", "alice"]).done();
    let mut other: Value = serde_json::from_str(&export).unwrap();
    other["model"] = json!("another");
    other["dimension"] = json!(2);
    other["memories"][0]["embedding"] = json!("ADwAPA==");
    // JSON objects of this library are sorted by name, so `memories` would stand before `model`: say the head by hand.
    let input = format!(r#"{{"model":"another","dimension":2,"memories":{}}}"#, other["memories"]);
    home.run_on(&["user", "import", "bob", "-"], &input).done();
    let vector = |export: &str| serde_json::from_str::<Value>(export).unwrap()["memories"][0]["embedding"].clone();
    assert_eq!(vector(&home.run(&["user", "export", "bob"]).done()), vector(&export));
}

#[test]
fn an_import_stops_at_the_quota() {
    let home = Home::new();
    let settings = ["--set", "quota.memories=2"];
    let arguments = [&["user", "import", "alice", "-"], &settings[..]].concat();
    home.run_on(&arguments, &lines(3)).refused(4, "");
    home.run_on(&arguments, &lines(2)).done();
}

#[test]
fn what_was_said_of_memories_and_settings_are_put_back() {
    let home = Home::new();
    let id = |n: usize| format!("0199b1c2-7f3e-7abc-8def-00000000000{n}");
    let memories: Vec<_> = (0..3).map(|n| json!({"id": id(n), "content": format!("Fact {n}")})).collect();
    let said = json!([
        {"memory_id": id(0), "feedback": "NEGATIVE", "feedback_reason": "not so \u{1f95c}"},
        {"memory_id": id(2), "feedback": "POSITIVE", "feedback_reason": null},
        {"memory_id": id(7), "feedback": "POSITIVE", "feedback_reason": null},
    ]);
    let settings =
        json!({"custom_categories": [{"name": "food", "description": null}], "custom_instructions": "Be brief."});
    let input = format!(r#"{{"memories":{},"feedback":{said},"settings":{settings}}}"#, json!(memories));
    home.run_on(&["user", "import", "alice", "-"], &input).done();
    home.run(&["user", "export", "alice", "--out", "first.json"]).done();
    let first = home.read("first.json");
    let parsed: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(parsed["feedback"], json!([said[0], said[1]]), "of a memory that is not there nothing is kept");
    assert_eq!(parsed["settings"], settings);

    home.run(&["user", "erase", "alice", "--yes"]).done();
    home.run(&["user", "import", "alice", "first.json"]).done();
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&first));

    let wrong = json!({"memories": [], "settings": {"custom_instructions": 5}}).to_string();
    assert!(!home.run_on(&["user", "import", "alice", "-"], &wrong).err.is_empty());
    assert_eq!(timeless(&home.run(&["user", "export", "alice"]).done()), timeless(&first));
}
