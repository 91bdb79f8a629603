//! What a database's catalogue gives away of how well it holds its users apart: questions that every good answer to is empty.
//!
//! Asked of our own tables before anything is served from them, and of anybody's by `locule audit report`: of a schema made
//! from the mem0 template they find each of its faults that a catalogue can show. Nothing here reads a row of anybody's.

use locule_core::Result;

use super::connection::Connection;
use super::migrate::{RLS, named};
use crate::tx::Value;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Somebody reaches, or learns of, what is another's.
    Error,
    /// Something fails, is slow, or leans on nobody making a mistake.
    Warning,
}

/// Something that should not be so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Which question found it, as a stable word.
    pub code: &'static str,
    /// What it is about.
    pub object: String,
    /// What is wrong with it, as a sentence.
    pub detail: String,
}

/// A question: its SQL answers with what it is about and, where there is more to say than the sentence, that.
struct Check {
    level: Level,
    code: &'static str,
    says: &'static str,
    sql: &'static str,
}

/// What the questions are asked about: everything, or only what is ours. `tables` are those in which users' rows may be: of `public`, and of ours whatever
/// anybody but the directory may do in it. `callers` are the roles that requests come as.
const ABOUT: &str = r#"
WITH callers AS (
    SELECT oid, rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', '{prefix}_user')
), tables AS (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl, c.relkind, c.relispartition,
           format('%I.%I', nspname, relname) AS name, nspname
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'f') AND (nspname = 'public' OR (nspname = 'locule' AND EXISTS (
        SELECT FROM callers WHERE has_table_privilege(callers.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE'))))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE objid = c.oid AND deptype = 'e')
        AND ({everything} OR nspname = 'locule' OR relname IN ({ours}))
), views AS (
    SELECT c.oid, relkind, reloptions, format('%I.%I', nspname, relname) AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('v', 'm') AND ({everything} AND nspname IN ('public', 'locule') OR EXISTS (
            SELECT FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_depend ON objid = r.oid
            WHERE ev_class = c.oid AND refobjid IN (SELECT tables.oid FROM tables)))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE objid = c.oid AND deptype = 'e')
), owned AS (
    SELECT tables.*, attnum AS owner_column, attnotnull FROM tables
    JOIN pg_catalog.pg_attribute ON attrelid = tables.oid AND attname = 'user_id' AND NOT attisdropped
), writable AS (
    SELECT * FROM owned WHERE EXISTS (
        SELECT FROM callers WHERE has_any_column_privilege(callers.oid, owned.oid, 'INSERT'))
), policies AS (
    SELECT tables.oid, name, relname, polname, polcmd, polpermissive, polroles, format('%s: %s', name, polname) AS policy,
           coalesce(pg_get_expr(polqual, polrelid), '') AS reads, coalesce(pg_get_expr(polwithcheck, polrelid), '') AS writes,
           polwithcheck IS NULL AS unchecked
    FROM pg_catalog.pg_policy JOIN tables ON tables.oid = polrelid
), functions AS (
    SELECT p.oid, proname, prosecdef, proleakproof, proconfig, proowner, prosrc, prorettype,
           coalesce(proacl, acldefault('f', proowner)) AS acl, p.oid::regprocedure::text AS name
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = pronamespace
    WHERE (nspname = 'locule' OR ({everything} AND nspname = 'public'))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE objid = p.oid AND deptype = 'e')
)
"#;

const fn error(code: &'static str, says: &'static str, sql: &'static str) -> Check {
    Check { level: Level::Error, code, says, sql }
}

const fn warning(code: &'static str, says: &'static str, sql: &'static str) -> Check {
    Check { level: Level::Warning, code, says, sql }
}

/// The questions. Each says what it finds a fault of in the words of the research: P1 to P45, U1 to U18.
const CHECKS: &[Check] = &[
    // Tables.
    error(
        "no_row_security",
        "Row security is off: everybody who may read the table reads all of it (P1).",
        "SELECT name, '' FROM tables WHERE NOT relrowsecurity",
    ),
    error(
        "not_forced",
        "Row security does not hold the table's owner (P1).",
        "SELECT name, '' FROM tables WHERE relrowsecurity AND NOT relforcerowsecurity",
    ),
    warning(
        "no_policy",
        "Row security is on and no policy lets anybody in: nobody can use the table (P39).",
        "SELECT name, '' FROM tables WHERE relrowsecurity AND NOT EXISTS (SELECT FROM policies WHERE policies.oid = tables.oid)",
    ),
    error(
        "owner_logs_in",
        "The table's owner can log in, or is not held by row security, and may switch it off (P1, P3).",
        "SELECT name, rolname FROM tables JOIN pg_catalog.pg_roles AS r ON r.oid = relowner WHERE rolcanlogin OR rolsuper OR rolbypassrls",
    ),
    error(
        "open_partition",
        "A part of a table has a row security of its own, which is off, and can be asked by itself (P31).",
        "SELECT c.oid::regclass::text, inhparent::regclass::text FROM pg_catalog.pg_inherits
         JOIN pg_catalog.pg_class AS c ON c.oid = inhrelid JOIN pg_catalog.pg_class AS parent ON parent.oid = inhparent
         WHERE parent.oid IN (SELECT oid FROM tables) AND parent.relrowsecurity AND c.relkind IN ('r', 'p', 'f') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    ),
    // Views.
    error(
        "view_of_its_owner",
        "The view reads, and lets write, with its owner's rights (P6). Make it WITH (security_invoker = true).",
        "SELECT name, '' FROM views WHERE relkind = 'v'
             AND NOT (coalesce(reloptions, '{}') && '{security_invoker=true,security_invoker=on,security_invoker=1,security_invoker=yes}')",
    ),
    error(
        "materialized_view",
        "A materialized view has no row security (P7).",
        "SELECT name, '' FROM views WHERE relkind = 'm'",
    ),
    // Policies.
    error(
        "policy_for_everybody",
        "The policy is for PUBLIC: for nobody who has signed in, too.",
        "SELECT policy, '' FROM policies WHERE 0 = ANY (polroles)",
    ),
    error(
        "policy_without_condition",
        "The policy lets every row through (P26).",
        "SELECT policy, '' FROM policies WHERE polpermissive AND 'true' IN (reads, writes)",
    ),
    warning(
        "policy_without_check",
        "The policy says which rows may be changed and not what they may become (P25).",
        "SELECT policy, '' FROM policies WHERE polcmd IN ('*', 'w') AND unchecked",
    ),
    error(
        "writing_for_others",
        "A row may be written whose owner is not compared with the caller: rows can be put among somebody else's (U6, P26).",
        r"SELECT policy, '' FROM policies JOIN owned USING (oid) WHERE polpermissive AND polcmd IN ('*', 'a')
             AND CASE WHEN unchecked THEN reads ELSE writes END NOT IN ('true', 'false')
             AND CASE WHEN unchecked THEN reads ELSE writes END !~ '(^|[^.[:alnum:]_])user_id\M'",
    ),
    error(
        "metadata_decides",
        "Who reads a row follows from its metadata, which its author writes freely: no restrictive policy checks both adding and changing (U7, U9, U18, P27).",
        "SELECT policy, '' FROM policies AS reading WHERE polpermissive AND polcmd IN ('*', 'r') AND reads ~ 'metadata'
             AND (SELECT count(DISTINCT cmd) FROM policies AS writing, unnest(CASE polcmd WHEN '*' THEN '{a,w}' ELSE ARRAY[polcmd::text] END) AS cmd
                  WHERE writing.oid = reading.oid AND NOT polpermissive AND cmd IN ('a', 'w') AND writes ~ 'metadata') < 2",
    ),
    error(
        "setting_decides",
        "A policy believes a setting that everybody may set (U10).",
        r"SELECT policy, setting[1] FROM policies, regexp_matches(reads || ' ' || writes, 'current_setting\(''([^'']+)''', 'g') AS setting
          WHERE setting[1] !~ '^request\.jwt' AND setting[1] <> 'locule.row_owner'",
    ),
    error(
        "null_owner_seen",
        "Rows of nobody are given to whoever is nobody (P28): compare with =, and let only knowledge of agents have no owner.",
        "SELECT policy, '' FROM policies WHERE reads || writes ~* 'IS (NOT )?DISTINCT FROM'",
    ),
    warning(
        "several_policies",
        "Several permissive policies for one role and act are OR-ed: the most generous holds (P27).",
        "SELECT format('%s for %s by %s', name, CASE cmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END,
                coalesce(nullif(role, 0)::regrole::text, 'PUBLIC')), string_agg(polname, ', ' ORDER BY polname)
         FROM policies, unnest(polroles) AS role, unnest(CASE polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[polcmd::text] END) AS cmd
         WHERE polpermissive GROUP BY name, cmd, role HAVING count(*) > 1",
    ),
    warning(
        "identity_is_a_uuid",
        "The policy asks auth.uid(), which fails for whoever has an id that is no UUID (U14).",
        r"SELECT policy, '' FROM policies WHERE reads || ' ' || writes ~ '\mauth\.uid\(\)'",
    ),
    warning(
        "identity_for_each_row",
        "The policy asks who the caller is for each row and not once: (SELECT …) around it makes it ten times faster.",
        r"SELECT policy, '' FROM policies
          WHERE regexp_replace(reads || ' ' || writes, 'SELECT \(?(auth\.(uid|jwt|role|email)|locule\.caller)\(\)', '', 'g')
              ~ '\m(auth\.(uid|jwt|role|email)|locule\.caller)\(\)'",
    ),
    warning(
        "owner_column_converted",
        "The policy converts the owner's column, and no index can be used.",
        r"SELECT policy, '' FROM policies WHERE reads || ' ' || writes ~ '\(user_id\)::'",
    ),
    warning(
        "asks_itself",
        "A policy that reads its own table goes round in circles, and every query fails (P29).",
        r"SELECT policy, '' FROM policies WHERE reads || ' ' || writes ~ format('\mFROM (%s\.)?%I\M', 'public', relname)",
    ),
    warning(
        "one_of_many",
        "A subquery that stands for one value fails as soon as it finds two (U9).",
        r"SELECT policy, '' FROM policies WHERE reads || ' ' || writes ~ '(\?|=|<>)\s*\( SELECT ([^()]|\([^()]*\))*\s+FROM '",
    ),
    warning(
        "organisation_by_id_only",
        "A tag with an organisation's slug, as the examples write it, is compared with its id and never matches (U8).",
        r"SELECT policy, '' FROM policies WHERE reads || ' ' || writes ~ 'org_id\)::text = [^=]*metadata'",
    ),
    warning(
        "owner_not_indexed",
        "Policies compare the owner, and no index begins with it.",
        "SELECT name, '' FROM owned WHERE relrowsecurity AND relname <> 'org_members' AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_index WHERE indrelid = owned.oid AND indkey[0] = owner_column AND indpred IS NULL)",
    ),
    // Constraints and indexes.
    error(
        "unique_over_all",
        "Uniqueness over all users tells each of them what others have (P8, P9, U4).",
        "SELECT indexrelid::regclass::text, name FROM writable JOIN pg_catalog.pg_index ON indrelid = writable.oid
         WHERE indisunique AND NOT owner_column = ANY (indkey::smallint[])
             -- Nobody is told by a key that nobody chooses.
             AND NOT (indisprimary AND indnatts = 1 AND NOT EXISTS (
                 SELECT FROM callers WHERE rolname IN ('anon', 'authenticated') AND has_column_privilege(callers.oid, indrelid, indkey[0], 'INSERT')))",
    ),
    error(
        "reference_by_id",
        "A reference without the owner can point at another's row, and tells whether it is there (P10, U5).",
        "SELECT conrelid::regclass::text, conname FROM pg_catalog.pg_constraint
         JOIN writable ON writable.oid = conrelid JOIN owned AS target ON target.oid = confrelid
         WHERE contype = 'f' AND NOT (writable.owner_column = ANY (conkey) AND target.owner_column = ANY (confkey))",
    ),
    error(
        "anybody_without_owner",
        "A row may have no owner and be no agent's knowledge either (P28).",
        "SELECT name, '' FROM writable WHERE NOT attnotnull AND relname = 'memories' AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_constraint WHERE conrelid = writable.oid AND contype = 'c' AND pg_get_constraintdef(pg_constraint.oid) ~ 'user_id IS NOT NULL')",
    ),
    warning(
        "no_knowledge_of_agents",
        "A policy is about rows without an owner, and the column allows none (U2).",
        r"SELECT policy, '' FROM policies JOIN owned USING (oid) WHERE attnotnull AND reads ~ '\muser_id IS NULL'",
    ),
    warning(
        "no_denials",
        "The history cannot hold a denial: access_denied is no operation of it, or it has no metadata (U3).",
        "SELECT name, '' FROM tables WHERE relname = 'memory_history' AND (
             EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = tables.oid AND contype = 'c'
                     AND pg_get_constraintdef(pg_constraint.oid) ~ 'operation' AND pg_get_constraintdef(pg_constraint.oid) ~ '''delete''' 
                     AND pg_get_constraintdef(pg_constraint.oid) !~ 'access_denied|number IS NOT NULL')
             OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = tables.oid AND attname = 'metadata' AND NOT attisdropped))",
    ),
    warning(
        "list_in_an_index",
        "A row with a long list does not fit into this index and cannot be written (U12).",
        "SELECT indexrelid::regclass::text, attname FROM tables JOIN pg_catalog.pg_index ON indrelid = tables.oid
         JOIN pg_catalog.pg_class AS i ON i.oid = indexrelid JOIN pg_catalog.pg_am ON pg_am.oid = i.relam AND amname = 'btree'
         JOIN pg_catalog.pg_attribute ON attrelid = tables.oid AND attnum = ANY (indkey::smallint[])
         JOIN pg_catalog.pg_type ON pg_type.oid = atttypid WHERE typcategory = 'A' OR typname IN ('jsonb', 'json')",
    ),
    error(
        "vectors_of_all_in_one_index",
        "The index gives the nearest vectors of all users, of which row security leaves few or none; and how many tells of the others (U13).",
        "SELECT indexrelid::regclass::text, name FROM tables JOIN pg_catalog.pg_index ON indrelid = tables.oid
         JOIN pg_catalog.pg_class AS i ON i.oid = indexrelid JOIN pg_catalog.pg_am ON pg_am.oid = i.relam
         WHERE amname IN ('hnsw', 'ivfflat') AND indpred IS NULL",
    ),
    // Triggers and functions.
    error(
        "history_refuses",
        "A trigger writes the history with the caller's rights, whom no policy lets write it: every change of a memory fails (U1).",
        "SELECT t.tgrelid::regclass::text || ': ' || tgname, functions.name FROM pg_catalog.pg_trigger AS t JOIN functions ON functions.oid = tgfoid
         WHERE NOT tgisinternal AND NOT prosecdef AND prosrc ~ 'memory_history' AND NOT EXISTS (
             SELECT FROM policies JOIN callers ON callers.oid = ANY (polroles) WHERE relname = 'memory_history' AND polcmd IN ('*', 'a'))",
    ),
    error(
        "history_keeps_the_deleted",
        "A trigger keeps in the history the text of what is deleted (U11).",
        "SELECT t.tgrelid::regclass::text || ': ' || tgname, functions.name FROM pg_catalog.pg_trigger AS t JOIN functions ON functions.oid = tgfoid
         WHERE NOT tgisinternal AND tgtype & 8 > 0 AND prosrc ~* 'memory_history' AND prosrc ~* '(row_to_json|to_jsonb?)\\s*\\(\\s*OLD\\s*\\)'",
    ),
    error(
        "function_finds_the_callers_tables",
        "A function with its owner's rights looks names up where the caller says (P5). Give it SET search_path = ''.",
        "SELECT name, '' FROM functions WHERE prosecdef AND NOT coalesce(EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ~ '^search_path='), false)",
    ),
    warning(
        "function_without_search_path",
        "A function looks names up where the caller says. Give it SET search_path = ''.",
        "SELECT name, '' FROM functions WHERE NOT prosecdef AND NOT coalesce(EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ~ '^search_path='), false)",
    ),
    error(
        "function_for_everybody",
        "Everybody, also who has not signed in, may call a function with its owner's rights (P4).",
        "SELECT name, '' FROM functions, aclexplode(acl) AS granted WHERE prosecdef AND grantee = 0 AND prorettype <> 'trigger'::regtype",
    ),
    error(
        "function_of_somebody_unheld",
        "A function has the rights of a role that row security does not hold (P4).",
        "SELECT name, rolname FROM functions JOIN pg_catalog.pg_roles AS r ON r.oid = proowner WHERE prosecdef AND (rolsuper OR rolbypassrls)",
    ),
    error(
        "leakproof",
        "A function that may look at rows before row security does (P12).",
        "SELECT p.oid::regprocedure::text, '' FROM pg_catalog.pg_proc AS p WHERE proleakproof AND p.oid >= 16384
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE objid = p.oid AND deptype = 'e')",
    ),
    // What is granted.
    error(
        "more_than_rows",
        "TRUNCATE empties a table whatever its policies say; REFERENCES and TRIGGER tell of and act on others' rows (P32).",
        "SELECT name, format('%s to %s', string_agg(DISTINCT privilege_type, ', '), coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'))
         FROM tables, aclexplode(relacl) AS granted WHERE grantee <> relowner AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
         GROUP BY name, grantee",
    ),
    error(
        "granted_to_nobody_in_particular",
        "Who has not signed in may use the table (P32).",
        "SELECT name, format('%s to %s', string_agg(DISTINCT privilege_type, ', '), coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'))
         FROM tables, aclexplode(relacl) AS granted WHERE grantee = 0 OR grantee = to_regrole('anon') GROUP BY name, grantee",
    ),
    error(
        "books_are_writable",
        "Users may write what only the database should: ids, owners, numbers, hashes and times (P9, P44).",
        "SELECT name, string_agg(DISTINCT attname::text, ', ') FROM tables JOIN pg_catalog.pg_attribute ON attrelid = tables.oid AND NOT attisdropped
         WHERE relname = 'memories' AND to_regrole('authenticated') IS NOT NULL
             AND ((attname IN ('id', 'number', 'hash', 'created_at', 'updated_at') AND has_column_privilege('authenticated', tables.oid, attnum, 'INSERT, UPDATE'))
                  OR (attname = 'user_id' AND has_column_privilege('authenticated', tables.oid, attnum, 'UPDATE')))
         GROUP BY name",
    ),
    error(
        "past_is_writable",
        "Users may write their own history (P45).",
        "SELECT name, '' FROM tables WHERE relname IN ('memory_history', 'space_audit') AND to_regrole('authenticated') IS NOT NULL
             AND (has_any_column_privilege('authenticated', tables.oid, 'INSERT, UPDATE') OR has_table_privilege('authenticated', tables.oid, 'DELETE, TRUNCATE'))",
    ),
    warning(
        "objects_of_ones_own",
        "Users may make tables, with which they can stand in for others and which they can leave behind (P5, P21).",
        "SELECT what, string_agg(DISTINCT rolname, ', ') FROM callers, LATERAL (VALUES
             ('temporary tables', has_database_privilege(callers.oid, current_database(), 'TEMP')),
             ('schema public', has_schema_privilege(callers.oid, 'public', 'CREATE')),
             ('schemas', has_database_privilege(callers.oid, current_database(), 'CREATE'))) AS rights (what, may)
         WHERE may GROUP BY what",
    ),
    // Roles.
    warning(
        "login_gets_around",
        "A login that is no superuser gets around row security.",
        "SELECT rolname, '' FROM pg_catalog.pg_roles WHERE rolcanlogin AND rolbypassrls AND NOT rolsuper AND rolname !~ '^(postgres|supabase_)'",
    ),
    error(
        "login_leads_on",
        "One of our logins can become what it should not (P33).",
        "SELECT login.rolname, role.rolname FROM pg_catalog.pg_roles AS login, pg_catalog.pg_roles AS role
         WHERE login.rolname IN ('{prefix}_api', '{prefix}_directory') AND NOT login.rolsuper AND login.oid <> role.oid
             AND pg_has_role(login.oid, role.oid, 'MEMBER')
             AND NOT (login.rolname = '{prefix}_api' AND role.rolname IN ('{prefix}_user', 'authenticated', 'anon'))
             -- Where spaces have a schema each, it becomes the one role that may use it.
             AND NOT (login.rolname = '{prefix}_api' AND role.rolname ~ '^s_[a-z2-7]{26}$')",
    ),
    warning(
        "extension_in_public",
        "The functions of an extension stand where everybody's tables do. Put it into a schema of its own.",
        "SELECT extname::text, '' FROM pg_catalog.pg_extension WHERE extnamespace = 'public'::regnamespace",
    ),
];

