//! Trying row security out where it is: two people who do not exist write and read in a transaction that is always rolled back,
//! over the login and with the settings that the server itself uses. Called by `locule test-rls` and `locule validate`.
//!
//! What a policy lets through is tried as well as what it does not: one that was dropped shows in the one or in the other.

use std::error::Error as StdError;

use locule_core::{Error, Result};
use tokio_postgres::error::DbError;

use super::catalogue::{self, Finding, Level};
use super::connection::Connection;
use super::said::Said;
use crate::tx::Value;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// How it went.
    pub outcome: Outcome,
    /// What should be so, as a sentence.
    pub rule: String,
    /// What was instead; or why it was not tried.
    pub detail: String,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// As it should.
    Pass,
    /// Otherwise.
    Fail,
    /// It could not be tried.
    Skip,
}

impl Line {
    /// Whether nothing failed.
    pub fn all_pass(lines: &[Line]) -> bool {
        lines.iter().all(|line| line.outcome != Outcome::Fail)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.outcome {
            Outcome::Pass => "PASS",
            Outcome::Fail => "FAIL",
            Outcome::Skip => "SKIP",
        };
        write!(f, "{word}  {}", self.rule)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, "\n      {}", self.detail) }
    }
}

/// Tries everything. `api` is connected as the server's requests are; `privileged`, if given, as somebody whom row security does
/// not hold, who can make an organisation to try the rules of organisations with. `user` is looked at as well, if given.
pub fn test_rls(
    api: &Connection,
    privileged: Option<&Connection>,
    prefix: &str,
    user: Option<&str>,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let says = |findings: &[Finding]| -> Vec<String> {
        findings.iter().map(|finding| format!("{}: {}", finding.object, finding.detail)).collect()
    };
    for (rule, findings) in [
        ("The login of requests becomes nobody whom row security does not hold.", catalogue::login(api, prefix)?),
        ("Every table is there, with row security on and forced and its own policies.", catalogue::tables(api)?),
        (
            "The catalogue shows nobody a way around.",
            catalogue::own(api, prefix)?.into_iter().filter(|finding| finding.level == Level::Error).collect(),
        ),
    ] {
        let outcome = if findings.is_empty() { Outcome::Pass } else { Outcome::Fail };
        lines.push(Line { outcome, rule: rule.to_owned(), detail: says(&findings).join("; ") });
    }
    in_vain(
        api,
        |trial| {
            trial.people();
            if let Some(user) = user {
                trial.of_user(user);
            }
            Ok(())
        },
        prefix,
        &mut lines,
    )?;
    match privileged {
        Some(connection) => in_vain(connection, |trial| trial.organizations(), prefix, &mut lines)?,
        None => lines.push(Line {
            outcome: Outcome::Skip,
            rule: "Organisations and the knowledge of agents keep their rules.".to_owned(),
            detail: "Only a login that row security does not hold can make them to try: give one.".to_owned(),
        }),
    }
    Ok(lines)
}

/// What a login sees that row security does not hold: for finding out why somebody's answers are empty.
pub fn bypassing(privileged: &Connection, user: &str) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    for table in ["memories", "memory_vectors", "memory_history", "memory_relationships"] {
        privileged.query(
            &format!("SELECT count(*), count(*) FILTER (WHERE user_id = $1) FROM public.{table}"),
            &[Value::Text(user)],
            &mut |row| {
                seen.push(format!("{table}: {} rows, {} of them this user's", row.integer(0)?, row.integer(1)?));
                Ok(())
            },
        )?;
    }
    Ok(seen)
}

/// How often each user was denied something, the most first.
pub fn denials(privileged: &Connection) -> Result<Vec<(String, i64)>> {
    let mut denials = Vec::new();
    let mut there = false;
    privileged.query("SELECT 1 WHERE to_regclass('public.memory_history') IS NOT NULL", &[], &mut |_| {
        there = true;
        Ok(())
    })?;
    if !there {
        return Ok(denials);
    }
    privileged.query(
        "SELECT coalesce(user_id, ''), count(*) FROM public.memory_history WHERE operation = 'access_denied'
         GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100",
        &[],
        &mut |row| {
            denials.push((row.text(0)?.to_owned(), row.integer(1)?));
            Ok(())
        },
    )?;
    Ok(denials)
}

