//! An open installation: who has a space here, and the ways into one.

use std::sync::Arc;

use locule::{Identity, Request};
use pyo3::prelude::*;
use serde::Serialize;

use crate::failure::Failure;
use crate::owner::Owner;
use crate::setup::Setup;
use crate::space::Space;
use crate::wire;

/// What the audit trail says of an operator's work.
const REASON: &str = "on the word of the Python program";

/// How many users one look at the directory asks for.
const USERS_PAGE: usize = 500;

/// An open installation.
#[pyclass(frozen, module = "locule._native")]
pub struct Installation {
    owner: Arc<Owner>,
}

/// A user, as the directory knows them.
#[derive(Serialize)]
struct UserOut {
    user_id: String,
    state: &'static str,
    created_at: String,
}

#[pymethods]
impl Installation {
    /// Opens an installation that is set up like this.
    #[new]
    fn open(py: Python<'_>, setup: &str) -> PyResult<Self> {
        let owner = py.detach(|| {
            let setup = Setup::read(setup)?;
            Owner::open(|| setup.open())
        });
        owner.map(|owner| Installation { owner: Arc::new(owner) }).map_err(|failure| failure.raise(py))
    }

    /// The space of a user whom this program vouches for. Nothing is opened or made yet; an id nobody can have is refused.
    fn user(&self, py: Python<'_>, subject: String) -> PyResult<Space> {
        self.detached(py, |engine| Ok(engine.identity(&subject).map(drop)?))?;
        Ok(Space::of_user(self.owner.clone(), subject))
    }

    /// The space that a credential opens: that of its user, or of one that a service's key acts for.
    fn bearer(&self, py: Python<'_>, credential: String, acts_for: Option<String>) -> PyResult<Space> {
        self.detached(py, |engine| Ok(engine.authenticate(&credential).map(drop)?))?;
        Ok(Space::of_bearer(self.owner.clone(), credential, acts_for))
    }

    /// A token for a user, signed by this installation.
    fn mint_token(&self, py: Python<'_>, subject: &str, ttl_s: u32) -> PyResult<String> {
        self.detached(py, |engine| Ok(engine.mint_token(subject, ttl_s)?))
    }

    /// Everybody who has a space here, in the order of their ids.
    fn users(&self, py: Python<'_>) -> PyResult<String> {
        self.detached(py, |engine| {
            let operator = engine.trusted_operator(REASON, &Request::default())?;
            let mut users = Vec::new();
            let mut after: Option<Identity> = None;
            loop {
                let page = engine.users(&operator, after.as_ref(), USERS_PAGE)?;
                after = page.last().map(|user| user.identity.clone());
                let last = page.len() < USERS_PAGE;
                users.extend(page.into_iter().filter(|user| user.identity.issuer == *engine.issuer()).map(|user| {
                    UserOut {
                        state: user.state_word(),
                        created_at: user.created_at.to_string(),
                        user_id: user.identity.subject.as_str().to_owned(),
                    }
                }));
                if last {
                    return Ok(wire::write(&users)?);
                }
            }
        })
    }

    /// Whose memory this may be, by its id alone.
    fn owners(&self, py: Python<'_>, id: &str) -> PyResult<Vec<String>> {
        self.detached(py, |engine| {
            let owners = engine.owners_by_tag(wire::memory_id(id))?;
            Ok(owners.iter().map(|owner| owner.as_str().to_owned()).collect())
        })
    }

    /// Closes the installation. What was acknowledged is kept; whoever is in a call finishes it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.owner.close()).map_err(|failure| failure.raise(py))
    }
}

impl Installation {
    /// Does `work` without the interpreter's lock.
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&locule::Engine) -> Result<T, Failure> + Send,
    ) -> PyResult<T> {
        py.detach(|| self.owner.with(work)).map_err(|failure| failure.raise(py))
    }
}
