//! Projects, webhooks and settings: how what users tell is to be remembered, and who hears of changes.

use std::sync::Arc;

use locule_core::feedback::Feedback;
use locule_core::id::{Issuer, MemoryId};
use locule_core::memory::Metadata;
use locule_core::project::{NewWebhook, Project, Webhook, WebhookChange, WebhookId, no_such_webhook};
use locule_core::settings::Settings;
use locule_core::{Management, Read, Result, Scope, Write};
use locule_store::directory::Application;

use crate::{Engine, webhook};

impl Engine {
    /// What is so of the application whose users are this issuer's: its project and its webhooks. It is answered from memory
    /// until somebody changes it, in whatever process.
    pub fn application(&self, issuer: &Issuer) -> Result<Arc<Application>> {
        self.store.directory.application(issuer)
    }

    /// The project that a service belongs to.
    pub fn project(&self, right: &Management) -> Result<Project> {
        Ok(self.application(right.issuer())?.project.clone())
    }

    /// Changes its settings: each name replaces, `null` takes away. As it is after.
    pub fn change_project(&self, right: &Management, change: &Metadata) -> Result<Project> {
        self.store.directory.change_project(right, change)
    }

    /// Its webhooks, the oldest first.
    pub fn webhooks(&self, right: &Management) -> Result<Vec<Webhook>> {
        Ok(self.application(right.issuer())?.webhooks.clone())
    }

    /// One of its webhooks.
    pub fn webhook(&self, right: &Management, id: &WebhookId) -> Result<Webhook> {
        self.webhooks(right)?.into_iter().find(|webhook| webhook.id == *id).ok_or_else(no_such_webhook)
    }

    /// Makes a webhook. The secret that its deliveries are signed with is in what this answers.
    pub fn add_webhook(&self, right: &Management, new: NewWebhook) -> Result<Webhook> {
        webhook::check(&new.url, self.courier().settings())?;
        self.store.directory.add_webhook(right, new)
    }

    /// Changes a webhook. As it is after.
    pub fn change_webhook(&self, right: &Management, id: &WebhookId, change: WebhookChange) -> Result<Webhook> {
        change.url.as_deref().map_or(Ok(()), |url| webhook::check(url, self.courier().settings()))?;
        self.store.directory.change_webhook(right, id, change)
    }

    /// Removes a webhook.
    pub fn delete_webhook(&self, right: &Management, id: &WebhookId) -> Result<()> {
        self.store.directory.delete_webhook(right, id)
    }

    /// A user's own settings.
    pub fn settings(&self, scope: Scope<Read>) -> Result<Settings> {
        self.store.spaces.open(scope).read()?.settings()
    }

    /// Changes them: each name replaces, `null` takes away. As they are after.
    pub fn change_settings(&self, scope: Scope<Write>, change: &Metadata) -> Result<Settings> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let settings = writer.change_settings(change)?;
        writer.commit()?;
        Ok(settings)
    }

    /// What was said of a memory.
    pub fn feedback(&self, scope: Scope<Read>, id: MemoryId) -> Result<Feedback> {
        self.store.spaces.open(scope).read()?.feedback(id)
    }

    /// Says something of a memory, in place of what was said before.
    pub fn give_feedback(&self, scope: Scope<Write>, id: MemoryId, feedback: &Feedback) -> Result<()> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        writer.give_feedback(id, feedback)?;
        writer.commit()
    }
}