/// Whether a database has what the layout needs, and works.
pub fn validate(api: &Connection, prefix: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut line = |passes: bool, rule: &str, detail: String| {
        let outcome = if passes { Outcome::Pass } else { Outcome::Fail };
        lines.push(Line { outcome, rule: rule.to_owned(), detail });
    };
    let version = catalogue::version(api)?;
    line(
        catalogue::is_current(version),
        "The database is set up for this version.",
        if catalogue::is_current(version) {
            String::new()
        } else {
            format!("It has {version:?}: run `locule migrate`.")
        },
    );
    for (rule, sql) in [
        ("PostgreSQL is 15 or later.", "SELECT current_setting('server_version_num')::integer >= 150000, version()"),
        ("Text is UTF-8.", "SELECT getdatabaseencoding() = 'UTF8', getdatabaseencoding()::text"),
        (
            "Every index is usable.",
            "SELECT count(*) = 0, coalesce(string_agg(indexrelid::regclass::text, ', '), '') FROM pg_catalog.pg_index
             JOIN pg_catalog.pg_class AS c ON c.oid = indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
             WHERE nspname IN ('public', 'locule') AND NOT (indisvalid AND indisready)",
        ),
        (
            "Every trigger that keeps the books is on.",
            "SELECT count(*) = 4, string_agg(tgname, ', ' ORDER BY tgname) FROM pg_catalog.pg_trigger
             WHERE tgrelid = to_regclass('public.memories') AND tgname LIKE 'locule\\_%' AND tgenabled IN ('O', 'A')",
        ),
    ] {
        api.query(sql, &[], &mut |row| {
            let passes = row.integer(0)? == 1;
            let detail = if passes || row.is_null(1) { String::new() } else { row.text(1)?.to_owned() };
            line(passes, rule, detail);
            Ok(())
        })?;
    }
    // It may be there, for those who use it through SQL; nothing of ours needs it.
    api.query(
        "SELECT string_agg(extname || ' ' || extversion, ''), EXISTS (
             SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = to_regclass('public.memory_vectors')
                 AND tgname = 'locule_vector' AND tgenabled IN ('O', 'A'))
         FROM pg_catalog.pg_extension WHERE extname = 'vector'",
        &[],
        &mut |row| {
            let has = match (row.maybe_text(0)?, row.integer(1)?) {
                (None, _) => "There is no pgvector, and none is needed".to_owned(),
                (Some(version), 1) => format!("There is {version}, and a column for it"),
                (Some(version), _) => format!("There is {version}, and no column for it (`locule migrate` makes one)"),
            };
            line(true, &format!("{has}: the server searches each vector itself."), String::new());
            Ok(())
        },
    )?;
    lines.extend(test_rls(api, None, prefix, None)?.into_iter().filter(|line| line.outcome != Outcome::Skip));
    Ok(lines)
}

/// Runs in a transaction that is rolled back whatever happens.
fn in_vain(
    connection: &Connection,
    work: impl FnOnce(&mut Trial) -> Result<()>,
    prefix: &str,
    lines: &mut Vec<Line>,
) -> Result<()> {
    connection.batch("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")?;
    let mut trial = Trial { connection, prefix, lines, marker: String::new() };
    let tried = trial.begin().and_then(|()| work(&mut trial));
    connection.batch("ROLLBACK")?;
    tried
}

struct Trial<'a> {
    connection: &'a Connection,
    prefix: &'a str,
    lines: &'a mut Vec<Line>,
    /// Part of the names of those who do not exist, so that they are nobody else's.
    marker: String,
}

