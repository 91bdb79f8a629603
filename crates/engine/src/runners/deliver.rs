//! Telling a webhook of changes. What a job carries is which memories changed and how, and not what they say: that is looked up
//! when it is told, so that what is deleted meanwhile is told to nobody.

use std::time::Duration;

use locule_core::id::{JobId, MemoryId};
use locule_core::job::{JobKind, NewJob};
use locule_core::project::{Webhook, WebhookEvent};
use locule_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use super::room::Room;
use super::{Asked, BESIDE};
use crate::config::Webhooks;
use crate::infer;
use crate::webhook::{self, Courier, Parcel};
use crate::work::{Done, Failure, Runner, Work};

/// How many events one job tells before it makes room for others: each may take as long as a delivery may.
const AT_ONCE: usize = 8;

/// What a job is to tell a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// Which webhook.
    pub webhook: String,
    /// The job with which these events began, if that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<JobId>,
    /// How many of its events were told before these.
    #[serde(default)]
    pub before: usize,
    /// The events, in their order.
    pub events: Vec<Told>,
}

/// A change of a memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Which memory.
    pub id: MemoryId,
    /// What happened to it.
    pub event: WebhookEvent,
}

/// Sends deliveries.
pub(crate) struct Deliver {
    /// How often one is tried.
    pub attempts: u32,
    /// How long one may take.
    pub timeout: Duration,
    /// Room for all of them.
    pub room: Room,
}

impl Deliver {
    /// As often and as long as is configured.
    pub fn new(courier: &Courier, room: Room) -> Self {
        let Webhooks { attempts, timeout, .. } = courier.settings();
        Deliver { attempts: *attempts, timeout: *timeout, room }
    }
}

impl Runner for Deliver {
    fn kind(&self) -> JobKind {
        JobKind::Deliver
    }

    fn run(&self, work: &Work) -> Result<Done, Failure> {
        let _room = self.room.take();
        let delivery: Delivery = infer::read(work.job().payload.clone())?;
        let Some(webhook) = webhook(work, &delivery.webhook)? else { return work.complete(|_| Ok(None)) };
        let origin = delivery.origin.unwrap_or(work.job().id);
        let bodies = bodies(work, &delivery.events[..delivery.events.len().min(AT_ONCE)])?;
        let mut told = 0;
        for body in &bodies {
            match body.as_deref().map_or(Ok(()), |body| self.send(work, &webhook, &delivery.id(origin, told), body)) {
                Ok(()) => told += 1,
                Err(failure) if told == 0 => return Err(failure.into()),
                // What was told is not told again: the rest is a job of its own, with attempts of its own.
                Err(_) => break,
            }
        }
        let left = delivery.after(told, origin);
        work.complete(|writer| {
            if !left.events.is_empty() {
                writer.add_job(NewJob::new(JobKind::Deliver, infer::written(&left)?))?;
            }
            Ok(None)
        })
    }

    fn has_room(&self) -> bool {
        self.room.is_there()
    }

    fn attempts_max(&self) -> u32 {
        self.attempts
    }

    fn claim(&self) -> Duration {
        self.timeout * AT_ONCE as u32 + BESIDE
    }
}

impl Deliver {
    fn send(&self, work: &Work, webhook: &Webhook, delivery: &str, body: &str) -> Result<(), Asked> {
        let parcel = Parcel { url: &webhook.url, secret: webhook.secret.reveal(), delivery, body };
        work.engine().courier().send(&parcel, work.engine().now())
    }
}

impl Delivery {
    /// What a receiver knows one of its events by, however often it is sent.
    fn id(&self, origin: JobId, place: usize) -> String {
        format!("{origin}-{}", self.before + place)
    }

    /// What is left of it after so many events.
    fn after(self, told: usize, origin: JobId) -> Delivery {
        let Delivery { webhook, before, mut events, .. } = self;
        Delivery { webhook, origin: Some(origin), before: before + told, events: events.split_off(told) }
    }
}

/// The webhook, if it is still there and to be told anything.
fn webhook(work: &Work, id: &str) -> Result<Option<Webhook>, Failure> {
    let scope = work.reading()?;
    let Some(owner) = scope.origin().owner() else { return Ok(None) };
    let application = work.engine().application(&owner.issuer)?;
    Ok(application.webhooks.iter().find(|webhook| webhook.id.as_str() == id && webhook.is_active).cloned())
}

/// What is sent for each event; nothing for what is gone, of which another event tells.
fn bodies(work: &Work, events: &[Told]) -> Result<Vec<Option<String>>, Failure> {
    let space = work.engine().store.spaces.open(work.reading()?);
    let reader = space.read()?;
    let body = |Told { id, event }: &Told| {
        if *event == WebhookEvent::MemoryDelete {
            return Ok(Some(webhook::body_of(*id, *event, None).to_string()));
        }
        match reader.memory(*id) {
            Ok(memory) => Ok(Some(webhook::body_of(*id, *event, Some(&memory)).to_string())),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(events.iter().map(body).collect::<Result<_, Error>>()?)
}
