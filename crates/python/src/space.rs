//! One user's space, as somebody comes to it: on the word of this program, or with a credential.

use std::io::{self, BufWriter};
use std::sync::Arc;
use std::time::{Duration, Instant};

use locule::audit::Actor;
use locule::context::tools::Rights;
use locule::{Act, Engine, Filter, Principal, Read, Remembered, Request, Scope, Target, Write, deadline};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::Value;

use crate::failure::Failure;
use crate::owner::Owner;
use crate::wire::{self, ChangeIn, ConversationIn, MemoryIn, MemoryOut, PageIn, PageOut, SearchIn};

/// How long one call may wait for a database or for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the audit trail says of a user whom this program vouches for.
const REASON: &str = "on the word of the Python program";

/// In what right somebody comes. It is asked for anew in every call: a token that has expired, or is older than an erasure,
/// opens nothing, however long its holder has had the space.
enum Who {
    /// This program vouches for this user.
    Host(String),
    /// Whoever holds this credential; a service's key also says for whom.
    Bearer { credential: String, acts_for: Option<String> },
}

/// One user's space.
#[pyclass(frozen, module = "locule._native")]
pub struct Space {
    owner: Arc<Owner>,
    who: Who,
}

impl Space {
    /// The space of a user whom this program vouches for.
    pub fn of_user(owner: Arc<Owner>, subject: String) -> Self {
        Space { owner, who: Who::Host(subject) }
    }

    /// The space that a credential opens.
    pub fn of_bearer(owner: Arc<Owner>, credential: String, acts_for: Option<String>) -> Self {
        Space { owner, who: Who::Bearer { credential, acts_for } }
    }

    fn principal(&self, engine: &Engine) -> locule::Result<Principal> {
        match &self.who {
            Who::Host(subject) => engine.trusted_user(subject, REASON),
            Who::Bearer { credential, .. } => engine.authenticate(credential),
        }
    }

    fn target(&self) -> Target<'_> {
        match &self.who {
            Who::Bearer { acts_for: Some(name), .. } => Target::Named(name),
            _ => Target::Own,
        }
    }

    /// Does `work` without the interpreter's lock.
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Engine) -> Result<T, Failure> + Send,
    ) -> PyResult<T> {
        py.detach(|| deadline::within(Instant::now() + PATIENCE, || self.owner.with(work)))
            .map_err(|failure| failure.raise(py))
    }

    /// Looks into the space. `named` is every user that the call names; all must be its owner.
    pub(crate) fn look<T: Send>(
        &self,
        py: Python<'_>,
        act: Act,
        named: Vec<String>,
        work: impl FnOnce(&Engine, Scope<Read>) -> locule::Result<T> + Send,
    ) -> PyResult<T> {
        self.detached(py, |engine| {
            let request = Request { also_named: named, ..Request::default() };
            let scope = engine.gate().read(&self.principal(engine)?, self.target(), act, &request)?;
            Ok(work(engine, scope)?)
        })
    }

    /// Changes the space.
    pub(crate) fn change<T: Send>(
        &self,
        py: Python<'_>,
        named: Vec<String>,
        work: impl FnOnce(&Engine, Scope<Write>) -> locule::Result<T> + Send,
    ) -> PyResult<T> {
        self.detached(py, |engine| {
            let request = Request { also_named: named, ..Request::default() };
            let scope = engine.gate().write(&self.principal(engine)?, self.target(), Act::WriteMemories, &request)?;
            Ok(work(engine, scope)?)
        })
    }

    /// Looks into the space, and changes it if that turns out to be asked for.
    pub(crate) fn call<T: Send>(
        &self,
        py: Python<'_>,
        named: Vec<String>,
        work: impl FnOnce(&Engine, &Rights) -> locule::Result<T> + Send,
    ) -> PyResult<T> {
        self.detached(py, |engine| {
            let request = Request { also_named: named, ..Request::default() };
            let principal = self.principal(engine)?;
            let read = || engine.gate().read(&principal, self.target(), Act::ReadMemories, &request);
            let write = || engine.gate().write(&principal, self.target(), Act::WriteMemories, &request);
            Ok(work(engine, &Rights { read: &read, write: &write })?)
        })
    }

    /// What a call says, read before anything is looked up.
    pub(crate) fn read<T>(py: Python<'_>, read: impl FnOnce() -> locule::Result<T>) -> PyResult<T> {
        read().map_err(|error| Failure::from(error).raise(py))
    }
}

#[pymethods]
impl Space {
    /// Whose space it is. A credential is verified for it.
    fn user_id(&self, py: Python<'_>) -> PyResult<String> {
        match &self.who {
            Who::Host(subject) => Ok(subject.clone()),
            Who::Bearer { acts_for: Some(name), .. } => Ok(name.clone()),
            Who::Bearer { .. } => self.detached(py, |engine| match self.principal(engine)?.actor() {
                Actor::User(identity) => Ok(identity.subject.as_str().to_owned()),
                _ => Err(locule::Error::invalid("This is a service's key: say for which user it acts.").into()),
            }),
        }
    }

    /// Passes if all of these are the space's owner; if not, that is a refusal on record.
    fn confirm(&self, py: Python<'_>, named: Vec<String>) -> PyResult<()> {
        self.look(py, Act::ReadUsage, named, |_, _| Ok(()))
    }

