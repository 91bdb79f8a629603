//! Carrying spaces from one layout to another.

use locule_core::clock::Sources;
use locule_core::id::Identity;
use locule_core::policy::Act;
use locule_core::{Gate, Operator, Result};
use locule_store::directory::UserRecord;
use locule_store::moving::{self, Receipt, Step};

use crate::config::Config;

/// The two ends of moves, from one configuration to another.
pub struct Mover {
    inner: moving::Mover,
    pub(crate) gate: Gate,
}

impl Mover {
    /// Opens both ends, the second of them at one cluster if one is named. A PostgreSQL at either of them has been set up for its layout.
    #[expect(clippy::disallowed_methods, reason = "the one gate of an installation that is on its way")]
    pub fn open(from: &Config, to: &Config, cluster: Option<&str>) -> Result<Self> {
        let sources = Sources::system();
        let inner = moving::Mover::open(&from.store_options(), &to.store_options(), cluster, &sources)?;
        let gate = Gate::new(inner.directory().clone(), from.provision, sources);
        Ok(Mover { inner, gate })
    }

    /// Where spaces go, in words.
    pub fn target(&self) -> &str {
        self.inner.target()
    }

    /// Whether servers find each space where it is, because both ends are of one directory.
    pub fn is_within_one_directory(&self) -> bool {
        self.inner.is_within_one_directory()
    }

    /// Moves to this target that were begun and not finished.
    pub fn begun(&self, operator: &Operator) -> Result<Vec<Identity>> {
        self.inner.begun(operator)
    }

    /// One user who is still to be moved.
    pub fn user(&self, operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        self.inner.directory().user(operator, identity)
    }

    /// Users who are still to be moved, in the order of their ids. Says also where to go on from.
    pub fn users(
        &self,
        operator: &Operator,
        after: Option<&Identity>,
        limit: usize,
    ) -> Result<(Vec<UserRecord>, Option<Identity>)> {
        let users = self.inner.directory().users(operator, after, limit)?;
        let last = users.last().map(|user| user.identity.clone());
        let mut left = Vec::new();
        for user in users {
            if !self.inner.is_there(user.chamber.id)? {
                left.push(user);
            }
        }
        Ok((left, last))
    }

    /// What a user has where the space is that it cannot have at the other place.
    pub fn only_here(&self, operator: &Operator, identity: &Identity) -> Result<Vec<String>> {
        self.inner.only_here(operator, identity)
    }

    /// Carries one user's space, or finishes carrying it.
    pub fn carry(
        &self,
        operator: &Operator,
        identity: Identity,
        reason: &str,
        watch: &mut dyn FnMut(Step),
    ) -> Result<Receipt> {
        let right = self.gate.system_move(operator, identity, Act::Move, reason)?;
        self.inner.carry(&right, watch)
    }

    /// Takes back the move of one user that is not handed over yet. Says whether there was one.
    pub fn abandon(&self, operator: &Operator, identity: Identity, reason: &str) -> Result<bool> {
        let right = self.gate.system_move(operator, identity, Act::Move, reason)?;
        self.inner.abandon(&right)
    }

    /// Takes no new users at the old place from now on, where the new one has a directory of its own.
    pub fn begin_all(&self, operator: &Operator) -> Result<()> {
        self.inner.begin_all(operator)
    }

    /// Once all users are moved: takes over what is of no user, and ends the old place. Says whether the installation's trail
    /// goes on at the new one.
    pub fn end_all(&self, operator: &Operator) -> Result<bool> {
        self.inner.end_all(operator)
    }

    /// Takes new users at the old place again.
    pub fn abandon_all(&self, operator: &Operator) -> Result<()> {
        self.inner.abandon_all(operator)
    }

    /// Writes home what is in logs.
    pub fn close(&self) -> Result<()> {
        self.inner.close()
    }
}
