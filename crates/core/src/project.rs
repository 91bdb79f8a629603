//! Projects: what is so of one issuer's application as a whole, its settings and its webhooks. Nothing of any user.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Sources;
use crate::settings::Settings;
use crate::{Error, Result, limit};

/// A project. One that nobody has changed has nothing set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    /// How what its users tell is to be remembered.
    pub settings: Settings,
    /// When it was first changed.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// Which webhook: `wh_` and 26 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct WebhookId(String);

impl WebhookId {
    /// One nobody has had before.
    pub fn random(sources: &Sources) -> Self {
        let random: [u8; 16] = sources.bytes();
        WebhookId(format!("wh_{}", data_encoding::BASE32_NOPAD.encode(&random).to_ascii_lowercase()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for WebhookId {
    type Error = Error;

    /// What is no such id names nothing, and says so as an id that nobody has.
    fn try_from(text: &str) -> Result<Self> {
        let is_one = text.strip_prefix("wh_").is_some_and(|rest| {
            rest.len() == 26 && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
        if is_one { Ok(WebhookId(text.to_owned())) } else { Err(no_such_webhook()) }
    }
}

/// What a webhook is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEvent {
    /// A memory was added.
    MemoryAdd,
    /// A memory was changed.
    MemoryUpdate,
    /// A memory was deleted.
    MemoryDelete,
    /// A memory was given categories.
    MemoryCategorize,
    /// A file was taken in. (None is here: clients of the hosted service may name these four, and hear nothing.)
    IngestJobCompleted,
    /// Some of it was.
    IngestJobPartiallyCompleted,
    /// It was not.
    IngestJobFailed,
    /// It was called off.
    IngestJobCancelled,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [WebhookEvent; 8] = [
        WebhookEvent::MemoryAdd,
        WebhookEvent::MemoryUpdate,
        WebhookEvent::MemoryDelete,
        WebhookEvent::MemoryCategorize,
        WebhookEvent::IngestJobCompleted,
        WebhookEvent::IngestJobPartiallyCompleted,
        WebhookEvent::IngestJobFailed,
        WebhookEvent::IngestJobCancelled,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            WebhookEvent::MemoryAdd => "memory_add",
            WebhookEvent::MemoryUpdate => "memory_update",
            WebhookEvent::MemoryDelete => "memory_delete",
            WebhookEvent::MemoryCategorize => "memory_categorize",
            WebhookEvent::IngestJobCompleted => "ingest_job_completed",
            WebhookEvent::IngestJobPartiallyCompleted => "ingest_job_partially_completed",
            WebhookEvent::IngestJobFailed => "ingest_job_failed",
            WebhookEvent::IngestJobCancelled => "ingest_job_cancelled",
        }
    }
}

impl TryFrom<&str> for WebhookEvent {
    type Error = Error;

    fn try_from(word: &str) -> Result<Self> {
        WebhookEvent::ALL.into_iter().find(|event| event.as_str() == word).ok_or_else(|| {
            let words = WebhookEvent::ALL.map(WebhookEvent::as_str).join("`, `");
            Error::invalid(format!("An event type is one of `{words}`."))
        })
    }
}

/// What a webhook's deliveries are signed with. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// A fresh one: `whsec_` and 256 bits in base64.
    pub fn random(sources: &Sources) -> Self {
        let random: [u8; 32] = sources.bytes();
        WebhookSecret(format!("whsec_{}", data_encoding::BASE64.encode(&random)))
    }

    /// As it was kept.
    pub fn kept(text: String) -> Self {
        WebhookSecret(text)
    }

    /// The text, which both sides have.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// Where a project wants to hear of changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Which.
    pub id: WebhookId,
    /// What people call it.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// Of what.
    pub event_types: Vec<WebhookEvent>,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
    /// Whether it is told at all.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether it is to be told of such an event.
    pub fn wants(&self, event: WebhookEvent) -> bool {
        self.is_active && self.event_types.contains(&event)
    }
}

/// A webhook to make.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWebhook {
    /// What people call it.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// Of what.
    pub event_types: Vec<WebhookEvent>,
}

impl NewWebhook {
    /// Passes what fits the bounds of [`limit`]. Where a URL leads is looked at when something is sent there.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        check_url(&self.url)?;
        check_events(&self.event_types)
    }
}

/// A change to a webhook: what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebhookChange {
    /// Another name.
    pub name: Option<String>,
    /// Another place.
    pub url: Option<String>,
    /// Other events.
    pub event_types: Option<Vec<WebhookEvent>>,
    /// Whether it is told at all.
    pub is_active: Option<bool>,
}

impl WebhookChange {
    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        self.url.as_deref().map_or(Ok(()), check_url)?;
        self.event_types.as_deref().map_or(Ok(()), check_events)
    }

    /// Makes it.
    pub fn apply(self, webhook: &mut Webhook, now: Timestamp) {
        let WebhookChange { name, url, event_types, is_active } = self;
        webhook.name = name.unwrap_or_else(|| std::mem::take(&mut webhook.name));
        webhook.url = url.unwrap_or_else(|| std::mem::take(&mut webhook.url));
        webhook.event_types = event_types.unwrap_or_else(|| std::mem::take(&mut webhook.event_types));
        webhook.is_active = is_active.unwrap_or(webhook.is_active);
        webhook.updated_at = now;
    }
}

/// The one answer for a webhook that this project does not have, be it another's or nobody's.
pub fn no_such_webhook() -> Error {
    Error::new(crate::Code::NotFound, "There is no webhook with this id in this project.")
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Error::invalid("`name` is not blank and holds no control characters."));
    }
    limit::WEBHOOK_NAME_BYTES.check(name.len())
}

fn check_url(url: &str) -> Result<()> {
    limit::URL_BYTES.check(url.len())?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let plain = !url.chars().any(|char| char.is_control() || char.is_whitespace());
    match host {
        Some(host) if plain && !host.is_empty() && !host.contains('@') => Ok(()),
        _ => Err(Error::invalid("`url` is an https URL without a user or password in it.")),
    }
}

fn check_events(events: &[WebhookEvent]) -> Result<()> {
    if events.is_empty() {
        return Err(Error::invalid("`event_types` names at least one event."));
    }
    if events.iter().enumerate().any(|(place, event)| events[..place].contains(event)) {
        return Err(Error::invalid("`event_types` names each event once."));
    }
    Ok(())
}
