//! Tokens on the command line.

use crate::home::Home;

/// 32 bytes, as the least secret has.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_token_is_one_line_and_nothing_else() {
    let home = Home::new();
    let run = home.run(&["token", "alice", "--ttl", "90s"]);
    assert_eq!((run.code, &*run.err), (0, ""));
    let token = run.out.strip_suffix('\n').unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
}

#[test]
fn a_lifetime_is_within_bounds_or_refused() {
    let home = Home::new();
    for ttl in ["1s", "90s", "15m", "24h", "1d"] {
        home.run(&["token", "alice", "--ttl", ttl]).done();
    }
    for (ttl, words) in [
        ("0s", "no time"),
        ("1h30m", "90s, 15m, 1h or 7d"),
        ("forever", "90s, 15m, 1h or 7d"),
        ("-1h", "unexpected argument"),
        ("99999999999999d", "hundred years"),
        ("25h", "86400 seconds"),
        ("7d", "86400 seconds"),
    ] {
        home.run(&["token", "alice", "--ttl", ttl]).refused(2, words);
    }
    home.run(&["token", "alice", "--ttl", "7d", "--set", "tokens.lifetime_max_s=604800"]).done();
}

#[test]
fn an_id_that_could_be_taken_for_something_else_is_refused() {
    let home = Home::new();
    for id in [
        "",
        "me",
        ".",
        "..",
        " alice",
        "alice ",
        "a\nb",
        "a\u{1b}[2Jb",
        "urn:locule:space:x",
        "A\u{30a}sa",
        &"x".repeat(256),
    ] {
        home.run(&["token", "--", id]).refused(2, "This user id cannot be used");
        home.run(&["user", "create", "--", id]).refused(2, "This user id cannot be used");
    }
    for id in ["--yes", "-x", "../../etc/passwd", "a'; DROP TABLE spaces; --", "Ålice", "%2e%2e", &"x".repeat(255)] {
        home.run(&["token", "--", id]).done();
    }
}

#[test]
fn a_secret_that_is_given_signs_in_place_of_our_own() {
    let home = Home::new();
    let header = |token: &str| token.split('.').next().map(str::to_owned);
    let ours = home.run(&["token", "alice"]).done();
    let theirs = home.run_with(&["token", "alice"], &[("JWT_SECRET", SECRET)]).done();
    assert_eq!(header(&ours), header(&theirs));
    assert_ne!(ours.rsplit('.').next(), theirs.rsplit('.').next());
}

#[test]
fn an_empty_or_short_secret_is_refused_and_not_passed_over() {
    let home = Home::new();
    for weak in ["", "secret", &SECRET[1..]] {
        for arguments in [&["token", "alice"][..], &["serve"], &["serve", "--dev"], &["key", "list"]] {
            home.run_with(arguments, &[("JWT_SECRET", weak)]).refused(2, "at least 32");
        }
    }
}

#[test]
fn where_another_issuer_signs_no_token_is_made() {
    let home = Home::new();
    home.write("keys.json", "{\"keys\":[]}");
    let setting = ["--set", "tokens.jwks_file=keys.json"];
    home.run(&[&["token", "alice"], &setting[..]].concat()).refused(2, "that issuer makes them");
    home.run_with(&[&["token", "alice"], &setting[..]].concat(), &[("JWT_SECRET", SECRET)]).refused(2, "never");
}
