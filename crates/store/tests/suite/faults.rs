//! Damage: it is noticed, it is one space's, and it is kept as it is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use locule_core::Code;
use locule_core::context::{EntryQuery, Json, Push};
use locule_core::memory::NewMemory;
use rusqlite::Connection;

use crate::context::{name, push};
use crate::house::{DIMENSION, Dice, ENCRYPTED, House, Layout, PLAIN, User, code, copy, embed, model, request};

for_each_file_layout! {
    a_missing_file_is_damage_and_not_a_new_user
    a_missing_or_damaged_key_is_damage
    a_truncated_file_is_damage
    an_older_file_put_back_is_damage
    a_missing_directory_is_not_made_anew
}

/// Reads everything of a space, every way there is.
fn read_all(user: User) -> Option<Code> {
    let outcome = user.read(|reader| {
        reader.state()?;
        let page = reader.list(&locule_core::memory::ListQuery { limit: 1000, ..Default::default() })?;
        for memory in &page.memories {
            reader.history(memory.id)?;
        }
        reader.export(&mut |_, _| Ok(()))?;
        reader.export_relationships(&mut |_| Ok(()))?;
        reader.runs(&locule_core::memory::RunQuery::default())?;
        reader.statistics()?;
        reader.context_entries(&EntryQuery { expired: true, ..EntryQuery::default() }, &mut |_| Ok(()))?;
        reader.context_entry(&name("k7"))?;
        reader.context_topics()?;
        reader.context_statistics()?;
        reader.audit(&mut |_| Ok(()))?;
        reader.verify_audit()?.map_err(|_| locule_core::Error::new(Code::SpaceCorrupt, "the chain is broken"))?;
        let words = ["number".to_owned(), "colour".to_owned()];
        reader.search(&locule_store::Find {
            model: &model(),
            embedding: Some(&embed("anything")),
            words: &words,
            limit: 10,
            threshold: None,
            cosine_min: None,
            filter: None,
        })?;
        Ok(())
    });
    code(outcome)
}

fn fill(user: User) {
    for batch in 0..5 {
        let batch = (0..60).map(|n| {
            NewMemory::text(user.canary(&format!("number {batch}-{n} of many colours {}", "x".repeat(n * 9))))
        });
        user.try_add(batch.collect()).unwrap();
    }
    let first = user.all()[0].id;
    user.write(|writer| writer.delete(first)).unwrap();
    user.write(|writer| {
        for n in 0..40 {
            let agent = name(&format!("agent {n}"));
            writer.subscribe(&agent, vec![name("t"), name(&"u".repeat(20 * n))])?;
            let value = Json::of(&format!("\"{}\"", "v".repeat(n * 200))).unwrap();
            let topics = vec![name("t")];
            writer.push_context(Push { topics, ..Push::new(name(&format!("k{n}")), value) })?;
        }
        Ok(())
    })
    .unwrap();
}

/// Alice's space answers that it is damaged, to readers and writers; Bob's is as it was; and the file is kept.
fn assert_only_hers_is_damaged(house: &House, file: &Path) {
    let kept = std::fs::read(file).ok();
    for _ in 0..2 {
        assert_eq!(read_all(house.alice()), Some(Code::SpaceCorrupt));
        assert_eq!(code(house.alice().try_add(vec![NewMemory::text("x canary-of-alice")])), Some(Code::SpaceCorrupt));
        assert_eq!(code(house.alice().push(push("k1", "1"))), Some(Code::SpaceCorrupt));
        assert_eq!(read_all(house.bob()), None);
    }
    house.bob().add("goes on");
    house.bob().push(push("k1", "1")).unwrap();
    assert!(std::fs::read(file).ok() == kept, "the damaged file was changed");
}

fn with_damage(layout: &Layout, damage: impl FnOnce(&House, &Path, &Path)) {
    let mut house = House::new(layout);
    fill(house.alice());
    fill(house.bob());
    let (file, key) = (house.alice().file(), house.alice().key_file());
    house.reopen();
    damage(&house, &file, &key);
    assert_only_hers_is_damaged(&house, &file);
    house.reopen();
    assert_only_hers_is_damaged(&house, &file);
    // Erasing works all the same.
    house.alice().erase().unwrap();
    house.alice().add("a new beginning");
    assert_eq!(house.alice().texts().len(), 1);
    assert_eq!(read_all(house.bob()), None);
}

fn a_missing_file_is_damage_and_not_a_new_user(layout: &Layout) {
    with_damage(layout, |_, file, _| std::fs::remove_file(file).unwrap());
}

