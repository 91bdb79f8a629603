//! API keys as the directory keeps them. Removing one takes effect at the next request, in every process.

use locule_core::audit::{Outcome, SystemEntry};
use locule_core::auth::{ActAs, KeyId, KeyKind, KeyRecord};
use locule_core::id::{Identity, Issuer};
use locule_core::policy::Act;
use locule_core::{Error, Operator, Result};

use super::{Directory, unreadable};
use crate::tx::{Row, Value};

const COLUMNS: &str = "id, hash, kind, issuer, subject, read_only, act_as, name, created_at, expires_at";

impl Directory {
    pub(super) fn find_key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        self.ask(
            |answers| &mut answers.keys,
            id,
            |tx| {
                let sql = format!("SELECT {COLUMNS} FROM keys WHERE id = $1");
                tx.first(&sql, &[Value::Text(id.as_str())], record)
            },
        )
    }

    pub(super) fn find_keys_of(&self, identity: &Identity) -> Result<Vec<KeyRecord>> {
        let of = [Value::Text(identity.issuer.as_str()), Value::Text(identity.subject.as_str())];
        let sql = format!("SELECT {COLUMNS} FROM keys WHERE issuer = $1 AND subject = $2 ORDER BY created_at, id");
        self.read(|tx| tx.all(&sql, &of, record))
    }

    /// Keeps a key.
    pub fn add_key(&self, operator: &Operator, key: KeyRecord) -> Result<()> {
        let target = owner(&key.kind);
        self.write(move |tx| {
            let (kind, issuer, subject, read_only, act_as) = match &key.kind {
                KeyKind::User { identity, read_only } => {
                    ("user", Some(identity.issuer.as_str()), Some(identity.subject.as_str()), *read_only, None)
                }
                KeyKind::Service { issuer, act_as } => {
                    ("service", Some(issuer.as_str()), None, false, Some(act_as.to_string()))
                }
                KeyKind::Operator => ("operator", None, None, false, None),
            };
            tx.execute(
                &format!("INSERT INTO keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"),
                &[
                    Value::Text(key.id.as_str()),
                    Value::Blob(&key.hash),
                    Value::Text(kind),
                    Value::text(issuer),
                    Value::text(subject),
                    Value::Integer(read_only.into()),
                    Value::text(act_as.as_deref()),
                    Value::Text(&key.name),
                    Value::Moment(key.created_at),
                    Value::moment(key.expires_at),
                ],
            )
        })?;
        self.operated(operator, target)
    }

    /// Every key, without its secret.
    pub fn keys(&self, _operator: &Operator) -> Result<Vec<KeyRecord>> {
        self.read(|tx| tx.all(&format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id"), &[], record))
    }

    /// Ends a key.
    pub fn revoke_key(&self, operator: &Operator, id: KeyId) -> Result<()> {
        let removed =
            self.write(move |tx| tx.execute("DELETE FROM keys WHERE id = $1", &[Value::Text(id.as_str())]))?;
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

fn record(row: &dyn Row) -> Result<KeyRecord> {
    let kind = match row.text(2)? {
        "user" => KeyKind::User {
            identity: Identity { issuer: issuer(row)?, subject: row.text(4)?.try_into().map_err(unreadable)? },
            read_only: row.integer(5)? != 0,
        },
        "service" => KeyKind::Service { issuer: issuer(row)?, act_as: ActAs::parse(row.text(6)?).map_err(unreadable)? },
        "operator" => KeyKind::Operator,
        _ => return Err(Error::internal("a key of an unknown kind")),
    };
    Ok(KeyRecord {
        id: KeyId::try_from(row.text(0)?).map_err(unreadable)?,
        hash: row.blob(1)?.try_into().map_err(|_| Error::internal("a key's hash of another length"))?,
        kind,
        name: row.text(7)?.to_owned(),
        created_at: row.moment(8)?,
        expires_at: row.maybe_moment(9)?,
    })
}

fn issuer(row: &dyn Row) -> Result<Issuer> {
    row.text(3)?.try_into().map_err(unreadable)
}
