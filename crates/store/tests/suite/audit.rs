//! The chains: one in each space, one in the directory.

use jiff::Timestamp;
use locule_core::auth::trusted;
use locule_core::policy::Act;
use locule_core::{Code, Request, Target};
use rusqlite::Connection;

use crate::house::{ENCRYPTED, House, Layout, PLAIN, User, code};

for_each_layout! {
    every_act_is_written_down_in_its_own_space
    a_refusal_is_written_down_once
}

/// Act and object of each entry of a space's chain.
pub fn acts(user: User) -> Vec<(String, String)> {
    let mut acts = Vec::new();
    user.read(|reader| {
        reader.audit(&mut |entry| {
            acts.push((entry.act, entry.object.unwrap_or_default()));
            Ok(())
        })
    })
    .unwrap();
    acts
}

fn every_act_is_written_down_in_its_own_space(layout: &Layout) {
    let house = House::new(layout);
    let memory = house.alice().add("one");
    house.bob().add("one");
    house.alice().write(|writer| writer.delete(memory.id)).unwrap();
    house.alice().write(|writer| writer.delete_all(None)).unwrap();
    let id = memory.id.to_string();
    let expected = [("add_memories", id.as_str()), ("delete_memory", &id), ("delete_memories", "0 memories")];
    assert_eq!(acts(house.alice()), expected.map(|(act, object)| (act.to_owned(), object.to_owned())));
    assert_eq!(house.alice().read(|reader| reader.verify_audit()).unwrap(), Ok(3));
    assert_eq!(house.bob().read(|reader| reader.verify_audit()).unwrap(), Ok(1));
    house
        .alice()
        .read(|reader| {
            reader.audit(&mut |entry| {
                assert_eq!((entry.actor_kind.as_str(), entry.outcome.as_str()), ("host", "ok"));
                assert_eq!(entry.on_behalf_of.as_deref(), Some("alice"));
                assert_eq!(entry.request_id, "req-1");
                Ok(())
            })
        })
        .unwrap();
}

#[test]
fn whatever_is_changed_in_a_chain_is_found() {
    let mut house = House::new(&PLAIN);
    for n in 0..5 {
        house.alice().add(&format!("number {n}"));
        house.bob().add(&format!("number {n}"));
    }
    let file = house.alice().file();
    let changes = [
        "sequence = sequence + 100",
        "time = time + 1",
        "actor_kind = 'user'",
        "actor = actor || 'x'",
        "on_behalf_of = 'bob'",
        "on_behalf_of = NULL",
        "act = 'nothing'",
        "object = NULL",
        "object = ''",
        "outcome = 'no'",
        "request_id = ''",
        "link = zeroblob(32)",
        "link = x'00'",
    ];
    let row = |sequence: i64| format!("WHERE sequence = {sequence}");
    let mut statements: Vec<String> = Vec::new();
    for sequence in [1, 3, 5] {
        statements.extend(changes.iter().map(|change| format!("UPDATE space_audit SET {change} {}", row(sequence))));
    }
    statements.push(format!("DELETE FROM space_audit {}", row(1)));
    statements.push(format!("DELETE FROM space_audit {}", row(3)));
    statements
        .push("UPDATE space_audit SET sequence = -sequence; UPDATE space_audit SET sequence = 6 + sequence".to_owned());
    for statement in statements {
        let kept = house.while_closed(|_| {
            let kept = std::fs::read(&file).unwrap();
            Connection::open(&file).unwrap().execute_batch(&statement).unwrap();
            kept
        });
        let verified = house.alice().read(|reader| reader.verify_audit());
        assert!(!matches!(verified, Ok(Ok(_))), "{statement}: {verified:?}");
        assert_eq!(house.bob().read(|reader| reader.verify_audit()).unwrap(), Ok(5));
        house.while_closed(|_| std::fs::write(&file, kept).unwrap());
        assert_eq!(house.alice().read(|reader| reader.verify_audit()).unwrap(), Ok(5), "{statement}");
    }
}