/// Everything that the catalogue shows to be wrong, the worst first. Of a database that is ours alone, nothing.
pub fn audit(connection: &Connection, prefix: &str) -> Result<Vec<Finding>> {
    ask(connection, prefix, true)
}

/// What is wrong with our own tables and functions and with whatever reaches into them. An application that shares the database
/// may do with its own as it likes.
pub fn own(connection: &Connection, prefix: &str) -> Result<Vec<Finding>> {
    ask(connection, prefix, false)
}

fn ask(connection: &Connection, prefix: &str, everything: bool) -> Result<Vec<Finding>> {
    let ours = POLICIES.iter().filter_map(|(table, _)| table.strip_prefix("public."));
    let ours = ours.map(|table| format!("'{table}'")).collect::<Vec<_>>().join(", ");
    let about = ABOUT.replace("{everything}", if everything { "true" } else { "false" }).replace("{ours}", &ours);
    let mut findings = Vec::new();
    // All of them at once: what they are about is looked up once.
    let each = CHECKS.iter().enumerate().map(|(index, check)| {
        format!("SELECT {index}, about::text, more::text FROM ({}) AS found (about, more)", check.sql)
    });
    let all = each.collect::<Vec<_>>().join("\nUNION ALL\n");
    connection.query(&named(&format!("{about}{all}"), prefix), &[], &mut |row| {
        let Some(check) = CHECKS.get(row.integer(0)? as usize) else { return Ok(()) };
        let (object, more) = (row.text(1)?.to_owned(), row.text(2)?);
        let detail = if more.is_empty() { check.says.to_owned() } else { format!("{} ({more})", check.says) };
        findings.push(Finding { level: check.level, code: check.code, object, detail });
        Ok(())
    })?;
    findings.sort();
    Ok(findings)
}