fn a_missing_or_damaged_key_is_damage(layout: &Layout) {
    with_damage(layout, |_, _, key| std::fs::remove_file(key).unwrap());
    with_damage(layout, |_, _, key| std::fs::write(key, "").unwrap());
    with_damage(layout, |house, _, key| {
        std::fs::copy(house.bob().key_file(), key).unwrap();
    });
    for place in [0, 9, 20, 50] {
        with_damage(layout, |_, _, key| flip(key, place, 1));
    }
}

fn a_truncated_file_is_damage(layout: &Layout) {
    for share in [0, 1, 50, 99] {
        with_damage(layout, |_, file, _| {
            let bytes = std::fs::read(file).unwrap();
            // Nothing at all, a part of the first page, half, all but the last page.
            let kept = match share {
                1 => 100,
                99 => bytes.len() - 4096,
                share => bytes.len() / 4096 * share / 100 * 4096,
            };
            std::fs::write(file, &bytes[..kept]).unwrap();
        });
    }
}

#[test]
fn anothers_file_is_damage() {
    with_damage(&ENCRYPTED, |house, file, _| {
        std::fs::copy(house.bob().file(), file).unwrap();
    });
    with_damage(&ENCRYPTED, |_, file, _| std::fs::write(file, vec![0x5a; 40_960]).unwrap());
}

fn flip(path: &Path, place: usize, bit: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = place.min(bytes.len() - 1);
    bytes[place] ^= bit;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn one_flipped_bit_on_any_page_is_damage() {
    let mut house = House::quick(&ENCRYPTED, |_| {});
    fill(house.alice());
    fill(house.bob());
    let file = house.alice().file();
    house.close();
    let whole = std::fs::read(&file).unwrap();
    let mut dice = Dice::new(9);
    let mut found = 0;
    let mut tried = 0;
    while found < 40 {
        tried += 1;
        assert!(tried < 400, "{found} of {tried} were noticed");
        let page = dice.below(whole.len() / 4096);
        let mut damaged = whole.clone();
        damaged[page * 4096 + dice.below(4096)] ^= 1 << dice.below(8);
        house.while_closed(|_| std::fs::write(&file, &damaged).unwrap());
        match read_all(house.alice()) {
            // Pages that nothing uses any more are read by nobody.
            None => {}
            Some(Code::SpaceCorrupt) => {
                found += 1;
                // It stays so, for her alone; and looking does not change the file.
                assert_eq!(read_all(house.alice()), Some(Code::SpaceCorrupt));
                assert_eq!(read_all(house.bob()), None);
                assert!(std::fs::read(&file).unwrap() == damaged, "the damaged file was changed");
            }
            Some(other) => panic!("page {page}: {other:?}"),
        }
    }
    assert!(tried <= 60, "{tried} tries for {found} pages");
    house.while_closed(|_| std::fs::write(&file, &whole).unwrap());
    assert_eq!(read_all(house.alice()), None);
}

fn an_older_file_put_back_is_damage(layout: &Layout) {
    let mut house = House::new(layout);
    fill(house.alice());
    fill(house.bob());
    let file = house.alice().file();
    house.close();
    let old = std::fs::read(&file).unwrap();
    house.while_closed(|_| ());
    house.alice().add("what the old file does not have");
    house.store.spaces.publish().unwrap();
    house.close();
    let new = std::fs::read(&file).unwrap();
    house.while_closed(|_| std::fs::write(&file, &old).unwrap());
    assert_only_hers_is_damaged(&house, &file);
    house.while_closed(|_| std::fs::write(&file, &new).unwrap());
    assert_eq!(read_all(house.alice()), None);
    assert_eq!(house.alice().texts()[0], "what the old file does not have canary-of-alice");
}

fn a_missing_directory_is_not_made_anew(layout: &Layout) {
    let mut house = House::new(layout);
    house.alice().add("is there");
    house.bob().add("is there");
    house.close();
    let file = house.data().join("directory.db");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code(house.try_neighbour()), Some(Code::SpaceCorrupt));
    assert!(!file.exists());
    std::fs::write(&file, kept).unwrap();
    house.reopen();
    assert_eq!((house.alice().texts().len(), house.bob().texts().len()), (1, 1));
}

