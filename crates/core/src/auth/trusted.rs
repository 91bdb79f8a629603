//! The word of the program itself, where there is no credential to check: a library's host, a command line.
//!
//! Whoever can call this has the data directory and its keys in hand already, so it proves nothing more; it is kept in
//! one place, with a reason that the audit trail records, so that one can list every such use.

use super::{IssuedAt, Principal, Who};
use crate::audit::Actor;
use crate::id::Identity;
use crate::policy::Role;
use crate::{Result, limit};

/// A user, on the word of the embedding program.
pub fn user(identity: Identity, reason: &str) -> Result<Principal> {
    limit::REASON_BYTES.check(reason.len())?;
    Ok(Principal {
        who: Who::User { identity, role: Role::Owner },
        actor: Actor::Host(reason.to_owned()),
        issued_at: IssuedAt::Live,
    })
}

/// An operator, on the word of the embedding program.
pub fn operator(reason: &str) -> Result<Principal> {
    limit::REASON_BYTES.check(reason.len())?;
    Ok(Principal { who: Who::Operator, actor: Actor::Host(reason.to_owned()), issued_at: IssuedAt::Live })
}
