//! What the doctor finds.

use std::os::unix::fs::PermissionsExt;

use locule_testbed::{Say, Web};

use crate::home::Home;

#[test]
fn a_sound_installation_is_found_sound() {
    let home = Home::new();
    let report = home.run(&["doctor"]).done();
    for check in [
        "configuration",
        "data directory",
        "master key",
        "free space",
        "open files",
        "installation",
        "audit trail",
        "model",
    ] {
        assert!(report.lines().any(|line| line.starts_with("OK") && line.contains(check)), "{check}: {report}");
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let home = Home::new();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let report = home.run(&["doctor"]).done();
    assert!(report.contains("WARN  data directory") && report.contains("chmod 700"), "{report}");

    std::fs::remove_file(home.data().join("master.key")).unwrap();
    let run = home.run(&["doctor"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("FAIL  master key") && run.out.contains("Restore it"), "{run:?}");
    assert!(run.out.contains("FAIL  installation"), "{run:?}");
}

#[test]
fn nothing_there_is_a_finding_too() {
    let home = Home::bare();
    let run = home.run(&["doctor", "--json"]);
    assert_eq!(run.code, 1);
    let findings: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let failed = findings.as_array().unwrap().iter().any(|finding| finding["status"] == "fail");
    assert!(failed, "{findings}");
    assert!(!home.data().exists());
}

#[test]
fn a_wrong_configuration_is_a_finding_too() {
    let home = Home::new();
    home.write("locule.toml", "[quota]\nmemory = 1\n");
    let run = home.run(&["doctor"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("FAIL  configuration") && run.out.contains("`quota.memory`"), "{run:?}");
}

#[test]
fn a_chat_model_is_asked_whether_it_finds_anything() {
    let home = Home::new();
    let report = home.run(&["doctor"]).done();
    assert!(report.contains("OK    chat model: none"), "{report}");

    let web = Web::saying([Say::facts(&["The user is allergic to peanuts."]), Say::chat("No.")], Say::status(401));
    let settings = [("LOCULE_CHAT_MODEL", "small"), ("OPENAI_BASE_URL", &*web.url()), ("OPENAI_API_KEY", "sk-1")];
    let report = home.run_with(&["doctor"], &settings).done();
    assert!(report.contains("OK    chat model: small; found 1 fact"), "{report}");
    for why in ["cannot be used", "401"] {
        let run = home.run_with(&["doctor"], &settings);
        assert!(run.code == 1 && run.out.contains("FAIL  chat model") && run.out.contains(why), "{run:?}");
        assert!(!run.out.contains("sk-1"));
    }
    let asked = web.asked();
    assert_eq!((asked.len(), asked[0].header("authorization")), (3, Some("Bearer sk-1")));
}
