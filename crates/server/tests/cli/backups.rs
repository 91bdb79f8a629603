//! Backing up and putting back.

use std::process::Command;

use serde_json::json;

use crate::home::{Home, mode};

fn filled(users: &[&str], memories: usize) -> Home {
    let home = Home::new();
    let lines: Vec<_> = (0..memories)
        .map(|number| json!({"content": format!("I'm allergic to peanuts {number}"), "embedding": null}).to_string())
        .collect();
    let context = concat!(
        r#"{"memories":[],"agents":[{"name":"a\u0000","topics":["t"],"posts":["t"]}],"context":[{"key":"k","value":[1e400],"#,
        r#""audience":["a\u0000"],"topics":["t"],"created_at":"2026-01-01T10:00:00Z"}]}"#
    );
    for user in users {
        home.run_on(&["user", "import", user, "-"], &lines.join("\n")).done();
        home.run_on(&["user", "import", user, "-"], context).done();
    }
    home
}

fn export(home: &Home, user: &str) -> String {
    home.run(&["user", "export", user]).done().split_once('\n').unwrap().1.to_owned()
}

#[test]
fn an_installation_is_put_back_on_another_machine() {
    let (here, there) = (filled(&["alice", "bob"], 3), Home::bare());
    here.run(&["key", "create", "--service", "--act-as", "*"]).done();
    here.write("secret", "correct horse battery staple\n");
    let backup = ["backup", "--to", "all.backup", "--passphrase-file", "secret", "--json"];
    let taken = here.run(&backup).json();
    assert_eq!((&taken["backup"]["users"], &taken["backup"]["memories"]), (&json!(2), &json!(6)));
    for file in ["all.backup", "all.backup.keys"] {
        assert_eq!(mode(&here.path(file)), 0o600);
        std::fs::copy(here.path(file), there.path(file)).unwrap();
    }
    here.run(&backup).refused(4, "already");

    let restore = ["restore", "--from", "all.backup", "--passphrase-file", "secret"];
    there.write("secret", "wrong horse battery staple");
    there.run(&restore).refused(1, "passphrase");
    assert!(!there.data().exists());
    there.write("secret", "correct horse battery staple");
    there.run(&["restore", "--from", "all.backup"]).refused(1, "--passphrase-file");
    let run = there.run(&restore);
    assert!(run.err.contains("restored  alice: 3 memories"), "{run:?}");
    assert_eq!(export(&there, "alice"), export(&here, "alice"));
    assert!(export(&there, "alice").contains(r#"{"key":"k","value":[1e400],"audience":["a\u0000"],"topics":["t"]"#));
    assert_eq!(there.run(&["key", "list", "--json"]).json().as_array().unwrap().len(), 1);
    there.run(&["audit", "verify", "--all"]).done();

    there.run(&restore).refused(4, "alice and 1 more have a space already");
    let plan = there.run(&[&restore[..], &["--force", "--dry-run", "--json"]].concat()).json();
    assert_eq!(plan["users"][0], json!({"user_id": "alice", "memories": 3, "outcome": "replaced"}));
}

#[test]
fn one_user_is_put_back_and_never_one_who_was_erased_since() {
    let home = filled(&["alice", "bob"], 2);
    let before = export(&home, "alice");
    home.run(&["backup", "--to", "alice.backup", "--user", "alice"]).done();
    home.run(&["backup", "--to", "nobody.backup", "--user", "nobody"]).refused(3, "There is no user");
    assert!(!home.path("nobody.backup").exists());
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"since"}"#).done();
    home.run(&["restore", "--from", "alice.backup"]).refused(4, "alice have a space already");
    home.run(&["restore", "--from", "alice.backup", "--user", "bob", "--force"]).refused(3, "no user bob");
    home.run(&["restore", "--from", "alice.backup", "--user", "alice", "--force"]).done();
    assert_eq!(export(&home, "alice"), before);

    home.run(&["user", "erase", "alice", "--yes"]).done();
    let run = home.run(&["restore", "--from", "alice.backup", "--force", "--json"]);
    assert_eq!(run.json()["users"][0]["outcome"], "erased");
    home.run(&["user", "export", "alice"]).refused(3, "There is no user");
}

#[test]
fn a_backup_that_is_cut_off_leaves_none() {
    let home = filled(&["alice"], 1500);
    // The system ends whoever writes a file longer than this, as a disk that is full would fail it.
    let program = env!("CARGO_BIN_EXE_locule");
    let ended = Command::new("bash")
        .args(["-c", &format!("ulimit -f 600; exec {program} backup --to all.backup")])
        .current_dir(home.path(""))
        .output()
        .unwrap();
    assert!(!ended.status.success(), "{ended:?}");
    assert!(!home.path("all.backup").exists() && !home.path("all.backup.keys").exists());
    home.run(&["backup", "--to", "all.backup"]).done();
    home.run(&["restore", "--from", "all.backup", "--dry-run"]).done();
    assert_eq!(home.run(&["backup", "--to", "."]).done().lines().count(), 1);
}
