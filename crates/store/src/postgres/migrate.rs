//! Setting up a PostgreSQL, with a login that may: its roles, its tables and what guards them, from nothing or from tables that
//! an older product has made. Called by `locule migrate` and by nothing that serves requests.
//!
//! All of it is one transaction, and all of it is applied every time: what somebody has changed since is put right. The only
//! thing that varies in the SQL is the prefix of the roles' names, which is letters, digits and underscores.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::time::Duration;

use data_encoding::HEXLOWER;
use locule_core::{Code, Error, Result};
use sha2::{Digest, Sha256};

use super::address::{Address, Pooler};
use super::connection::Connection;
use super::said::Said;
use super::server::{Login, Server};
use super::{keeper, pgvector};
use crate::tx::Value;
use crate::vector::encode;
use crate::{PostgresLayout, directory};

/// The version of the layout `rls` that this program makes and serves.
pub const RLS: i64 = 2;

/// How long one step may take: building an index over everybody's rows, or writing all of them anew.
const PATIENCE: Duration = Duration::from_secs(6 * 60 * 60);

/// Migrations of one database take turns. What is bound, passwords among it, does not come into the log.
const LOCK: &str = "SET LOCAL client_min_messages = warning; SET LOCAL lock_timeout = '60s'; \
     SELECT pg_advisory_xact_lock(7311, 0); \
     SELECT set_config('log_parameter_max_length', '0', true) WHERE current_setting('is_superuser') = 'on'";

/// How many vectors are taken over at a time.
const VECTORS: i64 = 500;

/// Whether every vector stands in both columns.
const FILLED: &str = "SELECT 'filled' FROM locule.migrations WHERE name = 'rls vectors' AND version = 1";

const ROLES: &str = include_str!("../migrations/postgres/roles.sql");
const FINISH: &str = include_str!("../migrations/postgres/finish.sql");
const RLS_TABLES: [&str; 4] = [
    include_str!("../migrations/postgres/rls-functions.sql"),
    include_str!("../migrations/postgres/upgrade.sql"),
    include_str!("../migrations/postgres/rls-tables.sql"),
    include_str!("../migrations/postgres/rls-adopt.sql"),
];
const RLS_POLICIES: &str = include_str!("../migrations/postgres/rls-policies.sql");

/// What is to be set up.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// For which layout.
    pub layout: PostgresLayout,
    /// Whose vectors the column `embedding` of older tables holds, if they are to be taken over.
    pub model: Option<String>,
    /// Whether to make the extension pgvector where it is not. Where it is, it is used.
    pub pgvector: bool,
    /// Whether nothing is to be done where this program, as it is, has done all of it before: what guards the tables is changed
    /// under locks that whoever works in them has to wait for, or is thrown out by.
    pub unless_done: bool,
}

/// What a migration did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The version of the layout before, if there was one.
    pub before: Option<i64>,
    /// Roles and tables that were made.
    pub made: Vec<String>,
    /// Tables of an older product that are now ours.
    pub upgraded: Vec<String>,
    /// What was put aside in `locule.upgrade_rejects`, and how often, over all migrations.
    pub put_aside: Vec<(String, i64)>,
    /// Owners of rows whom the directory has not met: for each a space has to be provisioned.
    pub owners: Vec<String>,
    /// Those among them whose names no user can have: their rows are kept, and nobody sees them.
    pub strangers: Vec<String>,
    /// How many vectors were taken over.
    pub vectors: usize,
    /// Whether vectors stand in a column of pgvector's type as well.
    pub pgvector: bool,
    /// Whether some were written before that column was there, and are to be filled in.
    #[serde(skip)]
    pub unfilled: bool,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// The SQL that sets up a database, in order. Each text is one or more statements without values.
pub fn statements(prefix: &str, layout: PostgresLayout) -> Vec<String> {
    let mut steps = vec![ROLES];
    if layout == PostgresLayout::Rls {
        steps.extend(RLS_TABLES);
        steps.push(RLS_POLICIES);
    }
    steps.push(FINISH);
    steps.into_iter().map(|step| named(step, prefix)).collect()
}

/// The SQL with the prefix in its place.
pub fn named(sql: &str, prefix: &str) -> String {
    sql.replace("{prefix}", prefix)
}

