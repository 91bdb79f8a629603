//! API keys on the command line.

use crate::home::Home;

fn create(home: &Home, arguments: &[&str]) -> String {
    home.run(&[&["key", "create"], arguments].concat()).done()
}

#[test]
fn a_key_is_one_line_on_standard_output_and_the_words_go_elsewhere() {
    let home = Home::new();
    for kind in [
        &["--service", "--act-as", "*"][..],
        &["--user", "alice"],
        &["--user", "alice", "--read-only"],
        &["--operator"],
    ] {
        let run = home.run(&[&["key", "create"], kind].concat());
        assert_eq!(run.code, 0, "{run:?}");
        let key = run.out.strip_suffix('\n').unwrap();
        assert!(key.starts_with("locule_") && !key.contains(char::is_whitespace), "{key}");
        assert!(run.err.contains("not shown again") && !run.err.contains(key), "{run:?}");
    }
}

#[test]
fn a_key_is_for_one_kind_of_holder_and_says_which() {
    let home = Home::new();
    for (arguments, words) in [
        (&[][..], "--service"),
        (&["--service"], "--act-as"),
        (&["--act-as", "*"], "--service"),
        (&["--service", "--act-as", "*", "--operator"], "cannot be used with"),
        (&["--user", "alice", "--act-as", "*"], "cannot be used with"),
        (&["--operator", "--read-only"], "cannot be used with"),
        (&["--read-only"], "--user"),
        (&["--service", "--act-as", "a*b*"], "act-as"),
        (&["--service", "--act-as", ""], "user id"),
        (&["--user", "me"], "reserved"),
        (&["--operator", "--ttl", "0s"], "no time"),
        (&["--operator", "--name", &"x".repeat(101)], "at most 100"),
    ] {
        home.run(&[&["key", "create"], arguments].concat()).refused(2, words);
    }
    assert_eq!(home.run(&["key", "list", "--json"]).json().as_array().unwrap().len(), 0);
}

#[test]
fn the_list_shows_keys_without_their_secrets_and_a_revoked_one_is_gone() {
    let home = Home::new();
    let service = create(&home, &["--service", "--act-as", "shop-*", "--name", "shop", "--ttl", "90d"]);
    let alice = create(&home, &["--user", "alice", "--read-only"]);
    let list = home.run(&["key", "list"]).done();
    assert!(
        list.contains("service acting for shop-*") && list.contains("user alice, read-only") && list.contains("never")
    );
    for key in [&service, &alice] {
        let secret = key.split('_').nth(2).unwrap();
        assert!(!list.contains(secret));
    }
    let listed = home.run(&["key", "list", "--json"]).json();
    let id = listed[0]["id"].as_str().unwrap();
    assert!(service.contains(id));
    home.run(&["key", "revoke", id]).done();
    home.run(&["key", "revoke", id]).refused(3, "There is no key");
    home.run(&["key", "revoke", "x"]).refused(2, "16 hex digits");
    assert_eq!(home.run(&["key", "list", "--json"]).json().as_array().unwrap().len(), 1);
}

#[test]
fn a_name_cannot_take_over_the_terminal_of_who_reads_the_list() {
    let home = Home::new();
    create(&home, &["--operator", "--name", "\u{1b}[2J\u{202e}evil"]);
    let list = home.run(&["key", "list"]).done();
    assert!(!list.contains('\u{1b}') && !list.contains('\u{202e}'), "{list:?}");
    assert!(list.contains("evil"));
}
