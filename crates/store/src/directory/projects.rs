//! Projects and webhooks: what is so of an issuer's application as a whole. Every add asks for them, and is answered from what is
//! known until somebody changes the directory.

use std::sync::Arc;

use jiff::Timestamp;
use locule_core::audit::{Outcome, SystemEntry};
use locule_core::id::Issuer;
use locule_core::job::written;
use locule_core::memory::Metadata;
use locule_core::policy::Act;
use locule_core::project::{
    NewWebhook, Project, Webhook, WebhookChange, WebhookEvent, WebhookId, WebhookSecret, no_such_webhook,
};
use locule_core::settings::Settings;
use locule_core::{Management, Result, limit};

use super::{Directory, audit};
use crate::copy::tables::WEBHOOKS;
use crate::copy::{Cell, Cells};
use crate::error::corrupt;
use crate::seal::Secret;
use crate::tx::{Row, Tx, Value};

/// What is known of an application.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Its project.
    pub project: Project,
    /// Its webhooks, the oldest first.
    pub webhooks: Vec<Webhook>,
}

const WEBHOOK: &str = "id, name, url, event_types, secret, is_active, created_at, updated_at";

impl Directory {
    /// What is so of the application whose users are this issuer's.
    pub fn application(&self, issuer: &Issuer) -> Result<Arc<Application>> {
        self.ask(
            |answers| &mut answers.projects,
            issuer,
            |tx| Ok(Arc::new(Application { project: project(tx, issuer)?, webhooks: self.webhooks(tx, issuer)? })),
        )
    }

    /// Changes the settings of a project: each name replaces, `null` takes away. As it is after.
    pub fn change_project(&self, right: &Management, change: &Metadata) -> Result<Project> {
        let (issuer, change, now) = (right.issuer().clone(), change.clone(), self.sources.now());
        let record = self.management(right);
        self.write(move |tx| {
            let before = project(tx, &issuer)?;
            let settings = before.settings.changed(&change)?;
            tx.execute(
                "INSERT INTO projects (issuer, settings, created_at, updated_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (issuer) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at",
                &[
                    Value::Text(issuer.as_str()),
                    Value::Text(&written(&settings.object()?)),
                    Value::Moment(now),
                    Value::Moment(now),
                ],
            )?;
            record(tx)?;
            Ok(Project { settings, created_at: before.created_at.or(Some(now)), updated_at: Some(now) })
        })
    }

