//! Carrying spaces from layout to layout.

use locule_testbed::{Flavour, Postgres};
use serde_json::Value;

use crate::home::{Home, Run};

/// A home whose settings say which layout it is in, and a database for it.
struct Place<'a> {
    home: Home,
    url: String,
    prefix: &'a str,
}

/// The same address, for the logins that `locule migrate` makes.
fn anybody(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{}", rest.split_once('@').map_or(rest, |(_, place)| place))
}

impl Place<'_> {
    fn run(&self, layout: &str, arguments: &[&str]) -> Run {
        let settings = [
            format!("storage.layout={layout}"),
            format!("postgres.prefix={}", self.prefix),
            format!("postgres.url={}", anybody(&self.url)),
            format!("postgres.admin_url={}", self.url),
        ];
        let mut all = arguments.to_vec();
        settings.iter().for_each(|setting| all.extend(["--set", setting]));
        self.home.run(&all)
    }

    fn export(&self, layout: &str, user: &str) -> (Value, String) {
        let export = self.run(layout, &["user", "export", user]).done();
        let parsed: Value = serde_json::from_str(&export).unwrap();
        (parsed["total_memories"].clone(), export.split_once('\n').unwrap().1.to_owned())
    }
}

const MEMORIES: &str =
    "{\"content\":\"I'm allergic to peanuts\",\"metadata\":{\"n\":1.5}}\n{\"content\":\"I like windows\"}";

#[test]
fn an_installation_goes_from_files_into_postgresql_from_layout_to_layout_and_back() {
    let database = Postgres::shared(Flavour::Debian15).fresh_database();
    let place = Place { home: Home::new(), url: database.url(), prefix: "mvcli" };
    for user in ["alice", "bob"] {
        place.home.run_on(&["user", "import", user, "-"], MEMORIES).done();
    }
    place.home.run(&["key", "create", "--service", "--act-as", "*"]).done();
    let before = place.export("file", "alice");
    place.run("rls", &["migrate"]).done();

    let plan = place.run("file", &["migrate", "layout", "--to", "rls", "--all", "--dry-run", "--json"]).json();
    assert_eq!((&plan["users"], &plan["memories"]), (&2.into(), &4.into()), "{plan}");
    place.run("file", &["migrate", "layout", "--to", "rls"]).refused(2, "--user");
    place.run("file", &["migrate", "layout", "--to", "file", "--all"]).refused(2, "in files already");
    place.run("file", &["migrate", "layout", "--to", "rls", "--user", "nobody"]).refused(3, "There is no user nobody");
    assert_eq!(place.export("file", "alice"), before);

    // One ahead of the others.
    let moved = place.run("file", &["migrate", "layout", "--to", "rls", "--user", "alice", "--json"]).json();
    assert_eq!(moved["moved"][0]["receipt"]["memories"], 2, "{moved}");
    assert_eq!(moved["moved"][0]["receipt"]["key_destroyed"], true, "{moved}");
    assert_eq!(place.export("rls", "alice"), before);
    place.home.write("more.json", MEMORIES);
    place.run("file", &["user", "import", "alice", "more.json"]).refused(4, "moved to another installation");
    place.run("rls", &["user", "export", "bob"]).refused(3, "There is no user bob");

    let run = place.run("file", &["migrate", "layout", "--to", "rls", "--all"]);
    assert!(run.err.contains("moved     bob: 2 memories") && run.err.contains("locule serve --layout rls"), "{run:?}");
    place.run("file", &["user", "list"]).refused(4, "has been moved to rls at");
    assert_eq!(place.export("rls", "alice"), before);
    assert_eq!(place.run("rls", &["key", "list", "--json"]).json().as_array().unwrap().len(), 1);
    place.run("rls", &["audit", "verify"]).done();

    place.run("schema", &["migrate"]).done();
    place.run("rls", &["migrate", "layout", "--to", "schema", "--user", "alice"]).done();
    for layout in ["rls", "schema"] {
        assert_eq!(place.export(layout, "alice"), before);
        assert_eq!(place.export(layout, "bob").0, 2);
    }
    let path = place.run("rls", &["user", "path", "alice"]).done();
    assert!(path.starts_with("schema s_"), "{path}");

    place.run("schema", &["migrate", "layout", "--to", "file", "--all"]).done();
    assert_eq!(place.export("file", "alice"), before);
    assert_eq!(database.psql("SELECT count(*) FROM public.memories"), "0");
    assert_eq!(database.psql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 's\\_%'"), "0");
    place.run("rls", &["user", "list"]).refused(4, "has been moved to file");
    place.run("file", &["audit", "verify"]).done();
}

#[test]
fn a_user_is_moved_to_another_cluster() {
    let (main, east) = (Postgres::shared(Flavour::Debian15).fresh_database(), Postgres::start(Flavour::Debian15));
    let place = Place { home: Home::new(), url: main.url(), prefix: "mvclu" };
    let east = east.url();
    let clusters = format!("postgres.clusters=east*0={}", anybody(&east));
    let run = |arguments: &[&str]| place.run("rls", &[arguments, &["--set", &clusters]].concat());
    run(&["migrate"]).done();
    run(&["user", "list"]).refused(1, "The cluster east");
    let set_up = run(&["migrate", "--cluster", "east", "--admin-url", &east]);
    assert!(set_up.err.contains("The cluster east is set up."), "{set_up:?}");
    run(&["migrate", "--cluster", "west", "--admin-url", &east]).refused(2, "There is no cluster");
    place.home.write("memories", MEMORIES);
    run(&["user", "import", "alice", "memories"]).done();
    let before = run(&["user", "export", "alice"]).done();
    let timeless = |export: &str| export.split_once('\n').unwrap().1.to_owned();

    run(&["migrate", "layout", "--to", "rls", "--user", "alice"]).refused(2, "names already");
    run(&["migrate", "layout", "--to-cluster", "east", "--user", "alice"]).done();
    assert_eq!(main.psql("SELECT count(*) FROM public.memories"), "0");
    assert_eq!(timeless(&run(&["user", "export", "alice"]).done()), timeless(&before));
    run(&["migrate", "layout", "--to-cluster", "main", "--all"]).done();
    assert_eq!(main.psql("SELECT count(*) FROM public.memories"), "2");
    assert_eq!(timeless(&run(&["user", "export", "alice"]).done()), timeless(&before));
}
