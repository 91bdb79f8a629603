//! Users on the command line.

use crate::home::{Home, everything};

fn home_of_two() -> Home {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"I'm allergic to peanuts"}"#).done();
    home.run_on(&["user", "import", "bob", "-"], r#"{"content":"I eat everything"}"#).done();
    home
}

#[test]
fn a_user_is_created_once() {
    let home = Home::new();
    let run = home.run(&["user", "create", "alice"]);
    assert!(run.err.contains("alice has a space now"), "{run:?}");
    assert_eq!(run.done(), "");
    assert!(home.run(&["user", "create", "alice"]).err.contains("already"));
    let created = home.run(&["user", "create", "bob", "--json"]).json();
    assert_eq!((created["user_id"].as_str(), created["state"].as_str()), (Some("bob"), Some("open")));
}

#[test]
fn the_list_is_in_order_whole_and_can_be_cut() {
    let home = Home::new();
    for id in ["carol", "alice", "-bob", "Ålice"] {
        home.run(&["user", "create", "--", id]).done();
    }
    let ids = |arguments: &[&str]| -> Vec<String> {
        let list = home.run(&[&["user", "list", "--json"], arguments].concat()).json();
        list.as_array().unwrap().iter().map(|user| user["user_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&[]), ["-bob", "alice", "carol", "Ålice"]);
    assert_eq!(ids(&["--limit", "2"]), ["-bob", "alice"]);
    assert_eq!(ids(&["--after", "alice", "--limit", "1"]), ["carol"]);
    assert_eq!(home.run(&["user", "list"]).done().lines().count(), 5);
}

#[test]
fn a_list_that_nobody_reads_to_its_end_is_no_failure() {
    let home = home_of_two();
    let mut child = home.command(&["user", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn usage_and_path_are_of_one_user() {
    let home = home_of_two();
    let usage = home.run(&["user", "usage", "alice", "--json"]).json();
    assert_eq!((usage["memories"].as_u64(), usage["memories_max"].as_u64()), (Some(1), Some(1_000_000)));
    assert!(home.run(&["user", "usage", "alice"]).done().contains("1 of 1000000"));
    let path = |id| home.run(&["user", "path", id]).done().trim_end().to_owned();
    let (alice, bob) = (path("alice"), path("bob"));
    assert_ne!(alice, bob);
    // No name of a user is in a name on disk.
    assert!(home.path(&alice).is_file() && !alice.contains("alice"), "{alice}");
}

#[test]
fn who_is_not_there_is_not_found_by_any_command_and_not_made_by_one() {
    let home = Home::new();
    for command in ["path", "usage", "suspend", "resume", "export"] {
        home.run(&["user", command, "nobody"]).refused(3, "There is no user nobody");
    }
    home.run(&["user", "erase", "nobody", "--yes"]).refused(3, "There is no user nobody");
    home.run(&["audit", "list", "--user", "nobody", "--json"]).err.contains("There is no user nobody");
    let error: serde_json::Value = serde_json::from_str(&home.run(&["user", "path", "nobody", "--json"]).err).unwrap();
    assert_eq!(error["error"]["code"], "not_found");
    assert_eq!(home.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), 0);
}

#[test]
fn a_suspended_user_is_shut_and_opened_and_nothing_is_lost() {
    let home = home_of_two();
    home.run(&["user", "suspend", "alice"]).done();
    home.run(&["user", "export", "alice"]).refused(4, "suspended");
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"more"}"#).refused(4, "suspended");
    assert!(home.run(&["user", "list"]).done().contains("suspended"));
    home.run(&["user", "export", "bob"]).done();
    home.run(&["user", "resume", "alice"]).done();
    assert!(home.run(&["user", "export", "alice"]).done().contains("peanuts"));
}

#[test]
fn erasing_asks_first_and_takes_silence_for_no() {
    let home = home_of_two();
    home.run(&["user", "erase", "alice"]).refused(4, "--yes");
    home.run_on(&["user", "erase", "alice"], "alice\n").refused(4, "--yes");
    assert!(home.run(&["user", "export", "alice"]).done().contains("peanuts"));
}

#[test]
fn an_erased_user_is_gone_with_a_receipt_and_the_other_is_as_before() {
    let home = home_of_two();
    let bob = home.run(&["user", "usage", "bob"]).done();
    let path = home.run(&["user", "path", "alice"]).done();
    let receipt = home.run(&["user", "erase", "alice", "--yes", "--json"]).json();
    assert_eq!((receipt["erased"].as_bool(), receipt["key_destroyed"].as_bool()), (Some(true), Some(true)));
    assert_eq!(receipt["residue"], 0);
    home.run(&["user", "usage", "alice"]).refused(3, "There is no user alice");
    home.run(&["user", "erase", "alice", "--yes"]).refused(3, "There is no user alice");
    let name = std::path::Path::new(path.trim_end()).file_stem().unwrap().to_str().unwrap().to_owned();
    assert!(everything(&home.data()).iter().all(|path| !path.to_string_lossy().contains(&name)));
    assert_eq!(home.run(&["user", "usage", "bob"]).done(), bob);
    assert!(home.run(&["audit", "verify", "--all"]).done().contains("OK"));
}
