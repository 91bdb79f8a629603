//! API keys as the directory keeps them. Removing one takes effect at the next request, in every process.

use locule_core::audit::{Outcome, SystemEntry};
use locule_core::auth::{ActAs, KeyId, KeyKind, KeyRecord};
use locule_core::id::{Identity, Issuer, Subject};
use locule_core::policy::Act;
use locule_core::{Error, Operator, Result};
use rusqlite::{OptionalExtension, Row, params};

use super::known::keep;
use super::{Directory, moment, unreadable};

const COLUMNS: &str = "id, hash, kind, issuer, subject, read_only, act_as, name, created_at, expires_at";

impl Directory {
    pub(super) fn find_key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        self.ask(|connection, answers| {
            if let Some(known) = answers.keys.get(id) {
                return Ok(known.clone());
            }
            let found = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE id = ?1"))?
                .query_row([id.as_str()], record)
                .optional()?;
            keep(&mut answers.keys, id.clone(), found.clone());
            Ok(found)
        })
    }

    /// Keeps a key.
    pub fn add_key(&self, operator: &Operator, key: KeyRecord) -> Result<()> {
        let target = owner(&key.kind);
        self.write(move |connection| {
            let (kind, issuer, subject, read_only, act_as) = match &key.kind {
                KeyKind::User { identity, read_only } => {
                    ("user", Some(identity.issuer.as_str()), Some(identity.subject.as_str()), *read_only, None)
                }
                KeyKind::Service { issuer, act_as } => {
                    ("service", Some(issuer.as_str()), None, false, Some(act_as.to_string()))
                }
                KeyKind::Operator => ("operator", None, None, false, None),
            };
            connection.execute(
                &format!("INSERT INTO keys ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"),
                params![
                    key.id.as_str(),
                    key.hash,
                    kind,
                    issuer,
                    subject,
                    read_only,
                    act_as,
                    key.name,
                    key.created_at.as_microsecond(),
                    key.expires_at.map(|expiry| expiry.as_microsecond())
                ],
            )?;
            Ok(())
        })?;
        self.operated(operator, target)
    }

    /// Every key, without its secret.
    pub fn keys(&self, _operator: &Operator) -> Result<Vec<KeyRecord>> {
        self.read(|connection| {
            let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id"))?;
            statement.query_map([], record)?.collect()
        })
    }

    /// Ends a key.
    pub fn revoke_key(&self, operator: &Operator, id: KeyId) -> Result<()> {
        let removed =
            self.write(move |connection| connection.execute("DELETE FROM keys WHERE id = ?1", [id.as_str()]))?;
        if removed == 0 {
            return Err(Error::not_found());
        }
        self.operated(operator, None)
    }

    /// Puts an operator's act on record.
    pub(super) fn operated(&self, operator: &Operator, target: Option<String>) -> Result<()> {
        self.append(self.operation(operator, target))
    }

    /// The entry for an operator's act.
    pub(super) fn operation(&self, operator: &Operator, target: Option<String>) -> SystemEntry {
        SystemEntry {
            time: self.sources.now(),
            actor: operator.actor().clone(),
            target,
            act: Act::Operate.as_str(),
            outcome: Outcome::Done,
            request_id: operator.request_id().to_owned(),
        }
    }
}

fn owner(kind: &KeyKind) -> Option<String> {
    match kind {
        KeyKind::User { identity, .. } => Some(identity.subject.as_str().to_owned()),
        KeyKind::Service { .. } | KeyKind::Operator => None,
    }
}

fn record(row: &Row) -> rusqlite::Result<KeyRecord> {
    let kind = match row.get_ref(2)?.as_str()? {
        "user" => KeyKind::User {
            identity: Identity { issuer: issuer(row)?, subject: subject(row)? },
            read_only: row.get(5)?,
        },
        "service" => KeyKind::Service {
            issuer: issuer(row)?,
            act_as: ActAs::parse(row.get_ref(6)?.as_str()?).map_err(unreadable)?,
        },
        "operator" => KeyKind::Operator,
        _ => return Err(unreadable(Error::internal("a key of an unknown kind"))),
    };
    Ok(KeyRecord {
        id: KeyId::try_from(row.get_ref(0)?.as_str()?).map_err(unreadable)?,
        hash: row.get(1)?,
        kind,
        name: row.get(7)?,
        created_at: moment(row.get(8)?),
        expires_at: row.get::<_, Option<i64>>(9)?.map(moment),
    })
}

fn issuer(row: &Row) -> rusqlite::Result<Issuer> {
    Issuer::try_from(row.get_ref(3)?.as_str()?).map_err(unreadable)
}

fn subject(row: &Row) -> rusqlite::Result<Subject> {
    Subject::try_from(row.get_ref(4)?.as_str()?).map_err(unreadable)
}