/// Who tries.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// The server, for this subject.
    Server(&'a str),
    /// Somebody through PostgREST.
    Rest(&'a str),
    /// This role with these claims.
    Claims(&'a str, &'a str),
}

/// What should come of it.
#[derive(Clone, Copy)]
enum Want<'a> {
    /// As many rows, returned or changed.
    Rows(usize),
    /// One value.
    Is(&'a str),
    /// An error of this SQLSTATE.
    State(&'a str),
}
use Want::{Is, Rows, State};

const DENIED: Want<'static> = State("42501");

impl Trial<'_> {
    fn begin(&mut self) -> Result<()> {
        let mut marker = String::new();
        self.connection.query("SELECT 'locule-trial-' || gen_random_uuid()", &[], &mut |row| {
            row.text(0)?.clone_into(&mut marker);
            Ok(())
        })?;
        self.marker = marker;
        Ok(())
    }

    /// Two people, each through the server and through PostgREST.
    fn people(&mut self) {
        let (ann, ben) = (format!("{}-ann", self.marker), format!("{}-ben", self.marker));
        let marker = self.marker.clone();
        let text = format!("{marker} text");
        let add = |number: u32, text: &str| {
            format!(
                "INSERT INTO memories (number, id, memory, hash) VALUES ({number}, gen_random_uuid(), '{text}', md5('{text}'))"
            )
        };

        for (number, person) in [(1, &ann), (2, &ben)] {
            let server = Who::Server(person);
            self.keep(
                "The server writes somebody's rows.",
                server,
                "INSERT INTO space_state (space) VALUES (gen_random_uuid())",
                Rows(1),
            );
            self.keep("Two people have the same text.", server, &add(1, &text), Rows(1));
            self.keep("The server writes somebody's rows.", server, &add(2, &format!("{text} {number}")), Rows(1));
            self.keep(
                "The server writes vectors.",
                server,
                "INSERT INTO memory_vectors (number, embedding) SELECT number, '\\x003c' FROM memories",
                Rows(2),
            );
            self.keep("The server writes history.", server, "INSERT INTO memory_history (number, memory_id, operation, created_at) SELECT number, id, 'create', now() FROM memories", Rows(2));
            self.keep("The server writes the trail.", server, "INSERT INTO space_audit (sequence, time, actor_kind, actor, act, outcome, request_id, link) VALUES (1, now(), 'user', '', '', 'ok', '', '')", Rows(1));
            self.keep("The server takes jobs in.", server, "INSERT INTO space_jobs (id, kind, status, attempts, size_bytes, created_at, updated_at) VALUES (gen_random_uuid(), 'extract', 'pending', 0, 0, now(), now())", Rows(1));
            self.keep(
                "The server keeps settings.",
                server,
                "INSERT INTO space_settings (name, value, updated_at) VALUES ('decay', 'true', now())",
                Rows(1),
            );
            self.keep("The server keeps context.", server, "INSERT INTO context_entries (id, key_hash, key, value, topics, created_at, revision, size_bytes) VALUES (gen_random_uuid(), 'x', '\"x\"', '1', '[]', now(), 1, 64)", Rows(1));
            self.keep("The server knows agents.", server, "INSERT INTO context_agents (id, name_hash, name, topics, size_bytes) VALUES (gen_random_uuid(), 'x', '\"x\"', '[]', 64)", Rows(1));
            self.keep("The server links memories.", server, "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) SELECT min(id::text)::uuid, max(id::text)::uuid, 'x' FROM memories", Rows(1));
            self.keep(
                "Somebody adds for himself.",
                Who::Rest(person),
                &format!("INSERT INTO memories (memory) VALUES ('{text} rest')"),
                Rows(1),
            );
        }
        let ben_rest = Who::Rest(&ben);
        self.keep(
            "What one writes gets its number and its hash.",
            ben_rest,
            &format!("SELECT number || ' ' || (hash = md5(memory)) FROM memories WHERE memory = '{text} rest'"),
            Is("3 true"),
        );
        self.keep(
            "What one writes is counted.",
            Who::Server(&ben),
            "SELECT memories || ' ' || revision FROM space_state",
            Is("1 1"),
        );
        self.keep(
            "What one writes is in the history.",
            ben_rest,
            "SELECT 1 FROM memory_history WHERE operation = 'create'",
            Rows(3),
        );
        self.keep(
            "Somebody changes his own.",
            ben_rest,
            &format!("UPDATE memories SET metadata = '{{\"a\": 1}}' WHERE memory = '{text} rest'"),
            Rows(1),
        );
        self.keep("Somebody links his own.", ben_rest, "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) SELECT max(id::text)::uuid, min(id::text)::uuid, 'y' FROM memories", Rows(1));
        self.keep(
            "Somebody deletes his own.",
            ben_rest,
            "DELETE FROM memory_relationships WHERE relationship_type = 'y'",
            Rows(1),
        );
        self.keep(
            "Somebody deletes his own.",
            ben_rest,
            &format!("DELETE FROM memories WHERE memory = '{text} rest'"),
            Rows(1),
        );

        self.tried(
            "Search finds all of a minority's vectors.",
            Who::Server(&ben),
            "SELECT number FROM memory_vectors ORDER BY number",
            Rows(2),
        );
        for who in [Who::Server(&ben), ben_rest] {
            self.strangers(who, &ann, &text);
        }
        self.tried("One's own vectors are there to be searched.", ben_rest, "SELECT 1 FROM memory_vectors", Rows(2));
        self.tried("Vectors are the server's to write.", ben_rest, "UPDATE memory_vectors SET embedding = ''", DENIED);
        for table in [
            "memory_vectors",
            "space_audit",
            "space_state",
            "space_jobs",
            "space_settings",
            "context_entries",
            "context_agents",
        ] {
            self.tried(
                &format!("Of {table} one sees one's own."),
                Who::Server(&ben),
                &format!("SELECT 1 FROM {table} WHERE user_id <> '{ben}'"),
                Rows(0),
            );
        }
        for table in ["space_audit", "space_state", "context_entries", "context_agents"] {
            self.tried(&format!("{table} is not for PostgREST."), ben_rest, &format!("SELECT 1 FROM {table}"), DENIED);
        }
        self.tried("The trail is not changed.", Who::Server(&ben), "UPDATE space_audit SET act = 'x'", DENIED);
        for sql in [
            "UPDATE memory_history SET old_value = NULL",
            "DELETE FROM memory_history",
            "INSERT INTO memory_history (operation) VALUES ('read')",
        ] {
            self.tried("The history is not changed.", ben_rest, sql, DENIED);
        }
        for column in ["id", "hash", "number", "created_at", "updated_at", "user_id"] {
            self.tried(
                "The books are not the user's.",
                ben_rest,
                &format!("UPDATE memories SET {column} = DEFAULT"),
                DENIED,
            );
        }
        self.tried(
            "A tag of an organisation is its writers'.",
            ben_rest,
            &format!("INSERT INTO memories (memory, metadata) VALUES ('{text} tag', '{{\"org_id\": \"{marker}\"}}')"),
            DENIED,
        );
        self.tried(
            "The knowledge of agents is the service's.",
            ben_rest,
            &format!("INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'x', '{text} agent')"),
            DENIED,
        );
        self.nobody();
        self.keep(
            "Somebody changes his own.",
            ben_rest,
            &format!("UPDATE memories SET memory = '{text} other' WHERE number = 1"),
            Rows(1),
        );
        self.tried(
            "A text that changes loses its vector.",
            Who::Server(&ben),
            "SELECT number FROM memory_vectors",
            Rows(1),
        );
    }

    /// What somebody gets who asks for another's.
    fn strangers(&mut self, who: Who, other: &str, text: &str) {
        for table in ["memories", "memory_history", "memory_relationships", "memory_vectors"] {
            self.tried(
                "Another's rows are not there.",
                who,
                &format!("SELECT 1 FROM {table} WHERE user_id = '{other}'"),
                Rows(0),
            );
        }
        self.tried(
            "Another's rows are not changed.",
            who,
            &format!("UPDATE memories SET memory = 'x' WHERE user_id = '{other}'"),
            Rows(0),
        );
        self.tried(
            "Another's rows are not deleted.",
            who,
            &format!("DELETE FROM memories WHERE user_id = '{other}'"),
            Rows(0),
        );
        self.tried(
            "Nothing is written for another.",
            who,
            &format!("INSERT INTO memories (user_id, memory) VALUES ('{other}', '{text} poison')"),
            DENIED,
        );
        self.tried("Nothing is moved to another.", who, &format!("UPDATE memories SET user_id = '{other}'"), DENIED);
        let foreign = format!("'{}'", self.id_of(other));
        for target in [foreign.as_str(), "'00000000-0000-7000-8000-000000000000'"] {
            let edge = format!(
                "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) SELECT id, {target}, 'z' FROM memories LIMIT 1"
            );
            self.tried("Another's memory is pointed at like none.", who, &edge, State("23503"));
        }
        for table in [
            "memories",
            "memory_history",
            "memory_vectors",
            "memory_relationships",
            "space_audit",
            "space_state",
            "space_jobs",
            "space_settings",
            "context_entries",
            "context_agents",
        ] {
            self.tried("Nobody empties a table.", who, &format!("TRUNCATE {table}"), DENIED);
        }
        for role in ["service_role".to_owned(), format!("{}_owner", self.prefix), format!("{}_backup", self.prefix)] {
            self.tried("The login leads nowhere else.", who, &format!("SET LOCAL ROLE {role}"), DENIED);
        }
        self.tried(
            "Row security is not switched off.",
            who,
            "SET LOCAL row_security = off; SELECT 1 FROM memories",
            DENIED,
        );
    }

    /// Who is nobody.
    fn nobody(&mut self) {
        let user = format!("{}_user", self.prefix);
        for role in ["authenticated", user.as_str()] {
            for claims in ["", "{}", r#"{"sub":null}"#, r#"{"sub":""}"#] {
                self.tried(
                    "Without a subject one owns nothing.",
                    Who::Claims(role, claims),
                    "SELECT 1 FROM memories WHERE user_id IS NOT NULL",
                    Rows(0),
                );
            }
            self.tried(
                "Claims that are none are refused.",
                Who::Claims(role, "garbage"),
                "SELECT 1 FROM memories",
                State("22P02"),
            );
        }
        for table in ["memories", "memory_history", "memory_relationships", "organizations"] {
            self.tried(
                "Who has not signed in sees nothing.",
                Who::Claims("anon", "{}"),
                &format!("SELECT 1 FROM {table}"),
                DENIED,
            );
        }
        let service = r#"{"sub":"","role":"service_role"}"#;
        self.tried(
            "A role in the claims is only a word.",
            Who::Claims("service_role", service),
            "SELECT 1 FROM memories",
            DENIED,
        );
    }

    /// A user who exists.
    fn of_user(&mut self, user: &str) {
        let foreign = "SELECT 1 FROM memories WHERE user_id <> locule.caller()";
        self.tried("This user sees no row of another.", Who::Server(user), foreign, Rows(0));
        let count = self.ask(Who::Server(user), "SELECT count(*)::text FROM memories", true);
        let rule = format!("This user has {} memories.", count.unwrap_or_else(|state| format!("({state})")));
        self.lines.push(Line { outcome: Outcome::Pass, rule, detail: String::new() });
    }

    /// An organisation with an administrator and a viewer, and somebody outside; and what an agent knows.
    fn organizations(&mut self) -> Result<()> {
        let marker = self.marker.clone();
        let made = [
            format!("INSERT INTO public.organizations (name, slug) VALUES ('{marker}', '{marker}')"),
            format!(
                "INSERT INTO public.org_members (org_id, user_id, role) SELECT id, '{marker}-' || role, role FROM public.organizations, unnest(ARRAY['admin', 'viewer']) AS role WHERE slug = '{marker}'"
            ),
            format!(
                "INSERT INTO public.memories (user_id, agent_id, memory) VALUES (NULL, '{marker}', '{marker} agent')"
            ),
        ];
        for sql in made {
            let done = self.connection.batch(&format!("SAVEPOINT made; {sql}; RELEASE made"));
            if let Err(error) = done {
                self.lines.push(Line {
                    outcome: Outcome::Skip,
                    rule: "Organisations and the knowledge of agents keep their rules.".to_owned(),
                    detail: format!("This login cannot make them to try ({}).", state(&error)),
                });
                return Ok(());
            }
        }
        let (admin, viewer, stranger) =
            (format!("{marker}-admin"), format!("{marker}-viewer"), format!("{marker}-stranger"));
        let tag = format!("'{{\"org_id\": \"{marker}\"}}'");
        let seen = format!("SELECT 1 FROM memories WHERE memory LIKE '{marker}%' AND user_id IS NOT NULL");

        self.keep(
            "A writer adds for the organisation.",
            Who::Rest(&admin),
            &format!("INSERT INTO memories (memory, metadata) VALUES ('{marker} org', {tag})"),
            Rows(1),
        );
        self.tried("Members read what the organisation has.", Who::Rest(&viewer), &seen, Rows(1));
        self.tried("Strangers do not.", Who::Rest(&stranger), &seen, Rows(0));
        self.tried("The server sees the caller's own only.", Who::Server(&viewer), &seen, Rows(0));
        for (person, rule) in [(&viewer, "A viewer adds nothing."), (&stranger, "A stranger adds nothing.")] {
            self.tried(
                rule,
                Who::Rest(person),
                &format!("INSERT INTO memories (memory, metadata) VALUES ('{marker} poison', {tag})"),
                DENIED,
            );
            self.tried("Nor by tagging what is there.", Who::Rest(person), &format!("INSERT INTO memories (memory) VALUES ('{marker} bait'); UPDATE memories SET metadata = {tag} WHERE memory = '{marker} bait'"), DENIED);
            self.tried(
                "Nor by changing it.",
                Who::Rest(person),
                &format!("UPDATE memories SET memory = 'x' WHERE memory = '{marker} org'"),
                Rows(0),
            );
            self.tried(
                "Nor by deleting it.",
                Who::Rest(person),
                &format!("DELETE FROM memories WHERE memory = '{marker} org'"),
                Rows(0),
            );
            self.tried(
                "Nobody joins by himself.",
                Who::Rest(person),
                &format!(
                    "INSERT INTO org_members (org_id, user_id, role) SELECT id, '{person}', 'owner' FROM organizations"
                ),
                DENIED,
            );
        }
        self.tried(
            "Members see one another.",
            Who::Rest(&viewer),
            &format!("SELECT 1 FROM org_members WHERE user_id LIKE '{marker}%'"),
            Rows(2),
        );
        self.tried("Strangers see no members.", Who::Rest(&stranger), "SELECT 1 FROM org_members", Rows(0));
        self.tried(
            "Members see their organisation.",
            Who::Rest(&viewer),
            &format!("SELECT 1 FROM organizations WHERE slug = '{marker}'"),
            Rows(1),
        );
        self.tried("Strangers see no organisation.", Who::Rest(&stranger), "SELECT 1 FROM organizations", Rows(0));

        self.keep(
            "A writer has memories of his own.",
            Who::Rest(&admin),
            &format!("INSERT INTO memories (memory) VALUES ('{marker} own')"),
            Rows(1),
        );
        self.tried("What is not shared is not seen.", Who::Rest(&viewer), &seen, Rows(1));
        self.keep("One shares one's own with one's organisation.", Who::Rest(&admin), &format!("INSERT INTO memory_org_shares (memory_id, org_id) SELECT memories.id, organizations.id FROM memories, organizations WHERE memory = '{marker} own'"), Rows(1));
        self.tried("What is shared is seen by members.", Who::Rest(&viewer), &seen, Rows(2));
        self.tried("And by nobody else.", Who::Rest(&stranger), &seen, Rows(0));
        self.tried("An administrator takes a share back.", Who::Rest(&admin), "DELETE FROM memory_org_shares", Rows(1));
        self.tried("A viewer does not.", Who::Rest(&viewer), "DELETE FROM memory_org_shares", Rows(0));

        let known = format!("SELECT 1 FROM memories WHERE memory = '{marker} agent'");
        self.tried("What an agent knows all may read.", Who::Rest(&stranger), &known, Rows(1));
        self.tried("And the server mixes it with nobody's.", Who::Server(&stranger), &known, Rows(0));
        self.tried(
            "Nobody changes it.",
            Who::Rest(&stranger),
            &format!("UPDATE memories SET memory = 'x' WHERE memory = '{marker} agent'"),
            Rows(0),
        );
        Ok(())
    }

    fn id_of(&self, person: &str) -> String {
        self.ask(Who::Server(person), "SELECT id::text FROM memories LIMIT 1", true).unwrap_or_default()
    }

    /// Tries something whose effects are taken back.
    fn tried(&mut self, rule: &str, who: Who, sql: &str, want: Want) {
        self.put(rule, who, sql, want, true);
    }

    /// Tries something whose effects stay until the end of the trial.
    fn keep(&mut self, rule: &str, who: Who, sql: &str, want: Want) {
        self.put(rule, who, sql, want, false);
    }

    fn put(&mut self, rule: &str, who: Who, sql: &str, want: Want, undo: bool) {
        let came = self.ask(who, sql, undo);
        let fits = match (want, &came) {
            (Rows(wanted), Ok(count)) => *count == wanted.to_string(),
            (Is(wanted), Ok(value)) => value == wanted,
            (State(wanted), Err(state)) => state == wanted,
            _ => false,
        };
        let outcome = if fits { Outcome::Pass } else { Outcome::Fail };
        let detail = if fits { String::new() } else { format!("It answered {came:?}: {sql}") };
        // One line for each rule, whatever the number of ways it was tried in.
        match self.lines.iter_mut().find(|line| line.rule == rule) {
            Some(line) if line.outcome == Outcome::Pass => (line.outcome, line.detail) = (outcome, detail),
            Some(_) => {}
            None => self.lines.push(Line { outcome, rule: rule.to_owned(), detail }),
        }
    }

    /// What a statement answers to somebody: the first value of one row, or how many rows; or the SQLSTATE.
    fn ask(&self, who: Who, sql: &str, undo: bool) -> Result<String, String> {
        let asked = self.ask_as(who, sql);
        let end = if asked.is_err() || undo { "ROLLBACK TO trial; RELEASE trial" } else { "RESET ROLE; RELEASE trial" };
        self.connection.batch(end).map_err(|error| state(&error))?;
        asked.map_err(|error| state(&error))
    }

    fn ask_as(&self, who: Who, sql: &str) -> Result<String> {
        self.connection.batch("SAVEPOINT trial")?;
        let user = format!("{}_user", self.prefix);
        let signed = |subject: &str| serde_json::json!({ "sub": subject, "role": "authenticated" }).to_string();
        let (role, claims) = match who {
            Who::Server(subject) => (user.as_str(), signed(subject)),
            Who::Rest(subject) => ("authenticated", signed(subject)),
            Who::Claims(role, claims) => (role, claims.to_owned()),
        };
        self.connection.query(
            "SELECT set_config('search_path', 'public', true), set_config('role', $1, true),
                 set_config('request.jwt.claims', $2, true), set_config('request.jwt.claim.sub', '', true)",
            &[Value::Text(role), Value::Text(&claims)],
            &mut |_| Ok(()),
        )?;
        let statements: Vec<&str> = sql.split("; ").collect();
        let (last, first) = statements.split_last().ok_or_else(|| Error::internal("nothing to try"))?;
        for statement in first {
            self.connection.batch(statement)?;
        }
        if !last.starts_with("SELECT") {
            return self.connection.execute(last, &[]).map(|count| count.to_string());
        }
        let (mut rows, mut value) = (0, None);
        self.connection.query(last, &[], &mut |row| {
            rows += 1;
            value = row.text(0).ok().map(str::to_owned);
            Ok(())
        })?;
        Ok(value.filter(|_| rows == 1).unwrap_or_else(|| rows.to_string()))
    }
}

/// What PostgreSQL calls the error, or what it is otherwise.
fn state(error: &Error) -> String {
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        if let Some(state) = cause.downcast_ref::<Said>().and_then(Said::answer).map(DbError::code) {
            return state.code().to_owned();
        }
        source = cause.source();
    }
    error.to_string()
}
