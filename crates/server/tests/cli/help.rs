//! What the program says of itself.

use crate::home::Home;

/// Every command there is, as it is typed.
const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["init"],
    &["token"],
    &["key", "create"],
    &["key", "list"],
    &["key", "revoke"],
    &["user", "create"],
    &["user", "list"],
    &["user", "path"],
    &["user", "usage"],
    &["user", "suspend"],
    &["user", "resume"],
    &["user", "erase"],
    &["user", "export"],
    &["user", "import"],
    &["audit", "verify"],
    &["audit", "list"],
    &["audit", "report"],
    &["migrate"],
    &["migrate", "layout"],
    &["import"],
    &["backup"],
    &["restore"],
    &["reindex"],
    &["test-rls"],
    &["validate"],
    &["doctor"],
    &["config"],
    &["openapi"],
];

#[test]
fn every_command_teaches_with_an_example_and_takes_what_all_take() {
    let home = Home::bare();
    for command in COMMANDS {
        let help = home.run(&[command, &["--help"][..]].concat()).done();
        assert!(
            help.contains("Example") && help.contains(&format!("locule {}", command.join(" "))),
            "{command:?}: {help}"
        );
        for flag in ["--data <DIR>", "--config <FILE>", "--json"] {
            assert!(help.contains(flag), "{command:?} {flag}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 140), "{command:?}: {help}");
    }
}

#[test]
fn no_command_is_missing_above() {
    let home = Home::bare();
    let listed = |above: &[&str]| -> Vec<String> {
        let help = home.run(&[above, &["--help"]].concat()).done();
        let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
        list.lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect()
    };
    for name in listed(&[]) {
        match &*name {
            "key" | "user" | "audit" | "migrate" => {
                for inner in listed(&[&name]) {
                    assert!(COMMANDS.contains(&&[&*name, &*inner][..]), "{name} {inner}");
                }
            }
            name => assert!(COMMANDS.contains(&&[name][..]), "{name}"),
        }
    }
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = Home::bare().run(&["--help"]).done();
    for line in ["0  done", "1  failed", "2  usage", "3  not found", "4  refused"] {
        assert!(help.contains(line), "{line}");
    }
}

#[test]
fn a_command_line_that_is_none_ends_with_two() {
    let home = Home::bare();
    for arguments in [
        &["srve"][..],
        &["serve", "--lissten"],
        &["token"],
        &["user"],
        &["key", "create", "--frob"],
        &["serve", "--workers", "x"],
    ] {
        assert_eq!(home.run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn the_description_of_the_api_is_json_and_needs_no_data() {
    let document = Home::bare().run(&["openapi"]).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/{user_id}/memories"].is_object());
}
