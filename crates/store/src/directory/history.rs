//! Refusals where people look for them: in `memory_history`, where the layout `rls` keeps that table beside the directory.
//!
//! What stands there is plain, unlike the trail: who tried, and whose space it was. It is seen by those whom row security lets
//! see it: the one who tried, and the service.

use locule_core::Result;
use locule_core::audit::{Actor, Outcome, SystemEntry};
use locule_core::id::Identity;

use super::named;
use crate::tx::{Row, Tx, Value};

/// How long a name may be that somebody made up.
const NAME_BYTES: usize = 255;

/// Whether the table is there and ours to write to: a table of this name that was not set up with us is somebody else's.
const THERE: &str = "SELECT CAST(1 AS bigint)
     WHERE pg_catalog.has_any_column_privilege(pg_catalog.to_regclass('public.memory_history'), 'INSERT')";

fn is_there(tx: &dyn Tx) -> Result<bool> {
    Ok(tx.first(THERE, &[], |row| row.integer(0))?.is_some())
}

/// Puts a refusal there. Who has no space stands there as `stranger`, a name that nobody can have.
pub(super) fn refused(tx: &dyn Tx, entry: &SystemEntry, stranger: impl Fn(&Identity) -> String) -> Result<()> {
    let Outcome::Denied(code) = entry.outcome else { return Ok(()) };
    if !is_there(tx)? {
        return Ok(());
    }
    let user = match owner(tx, &entry.actor)? {
        Some(owner) => owner,
        None => match &entry.actor {
            Actor::User(identity) => stranger(identity),
            Actor::Key(id) => format!("urn:locule:key:{id}"),
            other => format!("urn:locule:{}", other.kind()),
        },
    };
    let name = match &entry.actor {
        Actor::User(_) => user.as_str(),
        other => other.name(),
    };
    let metadata = serde_json::json!({
        "attempted_user_id": entry.target.as_deref().map(|target| storable(cut(target))),
        "act": entry.act,
        "code": code.as_str(),
    });
    tx.execute(
        "INSERT INTO public.memory_history (user_id, operation, timestamp, metadata, actor, request_id)
         VALUES ($1, 'access_denied', $2, $3, $4, $5)",
        &[
            Value::Text(&user),
            Value::Moment(entry.time),
            Value::Json(&metadata.to_string()),
            Value::Text(&storable(name)),
            Value::Text(&storable(&entry.request_id)),
        ],
    )?;
    Ok(())
}

/// Takes the name of somebody who is erased out of the refusals of others. Their own went with their rows.
pub(super) fn forget(tx: &dyn Tx, identity: &Identity, stranger: &str) -> Result<()> {
    if !is_there(tx)? {
        return Ok(());
    }
    tx.execute(
        "UPDATE public.memory_history
         SET metadata = jsonb_set(metadata, '{attempted_user_id}', to_jsonb($1::text))
         WHERE operation = 'access_denied' AND metadata ->> 'attempted_user_id' = $2",
        &[Value::Text(stranger), Value::Text(identity.subject.as_str())],
    )?;
    Ok(())
}

/// Under what name the rows of somebody stand, unless they are just being erased.
fn owner(tx: &dyn Tx, actor: &Actor) -> Result<Option<String>> {
    let text = |row: &dyn Row| row.text(0).map(str::to_owned);
    match actor {
        Actor::User(identity) => {
            let sql = "SELECT owner FROM spaces WHERE issuer = $1 AND subject = $2 AND state < 2";
            tx.first(sql, &named(identity), text)
        }
        Actor::Key(id) => {
            let sql =
                "SELECT owner FROM spaces JOIN keys ON keys.issuer = spaces.issuer AND keys.subject = spaces.subject
                       WHERE keys.id = $1 AND state < 2";
            tx.first(sql, &[Value::Text(id)], text)
        }
        _ => Ok(None),
    }
}

/// As much of a name as anybody's can have.
pub(super) fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// PostgreSQL has no place in a text for the character 0.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