/// Sets up the database at `privileged`, for the logins of `server`.
pub fn migrate(privileged: &Address, server: &Server, wanted: &Wanted) -> Result<Report> {
    let connection = Connection::open(privileged, Pooler::Transaction)?.patient(PATIENCE);
    let report = within(&connection, || {
        connection.batch(LOCK)?;
        // In the other layouts nothing is done to tables of those who are at work.
        if wanted.unless_done && wanted.layout == PostgresLayout::Rls && is_done(&connection, server)? {
            return Ok(None);
        }
        apply(&connection, server, wanted).map(Some)
    })?;
    let Some(report) = report else { return Ok(Report::default()) };
    if wanted.layout == PostgresLayout::Database {
        template(privileged, &connection, server)?;
    }
    if wanted.layout != PostgresLayout::Rls {
        super::spaces::upgrade(server, wanted.layout)?;
    }
    match wanted.layout {
        PostgresLayout::Schema if report.pgvector => pgvector::add_to_schemas(server)?,
        PostgresLayout::Database if report.pgvector => add_to_databases(privileged, &connection, server)?,
        _ => {}
    }
    Ok(report)
}

/// What all that is done for the layout `rls` says, in a word: another program, or another prefix, has another.
fn edition(server: &Server) -> String {
    let texts = statements(server.prefix().as_str(), PostgresLayout::Rls);
    let steps = directory::postgres::migrate::STEPS.iter().copied();
    let all = texts.iter().map(String::as_str).chain(steps).collect::<Vec<_>>().join("\0");
    format!("Locule, set up as {}", HEXLOWER.encode(&Sha256::digest(all.as_bytes())[..16]))
}

/// Says that all of it was done.
fn mark(connection: &Connection, server: &Server) -> Result<()> {
    connection.batch(&format!("COMMENT ON TABLE locule.migrations IS '{}'", edition(server)))
}

/// Whether all of it was done. The mark is a comment, which also those can read who may not look into the schema yet.
fn is_done(connection: &Connection, server: &Server) -> Result<bool> {
    let mut is_done = false;
    connection.query(
        "SELECT 1 FROM pg_catalog.pg_description JOIN pg_catalog.pg_class ON pg_class.oid = objoid AND objsubid = 0
         WHERE classoid = 'pg_catalog.pg_class'::regclass AND relname = 'migrations' AND description = $1
             AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'locule')",
        &[Value::Text(&edition(server))],
        &mut |_| {
            is_done = true;
            Ok(())
        },
    )?;
    Ok(is_done)
}

/// Says of the layout `rls` that every vector stands in both columns.
pub fn filled(privileged: &Address, server: &Server) -> Result<()> {
    let connection = Connection::open(privileged, Pooler::Transaction)?.patient(PATIENCE);
    let prefix = server.prefix().as_str();
    within(&connection, || {
        connection.batch(LOCK)?;
        // They let it in, and out again.
        connection.batch(&named(ROLES, prefix))?;
        set_vectors(&connection, prefix, pgvector::FILLED)?;
        mark(&connection, server)?;
        connection.batch(&named(FINISH, prefix))
    })
}

fn set_vectors(connection: &Connection, prefix: &str, version: i64) -> Result<()> {
    connection.execute(
        "INSERT INTO locule.migrations (name, version, prefix) VALUES ('rls vectors', $1, $2)
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, applied_at = now()
         WHERE migrations.version <> excluded.version",
        &[Value::Integer(version), Value::Text(prefix)],
    )?;
    Ok(())
}