#[test]
fn another_master_key_opens_nothing() {
    let mut house = House::new(&ENCRYPTED);
    house.alice().add("is there");
    house.bob().add("is there");
    house.close();
    let elsewhere = House::new(&ENCRYPTED);
    let (own, other) = (house.data().join("master.key"), elsewhere.data().join("master.key"));
    let kept = std::fs::read_to_string(&own).unwrap();
    let before = crate::house::files(house.data());
    let refused = [
        std::fs::read_to_string(&other).unwrap(),
        String::new(),
        "locule master key\n".to_owned(),
        kept[..kept.len() - 5].to_owned(),
        kept.replace("locule", "somebody else's"),
    ];
    for text in refused {
        std::fs::write(&own, &text).unwrap();
        assert_eq!(code(house.try_neighbour()), Some(Code::KeyUnavailable), "{text:?}");
    }
    std::fs::remove_file(&own).unwrap();
    assert_eq!(code(house.try_neighbour()), Some(Code::KeyUnavailable));
    assert!(!own.exists(), "a master key was made beside data that it does not open");
    std::fs::write(&own, &kept).unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(code(house.try_neighbour()), Some(Code::KeyUnavailable));
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(crate::house::files(house.data()), before);
    house.reopen();
    assert_eq!((house.alice().texts().len(), house.bob().texts().len()), (1, 1));
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let mut house = House::new(&PLAIN);
    house.alice().add("is there");
    house.bob().add("is there");
    let file = house.alice().file();
    house.while_closed(|_| Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap());
    let kept = std::fs::read(&file).unwrap();
    assert_eq!(read_all(house.alice()), Some(Code::SchemaTooNew));
    assert_eq!(code(house.alice().try_add(vec![NewMemory::text("x canary-of-alice")])), Some(Code::SchemaTooNew));
    assert_eq!(read_all(house.bob()), None);
    assert_eq!(std::fs::read(&file).unwrap(), kept);

    house.close();
    let directory = house.data().join("directory.db");
    Connection::open(&directory).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert_eq!(code(house.try_neighbour()), Some(Code::SchemaTooNew));
}

#[test]
fn what_an_older_version_wrote_is_brought_up_to_date() {
    let mut house = House::new(&PLAIN);
    let (one, two) = (house.alice().add("one").id, house.alice().add("two").id);
    house.bob().add("is there");
    let file = house.alice().file();
    // What the third step and those after it made.
    let before = "DROP TABLE memory_relationships; DROP INDEX memories_run;
        DROP TABLE space_jobs; DROP TABLE space_settings;
        ALTER TABLE memories DROP COLUMN feedback; ALTER TABLE memories DROP COLUMN feedback_reason;
        DROP TABLE context_entries; DROP TABLE context_agents; PRAGMA user_version = 2";
    house.while_closed(|_| Connection::open(&file).unwrap().execute_batch(before).unwrap());
    assert_eq!(read_all(house.alice()), None);
    let new = locule_core::relationship::NewRelationship::new(one, "before", two);
    house.alice().write(|writer| writer.relate(vec![new])).unwrap();
    house.reopen();
    assert_eq!(house.alice().read(|reader| reader.relationship_count()).unwrap(), 1);
    assert_eq!((house.alice().texts().len(), house.bob().texts().len()), (2, 1));
}

#[test]
fn a_scope_of_another_installation_opens_nothing() {
    let (here, there) = (House::new(&ENCRYPTED), House::new(&ENCRYPTED));
    here.alice().add("is here");
    there.bob().add("is there");
    let space = there.store.spaces.open(here.alice().reading().unwrap());
    assert_eq!(code(space.read()), Some(Code::SpaceErased));
    // A whole installation copied is the installation.
    let elsewhere = tempfile::tempdir().unwrap();
    here.store.spaces.close().unwrap();
    copy(here.data(), elsewhere.path());
    let copied = House::at(elsewhere.path().to_owned(), &ENCRYPTED, |_| {});
    assert_eq!(copied.alice().texts(), ["is here canary-of-alice"]);
    assert_eq!((request().id.as_str(), DIMENSION), ("req-1", 16));
}

#[test]
fn a_page_that_was_blanked_is_damage() {
    let mut house = House::quick(&ENCRYPTED, |_| {});
    let long = house.alice().canary(&"a long story ".repeat(2000));
    house.alice().try_add(vec![NewMemory::text(&long)]).unwrap();
    house.bob().add("stays");
    let file = house.alice().file();
    house.close();
    let whole = std::fs::read(&file).unwrap();
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0);
        house.while_closed(|_| std::fs::write(&file, &damaged).unwrap());
        match house.alice().read(|reader| reader.list(&Default::default())) {
            Ok(page) => assert!(page.memories.iter().all(|memory| memory.memory == long), "the blank was read as text"),
            Err(error) => assert_eq!(error.code(), Code::SpaceCorrupt),
        }
        assert_eq!(read_all(house.bob()), None);
    }
}
