//! The audit trail on the command line.

use crate::home::Home;

#[test]
fn what_operators_do_is_on_record_and_the_record_holds() {
    let home = Home::new();
    home.run(&["user", "create", "alice"]).done();
    home.run(&["user", "suspend", "alice"]).done();
    home.run(&["key", "create", "--operator"]).done();
    let entries = home.run(&["audit", "list", "--json"]).json();
    let reasons: Vec<&str> = entries.as_array().unwrap().iter().filter_map(|entry| entry["actor"].as_str()).collect();
    for reason in ["user create", "user suspend", "key create"] {
        assert!(reasons.iter().any(|found| found.ends_with(reason)), "{reason} is not in {reasons:?}");
    }
    assert_eq!(home.run(&["audit", "list", "--limit", "1", "--json"]).json().as_array().unwrap().len(), 1);
    assert!(home.run(&["audit", "verify", "--all"]).done().contains("SKIP  user alice: suspended"));
    home.run(&["user", "resume", "alice"]).done();
    assert!(home.run(&["audit", "verify", "--all"]).done().contains("OK    user alice"));
}

#[test]
fn each_space_has_a_chain_of_its_own() {
    let home = Home::new();
    home.run_on(&["user", "import", "alice", "-"], r#"{"content":"I'm allergic to peanuts"}"#).done();
    home.run_on(&["user", "import", "bob", "-"], r#"{"content":"I eat everything"}"#).done();
    let entries = home.run(&["audit", "list", "--user", "alice", "--json"]).json();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert!(!entries.to_string().contains("peanuts") && !entries.to_string().contains("bob"));
    assert_eq!(home.run(&["audit", "verify", "--all", "--json"]).json().as_array().unwrap().len(), 3);
    let one = home.run(&["audit", "verify", "--user", "bob", "--json"]).json();
    assert_eq!((one[0]["user_id"].as_str(), one[0]["intact"].as_bool()), (Some("bob"), Some(true)));
    assert_eq!(home.run(&["audit", "verify", "--user", "nobody"]).code, 3);
}
