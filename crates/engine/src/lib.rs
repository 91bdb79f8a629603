//! Locule: a private, isolated space for every user of an AI application.
//!
//! No statement runs except inside one user's space, and nothing opens a space but a [`Scope`], which only the [`Gate`]
//! makes from a verified principal. There is no user id in the data's SQL, so there is no filter to forget.
//!
//! ```
//! use locule::{Act, Config, Engine, NewMemory, Request, SearchQuery, Target};
//!
//! # fn main() -> locule::Result<()> {
//! # let home = std::env::temp_dir().join(format!("locule-doc-{}", std::process::id()));
//! let engine = Engine::open(Config::at(&home))?;
//!
//! // Whoever embeds the library vouches for its users, with a reason that the audit trail keeps.
//! let alice = engine.trusted_user("alice", "signed in to my shop")?;
//! let request = Request::default();
//!
//! let scope = engine.gate().write(&alice, Target::Own, Act::WriteMemories, &request)?;
//! engine.add(scope, vec![NewMemory::text("I'm allergic to peanuts")])?;
//!
//! let scope = engine.gate().read(&alice, Target::Own, Act::ReadMemories, &request)?;
//! let hits = engine.search(scope, &SearchQuery::text("what food should I avoid?"))?;
//! assert_eq!(hits[0].memory.memory, "I'm allergic to peanuts");
//!
//! // Alice's principal does not open Bob's space, whether there is a Bob or not.
//! let refused = engine.gate().read(&alice, Target::Named("bob"), Act::ReadMemories, &request);
//! assert_eq!(refused.unwrap_err().code(), locule::Code::NotYourSpace);
//! # drop(engine);
//! # std::fs::remove_dir_all(home).ok();
//! # Ok(())
//! # }
//! ```
//!
//! Everything here blocks: call it from threads, not from an event loop.
#![forbid(unsafe_code)]

mod access;
mod announce;
mod backup;
mod config;
pub mod context;
mod erase;
mod export;
mod http;
pub mod infer;
mod jobs;
mod keys;
mod memories;
pub mod model;
mod moving;
mod projects;
mod reindex;
mod relationships;
mod remember;
mod runners;
mod runs;
mod search;
mod sweep;
mod usage;
pub mod webhook;
pub mod work;

use std::sync::Arc;

pub use backup::Restore;
pub use config::{ChatEndpoint, Config, Embedding, Endpoint, Issuing, KeySet, Webhooks};
pub use erase::Receipt;
pub use export::{
    EXPORT_FORMAT, Exported, ExportedEntry, ExportedFeedback, ExportedRelationship, ImportSummary, Imported,
};
pub use locule_core::audit::{self, Entry, SystemEntry};
pub use locule_core::auth::{self, Principal};
pub use locule_core::clock::{self, Sources};
pub use locule_core::deadline;
pub use locule_core::directory::Known;
pub use locule_core::feedback::{self, Feedback, Rating};
pub use locule_core::filter::{self, Filter};
pub use locule_core::id::{self, Identity, Issuer, JobId, MemoryId, RelationshipId, Subject};
pub use locule_core::job::{self, Job, JobKind, JobPage, JobQuery, JobStatus, NewJob};
pub use locule_core::memory::{
    self, Added, Change, Entity, EntityKind, Event, Hit, ListQuery, Memory, NewMemory, Page, Run, RunPage, RunQuery,
    SearchQuery, Statistics,
};
pub use locule_core::policy::{self, Act, Role};
pub use locule_core::project::{
    self, NewWebhook, Project, Webhook, WebhookChange, WebhookEvent, WebhookId, WebhookSecret,
};
pub use locule_core::relationship::{
    self, Direction, Neighbour, NeighbourQuery, Neighbours, NewRelationship, Related, Relationship, RelationshipPage,
    RelationshipQuery, Strength,
};
pub use locule_core::settings::{self, Category, Settings};
pub use locule_core::{
    Code, Erasure, Error, Gate, Management, Operator, Provision, Read, Request, Result, Right, Scope, Target, Write,
    limit,
};
pub use locule_store::archive::{About, Backup, Lock, Outcome as RestoreOutcome, Taken};
pub use locule_store::directory::{Application, Figures, SystemRecord, UserRecord};
pub use locule_store::moving::{Receipt as MoveReceipt, Step};
pub use locule_store::postgres::catalogue::{Finding, Level};
pub use locule_store::postgres::trial::{Line, Outcome};
pub use locule_store::postgres::{self, Report as MigrationReport};
pub use locule_store::{
    Cluster, Clusters, Durability, Keeping, Migration, Postgres, PostgresLayout, Quota, Writer, audit_report,
    bypass_rls, denials,
};
pub use moving::Mover;
pub use reindex::Reindexed;
pub use remember::{Found, Remembered, Told};
pub use usage::Usage;

