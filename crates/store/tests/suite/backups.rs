//! Backups: taken beside writers, whole or not at all, readable to nobody without their keys; put back into any layout, exactly;
//! and never anybody who was erased since.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use locule_core::clock::Sources;
use locule_core::id::Identity;
use locule_core::memory::NewMemory;
use locule_core::policy::Act;
use locule_core::{Code, Move, Result};
use locule_store::Options;
use locule_store::archive::{Backup, Lock, Outcome, Restore, Taken};

use crate::house::{Process, code, identity, traces};
use crate::moves::{
    DATABASE, FILE, Ground, RLS, SCHEMA, SEALED, Where, application, assert_same, deleted, populate, seen,
};

#[expect(clippy::disallowed_methods, reason = "a gate for a directory that a restore has opened")]
fn right(directory: &std::sync::Arc<locule_store::directory::Directory>, identity: Identity) -> Result<Move> {
    let gate = locule_core::Gate::new(directory.clone(), locule_core::Provision::Auto, Sources::system());
    gate.system_move(&operator(directory), identity, Act::WriteMemories, "the tests restore")
}

#[expect(clippy::disallowed_methods, reason = "a gate for a directory that a restore has opened")]
fn operator(directory: &std::sync::Arc<locule_store::directory::Directory>) -> locule_core::Operator {
    let gate = locule_core::Gate::new(directory.clone(), locule_core::Provision::Auto, Sources::system());
    let principal = locule_core::auth::trusted::operator("the tests restore").unwrap();
    gate.operate(&principal, &crate::house::request()).unwrap()
}

struct Files {
    archive: PathBuf,
    keys: PathBuf,
}

fn named(ground: &Ground, name: &str) -> Files {
    Files { archive: ground.path(name), keys: ground.path(&format!("{name}.keys")) }
}

fn passphrase(text: &str) -> Lock {
    Lock::Passphrase(text.to_owned().into())
}

/// Takes a backup of these, and of what is of nobody if it is of all.
fn take(process: &Process, files: &Files, names: &[&str], whole: bool, lock: Lock) -> Taken {
    let operator = process.operator();
    let mut backup = Backup::begin(&process.store, &files.archive, &files.keys, whole, lock).unwrap();
    for name in names {
        let right = process.gate.system_move(&operator, identity(name), Act::Export, "the tests back up").unwrap();
        backup.space(&right).unwrap();
    }
    if whole {
        backup.rest(&operator).unwrap();
    }
    backup.end().unwrap()
}

fn open(options: &Options, files: &Files, lock: &Lock) -> Result<Restore> {
    Restore::open(options, &files.archive, &files.keys, lock, &Sources::system())
}

fn put(options: &Options, files: &Files, only: Option<&str>, force: bool, lock: &Lock) -> Vec<(String, Outcome)> {
    let restore = open(options, files, lock).unwrap();
    let only = only.map(identity);
    let plan = restore.plan(&operator(restore.directory()), only.as_ref(), force).unwrap();
    restore.run(&plan, &mut |identity| right(restore.directory(), identity), &mut |_, _| {}).unwrap();
    plan.into_iter().map(|(identity, _, outcome)| (identity.subject.as_str().to_owned(), outcome)).collect()
}

fn everything_comes_back(from: Where, to: Where) {
    let (here, there) = (Ground::new(), Ground::new());
    let process = here.open(from);
    populate(&process, &here.clock);
    let deleted = deleted(&process);
    let (alice, bob) = (seen(process.alice(), &deleted), seen(process.bob(), &[]));
    let files = named(&here, "all.backup");
    let taken = take(&process, &files, &["alice", "bob", "carol", "dave", "nobody"], true, Lock::Master);
    assert_eq!((taken.users, taken.memories, taken.skipped), (4, 28, 1));
    assert_eq!(traces(&here.path(""), "canary-of-alice"), Vec::<String>::new());

    let outcomes = put(&there.options(to), &files, None, false, &Lock::Master);
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Restored), "{outcomes:?}");
    let after = there.open(to);
    for (user, before) in [(after.alice(), &alice), (after.bob(), &bob)] {
        let mut now = seen(user, if user.name == "alice" { &deleted } else { &[] });
        // That it was restored is one entry more.
        let trail = now["trail"].lines().count();
        assert_eq!(trail, before["trail"].lines().count() + 1);
        assert!(now["trail"].lines().next_back().unwrap().contains("restore_space"));
        now.insert("trail".to_owned(), now["trail"].lines().take(trail - 1).collect::<Vec<_>>().join("\n"));
        now.insert("state".to_owned(), before["state"].clone());
        assert_same(&now, before);
    }
    // What was to be done is found, and what is of the application as a whole is as it was.
    there.clock.advance_s(600);
    let now = locule_core::clock::Clock::now(&there.clock);
    assert!(after.store.directory.work_due(now, 10).unwrap().0.contains(&after.alice().space()));
    assert!(after.alice().claim().is_some());
    assert_eq!(application(&after), application(&process));
    assert_eq!(code(after.user("dave").reading()), Some(Code::SpaceSuspended));
    assert!(after.user("frank").standing().not_before.is_some());
    assert_eq!(after.store.directory.keys(&after.operator()).unwrap().len(), 2);
    assert!(after.store.directory.verify_trail(&after.operator()).unwrap().is_ok());
    assert!(after.store.directory.trail(&after.operator(), 1_000).unwrap().iter().any(|entry| entry.act == "erase"));
    after.alice().add("goes on");
    // Again it changes nothing, unless it is told to.
    let again = put(&there.options(to), &files, None, false, &Lock::Master);
    assert!(again.iter().all(|(name, outcome)| (*outcome == Outcome::Kept) == (name != "carol")), "{again:?}");
    assert_eq!(after.alice().texts().len(), 27);
}