/// Who the login of a connection could become, or already is, that row security does not hold (P2, P33). Empty for ours.
pub fn login(connection: &Connection, prefix: &str) -> Result<Vec<Finding>> {
    const LOGIN: &str = "
        SELECT session_user::text, role.rolname::text, CASE
            WHEN role.rolsuper THEN 'is a superuser' WHEN role.rolbypassrls THEN 'gets around row security'
            WHEN role.rolcreaterole THEN 'may make itself a member of others' WHEN role.rolreplication THEN 'may copy everything'
            ELSE 'owns tables' END
        FROM pg_catalog.pg_roles AS role WHERE pg_has_role(session_user, role.oid, 'MEMBER')
            AND (role.rolsuper OR role.rolbypassrls OR role.rolcreaterole OR role.rolreplication OR role.rolname = $1
                 OR EXISTS (SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
                            WHERE relowner = role.oid AND nspname IN ('public', 'locule') AND relkind IN ('r', 'p')))
        ORDER BY 2";
    let mut findings = Vec::new();
    connection.query(LOGIN, &[Value::Text(&format!("{prefix}_owner"))], &mut |row| {
        let (login, role, why) = (row.text(0)?, row.text(1)?, row.text(2)?);
        let detail =
            if login == role { format!("The login {why}.") } else { format!("It can become {role}, which {why}.") };
        findings.push(Finding { level: Level::Error, code: "login_is_not_held", object: login.to_owned(), detail });
        Ok(())
    })?;
    Ok(findings)
}