/// The tables of spaces that have a database each, and of the one that they are copied from.
fn add_to_databases(privileged: &Address, connection: &Connection, server: &Server) -> Result<()> {
    let sql = "SELECT datname::text FROM pg_catalog.pg_database WHERE datname ~ '^d_[a-z2-7]{26}$' AND datdba = to_regrole($1)";
    let mut databases = vec![server.role("template")];
    connection.query(sql, &[Value::Text(&server.role("owner"))], &mut |row| {
        databases.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    for database in databases {
        let inside = Connection::open(&privileged.at(&database), Pooler::Transaction)?.patient(PATIENCE);
        let home = super::database::SCHEMA;
        within(&inside, || {
            pgvector::prepare(&inside, server.prefix().as_str(), home, true)?;
            pgvector::add_column(&inside, home, home).map(drop)
        })?;
    }
    Ok(())
}

/// Runs in one transaction. What fails leaves nothing behind.
fn within<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.batch("BEGIN")?;
    match work() {
        Ok(done) => connection.batch("COMMIT").map(|()| done).map_err(explained),
        Err(error) => {
            let _ = connection.batch("ROLLBACK");
            Err(explained(error))
        }
    }
}

fn apply(connection: &Connection, server: &Server, wanted: &Wanted) -> Result<Report> {
    let prefix = server.prefix().as_str();
    let there = things(connection, prefix)?;

    let with_keeper = wanted.layout != PostgresLayout::Rls;
    set(connection, "locule.with_keeper", if with_keeper { "on" } else { "off" })?;
    for login in [Login::Api, Login::Directory, Login::Keeper] {
        let role = server.role(login.word());
        set(connection, &format!("locule.password_{}", login.word()), &server.verifier(&role))?;
    }
    connection.batch(&named(ROLES, prefix))?;
    let mut report = Report { before: before(connection, prefix)?, ..Report::default() };
    if wanted.layout == PostgresLayout::Rls {
        for step in RLS_TABLES {
            connection.batch(&named(step, prefix))?;
        }
        report.pgvector = pgvector::prepare(connection, prefix, "locule", wanted.pgvector)?;
        if report.pgvector {
            // Until what was written before is filled in, which may be cut short.
            report.unfilled =
                pgvector::add_column(connection, "locule", "public")? || words(connection, FILLED)?.is_empty();
            set_vectors(connection, prefix, if report.unfilled { pgvector::UNFILLED } else { pgvector::FILLED })?;
        }
        report.upgraded = words(connection, "SELECT unnest(string_to_array(current_setting('locule.old'), ' '))")?;
        if let Some(model) = &wanted.model {
            take_vectors(connection, model, &mut report)?;
        }
        look_around(connection, prefix, &mut report)?;
        connection.batch(&named(RLS_POLICIES, prefix))?;
        connection.execute(
            "INSERT INTO locule.migrations (name, version, prefix) VALUES ('rls', $1, $2)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, prefix = excluded.prefix, applied_at = now()
             WHERE migrations.version <> excluded.version",
            &[Value::Integer(RLS), Value::Text(prefix)],
        )?;
        // For those who may not look into the table: a server asks before it serves.
        connection.batch(&format!("COMMENT ON SCHEMA locule IS 'Locule, layout rls, version {RLS}'"))?;
    }
    if wanted.layout != PostgresLayout::Rls {
        report.pgvector = pgvector::prepare(connection, prefix, "locule", wanted.pgvector)?;
        // There are fewer of these, and each is asked.
        report.unfilled = report.pgvector;
    }
    directory::postgres::migrate::apply(connection, server.prefix())?;
    if wanted.layout == PostgresLayout::Rls && !report.unfilled {
        mark(connection, server)?;
    }
    connection.batch(&named(FINISH, prefix))?;
    report.made = things(connection, prefix)?.difference(&there).cloned().collect();
    Ok(report)
}

/// The version that is there. One that is newer, or set up for other roles, is left alone.
fn before(connection: &Connection, prefix: &str) -> Result<Option<i64>> {
    let mut found = None;
    connection.query("SELECT version, prefix FROM locule.migrations WHERE name = 'rls'", &[], &mut |row| {
        found = Some((row.integer(0)?, row.text(1)?.to_owned()));
        Ok(())
    })?;
    match found {
        Some((version, _)) if version > RLS => Err(Error::new(
            Code::SchemaTooNew,
            "This database was set up by a newer version of Locule. Run that version, or a later one.",
        )),
        Some((_, other)) if other != prefix => Err(Error::invalid(format!(
            "This database was set up with roles that begin with {other}, and now they are to begin with {prefix}. Configure \
             the one it has."
        ))),
        found => Ok(found.map(|(version, _)| version)),
    }
}

/// The roles and tables that are there.
fn things(connection: &Connection, prefix: &str) -> Result<BTreeSet<String>> {
    let mut things = BTreeSet::new();
    connection.query(
        "SELECT 'role ' || rolname FROM pg_catalog.pg_roles
         WHERE rolname IN ('anon', 'authenticated', 'service_role') OR starts_with(rolname, $1)
         UNION ALL
         SELECT 'table ' || schemaname || '.' || tablename FROM pg_catalog.pg_tables WHERE schemaname IN ('public', 'locule')
         UNION ALL
         SELECT 'schema ' || nspname FROM pg_catalog.pg_namespace WHERE nspname IN ('auth', 'locule')",
        &[Value::Text(&format!("{prefix}_"))],
        &mut |row| {
            things.insert(row.text(0)?.to_owned());
            Ok(())
        },
    )?;
    Ok(things)
}

/// For this transaction only.
fn set(connection: &Connection, name: &str, value: &str) -> Result<()> {
    connection.query("SELECT set_config($1, $2, true)", &[Value::Text(name), Value::Text(value)], &mut |_| Ok(()))
}

fn words(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    connection.query(sql, &[], &mut |row| {
        words.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// What the report says of the rows, before row security hides them from whoever migrates.
fn look_around(connection: &Connection, prefix: &str, report: &mut Report) -> Result<()> {
    connection.query(
        "SELECT reason, count(*) FROM locule.upgrade_rejects GROUP BY reason ORDER BY reason",
        &[],
        &mut |row| {
            report.put_aside.push((row.text(0)?.to_owned(), row.integer(1)?));
            Ok(())
        },
    )?;
    report.owners = words(connection, "SELECT user_id FROM public.space_state WHERE space IS NULL ORDER BY user_id")?;
    let notes = [
        format!(
            "SELECT 'The role ' || rolname || ' cannot get around row security, since the login that migrates may not give \
             that right. A superuser can: ALTER ROLE ' || quote_ident(rolname) || ' BYPASSRLS' FROM pg_catalog.pg_roles
             WHERE rolname IN ('{prefix}_backup', 'service_role') AND NOT rolbypassrls ORDER BY rolname"
        ),
        "SELECT format('%s memories are tagged with %L, which names no organisation. Whoever makes one of that id or slug \
             lets its members read them.', count(*), metadata ->> 'org_id')
         FROM public.memories WHERE metadata ->> 'org_id' IS NOT NULL
             AND NOT EXISTS (SELECT FROM public.organizations WHERE metadata ->> 'org_id' IN (organizations.id::text, slug))
         GROUP BY metadata ->> 'org_id' ORDER BY count(*) DESC LIMIT 10"
            .to_owned(),
        "SELECT format('%s refers to the ids of memories, whose key over all users is therefore kept.', conrelid::regclass)
         FROM pg_catalog.pg_constraint WHERE confrelid = 'public.memories'::regclass
             AND conrelid::regclass::text NOT IN ('memory_relationships', 'memory_org_shares',
                 'public.memory_relationships', 'public.memory_org_shares')"
            .to_owned(),
        "SELECT format('The trigger %s on %s is not of Locule. It is kept.', tgname, tgrelid::regclass)
         FROM pg_catalog.pg_trigger
         WHERE NOT tgisinternal AND tgname NOT LIKE 'locule\\_%' AND tgrelid IN ('public.memories'::regclass,
             'public.memory_history'::regclass, 'public.memory_relationships'::regclass)"
            .to_owned(),
    ];
    for sql in notes {
        report.notes.extend(words(connection, &sql)?);
    }
    Ok(())
}

/// Vectors that stand in a column of the memories, as the older product has them, in the form and the place of ours.
fn take_vectors(connection: &Connection, model: &str, report: &mut Report) -> Result<()> {
    let column = "SELECT 'there' FROM pg_catalog.pg_attribute
                  WHERE attrelid = 'public.memories'::regclass AND attname = 'embedding' AND NOT attisdropped";
    if words(connection, column)?.is_empty() {
        report.notes.push("There is no column `embedding` to take vectors from.".to_owned());
        return Ok(());
    }
    let mut unusable = 0;
    let mut last = (String::new(), 0);
    loop {
        let some = vectors_after(connection, model, &last)?;
        let Some(next) = some.last().map(|vector| (vector.owner.clone(), vector.number)) else { break };
        last = next;
        for Found { owner, number, text } in some {
            let row = parse(&text).and_then(|vector| encode(&vector).ok());
            match row {
                Some(row) if take_vector(connection, model, &owner, number, &row)? => report.vectors += 1,
                _ => unusable += 1,
            }
        }
    }
    if unusable > 0 {
        report.notes.push(format!(
            "{unusable} vectors are of no or of another length than their owner's others and were not taken: a change of \
             the memory's text makes one anew."
        ));
    }
    Ok(())
}

struct Found {
    owner: String,
    number: i64,
    text: String,
}

fn vectors_after(connection: &Connection, model: &str, last: &(String, i64)) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    connection.query(
        "SELECT user_id, number, embedding::text FROM public.memories JOIN public.space_state USING (user_id)
         WHERE (user_id, number) > ($1, $2) AND embedding IS NOT NULL AND coalesce(space_state.model, $3) = $3
             AND NOT EXISTS (SELECT FROM public.memory_vectors AS vectors
                             WHERE vectors.user_id = memories.user_id AND vectors.number = memories.number)
         ORDER BY user_id, number LIMIT $4",
        &[Value::Text(&last.0), Value::Integer(last.1), Value::Text(model), Value::Integer(VECTORS)],
        &mut |row| {
            found.push(Found {
                owner: row.text(0)?.to_owned(),
                number: row.integer(1)?,
                text: row.text(2)?.to_owned(),
            });
            Ok(())
        },
    )?;
    Ok(found)
}

/// Takes a vector over, unless it is of another length than those its owner has. Says whether it did.
fn take_vector(connection: &Connection, model: &str, owner: &str, number: i64, row: &[u8]) -> Result<bool> {
    let fits = connection.execute(
        "UPDATE public.space_state SET model = $1, dimension = $2, size_bytes = size_bytes + 2 * $2
         WHERE user_id = $3 AND coalesce(dimension, $2) = $2",
        &[Value::Text(model), Value::Integer(row.len() as i64 / 2), Value::Text(owner)],
    )?;
    if fits == 1 {
        connection.execute(
            "INSERT INTO public.memory_vectors (user_id, number, embedding) VALUES ($1, $2, $3)",
            &[Value::Text(owner), Value::Integer(number), Value::Blob(row)],
        )?;
    }
    Ok(fits == 1)
}

/// `[1,2,3]` of pgvector, or `{1,2,3}` of an array.
fn parse(text: &str) -> Option<Vec<f32>> {
    let inner = text.strip_prefix(['[', '{'])?.strip_suffix([']', '}'])?;
    inner.split(',').map(|number| number.trim().parse().ok()).collect()
}

/// The database that every space's is a copy of. It cannot be made within a transaction.
fn template(privileged: &Address, connection: &Connection, server: &Server) -> Result<()> {
    let (template, owner, space) = (server.role("template"), server.role("owner"), server.role("space"));
    let exists = format!("SELECT 'there' FROM pg_catalog.pg_database WHERE datname = '{template}'");
    if words(connection, &exists)?.is_empty() {
        connection
            .batch(&format!("CREATE DATABASE {template} TEMPLATE template0 ENCODING 'UTF8' OWNER {owner}"))
            .map_err(explained)?;
    }
    let inside = Connection::open(&privileged.at(&template), Pooler::Transaction)?.patient(PATIENCE);
    within(&inside, || {
        if !words(&inside, "SELECT 'there' WHERE to_regclass('space.memories') IS NOT NULL")?.is_empty() {
            return Ok(());
        }
        let schema = super::database::SCHEMA;
        inside.batch(&format!(
            "REVOKE ALL ON DATABASE {template} FROM PUBLIC;
             REVOKE ALL ON SCHEMA public FROM PUBLIC;
             CREATE SCHEMA {schema} AUTHORIZATION {owner};
             SET LOCAL ROLE {owner};
             SET LOCAL search_path = {schema};
             {}
             GRANT USAGE ON SCHEMA {schema} TO {space};
             {}",
            keeper::SPACE.join("\n"),
            keeper::grants(&space),
        ))
    })
}

/// What PostgreSQL says is for whoever migrates to read: it names roles and tables, and nobody's data.
fn explained(error: Error) -> Error {
    let mut source: Option<&(dyn StdError + 'static)> = StdError::source(&error);
    let mut said = None;
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref::<Said>().and_then(Said::answer) {
            let hint = refusal.hint().map(|hint| format!(" {hint}")).unwrap_or_default();
            said = Some((refusal.code().code().to_owned(), format!("{}{hint}", refusal.message())));
            break;
        }
        source = cause.source();
    }
    let Some((state, message)) = said else { return error };
    let code = match state.as_str() {
        "42501" => Code::NotAllowed,
        "42P07" => Code::Conflict,
        "0A000" => Code::Invalid,
        _ => {
            return Error::new(error.code(), format!("The migration failed, and nothing was changed: {message}"))
                .because(error);
        }
    };
    Error::new(code, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_prefix_varies() {
        for layout in [PostgresLayout::Rls, PostgresLayout::Schema, PostgresLayout::Database] {
            let statements = statements("acme", layout).concat();
            assert!(!statements.contains("{prefix}"));
            assert!(statements.contains("\"acme_owner\""));
        }
    }

    #[test]
    fn a_vector_is_read_from_either_type() {
        assert_eq!(parse("[1,-2.5,3e-2]"), Some(vec![1.0, -2.5, 0.03]));
        assert_eq!(parse("{1,2}"), Some(vec![1.0, 2.0]));
        for bad in ["", "1,2", "[1,x]", "{}"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