#[test]
fn from_files_into_files() {
    everything_comes_back(FILE, FILE);
}

#[test]
fn from_files_into_rows() {
    everything_comes_back(FILE, RLS);
}

#[test]
fn from_rows_into_files() {
    everything_comes_back(RLS, FILE);
}

#[test]
fn from_sealed_rows_into_files() {
    everything_comes_back(SEALED, FILE);
}

#[test]
fn from_files_into_sealed_rows() {
    everything_comes_back(FILE, SEALED);
}

#[test]
fn from_schemas_into_databases() {
    everything_comes_back(SCHEMA, DATABASE);
}

#[test]
fn from_databases_into_schemas() {
    everything_comes_back(DATABASE, SCHEMA);
}

#[test]
fn who_was_erased_since_stays_erased() {
    for place in [FILE, RLS] {
        let (here, there) = (Ground::new(), Ground::new());
        let process = here.open(place);
        process.alice().add("gone");
        process.bob().add("stays");
        let files = named(&here, "before");
        take(&process, &files, &["alice", "bob"], true, Lock::Master);

        // One that is being taken while somebody is erased.
        let during = named(&here, "during");
        let mut backup = Backup::begin(&process.store, &during.archive, &during.keys, true, Lock::Master).unwrap();
        for name in ["alice", "bob"] {
            backup.space(&right(&process.store.directory, identity(name)).unwrap()).unwrap();
        }
        here.clock.advance_s(10);
        process.alice().erase().unwrap();
        backup.rest(&process.operator()).unwrap();
        backup.end().unwrap();

        for force in [false, true] {
            let outcomes = put(&here.options(place), &files, Some("alice"), force, &Lock::Master);
            assert_eq!(outcomes, [("alice".to_owned(), Outcome::Erased)]);
            assert_eq!(process.alice().texts(), Vec::<String>::new());
        }
        let outcomes = put(&there.options(place), &during, None, false, &Lock::Master);
        assert_eq!(outcomes, [("alice".to_owned(), Outcome::Erased), ("bob".to_owned(), Outcome::Restored)]);
        assert_eq!(there.open(place).bob().texts().len(), 1);

        // What she keeps since then is hers, and is backed up and put back like anybody's.
        here.clock.advance_s(10);
        process.alice().add("anew");
        let files = named(&here, "after");
        here.clock.advance_s(10);
        take(&process, &files, &["alice"], false, Lock::Master);
        process.alice().add("more");
        let outcomes = put(&here.options(place), &files, None, true, &Lock::Master);
        assert_eq!(outcomes, [("alice".to_owned(), Outcome::Replaced)]);
        assert_eq!(here.open(place).alice().texts().len(), 1);
    }
}

#[test]
fn what_is_there_is_replaced_when_it_is_said_and_its_trail_goes_on() {
    for place in [FILE, RLS, SCHEMA, DATABASE, SEALED] {
        let ground = Ground::new();
        let process = ground.open(place);
        populate(&process, &ground.clock);
        let deleted = deleted(&process);
        let before = seen(process.alice(), &deleted);
        let files = named(&ground, "alice.backup");
        take(&process, &files, &["alice"], false, Lock::Master);
        process.alice().write(|writer| writer.delete_all(None)).unwrap();
        process.alice().add("since");
        process.bob().add("since");

        assert_eq!(put(&ground.options(place), &files, None, false, &Lock::Master)[0].1, Outcome::Kept);
        assert_eq!(process.alice().texts().len(), 1);
        assert_eq!(put(&ground.options(place), &files, None, true, &Lock::Master)[0].1, Outcome::Replaced);
        let mut now = seen(process.alice(), &deleted);
        assert!(now["trail"].starts_with(&before["trail"]) && now["trail"].contains("delete_memories"));
        now.extend(["trail", "state"].map(|what| (what.to_owned(), before[what].clone())));
        assert_same(&now, &before);
        assert_eq!(process.bob().texts().len(), 2);
        process.alice().add("goes on");
    }
}

