//! A full disk: nothing is stored, what is there is read, and erasing works.

use std::path::{Path, PathBuf};
use std::process::Command;

use locule_core::Code;
use locule_core::context::{EntryQuery, Json, Push};
use locule_core::memory::NewMemory;
use tempfile::TempDir;

use crate::context::{name, push};
use crate::house::{House, Layout, code, embed, traces};

for_each_file_layout! {
    on_a_full_disk_nothing_is_stored_and_reading_and_erasing_work
}

/// A disk of a few MiB, gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let place = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(place.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(place)),
            other => {
                println!("skipped: a small disk cannot be mounted here: {other:?}");
                None
            }
        }
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let filler = self.0.path().join("filler");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn on_a_full_disk_nothing_is_stored_and_reading_and_erasing_work(layout: &Layout) {
    let Some(disk) = SmallDisk::mount() else { return };
    let data: PathBuf = Path::new(disk.0.path()).join("data");
    let house = House::at(data, layout, |_| {});
    for user in [house.alice(), house.bob(), house.user("carol")] {
        for n in 0..10 {
            user.add(&format!("number {n}"));
        }
        user.write(|writer| writer.subscribe(&name("a"), vec![name("t"), name("u")])).unwrap();
        user.push(Push { topics: vec![name("t"), name("u")], ..push("shared", "[]") }).unwrap();
        user.push(push("list", "[]")).unwrap();
    }
    let filler = disk.fill();
    let mut refused = 0;
    for n in 0..300 {
        let text = house.alice().canary(&format!("too much {n} {}", "x".repeat(4000)));
        let before = house.alice().all().len();
        match code(house.alice().try_add(vec![NewMemory::text(text)])) {
            None => assert_eq!(house.alice().all().len(), before + 1),
            Some(Code::StorageFull) => {
                refused += 1;
                assert_eq!(house.alice().all().len(), before);
                if refused > 5 {
                    break;
                }
                disk.fill();
            }
            Some(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 5);
    context_finds_no_room_either(&house, &disk);
    // A new user finds no room, and is no less new for it.
    assert_eq!(code(house.user("dave").try_add(vec![NewMemory::text("x canary-of-dave")])), Some(Code::StorageFull));
    assert_eq!(house.user("dave").all(), []);
    for user in [house.alice(), house.bob()] {
        assert!(user.texts().len() >= 10);
        assert_eq!(user.search(&embed("number"), 10).unwrap().len(), 10);
        assert_eq!(user.entries(&EntryQuery::default()).len(), 2);
        assert!(user.read(|reader| reader.verify_audit()).unwrap().is_ok());
    }
    house.store.spaces.close().unwrap();
    disk.fill();
    // A space that is not open needs some room to be opened; without it the answer says so, and no damage is seen.
    assert!(matches!(code(house.alice().try_all()), None | Some(Code::StorageFull)));

    let space = house.bob().space().name();
    disk.fill();
    house.bob().erase().unwrap();
    assert_eq!(traces(house.data(), &space), Vec::<String>::new());
    assert_eq!(house.bob().all(), []);
    // And again, with only what the first erasure has given back.
    disk.fill();
    house.user("carol").erase().unwrap();
    assert_eq!(house.user("carol").all(), []);

    let kept = house.alice().texts();
    std::fs::remove_file(filler).unwrap();
    house.alice().add("there is room again");
    assert_eq!(house.alice().texts().len(), kept.len() + 1);
    house.user("dave").add("there is room again");
    house.bob().add("back again");
    assert_eq!(house.bob().texts().len(), 1);
    house.store.spaces.publish().unwrap();
    assert!(house.data().join("reserve").exists());
    assert!(house.store.directory.verify_trail(&house.operator()).unwrap().is_ok());
}

/// Whatever is done to the context where there is no room for it: nothing of it is there, and what was there is read.
fn context_finds_no_room_either(house: &House, disk: &SmallDisk) {
    let alice = house.alice();
    let long = Json::of(&format!("\"{}\"", "x".repeat(40_000))).unwrap();
    let everything = || {
        let agents = alice.read(|reader| reader.context_agents()).unwrap();
        (alice.entries(&EntryQuery::default()), agents, alice.read(|reader| reader.state()).unwrap())
    };
    let before = everything();
    let many: Vec<_> = (0..500).map(|n| name(&format!("a topic with a number in it {n}"))).collect();
    let mut refused = 0;
    while refused < 20 {
        disk.fill();
        let outcome = alice.write(|writer| match refused % 4 {
            0 => writer.push_context(Push::new(name("new"), long.clone())).map(drop),
            1 => writer.append_context(Push::new(name("list"), long.clone())).map(drop),
            2 => writer.push_context(Push { value: long.clone(), ..push("shared", "1") }).map(drop),
            _ => writer.subscribe(&name("b"), many.clone()).map(drop),
        });
        assert_eq!(code(outcome), Some(Code::StorageFull));
        assert_eq!(everything(), before);
        refused += 1;
    }
    // What needs little may find it, and then it is whole; or it does not, and then nothing is.
    disk.fill();
    match code(alice.write(|writer| writer.delete_topic(&name("t")))) {
        None => {
            let shared = alice.read(|reader| reader.context_entry(&name("shared"))).unwrap().unwrap();
            assert_eq!((shared.topics, everything().1[0].topics.len()), (vec![name("u")], 1));
        }
        Some(code) => assert_eq!((code, everything()), (Code::StorageFull, before)),
    }
}
