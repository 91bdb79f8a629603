//! Work without a caller: what operators ask for, and what must be done from time to time.

use locule_core::audit::Entry;
use locule_core::id::Identity;
use locule_core::policy::Act;
use locule_core::{Operator, Read, Result, Scope};
use locule_store::directory::{Figures, SystemRecord, UserRecord};

use crate::Engine;

impl Engine {
    /// Tells the directory the figures that spaces have for it, and finishes erasures that had to wait for a cluster. To be called
    /// every minute or so.
    pub fn publish(&self) -> Result<()> {
        self.store.spaces.publish()?;
        self.store.spaces.finish_waiting_erasures().map(drop)
    }

    /// Gives a user a space.
    pub fn create_user(&self, operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        self.store.directory.create_user(operator, identity)
    }

    /// One user.
    pub fn user(&self, operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        self.store.directory.user(operator, identity)
    }

    /// Users in the order of their ids.
    pub fn users(&self, operator: &Operator, after: Option<&Identity>, limit: usize) -> Result<Vec<UserRecord>> {
        self.store.directory.users(operator, after, limit)
    }

    /// Shuts a user's space, or opens it again.
    pub fn suspend(&self, operator: &Operator, identity: &Identity, suspended: bool) -> Result<()> {
        self.store.directory.suspend(operator, identity, suspended)
    }

    /// Figures over all users.
    pub fn figures(&self, operator: &Operator) -> Result<Figures> {
        self.store.directory.figures(operator)
    }

    /// Where a user's space lives.
    pub fn whereabouts(&self, operator: &Operator, identity: &Identity) -> Result<String> {
        let user = self.user(operator, identity)?;
        self.store.spaces.whereabouts(operator, &user.chamber)
    }

    /// The newest entries of the installation's audit trail.
    pub fn trail(&self, operator: &Operator, limit: usize) -> Result<Vec<SystemRecord>> {
        self.store.directory.trail(operator, limit)
    }

    /// Checks the installation's audit chain. Says how many entries there are, or at which one it breaks.
    pub fn verify_trail(&self, operator: &Operator) -> Result<Result<u64, i64>> {
        self.store.directory.verify_trail(operator)
    }

    /// Checks a space's audit chain. Says how many entries there are, or at which one it breaks.
    pub fn verify_audit(&self, scope: Scope<Read>) -> Result<Result<u64, i64>> {
        self.store.spaces.open(scope).read()?.verify_audit()
    }

    /// Every entry of a space's audit chain, oldest first.
    pub fn audit(&self, scope: Scope<Read>, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        self.store.spaces.open(scope).read()?.audit(each)
    }

    /// A scope for an operator's work in one user's space.
    pub fn system_read(&self, operator: &Operator, identity: Identity, act: Act, reason: &str) -> Result<Scope<Read>> {
        self.gate().system_read(operator, identity, act, reason)
    }
}