#[test]
fn a_backup_that_is_not_whole_changes_nothing() {
    let (here, there) = (Ground::new(), Ground::new());
    let process = here.open(FILE);
    process.alice().add("kept");
    let files = named(&here, "all.backup");
    take(&process, &files, &["alice"], true, Lock::Master);
    let bytes = std::fs::read(&files.archive).unwrap();
    let refused = |bytes: &[u8], keys: &Path| {
        let bad = Files { archive: here.path("bad"), keys: keys.to_owned() };
        std::fs::write(&bad.archive, bytes).unwrap();
        let refusal = code(open(&there.options(FILE), &bad, &Lock::Master));
        assert!(matches!(refusal, Some(Code::Invalid | Code::KeyUnavailable)), "{refusal:?}");
        assert!(!there.path("data/directory.db").exists());
    };
    for cut in [0, 1, 20, bytes.len() / 2, bytes.len() - 1] {
        refused(&bytes[..cut], &files.keys);
    }
    for place in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 4;
        refused(&flipped, &files.keys);
    }
    // The keys of another backup, and keys that are none.
    let other = named(&here, "other.backup");
    take(&process, &other, &["alice"], true, Lock::Master);
    refused(&bytes, &other.keys);
    refused(&bytes, &files.archive);
    // A name that is taken stays what it is.
    let again = Backup::begin(&process.store, &files.archive, &here.path("new.keys"), true, Lock::Master);
    assert_eq!(code(again.map(drop)), Some(Code::Conflict));
    assert_eq!(std::fs::read(&files.archive).unwrap(), bytes);
}

#[test]
fn one_that_was_not_ended_is_not_there() {
    let ground = Ground::new();
    let process = ground.open(FILE);
    process.alice().add("kept");
    let files = named(&ground, "all.backup");
    let mut backup = Backup::begin(&process.store, &files.archive, &files.keys, true, Lock::Master).unwrap();
    backup.space(&right(&process.store.directory, identity("alice")).unwrap()).unwrap();
    assert!(!files.archive.exists() && !files.keys.exists());
    drop(backup);
    let left: Vec<_> = std::fs::read_dir(ground.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"]);
    // A passphrase that anybody would guess is refused before there is anything.
    let short = Backup::begin(&process.store, &files.archive, &files.keys, true, passphrase("short")).unwrap();
    assert_eq!(code(short.end()), Some(Code::Invalid));
    assert!(!files.archive.exists() && !files.keys.exists());
}

#[test]
fn a_passphrase_takes_it_to_another_machine() {
    let (here, there) = (Ground::new(), Ground::new());
    let process = here.open(FILE);
    process.alice().add("from here");
    let (all, one) = (named(&here, "all.backup"), named(&here, "alice.backup"));
    take(&process, &all, &["alice"], true, passphrase("correct horse battery"));
    take(&process, &one, &["alice"], false, passphrase("correct horse battery"));

    let fresh = Options::at(there.path("fresh"));
    assert_eq!(code(open(&fresh, &all, &Lock::Master)), Some(Code::KeyUnavailable));
    assert_eq!(code(open(&fresh, &all, &passphrase("correct horse batterie"))), Some(Code::KeyUnavailable));
    assert_eq!(code(open(&fresh, &one, &passphrase("correct horse battery"))), Some(Code::KeyUnavailable));
    assert!(!there.path("fresh").exists());
    put(&fresh, &all, None, false, &passphrase("correct horse battery"));
    let restored = Process::open(&fresh, &there.clock).unwrap();
    assert_eq!(restored.alice().texts(), process.alice().texts());
    assert_eq!(restored.store.token_secret, process.store.token_secret);

    // One user into an installation with another master key; all of one do not go there.
    let other = Options::at(there.path("other"));
    let installation = Process::open(&other, &there.clock).unwrap();
    installation.bob().add("there");
    assert_eq!(code(open(&other, &all, &passphrase("correct horse battery"))), Some(Code::Conflict));
    put(&other, &one, None, false, &passphrase("correct horse battery"));
    assert_eq!(installation.alice().texts(), process.alice().texts());
    assert_eq!(installation.bob().texts().len(), 1);
}

#[test]
fn each_space_is_as_it_was_at_one_moment() {
    for place in [FILE, RLS] {
        let (here, there) = (Ground::new(), Ground::new());
        let process = here.open(place);
        process.alice().add("first");
        let stop = AtomicBool::new(false);
        let files: Vec<_> = (0..4).map(|number| named(&here, &format!("{number}.backup"))).collect();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                // Two at once, or none.
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let pair = ["one", "two"]
                        .map(|which| NewMemory::text(process.alice().canary(&format!("{number} {which}"))));
                    process.alice().try_add(pair.into()).unwrap();
                }
            });
            for files in &files {
                take(&process, files, &["alice"], false, Lock::Master);
            }
            stop.store(true, Ordering::SeqCst);
        });
        for files in &files {
            put(&there.options(place), files, None, true, &Lock::Master);
            let restored = there.open(place);
            let texts = restored.alice().texts();
            assert_eq!(texts.len() % 2, 1, "half of a pair");
            assert_eq!(restored.alice().read(|reader| reader.state()).unwrap().memories, texts.len() as u64);
        }
    }
}
