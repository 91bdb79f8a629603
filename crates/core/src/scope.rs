//! The right to act on one space, as a value that only the gate can make.
//!
//! None of these types has a public constructor, `Clone`, `Default`, `From` or `Deserialize`: a second way in would be a
//! second place to get wrong.
//!
//! A scope cannot be copied into a second use:
//! ```compile_fail
//! fn twice(scope: locule_core::Scope<locule_core::Read>) {
//!     let _second = scope.clone();
//! }
//! ```
//! An erasure opens nothing:
//! ```compile_fail
//! fn peek(erasure: locule_core::Erasure) -> locule_core::Scope<locule_core::Read> {
//!     erasure.into()
//! }
//! ```

use std::marker::PhantomData;

use crate::Place;
use crate::audit::{Actor, Origin};
use crate::id::{Identity, Issuer, SpaceId, Tag};

mod sealed {
    pub trait Sealed {}
}

/// What a scope lets its holder do: [`Read`] or [`Write`], and nobody can add a third.
pub trait Right: sealed::Sealed + Send + Sync + 'static {
    /// Whether its holder may change anything.
    const CHANGES: bool;
}

/// The right to look.
#[derive(Debug)]
pub enum Read {}
/// The right to look and to change.
#[derive(Debug)]
pub enum Write {}

impl sealed::Sealed for Read {}
impl sealed::Sealed for Write {}
impl Right for Read {
    const CHANGES: bool = false;
}
impl Right for Write {
    const CHANGES: bool = true;
}

/// The right of one verified principal to act on one space.
#[derive(Debug)]
pub struct Scope<R: Right> {
    pub(crate) space: Option<Chamber>,
    pub(crate) origin: Origin,
    pub(crate) right: PhantomData<R>,
}

/// Which space, and the state of it that the right was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chamber {
    /// The space.
    pub id: SpaceId,
    /// What its object ids carry.
    pub tag: Tag,
    /// Rises with every suspension, erasure and move; a right given for an earlier one is void.
    pub epoch: u64,
    /// Whether anything was ever written: if so, missing files are a fault and not a new user.
    pub born: bool,
    /// Where it is kept.
    pub place: Place,
}

impl<R: Right> Scope<R> {
    /// The space, or `None` for a user nothing has ever been kept of: such a space reads as empty.
    pub fn space(&self) -> Option<&Chamber> {
        self.space.as_ref()
    }

    /// Who acts, for whom, in which request: what the audit trail records.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The right to destroy one user's space. It can open nothing.
#[derive(Debug)]
pub struct Erasure {
    pub(crate) identity: Identity,
    pub(crate) origin: Origin,
}

impl Erasure {
    /// Whose space.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who erases, for whom, in which request.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The right to carry one user's space, whole: to another place, into a backup, or out of one. It opens nothing.
#[derive(Debug)]
pub struct Move {
    pub(crate) identity: Identity,
    pub(crate) origin: Origin,
}

impl Move {
    /// Whose space.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who moves it, in which request.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The right to see and change what is so of one application: its project's settings and webhooks. It opens no space.
#[derive(Debug)]
pub struct Management {
    pub(crate) issuer: Issuer,
    pub(crate) actor: Actor,
    pub(crate) request_id: String,
}

impl Management {
    /// Whose users the application's are.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Who manages.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// In which request.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// The right to run the installation: users, keys and figures, never content.
#[derive(Debug)]
pub struct Operator {
    pub(crate) actor: Actor,
    pub(crate) request_id: String,
}

impl Operator {
    /// Who operates.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// In which request.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}
