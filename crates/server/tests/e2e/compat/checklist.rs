//! What "works with the real clients" means, item by item, for a service's key and for a user's own token.

use locule_testbed::{Say, Web};
use serde_json::Value;

use super::{Client, Kind, installed};
use crate::ground::Layout;
use crate::house::House;

/// Today's clients: Python's, npm's, or both.
const PYTHON: &[(&str, &str)] = &[("python2", "checklist.py")];
const NPM: &[(&str, &str)] = &[("node3", "checklist.mjs")];
const BOTH: &[(&str, &str)] = &[PYTHON[0], NPM[0]];

/// Has clients do an item, as a service and as a user, where the server is set up so.
fn has_each_do(item: &str, clients: &[(&str, &str)], settings: &[(&str, &str)]) {
    let house = House::with(settings);
    for kind in [Kind::Service, Kind::User] {
        for (environment, script) in clients {
            Client::of(&house, kind).tell(environment, script, &[item]);
        }
    }
}

#[test]
fn item_01_pythons_constructors_work_and_tell_a_wrong_key() {
    has_each_do("item_01", PYTHON, &[]);
}

#[test]
fn item_02_npms_ping_resolves_and_rejects_a_wrong_key() {
    has_each_do("item_02", NPM, &[]);
}

#[test]
fn item_03_what_is_added_in_any_form_is_in_the_list_at_once() {
    has_each_do("item_03", BOTH, &[]);
}

#[test]
fn item_03_what_a_model_finds_is_there_when_its_event_says_so() {
    let model = Web::answering(|asked| {
        let body = asked.json();
        let told: Value = serde_json::from_str(body["messages"][1]["content"].as_str().unwrap()).unwrap();
        let said = told["conversation"].as_array().unwrap().iter().map(|turn| turn["content"].as_str().unwrap());
        Say::facts(&said.collect::<Vec<_>>())
    });
    let settings = [("LOCULE_CHAT_MODEL", "small"), ("LOCULE_CHAT_URL", &*model.url())];
    has_each_do("item_03_inferred", PYTHON, &settings);
    // Those who know no events wait for what comes of it.
    let house = House::with(&settings);
    Client::of(&house, Kind::User).tell("python1", "older.py", &["infer"]);
}

#[test]
fn item_04_lists_have_their_envelope_and_pages() {
    has_each_do("item_04", BOTH, &[]);
}

#[test]
fn item_05_an_unknown_user_has_nothing_and_deleting_it_is_no_error() {
    has_each_do("item_05", PYTHON, &[]);
}

#[test]
fn item_06_bad_and_unknown_ids_are_told_apart() {
    has_each_do("item_06", BOTH, &[]);
}

#[test]
fn item_07_changes_of_text_and_metadata_are_to_be_seen() {
    has_each_do("item_07", BOTH, &[]);
}

#[test]
fn item_08_history_begins_with_the_add() {
    has_each_do("item_08", BOTH, &[]);
}

#[test]
fn item_09_searches_take_every_kind_of_filter() {
    has_each_do("item_09", BOTH, &[]);
}

#[test]
fn item_10_entities_are_listed_and_deleted_whatever_they_are_called() {
    has_each_do("item_10", BOTH, &[]);
}

#[test]
fn item_11_batches_change_and_delete_all_or_nothing() {
    has_each_do("item_11", BOTH, &[]);
}

#[test]
fn item_12_settings_and_webhooks_of_a_project_make_the_round() {
    has_each_do("item_12", BOTH, &[]);
}

#[test]
fn item_13_feedback_exports_summaries_and_profiles_answer() {
    has_each_do("item_13", BOTH, &[]);
}

#[test]
fn item_14_rates_and_quotas_raise_the_clients_own_errors() {
    has_each_do("item_14_rate", PYTHON, &[("LOCULE_RATE_PER_S", "2")]);
    has_each_do("item_14_quota", PYTHON, &[("LOCULE_QUOTA_MEMORIES", "2")]);
}

#[test]
fn item_15_hosts_may_end_with_a_slash_and_have_a_base_path() {
    has_each_do("item_15", BOTH, &[]);
}

#[test]
fn item_16_what_is_no_selector_deletes_nothing() {
    has_each_do("item_16", BOTH, &[]);
}

/// What must differ from mem0, as its clients meet it; the rows themselves are in `mem0::differs`.
#[test]
fn item_17_a_star_and_a_nested_condition_lead_nowhere_else() {
    has_each_do("item_17", BOTH, &[]);
}

#[test]
fn item_18_the_command_line_of_mem0_works() {
    let house = House::with(&[]);
    for kind in [Kind::Service, Kind::User] {
        let client = Client::of(&house, kind);
        let mem0 = installed().join("cli/bin/mem0");
        let say = |arguments: &[&str]| {
            let output = client.run(&mem0, None, arguments);
            let text =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "mem0 {arguments:?}: {text}");
            text
        };
        let user = ["--user-id", client.user];
        say(&["status"]);
        say(&[&["add", "I like green tea", "--no-infer"], &user[..]].concat());
        let listed = house.user(client.user).get("/memories").expect(200).json();
        let id = listed["memories"][0]["id"].as_str().unwrap().to_owned();
        assert!(say(&[&["search", "tea"], &user[..]].concat()).contains("green tea"));
        assert!(say(&[&["list"], &user[..]].concat()).contains("green tea"));
        assert!(say(&["get", &id]).contains("green tea"));
        say(&["update", &id, "I like black tea"]);
        assert!(say(&["get", &id]).contains("black tea"));
        assert!(say(&["entity", "list", "users"]).contains(client.user));
        say(&["event", "list"]);
        say(&["delete", &id, "--force"]);
        assert_eq!(house.user(client.user).count(), 0);
    }
}

#[test]
fn item_19_older_clients_work_as_well() {
    let house = House::with(&[]);
    for kind in [Kind::Service, Kind::User] {
        Client::of(&house, kind).tell("python1", "older.py", &[]);
        Client::of(&house, kind).tell("node2", "older.mjs", &[]);
    }
}

/// The items that write, where PostgreSQL keeps the spaces.
#[test]
fn items_that_write_work_where_postgresql_keeps_the_spaces() {
    let house = House::on(Layout::Rls, &[]);
    for item in ["item_03", "item_07", "item_08", "item_09", "item_10", "item_11", "item_13", "item_17"] {
        Client::of(&house, Kind::Service).tell("python2", "checklist.py", &[item]);
    }
}
