//! Telling an application's webhooks of what changes: in the transaction of the change a job is left for each webhook that wants
//! to hear of it.

use locule_core::filter::Filter;
use locule_core::id::MemoryId;
use locule_core::job::{JobKind, JobQuery, JobStatus, NewJob};
use locule_core::memory::{Added, Change, ListQuery};
use locule_core::project::{Webhook, WebhookEvent};
use locule_core::{Result, Right, Scope, limit};
use locule_store::{Reader, Writer};

use crate::runners::{Delivery, Told};
use crate::{Engine, infer};

/// The webhooks that want to hear of a space's changes.
pub(crate) struct Listeners(Vec<Webhook>);

impl Engine {
    /// Who wants to hear of changes to the space of this scope.
    pub(crate) fn listeners<R: Right>(&self, scope: &Scope<R>) -> Result<Listeners> {
        let Some(owner) = scope.origin().owner() else { return Ok(Listeners(Vec::new())) };
        let application = self.application(&owner.issuer)?;
        Ok(Listeners(application.webhooks.iter().filter(|webhook| webhook.is_active).cloned().collect()))
    }
}

impl Listeners {
    /// Tells of memories that were added.
    pub fn added(&self, writer: &mut Writer, added: &[Added]) -> Result<()> {
        let fresh = added.iter().filter(|added| !added.existing);
        let events = fresh.flat_map(|added| {
            let labelled = !added.memory.categories.is_empty();
            of(added.memory.id, WebhookEvent::MemoryAdd, labelled)
        });
        self.tell(writer, events)
    }

    /// Tells of memories that were changed.
    pub fn changed<'a>(
        &self,
        writer: &mut Writer,
        changes: impl Iterator<Item = (MemoryId, &'a Change)>,
    ) -> Result<()> {
        self.tell(
            writer,
            changes.flat_map(|(id, change)| of(id, WebhookEvent::MemoryUpdate, change.categories.is_some())),
        )
    }

    /// Tells of memories that were deleted.
    pub fn deleted(&self, writer: &mut Writer, ids: impl Iterator<Item = MemoryId>) -> Result<()> {
        self.tell(writer, ids.flat_map(|id| of(id, WebhookEvent::MemoryDelete, false)))
    }

    /// What a deletion of all that matches will delete, as far as anybody wants to hear of it, the newest memories first.
    pub fn doomed(&self, reader: &Reader, filter: Option<&Filter>) -> Result<Vec<MemoryId>> {
        let mut doomed = Vec::new();
        if !self.0.iter().any(|webhook| webhook.wants(WebhookEvent::MemoryDelete)) {
            return Ok(doomed);
        }
        let mut query = ListQuery { filter: filter.cloned(), limit: limit::PAGE.max, before: None, offset: 0 };
        loop {
            let page = reader.list(&query)?;
            doomed.extend(page.memories.into_iter().map(|memory| memory.id));
            match page.next {
                Some(next) if doomed.len() < limit::DELETIONS_TOLD.max => query.before = Some(next),
                _ => return Ok(doomed),
            }
        }
    }

    fn tell(&self, writer: &mut Writer, events: impl Iterator<Item = Told>) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let events: Vec<Told> = events.collect();
        for webhook in &self.0 {
            let wanted: Vec<Told> = events.iter().filter(|told| webhook.wants(told.event)).cloned().collect();
            for events in wanted.chunks(limit::BATCH.max) {
                leave(writer, webhook, events)?;
            }
        }
        Ok(())
    }
}

/// Leaves a job that tells a webhook of these events, if there is room for one.
fn leave(writer: &mut Writer, webhook: &Webhook, events: &[Told]) -> Result<()> {
    let (kind, status) = (Some(JobKind::Deliver), Some(JobStatus::Pending));
    let waiting = writer.jobs(&JobQuery { kind, status, limit: 1, ..JobQuery::default() })?.total;
    if waiting as usize >= limit::DELIVERIES.max {
        tracing::warn!(webhook = webhook.id.as_str(), "too many deliveries wait: a change is not told");
        return Ok(());
    }
    let webhook = webhook.id.as_str().to_owned();
    let delivery = Delivery { webhook, origin: None, before: 0, events: events.to_vec() };
    writer.add_job(NewJob::new(JobKind::Deliver, infer::written(&delivery)?)).map(drop)
}

/// The events of one memory's change.
fn of(id: MemoryId, event: WebhookEvent, labelled: bool) -> impl Iterator<Item = Told> {
    let labelled = labelled.then_some(Told { id, event: WebhookEvent::MemoryCategorize });
    std::iter::once(Told { id, event }).chain(labelled)
}