#[test]
fn whatever_is_changed_in_the_directorys_chain_is_found() {
    let mut house = House::new(&PLAIN);
    for name in ["alice", "bob", "carol"] {
        house.user(name).add("something");
        house.user(name).suspend(false);
        let other = house.gate.read(
            &house.user(name).principal(),
            Target::Named("dave"),
            Act::ReadMemories,
            &Request::default(),
        );
        assert_eq!(code(other), Some(Code::NotYourSpace));
    }
    assert_eq!(house.store.directory.verify_trail(&house.operator()).unwrap(), Ok(6));
    let columns = [
        "time = time + 1",
        "actor_kind = 'x'",
        "actor = x'00'",
        "target = x'00'",
        "target = NULL",
        "space = CASE WHEN space IS NULL THEN zeroblob(16) END",
        "act = 'x'",
        "outcome = 'x'",
        "request_id = 'x'",
        "link = zeroblob(32)",
    ];
    let mut statements: Vec<String> = Vec::new();
    for sequence in [1, 4, 6] {
        statements
            .extend(columns.iter().map(|change| format!("UPDATE audit SET {change} WHERE sequence = {sequence}")));
    }
    statements.push("DELETE FROM audit WHERE sequence = 2".to_owned());
    for statement in statements {
        let file = house.data().join("directory.db");
        let mut kept = Vec::new();
        house.while_closed(|_| {
            let connection = Connection::open(&file).unwrap();
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            kept = std::fs::read(&file).unwrap();
            connection.execute_batch(&statement).unwrap();
        });
        let verified = house.store.directory.verify_trail(&house.operator());
        assert!(!matches!(verified, Ok(Ok(_))), "{statement}: {verified:?}");
        house.while_closed(|_| {
            let connection = Connection::open(&file).unwrap();
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            drop(connection);
            std::fs::write(&file, kept).unwrap();
        });
        assert_eq!(house.store.directory.verify_trail(&house.operator()).unwrap(), Ok(6), "{statement}");
    }
}

fn a_refusal_is_written_down_once(layout: &Layout) {
    let house = House::new(layout);
    house.alice().add("is hers");
    house.bob().add("is his");
    let before = house.store.directory.trail(&house.operator(), 100).unwrap().len();
    let bob = house.bob().principal();
    for (place, target) in ["alice", "nobody-at-all"].into_iter().enumerate() {
        let request = Request { id: format!("refused {place}"), ..Request::default() };
        let refused = house.gate.read(&bob, Target::Named(target), Act::ReadMemories, &request).unwrap_err();
        assert_eq!(refused.code(), Code::NotYourSpace);
        let trail = house.store.directory.trail(&house.operator(), 100).unwrap();
        assert_eq!(trail.len(), before + place + 1);
        assert_eq!((trail[0].act.as_str(), trail[0].outcome.as_str()), ("read_memories", "not_your_space"));
        assert_eq!(trail[0].request_id, request.id);
        assert_eq!(trail[0].time, "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap());
    }
    let nobody = trusted::operator("an operator reads no content").unwrap();
    assert_eq!(
        code(house.gate.read(&nobody, Target::Named("alice"), Act::ReadMemories, &Request::default())),
        Some(Code::NotAllowed)
    );
    assert_eq!(house.store.directory.trail(&house.operator(), 100).unwrap().len(), before + 3);
    // What was attempted on Alice is no entry in her own chain, and what is allowed leaves no refusal.
    assert_eq!(acts(house.alice()).len(), 1);
    house.bob().texts();
    assert_eq!(house.store.directory.trail(&house.operator(), 100).unwrap().len(), before + 3);
    assert!(house.store.directory.verify_trail(&house.operator()).unwrap().is_ok());
}

#[test]
fn a_subject_of_two_issuers_is_named_under_neithers_key() {
    let house = House::new(&ENCRYPTED);
    house.alice().add("of the default issuer");
    let mut elsewhere = house.alice().identity();
    elsewhere.issuer = "https://elsewhere.example".try_into().unwrap();
    let operator = house.operator();
    house.store.directory.create_user(&operator, &elsewhere).unwrap();
    house.store.directory.suspend(&operator, &elsewhere, false).unwrap();
    let trail = house.store.directory.trail(&operator, 1).unwrap();
    assert_ne!(trail[0].target.as_deref(), Some("alice"));
}
