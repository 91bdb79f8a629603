//! Making a data directory.

use crate::home::{Home, everything, mode};

#[test]
fn init_makes_a_directory_for_this_account_alone_and_says_what_to_back_up() {
    let home = Home::bare();
    let run = home.run(&["init"]);
    assert_eq!((run.code, &*run.out), (0, ""));
    for word in ["master.key", "Back up", "locule serve"] {
        assert!(run.err.contains(word), "{run:?}");
    }
    assert_eq!(mode(&home.data()), 0o700);
    assert_eq!(mode(&home.data().join("master.key")), 0o600);
    assert_eq!(mode(&home.data().join("directory.db")), 0o600);
}

#[test]
fn all_that_is_ever_made_is_for_this_account_alone() {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"likes tea"}"#).done();
    home.run(&["user", "export", "alice", "--out", "alice.json"]).done();
    for path in everything(&home.data()) {
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{path:?}");
    }
    assert_eq!(mode(&home.path("alice.json")), 0o600);
}

#[test]
fn init_leaves_what_is_there_as_it_is() {
    let home = Home::new();
    let key = std::fs::read(home.data().join("master.key")).unwrap();
    home.run(&["init"]).refused(1, "already");
    home.run(&["init", "--if-missing"]).done();
    assert_eq!(std::fs::read(home.data().join("master.key")).unwrap(), key);
}

#[test]
fn init_does_not_move_in_with_somebody_else() {
    let home = Home::bare();
    std::fs::create_dir(home.path("photos")).unwrap();
    home.write("photos/cat.jpg", "");
    for arguments in [
        &["init", "--data", "photos"][..],
        &["init", "--data", "photos", "--if-missing"],
        &["serve", "--dev", "--data", "photos"],
    ] {
        home.run(arguments).refused(1, "not empty");
    }
    home.run(&["init", "--data", "photos/cat.jpg"]).refused(1, "cannot be looked into");
    assert_eq!(std::fs::read_dir(home.path("photos")).unwrap().count(), 1);
}

#[test]
fn init_takes_over_an_empty_directory_and_shuts_it() {
    let home = Home::bare();
    std::fs::create_dir(home.path("volume")).unwrap();
    home.run(&["init", "--data", "volume"]).done();
    assert_eq!(mode(&home.path("volume")), 0o700);
}

#[test]
fn nothing_makes_a_data_directory_in_passing() {
    let home = Home::bare();
    for arguments in [&["serve"][..], &["token", "alice"], &["user", "list"], &["key", "list"], &["audit", "verify"]] {
        home.run(arguments).refused(1, "locule init --data ./locule-data");
    }
    home.run(&["user", "erase", "alice", "--yes", "--data", "elsewhere"]).refused(1, "locule init --data elsewhere");
    assert_eq!(std::fs::read_dir(home.path(".")).unwrap().count(), 0);
}

#[test]
fn data_without_its_master_key_is_not_given_another() {
    let home = Home::new();
    std::fs::remove_file(home.data().join("master.key")).unwrap();
    home.run(&["token", "alice"]).refused(1, "Restore it from its backup");
    home.run(&["serve", "--dev"]).refused(1, "Restore it from its backup");
    assert!(!home.data().join("master.key").exists());
}

#[test]
fn a_master_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(home.data().join("master.key"), open).unwrap();
    home.run(&["token", "alice"]).refused(1, "chmod 600");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_not_the_end() {
    let home = Home::bare();
    let program = env!("CARGO_BIN_EXE_locule");
    let script = format!("ulimit -f 1 && exec '{program}' init");
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(home.path(".")).env_clear().output();
    let run = crate::home::Run::from(output.unwrap());
    assert_eq!((run.code, &*run.out), (1, ""), "{run:?}");
    assert!(run.err.starts_with("locule: "), "{run:?}");
}
