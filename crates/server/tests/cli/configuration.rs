//! Where settings come from, and which of them counts.

use crate::home::Home;

#[test]
fn file_then_environment_then_flag() {
    let home = Home::bare();
    let limit = |environment: &[(&str, &str)], flags: &[&str]| {
        let settings = home.run_with(&[&["config", "--json"], flags].concat(), environment).json();
        let found =
            settings.as_array().unwrap().iter().find(|setting| setting["name"] == "quota.memories").unwrap().clone();
        (found["value"].as_u64().unwrap(), found["from"].as_str().unwrap().to_owned())
    };
    assert_eq!(limit(&[], &[]), (1_000_000, "default".to_owned()));
    home.write("locule.toml", "[quota]\nmemories = 1\n");
    assert_eq!(limit(&[], &[]), (1, "./locule.toml".to_owned()));
    let variable = [("LOCULE_QUOTA_MEMORIES", "2")];
    assert_eq!(limit(&variable, &[]), (2, "LOCULE_QUOTA_MEMORIES".to_owned()));
    assert_eq!(limit(&variable, &["--set", "quota.memories=3"]), (3, "flag".to_owned()));
    home.write("other.toml", "[quota]\nmemories = 4\n");
    assert_eq!(limit(&[], &["--config", "other.toml"]), (4, "other.toml".to_owned()));
    assert_eq!(limit(&[("LOCULE_CONFIG", "other.toml")], &[]), (4, "other.toml".to_owned()));
}

#[test]
fn the_data_directory_too() {
    let home = Home::bare();
    home.write("locule.toml", "data = \"in-file\"\n");
    home.run(&["init"]).done();
    home.run_with(&["init"], &[("LOCULE_DATA", "in-environment")]).done();
    home.run_with(&["init", "--data", "in-flag"], &[("LOCULE_DATA", "in-environment")]).done();
    for name in ["in-file", "in-environment", "in-flag"] {
        assert!(home.path(name).join("master.key").is_file(), "{name}");
    }
    assert!(!home.data().exists());
}

#[test]
fn what_is_misspelt_stops_every_command_and_is_named() {
    let home = Home::new();
    home.run_with(&["user", "list"], &[("LOCULE_QUOTA_MEMORY", "1")]).refused(2, "LOCULE_QUOTA_MEMORY");
    home.run(&["user", "list", "--set", "quota.memory=1"]).refused(2, "`quota.memory`");
    home.run(&["user", "list", "--set", "quota"]).refused(2, "NAME=VALUE");
    home.run(&["user", "list", "--config", "missing.toml"]).refused(2, "missing.toml");
    home.write("locule.toml", "[quota]\nmemory = 1\n");
    for arguments in [&["serve", "--dev"][..], &["user", "list"], &["token", "alice"], &["init", "--data", "new"]] {
        home.run(arguments).refused(2, "`quota.memory`");
    }
    home.write("locule.toml", "[quota\n");
    home.run(&["user", "list"]).refused(2, "locule.toml");
}

#[test]
fn a_secret_in_the_configuration_is_never_printed() {
    let home = Home::new();
    home.write(
        "locule.toml",
        "[embedding]\nprovider = \"openai\"\nkey = \"sk-very-secret\"\nurl = \"http://127.0.0.1:1/v1\"\n",
    );
    let environment = [("JWT_SECRET", "0123456789abcdef0123456789abcdef"), ("OPENAI_API_KEY", "sk-also-secret")];
    for arguments in [&["config"][..], &["config", "--json"], &["user", "list"], &["doctor"]] {
        let run = home.run_with(arguments, &environment);
        for secret in ["very-secret", "also-secret", "0123456789abcdef"] {
            assert!(!run.out.contains(secret) && !run.err.contains(secret), "{arguments:?}: {run:?}");
        }
    }
}

#[test]
fn the_reference_is_the_page_in_the_docs() {
    let page = include_str!("../../../../docs/configuration.md");
    assert!(Home::bare().run(&["config", "--reference"]).done() == page, "write docs/configuration.md with it");
}