/// The tables of the layout, each with its policies: what a user's rows stand behind.
pub const POLICIES: &[(&str, &[&str])] = &[
    (
        "public.memories",
        &[
            "locule_delete",
            "locule_insert",
            "locule_read",
            "locule_tenant_insert",
            "locule_tenant_update",
            "locule_update",
            "locule_user",
            "locule_writer",
        ],
    ),
    ("public.memory_vectors", &["locule_read", "locule_user", "locule_writer"]),
    (
        "public.memory_history",
        &[
            "locule_denials",
            "locule_denials_forgotten",
            "locule_denials_seen",
            "locule_read",
            "locule_user",
            "locule_writer",
        ],
    ),
    ("public.memory_relationships", &["locule_own", "locule_user"]),
    ("public.space_audit", &["locule_user"]),
    ("public.space_state", &["locule_user", "locule_writer"]),
    ("public.space_jobs", &["locule_user"]),
    ("public.space_settings", &["locule_user"]),
    ("public.context_entries", &["locule_user"]),
    ("public.context_agents", &["locule_user"]),
    ("public.organizations", &["locule_helper_organizations", "locule_read"]),
    ("public.org_members", &["locule_helper_memberships", "locule_read"]),
    ("public.memory_org_shares", &["locule_delete", "locule_insert", "locule_read", "locule_user"]),
    ("locule.upgrade_rejects", &["locule_user"]),
];

