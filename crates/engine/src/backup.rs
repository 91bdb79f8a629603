//! Backups of an installation or of one user, and putting them back.

use std::path::Path;

use locule_core::clock::Sources;
use locule_core::id::Identity;
use locule_core::policy::Act;
use locule_core::{Gate, Operator, Result};
use locule_store::archive::{self, About, Backup, Lock, Outcome};

use crate::Engine;
use crate::config::Config;

impl Engine {
    /// Begins a backup, which is at `archive` with its keys at `keys` once it has ended, and not before. It may be taken
    /// while others use the installation: each space is in it as it is at one moment.
    pub fn begin_backup(&self, archive: &Path, keys: &Path, whole: bool, lock: Lock) -> Result<Backup<'_>> {
        Backup::begin(&self.store, archive, keys, whole, lock)
    }

    /// Takes one user's space into a backup. Says how many memories it has; `None` if it was erased meanwhile.
    pub fn back_up(&self, backup: &mut Backup, operator: &Operator, identity: Identity) -> Result<Option<u64>> {
        let right = self.gate().system_move(operator, identity, Act::Export, "backup")?;
        backup.space(&right)
    }
}

/// A backup that was read through, and the installation that it goes into.
pub struct Restore {
    inner: archive::Restore,
    pub(crate) gate: Gate,
}

impl Restore {
    /// Reads a backup through. What is not whole, or was sealed with other keys, is refused before anything is changed.
    #[expect(clippy::disallowed_methods, reason = "the one gate of an installation that is being put back")]
    pub fn open(config: &Config, archive: &Path, keys: &Path, lock: &Lock) -> Result<Self> {
        let sources = Sources::system();
        let inner = archive::Restore::open(&config.store_options(), archive, keys, lock, &sources)?;
        let gate = Gate::new(inner.directory().clone(), config.provision, sources);
        Ok(Restore { inner, gate })
    }

    /// What it is.
    pub fn about(&self) -> &About {
        self.inner.about()
    }

    /// What would become of each user's space, with how many memories it has in the backup.
    pub fn plan(
        &self,
        operator: &Operator,
        only: Option<&Identity>,
        force: bool,
    ) -> Result<Vec<(Identity, u64, Outcome)>> {
        self.inner.plan(operator, only, force)
    }

    /// Puts back what the plan says.
    pub fn run(
        &self,
        operator: &Operator,
        plan: &[(Identity, u64, Outcome)],
        done: &mut dyn FnMut(&Identity, Outcome),
    ) -> Result<()> {
        let mut right = |identity| self.gate.system_move(operator, identity, Act::WriteMemories, "restore");
        self.inner.run(plan, &mut right, done)
    }
}
