//! What the doctor finds.

use std::os::unix::fs::PermissionsExt;

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