    /// Makes a webhook, with a secret of its own.
    pub fn add_webhook(&self, right: &Management, new: NewWebhook) -> Result<Webhook> {
        new.check()?;
        let now = self.sources.now();
        let webhook = Webhook {
            id: WebhookId::random(&self.sources),
            name: new.name,
            url: new.url,
            event_types: new.event_types,
            secret: WebhookSecret::random(&self.sources),
            is_active: true,
            created_at: now,
            updated_at: now,
        };
        let (issuer, record) = (right.issuer().clone(), self.management(right));
        let sealed =
            self.webhook_key().seal(webhook.secret.reveal().as_bytes(), webhook.id.as_str().as_bytes(), &self.sources);
        self.write(move |tx| {
            let there =
                tx.first("SELECT count(*) FROM webhooks WHERE issuer = $1", &[Value::Text(issuer.as_str())], |row| {
                    row.integer(0)
                })?;
            limit::WEBHOOKS.check(there.unwrap_or(0) as usize + 1)?;
            let events = words(&webhook.event_types);
            tx.execute(
                "INSERT INTO webhooks (id, issuer, name, url, event_types, secret, is_active, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    Value::Text(webhook.id.as_str()),
                    Value::Text(issuer.as_str()),
                    Value::Text(&webhook.name),
                    Value::Text(&webhook.url),
                    Value::Texts(&events),
                    Value::Blob(&sealed),
                    Value::Integer(webhook.is_active.into()),
                    Value::Moment(webhook.created_at),
                    Value::Moment(webhook.updated_at),
                ],
            )?;
            record(tx)?;
            Ok(webhook)
        })
    }

    /// Changes a webhook of this project. As it is after.
    pub fn change_webhook(&self, right: &Management, id: &WebhookId, change: WebhookChange) -> Result<Webhook> {
        change.check()?;
        let (issuer, id, now) = (right.issuer().clone(), id.clone(), self.sources.now());
        let (record, key) = (self.management(right), self.webhook_key());
        self.write(move |tx| {
            let sql = format!("SELECT {WEBHOOK} FROM webhooks WHERE issuer = $1 AND id = $2");
            let values = [Value::Text(issuer.as_str()), Value::Text(id.as_str())];
            let mut webhook = tx.first(&sql, &values, |row| webhook(row, &key))?.ok_or_else(no_such_webhook)?;
            change.apply(&mut webhook, now);
            let events = words(&webhook.event_types);
            tx.execute(
                "UPDATE webhooks SET name = $1, url = $2, event_types = $3, is_active = $4, updated_at = $5 WHERE id = $6",
                &[
                    Value::Text(&webhook.name),
                    Value::Text(&webhook.url),
                    Value::Texts(&events),
                    Value::Integer(webhook.is_active.into()),
                    Value::Moment(webhook.updated_at),
                    Value::Text(id.as_str()),
                ],
            )?;
            record(tx)?;
            Ok(webhook)
        })
    }

    /// Removes a webhook of this project.
    pub fn delete_webhook(&self, right: &Management, id: &WebhookId) -> Result<()> {
        let (issuer, id, record) = (right.issuer().clone(), id.clone(), self.management(right));
        self.write(move |tx| {
            let values = [Value::Text(issuer.as_str()), Value::Text(id.as_str())];
            let removed = tx.execute("DELETE FROM webhooks WHERE issuer = $1 AND id = $2", &values)?;
            if removed == 0 { Err(no_such_webhook()) } else { record(tx) }
        })
    }

    fn webhooks(&self, tx: &dyn Tx, issuer: &Issuer) -> Result<Vec<Webhook>> {
        let sql = format!("SELECT {WEBHOOK} FROM webhooks WHERE issuer = $1 ORDER BY created_at, id");
        let key = self.webhook_key();
        tx.all(&sql, &[Value::Text(issuer.as_str())], |row| webhook(row, &key))
    }

    /// A webhook's row with its secret as it is.
    pub(super) fn open_webhook(&self, row: &mut Cells) -> Result<()> {
        let (id, secret) = id_and_secret(row)?;
        let opened = self.webhook_key().open(&secret, id.as_bytes());
        put_secret(row, opened.ok_or_else(|| corrupt("the secret of a webhook does not open"))?)
    }

    /// A webhook's row with its secret sealed.
    pub(super) fn seal_webhook(&self, row: &mut Cells) -> Result<()> {
        let (id, secret) = id_and_secret(row)?;
        put_secret(row, self.webhook_key().seal(&secret, id.as_bytes(), &self.sources))
    }

    /// What seals the secrets of webhooks: derived, as everything here, from the master key.
    pub(super) fn webhook_key(&self) -> Secret {
        self.pseudonym.derive("webhooks")
    }

    /// What puts a change on record, in the transaction of the change.
    fn management(&self, right: &Management) -> impl FnOnce(&dyn Tx) -> Result<()> + Send + use<> {
        let entry = SystemEntry {
            time: self.sources.now(),
            actor: right.actor().clone(),
            target: None,
            act: Act::Manage.as_str(),
            outcome: Outcome::Done,
            request_id: right.request_id().to_owned(),
        };
        let (pseudonym, sources) = (self.pseudonym.clone(), self.sources.clone());
        move |tx| audit::write(tx, &entry, &pseudonym, &sources)
    }
}

fn project(tx: &dyn Tx, issuer: &Issuer) -> Result<Project> {
    let sql = "SELECT settings, created_at, updated_at FROM projects WHERE issuer = $1";
    let found = tx.first(sql, &[Value::Text(issuer.as_str())], |row| {
        let settings: Metadata = serde_json::from_str(row.text(0)?).map_err(corrupt)?;
        let moment = |column| -> Result<Option<Timestamp>> { row.moment(column).map(Some) };
        Ok(Project {
            settings: Settings::of(settings).map_err(corrupt)?,
            created_at: moment(1)?,
            updated_at: moment(2)?,
        })
    })?;
    Ok(found.unwrap_or_default())
}

fn webhook(row: &dyn Row, key: &Secret) -> Result<Webhook> {
    let id = WebhookId::try_from(row.text(0)?).map_err(corrupt)?;
    let secret = key.open(row.blob(4)?, id.as_str().as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    let events = row.texts(3)?;
    Ok(Webhook {
        name: row.text(1)?.to_owned(),
        url: row.text(2)?.to_owned(),
        event_types: events
            .iter()
            .map(|word| WebhookEvent::try_from(&**word))
            .collect::<Result<_>>()
            .map_err(corrupt)?,
        secret: WebhookSecret::kept(secret.ok_or_else(|| corrupt("the secret of a webhook does not open"))?),
        is_active: row.integer(5)? != 0,
        created_at: row.moment(6)?,
        updated_at: row.moment(7)?,
        id,
    })
}

fn words(events: &[WebhookEvent]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

fn id_and_secret(row: &Cells) -> Result<(String, Vec<u8>)> {
    match (row.first(), WEBHOOKS.position("secret").and_then(|place| row.get(place))) {
        (Some(Cell::Text(id)), Some(Cell::Blob(secret))) => Ok((id.clone(), secret.clone())),
        _ => Err(corrupt("a webhook without id or secret")),
    }
}

fn put_secret(row: &mut Cells, secret: Vec<u8>) -> Result<()> {
    let place = WEBHOOKS.position("secret").and_then(|place| row.get_mut(place));
    *place.ok_or_else(|| corrupt("a webhook without a secret"))? = Cell::Blob(secret);
    Ok(())
}
