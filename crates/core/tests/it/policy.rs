//! The table of who may do what is the page `policy.txt`, which people read.

use locule_core::policy::{Act, Role, allows};

#[test]
fn the_table_is_the_page_that_people_read() {
    let page = include_str!("policy.txt");
    let table = table();
    assert_eq!(table, page, "\nIf the change is meant, make tests/it/policy.txt read:\n\n{table}");
}

fn table() -> String {
    let mut lines = vec![line("", Role::ALL.map(|role| format!("{role:?}").to_lowercase()))];
    lines.extend(Act::ALL.map(|act| line(act.as_str(), Role::ALL.map(|role| mark(role, act).to_owned()))));
    lines.concat()
}

fn mark(role: Role, act: Act) -> &'static str {
    if allows(role, act) { "yes" } else { "-" }
}

fn line(head: &str, cells: [String; Role::ALL.len()]) -> String {
    let [owner, reader, service, operator] = cells;
    format!("{head:<15} {owner:<7} {reader:<7} {service:<8} {operator}").trim_end().to_owned() + "\n"
}