use locule_core::auth::Authenticator;
use locule_store::Store;
use model::Embedder;
use model::chat::Chat;
use webhook::Courier;

/// Sets up the PostgreSQL of an installation, or brings it up to date. `admin` is the address of somebody who may; nothing
/// else runs as them. `migration` says which PostgreSQL of several, and what else is to be done.
pub fn migrate(config: &Config, admin: &postgres::Address, migration: &Migration) -> Result<MigrationReport> {
    locule_store::migrate(&config.store_options(), admin, migration, &Sources::system())
}

/// What holds users apart in an installation's PostgreSQL, tried out with people who do not exist and in a transaction that is
/// rolled back. With `admin` the rules of organisations are tried as well; `user` is somebody to look at besides.
pub fn test_rls(config: &Config, admin: Option<&postgres::Address>, user: Option<&str>) -> Result<Vec<Line>> {
    locule_store::test_rls(&config.store_options(), admin, user, &Sources::system())
}

/// Whether an installation's PostgreSQL has what it needs, and works.
pub fn validate(config: &Config) -> Result<Vec<Line>> {
    locule_store::validate(&config.store_options(), &Sources::system())
}

/// An open installation.
pub struct Engine {
    store: Store,
    gate: Gate,
    authenticator: Authenticator,
    issuing: access::Issuer,
    embedder: Arc<dyn Embedder>,
    chat: Option<Chat>,
    courier: Courier,
    context_trail: bool,
    sources: Sources,
}

impl Engine {
    /// Opens an installation, and finishes what an earlier run left half done.
    pub fn open(config: Config) -> Result<Self> {
        Engine::open_with(config, Sources::system())
    }

    /// The same with time and chance from elsewhere, for tests.
    #[expect(clippy::disallowed_methods, reason = "the one gate of the installation")]
    pub fn open_with(config: Config, sources: Sources) -> Result<Self> {
        let store = locule_store::open(&config.store_options(), sources.clone())?;
        let issuing = access::Issuer::new(&config, &store)?;
        let verifiers = access::verifiers(&config, &issuing, &store, &sources)?;
        let embedder = model::embedder(&config.embedding)?;
        let chat = config.chat.clone().map(Chat::new).transpose()?;
        let directory = store.directory.clone();
        Ok(Engine {
            gate: Gate::new(directory.clone(), config.provision, sources.clone()),
            authenticator: Authenticator::new(verifiers, directory, sources.clone()),
            store,
            issuing,
            embedder,
            chat,
            courier: Courier::new(config.webhooks.clone()),
            context_trail: config.context_trail,
            sources,
        })
    }

    /// The gate: from a principal and a target to a scope.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Who holds this credential: a user's token or an API key.
    pub fn authenticate(&self, credential: &str) -> Result<Principal> {
        self.authenticator.authenticate(credential)
    }

    /// Whether [`authenticate`](Engine::authenticate) waits for nobody, and may be called where others would wait with it.
    pub fn authenticates_at_once(&self, credential: &str) -> bool {
        self.authenticator.is_at_once(credential)
    }

    /// The model that embeds texts here.
    pub fn embedder(&self) -> &dyn Embedder {
        &*self.embedder
    }

    /// The model that one talks to, if one is configured.
    pub fn chat(&self) -> Option<&Chat> {
        self.chat.as_ref()
    }

    /// What sends to webhooks.
    pub(crate) fn courier(&self) -> &Courier {
        &self.courier
    }

    /// What the log calls a user: always the same, and nothing to who has not our key.
    pub fn pseudonym(&self, identity: &Identity) -> String {
        self.store.directory.pseudonym(identity)
    }

    /// How many connections are open, and how many bytes of vectors are in memory.
    pub fn held(&self) -> (usize, usize) {
        self.store.spaces.held()
    }

    /// What time it is here.
    pub fn now(&self) -> jiff::Timestamp {
        self.sources.now()
    }

    /// Whether the installation can work: the directory answers.
    pub fn check(&self) -> Result<()> {
        use locule_core::directory::Directory as _;
        self.store.directory.find(&self.identity("readiness")?).map(drop)
    }

    /// Writes home what is still in logs and tells the directory the last figures. Dropping the engine without it loses
    /// nothing that was acknowledged.
    pub fn close(&self) -> Result<()> {
        self.store.spaces.close()
    }
}
