//! Sealed spaces: whoever runs the database reads nothing of what they say.

use locule_core::Code;
use locule_core::memory::{Change, NewMemory};
use locule_core::relationship::{NewRelationship, Relationship, RelationshipQuery};
use locule_store::Keeping;
use locule_store::vector::encode;
use serde_json::json;

use crate::house::{House, RLS, RLS_SEALED, User, code, embed, model};

/// Whatever has content, with a word in each place that stands nowhere else.
fn fill(user: User) -> Relationship {
    let memory = NewMemory {
        memory: "canary-of-alice in the text".to_owned(),
        agent_id: Some("canary-of-the-agent".to_owned()),
        run_id: Some("canary-of-the-run".to_owned()),
        app_id: Some("canary-of-the-app".to_owned()),
        categories: vec!["canary-of-the-category".to_owned()],
        metadata: json!({"canary-of-the-key": "canary of the value"}).as_object().unwrap().clone(),
        ..NewMemory::text("")
    };
    let added = user.try_add(vec![
        memory,
        NewMemory::text("canary-of-alice in another"),
        NewMemory::text("canary-of-alice, gone"),
    ]);
    let [first, second, third] = added.unwrap().try_into().map(|all: [_; 3]| all.map(|added| added.memory.id)).unwrap();
    let change = Change { memory: Some("canary-of-alice in the new text".to_owned()), ..Change::default() };
    user.write(|writer| {
        writer.update(&model(), first, &change, Some(encode(&embed("canary-of-alice in the new text")).unwrap()))
    })
    .unwrap();
    user.write(|writer| writer.delete(third)).unwrap();
    let new = NewRelationship {
        metadata: json!({"canary": "canary of the relationship"}).as_object().unwrap().clone(),
        ..NewRelationship::new(first, "canary-of-the-type", second)
    };
    user.write(|writer| writer.relate(vec![new])).unwrap().remove(0).relationship
}

/// Everything in the database, as text.
pub fn dump(house: &House) -> String {
    let tables = "SELECT format('SELECT %L || row::text FROM %I.%I AS row', relname || ' ', nspname, relname)
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE relkind = 'r' AND nspname IN ('public', 'locule')";
    house.psql(tables).lines().map(|table| house.psql(table) + "\n").collect()
}

#[test]
fn whoever_runs_the_database_reads_no_content() {
    for (layout, sealed) in [(RLS_SEALED, true), (RLS, false)] {
        let house = House::quick(&layout, |_| {});
        let relationship = fill(house.alice());
        let dump = dump(&house);
        assert!(dump.contains("memories ") && dump.contains("space_audit "), "{dump}");
        let vector: String =
            encode(&embed("canary-of-alice in another")).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = locule_core::memory::hash("canary-of-alice in another");
        for content in ["canary", &vector, &hash] {
            assert_eq!(dump.contains(content), !sealed, "{content}: {dump}");
        }
        // To its owner it is what it was.
        let all = house.alice().all();
        assert_eq!(
            all.iter().map(|memory| &*memory.memory).collect::<Vec<_>>(),
            ["canary-of-alice in another", "canary-of-alice in the new text"]
        );
        assert_eq!(all[1].metadata["canary-of-the-key"], "canary of the value");
        let history = house.alice().read(|reader| reader.history(all[1].id)).unwrap();
        assert_eq!(history[0].new_memory.as_deref(), Some("canary-of-alice in the text"));
        let query =
            RelationshipQuery { relationship_type: Some("canary-of-the-type".to_owned()), ..Default::default() };
        let found = house.alice().read(|reader| reader.relationships(&query)).unwrap();
        assert_eq!(found.relationships, [relationship]);
        assert_eq!(house.alice().search(&embed("canary-of-alice in another"), 1).unwrap()[0].memory, all[0]);
    }
}

#[test]
fn what_is_sealed_opens_only_in_its_own_place() {
    let mut house = House::quick(&RLS_SEALED, |_| {});
    for user in [house.alice(), house.bob()] {
        user.add("one");
        user.add("two");
    }
    let swap = |column: &str, from: &str, to: &str| {
        format!(
            "UPDATE memories SET {column} = (SELECT {column} FROM memories WHERE user_id {from}) WHERE user_id {to}; \
             UPDATE space_state SET revision = revision + 1"
        )
    };
    // Into another row of the same user, and into the same row of another.
    for (column, from, to) in [
        ("memory", "= 'alice' AND number = 1", "= 'alice' AND number = 2"),
        ("metadata", "= 'alice' AND number = 1", "= 'alice' AND number = 2"),
        ("memory", "= 'bob' AND number = 1", "= 'alice' AND number = 1"),
        ("hash", "= 'bob' AND number = 1", "= 'alice' AND number = 2"),
    ] {
        let before = house.psql("CREATE TABLE kept AS SELECT * FROM memories");
        // As the superuser, past the triggers that keep the books of others' changes.
        house.psql(&format!("SET session_replication_role = replica; {}", swap(column, from, to)));
        assert_eq!(code(house.alice().try_all()), Some(Code::SpaceCorrupt), "{column} {from} {to} {before}");
        assert_eq!(house.bob().texts().len(), 2);
        house.psql(&format!(
            "SET session_replication_role = replica; UPDATE memories SET {column} = kept.{column} FROM kept \
             WHERE kept.user_id = memories.user_id AND kept.id = memories.id; DROP TABLE kept"
        ));
        house.reopen();
        assert_eq!(house.alice().texts().len(), 2);
    }
}

#[test]
fn a_space_is_sealed_or_not_for_as_long_as_it_is_there() {
    let mut house = House::quick(&RLS, |_| {});
    house.alice().add("of old");
    let seal = |house: &mut House, sealed: bool| {
        let Keeping::Postgres(kept) = &mut house.options.keeping else { panic!("a database") };
        kept.sealed = sealed;
        house.reopen();
    };
    seal(&mut house, true);
    house.alice().add("and of new");
    house.bob().add("only sealed");
    assert_eq!(
        house.psql("SELECT memory FROM memories WHERE user_id = 'alice' ORDER BY number"),
        "of old canary-of-alice\nand of new canary-of-alice"
    );
    assert!(!house.psql("SELECT memory FROM memories WHERE user_id = 'bob'").contains("canary"));
    seal(&mut house, false);
    house.bob().add("more of it");
    assert_eq!(house.alice().texts(), ["and of new canary-of-alice", "of old canary-of-alice"]);
    assert_eq!(house.bob().texts(), ["more of it canary-of-bob", "only sealed canary-of-bob"]);
    assert!(!house.psql("SELECT memory FROM memories WHERE user_id = 'bob'").contains("canary"));
    // Its key goes with it, and what comes after has none.
    assert_eq!(house.psql("SELECT count(*) FROM locule.space_keys"), "1");
    house.bob().erase().unwrap();
    assert_eq!(house.psql("SELECT count(*) FROM locule.space_keys"), "0");
}
