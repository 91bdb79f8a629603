//! What a memory, a change and a question may hold: each bound at its edge, and how metadata merges.

use locule_core::id::{MemoryId, Tag, Tick};
use locule_core::limit::{self, Bound};
use locule_core::memory::{Change, ListQuery, Memory, Metadata, NewMemory, SearchQuery, hash};
use locule_core::{Code, Error};
use serde_json::{Value, json};

use crate::support::{noon, noon_and, sources};

fn object(value: Value) -> Metadata {
    serde_json::from_value(value).unwrap()
}

fn code(result: Result<(), Error>) -> Result<(), Code> {
    result.map_err(|error| error.code())
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Metadata that is this long as JSON.
fn metadata_of(bytes: usize) -> Metadata {
    object(json!({ "k": text(bytes - r#"{"k":""}"#.len()) }))
}

/// Metadata that is this deep: an object in an object, or in a list in turn.
fn metadata_deep(levels: usize) -> Metadata {
    object((1..levels).fold(json!({}), |inner, level| {
        if level % 2 == 0 && level + 1 < levels { json!([inner]) } else { json!({ "k": inner }) }
    }))
}

fn old() -> Memory {
    let id = MemoryId::mint(Tick::of(noon()), Tag(1), &sources().0);
    serde_json::from_value(json!({
        "id": id, "memory": "Likes tea.", "agent_id": "chef", "hash": hash("Likes tea."), "categories": ["drink"],
        "metadata": {"kind": "taste"}, "created_at": noon(), "updated_at": noon(),
    }))
    .unwrap()
}

/// A field of a new memory, with this much in it.
type Fill = fn(usize) -> NewMemory;

const FIELDS: &[(&str, Bound, Fill)] = &[
    ("memory", limit::MEMORY_BYTES, |n| NewMemory::text(text(n))),
    ("agent_id", limit::LABEL_BYTES, |n| NewMemory { agent_id: Some(text(n)), ..NewMemory::text("x") }),
    ("run_id", limit::LABEL_BYTES, |n| NewMemory { run_id: Some(text(n)), ..NewMemory::text("x") }),
    ("app_id", limit::LABEL_BYTES, |n| NewMemory { app_id: Some(text(n)), ..NewMemory::text("x") }),
    ("a category", limit::LABEL_BYTES, |n| NewMemory { categories: vec![text(n)], ..NewMemory::text("x") }),
    ("categories", limit::CATEGORIES, |n| NewMemory { categories: vec![text(1); n], ..NewMemory::text("x") }),
    ("metadata", limit::METADATA_BYTES, |n| NewMemory { metadata: metadata_of(n), ..NewMemory::text("x") }),
    ("nesting", limit::JSON_DEPTH, |n| NewMemory { metadata: metadata_deep(n), ..NewMemory::text("x") }),
    ("embedding", limit::DIMENSION, |n| NewMemory { embedding: Some(vec![0.5; n]), ..NewMemory::text("x") }),
];

#[test]
fn each_field_takes_its_limit_and_not_one_more() {
    for (name, bound, fill) in FIELDS {
        assert_eq!(code(fill(bound.max).check()), Ok(()), "{name}");
        assert_eq!(code(fill(bound.max + 1).check()), Err(Code::TooLarge), "{name}");
    }
}

#[test]
fn a_change_has_the_bounds_of_what_it_changes() {
    for (name, bound, fill) in FIELDS {
        let change = |amount| {
            let new = fill(amount);
            Change {
                memory: Some(new.memory),
                agent_id: Some(new.agent_id),
                run_id: Some(new.run_id),
                app_id: Some(new.app_id),
                categories: Some(new.categories),
                metadata: Some(new.metadata),
                expiration: None,
                created_at: None,
                embedding: new.embedding,
            }
        };
        assert_eq!(code(change(bound.max).check()), Ok(()), "{name}");
        assert_eq!(code(change(bound.max + 1).check()), Err(Code::TooLarge), "{name}");
    }
    assert_eq!(code(Change::default().check()), Err(Code::Invalid));
    assert_eq!(code(Change { agent_id: Some(None), ..Change::default() }.check()), Ok(()));
}

#[test]
fn what_says_nothing_or_cannot_be_compared_is_refused() {
    let embedding = |numbers: &[f32]| NewMemory { embedding: Some(numbers.to_vec()), ..NewMemory::text("x") };
    for (name, bad) in [
        ("an empty text", NewMemory::text("")),
        ("a blank text", NewMemory::text(" \n\u{3000}")),
        ("a text with a NUL", NewMemory::text("a\0b")),
        ("an empty label", NewMemory { agent_id: Some(String::new()), ..NewMemory::text("x") }),
        ("a label with a NUL", NewMemory { run_id: Some("a\0".to_owned()), ..NewMemory::text("x") }),
        ("an empty category", NewMemory { categories: vec![String::new()], ..NewMemory::text("x") }),
        ("an empty vector", embedding(&[])),
        ("a vector of zeros", embedding(&[0.0, -0.0])),
        ("a vector with no number", embedding(&[1.0, f32::NAN])),
        ("a vector without end", embedding(&[f32::INFINITY, 1.0])),
    ] {
        assert_eq!(code(bad.check()), Err(Code::Invalid), "{name}");
    }
}

#[test]
fn a_question_asks_something_within_bounds() {
    let search = |n: usize| SearchQuery { limit: n, ..SearchQuery::text("tea") };
    let list = |n: usize| ListQuery { limit: n, ..ListQuery::default() };
    assert_eq!(code(search(limit::SEARCH_LIMIT.max).check()), Ok(()));
    assert_eq!(code(search(limit::SEARCH_LIMIT.max + 1).check()), Err(Code::TooLarge));
    assert_eq!(code(search(0).check()), Err(Code::Invalid));
    assert_eq!(code(list(limit::PAGE.max).check()), Ok(()));
    assert_eq!(code(list(limit::PAGE.max + 1).check()), Err(Code::TooLarge));
    assert_eq!(code(list(0).check()), Err(Code::Invalid));
    assert_eq!(code(SearchQuery::text(text(limit::QUERY_BYTES.max)).check()), Ok(()));
    assert_eq!(code(SearchQuery::text(text(limit::QUERY_BYTES.max + 1)).check()), Err(Code::TooLarge));
    assert_eq!(code(SearchQuery::text(" ").check()), Err(Code::Invalid));
    assert_eq!(code(SearchQuery { text: None, ..search(1) }.check()), Err(Code::Invalid));
    assert_eq!(code(SearchQuery { text: None, embedding: Some(vec![1.0]), ..search(1) }.check()), Ok(()));
    for (threshold, answer) in [
        (0.0, Ok(())),
        (1.0, Ok(())),
        (-0.1, Err(Code::Invalid)),
        (1.1, Err(Code::Invalid)),
        (f32::NAN, Err(Code::Invalid)),
    ] {
        assert_eq!(code(SearchQuery { threshold: Some(threshold), ..search(1) }.check()), answer, "{threshold}");
    }
}

/// The examples of RFC 7396, appendix A, whose target and patch are both objects, and a few more.
#[test]
fn metadata_merges_as_rfc_7396_says() {
    for (target, patch, merged) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (
            json!({"a": {"x": 1, "y": {"z": 2}}}),
            json!({"a": {"y": {"w": 3}}}),
            json!({"a": {"x": 1, "y": {"z": 2, "w": 3}}}),
        ),
        (json!({"a": 1}), json!({"a": {"b": null, "c": [null]}}), json!({"a": {"c": [null]}})),
    ] {
        let memory = Memory { metadata: object(target.clone()), ..old() };
        let change = Change { metadata: Some(object(patch.clone())), ..Change::default() };
        assert_eq!(Value::Object(change.apply(&memory, noon()).unwrap().metadata), merged, "{target} with {patch}");
    }
}

#[test]
fn two_halves_that_fit_may_make_a_whole_that_does_not() {
    let memory = Memory { metadata: metadata_of(limit::METADATA_BYTES.max), ..old() };
    let change = Change { metadata: Some(object(json!({"l": 1}))), ..Change::default() };
    assert_eq!(code(change.check()), Ok(()));
    assert_eq!(code(change.apply(&memory, noon()).map(|_| ())), Err(Code::TooLarge));
}

#[test]
fn a_change_changes_what_it_names_and_nothing_else() {
    let later = noon_and(60);
    let changed = |change: Change| change.apply(&old(), later).unwrap();
    assert_eq!(
        changed(Change { run_id: Some(Some("r".to_owned())), ..Change::default() }),
        Memory { run_id: Some("r".to_owned()), updated_at: later, ..old() }
    );
    assert_eq!(changed(Change { agent_id: Some(None), ..Change::default() }).agent_id, None);
    let renamed = changed(Change { memory: Some("Likes coffee.".to_owned()), ..Change::default() });
    assert_eq!((renamed.hash, renamed.metadata, renamed.created_at), (hash("Likes coffee."), old().metadata, noon()));
    let dated = changed(Change { expiration: Some(Some(later)), ..Change::default() });
    assert_eq!(dated.expiration, Some(later));
    assert_eq!(changed(Change { categories: Some(vec![]), ..Change::default() }).categories, Vec::<String>::new());
}