    /// Adds memories, all or none.
    fn add(&self, py: Python<'_>, memories: &str, named: Vec<String>) -> PyResult<String> {
        let memories = Self::read(py, || {
            wire::read::<Vec<MemoryIn>>(memories)?.into_iter().map(MemoryIn::read).collect::<locule::Result<Vec<_>>>()
        })?;
        self.change(py, named, |engine, scope| {
            wire::write(&engine.add(scope, memories)?.into_iter().map(MemoryOut::from).collect::<Vec<_>>())
        })
    }

    /// Remembers a conversation: at once and word for word, or behind the answer, by a model.
    fn remember(&self, py: Python<'_>, conversation: &str, named: Vec<String>) -> PyResult<String> {
        let conversation = Self::read(py, || wire::read::<ConversationIn>(conversation)?.read())?;
        self.change(py, named, |engine, scope| match engine.remember(scope, conversation)? {
            Remembered::Now(added) => wire::write(&added.into_iter().map(MemoryOut::from).collect::<Vec<_>>())
                .map(|added| format!(r#"{{"added":{added}}}"#)),
            Remembered::Later(job) => Ok(format!(r#"{{"job":"{}"}}"#, job.id)),
        })
    }

    /// The best hits.
    fn search(&self, py: Python<'_>, query: &str, mut named: Vec<String>) -> PyResult<String> {
        let (query, users, explain) = Self::read(py, || {
            let query = wire::read::<SearchIn>(query)?;
            let explain = query.explain;
            query.read().map(|(query, users)| (query, users, explain))
        })?;
        named.extend(users);
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            let hits = engine.search(scope, &query)?;
            wire::write(&hits.into_iter().map(|hit| MemoryOut::hit(hit, explain)).collect::<Vec<_>>())
        })
    }

    /// One page of memories.
    fn list(&self, py: Python<'_>, page: &str, mut named: Vec<String>) -> PyResult<String> {
        let (query, users) = Self::read(py, || wire::read::<PageIn>(page)?.read())?;
        named.extend(users);
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            wire::write(&PageOut::from(engine.list(scope, &query)?))
        })
    }

    /// One memory.
    fn get(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            wire::write(&MemoryOut::from(engine.get(scope, wire::memory_id(id))?))
        })
    }

    /// What happened to a memory.
    fn history(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            wire::write(&engine.history(scope, wire::memory_id(id))?)
        })
    }

    /// Changes a memory.
    fn update(&self, py: Python<'_>, id: &str, change: &str, named: Vec<String>) -> PyResult<String> {
        let change = Self::read(py, || wire::read::<ChangeIn>(change)?.read())?;
        self.change(py, named, |engine, scope| {
            wire::write(&MemoryOut::from(engine.update(scope, wire::memory_id(id), &change)?))
        })
    }

    /// Deletes a memory.
    fn delete(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<()> {
        self.change(py, named, |engine, scope| engine.delete(scope, wire::memory_id(id)))
    }

    /// Deletes all memories that match, all of them without a filter.
    fn delete_all(&self, py: Python<'_>, filters: Option<&str>, mut named: Vec<String>) -> PyResult<u64> {
        let (filter, users): (Option<Filter>, _) = Self::read(py, || {
            let json = filters.map(wire::read::<Value>).transpose()?;
            wire::filter_of(json.as_ref())
        })?;
        named.extend(users);
        self.change(py, named, |engine, scope| engine.delete_all(scope, filter.as_ref()))
    }

    /// Keeps a memory of a run for good.
    fn promote(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.change(py, named, |engine, scope| {
            wire::write(&MemoryOut::from(engine.promote(scope, wire::memory_id(id))?))
        })
    }

    /// How full the space is.
    fn usage(&self, py: Python<'_>, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadUsage, named, |engine, scope| wire::write(&engine.usage(scope)?))
    }

    /// Writes everything in the space to a binary file; says how many memories there are.
    fn export(&self, py: Python<'_>, file: Py<PyAny>, named: Vec<String>) -> PyResult<u64> {
        let user = self.user_id(py)?;
        self.detached(py, |engine| {
            let request = Request { also_named: named, ..Request::default() };
            let scope = engine.gate().read(&self.principal(engine)?, self.target(), Act::Export, &request)?;
            let mut out = BufWriter::with_capacity(1 << 16, File { file, raised: None });
            let written = engine.export(scope, &user, &mut out, &mut |_, _| {});
            let flushed = io::Write::flush(&mut out);
            let raised = out.get_mut().raised.take();
            match (written, flushed, raised) {
                (.., Some(raised)) => Err(Failure::Raised(raised)),
                (Ok(_), Err(error), None) => Err(locule::Error::internal(error).into()),
                (written, ..) => Ok(written?),
            }
        })
    }

    /// Destroys the space for good; answers the receipt.
    fn erase(&self, py: Python<'_>, named: Vec<String>) -> PyResult<String> {
        self.detached(py, |engine| {
            let request = Request { also_named: named, ..Request::default() };
            let erasure = engine.gate().erase(&self.principal(engine)?, self.target(), &request)?;
            Ok(wire::write(&engine.erase(erasure)?)?)
        })
    }
}

/// A binary file of Python's.
struct File {
    file: Py<PyAny>,
    /// What its `write` raised.
    raised: Option<PyErr>,
}

impl io::Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = Python::attach(|py| self.file.call_method1(py, "write", (PyBytes::new(py, bytes),)).map(drop));
        written.map(|()| bytes.len()).map_err(|error| {
            self.raised = Some(error);
            io::Error::other("Python's file raised")
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
