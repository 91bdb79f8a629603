//! A database that is set up for Locule, and those who come to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use locule_core::Result;
use locule_core::clock::Sources;
use locule_store::postgres::{Address, Pooler, Prefix, Report};
use locule_store::{Keeping, Migration, Options, PostgresLayout};
use locule_testbed::{Database, Flavour, Postgres};
use tempfile::TempDir;

pub type Rule = (&'static str, fn(&Place));

/// Runs every rule, and fails with the names of those that do not hold.
pub fn hold(flavour: Flavour, made: fn(Flavour) -> Place, rules: &[Rule]) {
    if !flavour.is_installed() {
        println!("no {flavour:?} on this machine: .ci/services puts it there");
        assert!(flavour != Flavour::Debian15 && std::env::var_os("CI").is_none(), "{flavour:?} is needed");
        return;
    }
    let place = made(flavour);
    let mut broken = Vec::new();
    for (name, rule) in rules {
        let held = catch_unwind(AssertUnwindSafe(|| rule(&place))).is_ok();
        println!("{} {name}", if held { "PASS" } else { "FAIL" });
        if !held {
            broken.push(*name);
        }
    }
    assert!(broken.is_empty(), "these rules do not hold: {broken:?}");
}

/// An empty database, or one that was set up.
pub struct Place {
    pub database: Database<'static>,
    pub prefix: String,
    pub options: Options,
    _data: TempDir,
}

/// Who asks.
#[derive(Clone, Copy)]
pub enum Who<'a> {
    /// The server, for this subject, as `Rows` binds it.
    Server(&'a str),
    /// A request of this subject through PostgREST.
    Rest(&'a str),
    /// A request through PostgREST with these claims and as this role.
    Claims(&'a str, &'a str),
    /// A request of nobody through PostgREST.
    Anon,
    /// The service key through PostgREST.
    Service,
    /// One of our logins or roles, named without its prefix, with nothing set.
    Login(&'a str),
}

impl Place {
    /// An empty database.
    pub fn empty(flavour: Flavour) -> Place {
        let database = Postgres::shared(flavour).fresh_database();
        let data = tempfile::tempdir().unwrap();
        let prefix = format!("p_{}", database.name());
        let mut options = Options::at(data.path().join("data"));
        options.keeping = Keeping::Postgres(locule_store::Postgres {
            layout: PostgresLayout::Rls,
            address: anybody(&database),
            pooler: Pooler::None,
            prefix: Prefix::parse(&prefix).unwrap(),
            connections_max: 4,
            sealed: false,
            clusters: locule_store::Clusters::default(),
        });
        Place { database, prefix, options, _data: data }
    }

    /// One that is set up.
    pub fn new(flavour: Flavour) -> Place {
        let place = Place::empty(flavour);
        place.migrate();
        place
    }

    /// One that is set up, with a memory of Alice's that says `SECRET` and one of Bob's.
    pub fn inhabited(flavour: Flavour) -> Place {
        let place = Place::new(flavour);
        place.commit(
            Who::Rest("alice"),
            "INSERT INTO memories (memory, categories) VALUES ('SECRET of Alice', '{tea}')",
        );
        place.commit(
            Who::Server("alice"),
            "INSERT INTO memory_vectors (number, embedding) VALUES (1, '\\x003c');
             UPDATE space_state SET space = gen_random_uuid(), size_bytes = size_bytes + 2",
        );
        place.commit(Who::Rest("bob"), "INSERT INTO memories (memory) VALUES ('Bob''s own')");
        place
    }

    pub fn try_migrate(&self, model: Option<&str>) -> Result<Report> {
        let privileged = Address::parse(&self.database.url()).unwrap();
        let migration = Migration { model: model.map(str::to_owned), ..Migration::default() };
        locule_store::migrate(&self.options, &privileged, &migration, &Sources::system())
    }

    #[track_caller]
    pub fn migrate(&self) -> Report {
        self.try_migrate(None).unwrap()
    }

    /// A role's name.
    pub fn role(&self, word: &str) -> String {
        format!("{}_{word}", self.prefix)
    }

    /// What superusers see.
    #[track_caller]
    pub fn root(&self, sql: &str) -> String {
        self.database.psql(sql)
    }

    /// What the statements answer in a transaction that is rolled back, or the SQLSTATE of the first that fails.
    pub fn ask(&self, who: Who, sql: &str) -> Result<String, String> {
        self.run(who, sql, "ROLLBACK")
    }

    /// The same where they do not fail.
    #[track_caller]
    pub fn see(&self, who: Who, sql: &str) -> String {
        self.ask(who, sql).unwrap_or_else(|state| panic!("{state}: {sql}"))
    }

    /// The same in one that is committed.
    #[track_caller]
    pub fn commit(&self, who: Who, sql: &str) -> String {
        self.run(who, sql, "COMMIT").unwrap_or_else(|state| panic!("{state}: {sql}"))
    }

    fn run(&self, who: Who, sql: &str, end: &str) -> Result<String, String> {
        self.script(&format!("{}\n{sql};\n{end};\n", self.begin(who)))
    }

    /// Runs a script as it is.
    pub fn script(&self, sql: &str) -> Result<String, String> {
        let script = format!("\\set VERBOSITY sqlstate\n{sql}");
        self.database.try_psql(&script).map_err(|said| {
            let line = said.lines().find(|line| line.contains("ERROR:")).unwrap_or(&said);
            line.rsplit(' ').next().unwrap_or_default().to_owned()
        })
    }

    /// What stands before the statements of somebody.
    pub fn begin(&self, who: Who) -> String {
        let api = self.role("api");
        match who {
            Who::Server(subject) => {
                let claims = claims(subject);
                format!(
                    "SET SESSION AUTHORIZATION {api};
                     BEGIN;
                     SELECT set_config('search_path', 'public', true), set_config('role', '{}', true),
                         set_config('request.jwt.claims', {}, true), set_config('app.current_user_id', {}, true),
                         set_config('request.jwt.claim.sub', '', true) \\g /dev/null\n",
                    self.role("user"),
                    literal(&claims),
                    literal(subject),
                )
            }
            Who::Rest(subject) => rest(&api, "authenticated", &claims(subject)),
            Who::Claims(role, claims) => rest(&api, role, claims),
            Who::Anon => rest(&api, "anon", r#"{"role":"anon"}"#),
            // Another login than ours, which PostgREST has in Supabase.
            Who::Service => {
                self.root(
                    "DO $$ BEGIN
                         CREATE ROLE authenticator LOGIN NOINHERIT;
                     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
                     GRANT anon, authenticated, service_role TO authenticator",
                );
                rest("authenticator", "service_role", r#"{"role":"service_role"}"#)
            }
            Who::Login(word) => format!("SET SESSION AUTHORIZATION {};\nBEGIN;", self.role(word)),
        }
    }
}

/// The database without a login: the installation has its own.
fn anybody(database: &Database) -> Address {
    Address::parse(&database.url()).unwrap().anybody()
}

/// As PostgREST does it: one statement, in this order, within the transaction.
fn rest(login: &str, role: &str, claims: &str) -> String {
    format!(
        "SET SESSION AUTHORIZATION {login};
         BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         SELECT set_config('search_path', 'public', true), set_config('statement_timeout', '8s', true),
             set_config('role', {}, true), set_config('request.jwt.claims', {}, true),
             set_config('request.method', 'POST', true), set_config('request.path', '/memories', true),
             set_config('request.headers', '{{\"host\":\"localhost\"}}', true), set_config('request.cookies', '{{}}', true) \\g /dev/null\n",
        literal(role),
        literal(claims),
    )
}

pub fn claims(subject: &str) -> String {
    format!("{{\"sub\":{},\"role\":\"authenticated\"}}", json(subject))
}

/// A JSON text.
fn json(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        control if (control as u32) < 0x20 => format!("\\u{:04x}", control as u32),
        other => other.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// An SQL text.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