/// Tables of the layout that are not there, not behind row security, or behind other policies than they were made with.
pub fn tables(connection: &Connection) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (table, policies) in POLICIES {
        let mut there = false;
        let mut found = |detail: String| {
            findings.push(Finding {
                level: Level::Error,
                code: "table_is_not_guarded",
                object: (*table).to_owned(),
                detail,
            });
        };
        connection.query(
            "SELECT relrowsecurity AND relforcerowsecurity, ARRAY(
                 SELECT polname::text FROM pg_catalog.pg_policy WHERE polrelid = c.oid ORDER BY polname::text COLLATE \"C\")
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
             WHERE format('%s.%s', nspname, relname) = $1 AND relkind = 'r'",
            &[Value::Text(table)],
            &mut |row| {
                there = true;
                if row.integer(0)? == 0 {
                    found("Row security is off, or does not hold its owner.".to_owned());
                }
                let has = row.texts(1)?;
                if has != *policies {
                    let changed = |one: &[String], other: &[String]| -> String {
                        one.iter().filter(|name| !other.contains(name)).cloned().collect::<Vec<_>>().join(", ")
                    };
                    let wanted: Vec<String> = policies.iter().map(|name| (*name).to_owned()).collect();
                    let (missing, more) = (changed(&wanted, &has), changed(&has, &wanted));
                    found(format!("It has other policies than it was made with. Missing: [{missing}]. More: [{more}]."));
                }
                Ok(())
            },
        )?;
        if !there {
            found("The table is missing.".to_owned());
        }
    }
    Ok(findings)
}

/// Everything that forbids to serve the layout `rls` over this connection. A server asks before it takes the first request.
pub fn obstacles(connection: &Connection, prefix: &str) -> Result<Vec<Finding>> {
    let mut findings = login(connection, prefix)?;
    findings.extend(tables(connection)?);
    findings.extend(own(connection, prefix)?.into_iter().filter(|finding| finding.level == Level::Error));
    Ok(findings)
}

/// The version of the layout that the database was set up with, as its comment tells everybody; `None` if it was not.
pub fn version(connection: &Connection) -> Result<Option<i64>> {
    let mut version = None;
    connection.query("SELECT obj_description(to_regnamespace('locule'), 'pg_namespace')", &[], &mut |row| {
        if !row.is_null(0) {
            version = row.text(0)?.strip_prefix("Locule, layout rls, version ").and_then(|number| number.parse().ok());
        }
        Ok(())
    })?;
    Ok(version)
}

/// Whether this program serves what the database was set up with.
pub fn is_current(version: Option<i64>) -> bool {
    version == Some(RLS)
}
