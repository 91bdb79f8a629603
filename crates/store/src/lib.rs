//! Where a space lives: the only crate that knows SQL, data files and keys.
//!
//! [`open`] is the way in. What it gives opens a space for a [`Scope`](locule_core::Scope) and for nothing else; below
//! that point no signature, no statement and no cache key carries a user.

pub mod archive;
mod awaited;
mod bell;
mod clusters;
mod content;
mod context;
mod copy;
pub mod directory;
mod error;
mod files;
mod filter;
mod group;
mod jobs;
mod key;
mod layout;
mod lexicon;
mod memories;
pub mod moving;
mod paths;
mod places;
pub mod postgres;
mod relationships;
mod search;
mod settings;
mod space;
mod sqlite;
mod state;
mod tick;
mod trail;
mod tx;
pub mod vector;
mod warm;
mod watch;
pub mod words;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use locule_core::clock::Sources;
use locule_core::id::{Identity, Issuer, Subject};
use locule_core::{Code, Error, Place, Result};

pub use bell::Bell;
pub use clusters::{Cluster, Clusters};
pub use jobs::{Claimed, Terms};
pub use layout::Destroyed;
pub use memories::Ready;
pub use search::{Find, WORDS_WEIGHT};
pub use space::{Quota, Reader, Space, Spaces, Writer};
pub use sqlite::open::Durability;
pub use state::{Model, State};
pub use watch::{Wake, Watch};

use directory::Directory;
use key::{KeyFiles, KeyRing, MasterKey};
use layout::Layout;
use locule_seal as seal;
use paths::Paths;
use places::Places;
use postgres::Server;
use seal::Secret;
use sqlite::FileLayout;

/// How spaces are kept apart, and where.
#[derive(Clone, Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "a program has one or two of them")]
pub enum Keeping {
    /// A file for each, in the data directory.
    #[default]
    Files,
    /// In a PostgreSQL. The data directory holds the master key and nothing else.
    Postgres(Postgres),
}

/// A PostgreSQL that keeps spaces.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// How they are kept apart in it.
    pub layout: PostgresLayout,
    /// Where it is.
    pub address: postgres::Address,
    /// What stands between.
    pub pooler: postgres::Pooler,
    /// What the names of the installation's roles begin with.
    pub prefix: postgres::Prefix,
    /// How many connections at most.
    pub connections_max: usize,
    /// Whether the content of spaces made from now on is sealed, so that the database cannot read it.
    pub sealed: bool,
    /// What keeps spaces beside it, if anything does.
    pub clusters: Clusters,
}

/// How a PostgreSQL keeps spaces apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresLayout {
    /// By row security, in tables that all share.
    Rls,
    /// By a schema for each.
    Schema,
    /// By a database for each.
    Database,
}

/// How an installation keeps its data.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// How spaces are kept apart.
    pub keeping: Keeping,
    /// Whose subjects own rows under their own names, where rows have owners.
    pub issuer: Issuer,
    /// Whether to make it if it is not there.
    pub create: bool,
    /// Whether everything in it is encrypted. Only for measuring what that costs would one say no.
    pub encrypted: bool,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Memory for open connections, in bytes.
    pub connection_bytes: usize,
    /// Memory for vectors, in bytes.
    pub vector_bytes: usize,
    /// How much one space may hold.
    pub quota: Quota,
    /// Whether the trail of a space tells of its context which agent did what to which key.
    pub context_trail: bool,
}

impl Options {
    /// The usual ones, for data in this directory.
    pub fn at(data: impl Into<PathBuf>) -> Self {
        Options {
            data: data.into(),
            keeping: Keeping::default(),
            issuer: Issuer::default(),
            create: true,
            encrypted: true,
            durability: Durability::Full,
            connection_bytes: 512 << 20,
            vector_bytes: 1 << 30,
            quota: Quota::default(),
            context_trail: false,
        }
    }
}

/// An opened installation.
pub struct Store {
    /// What is known of users.
    pub directory: Arc<Directory>,
    /// Their spaces.
    pub spaces: Spaces,
    /// A secret that signs the installation's own tokens, unless another is configured.
    pub token_secret: Vec<u8>,
    master: MasterKey,
}

/// Opens an installation, and finishes what an earlier run left half done.
pub fn open(options: &Options, sources: Sources) -> Result<Store> {
    let store = open_even_retired(options, sources)?;
    match store.directory.moved_to()? {
        None => Ok(store),
        Some(target) => Err(Error::new(
            Code::SpaceMoved,
            format!(
                "This installation has been moved to {target}. Set `storage.layout` and `postgres.url` accordingly."
            ),
        )),
    }
}

/// Opens an installation, be it one that has been moved away.
fn open_even_retired(options: &Options, sources: Sources) -> Result<Store> {
    sqlite::open::configure();
    let paths = Paths::new(options.data.clone());
    let master = master_key(&paths, options, &sources)?;
    let encryption = options.encrypted.then(|| master.derive("directory"));
    let pseudonym = master.derive("pseudonym");
    let token_secret = master.derive("tokens").as_bytes().to_vec();
    let (directory, places) = match &options.keeping {
        Keeping::Files => {
            let directory = directory_file(&paths, encryption, pseudonym, options, &sources)?;
            let layout = FileLayout::new(
                paths.clone(),
                KeyRing::new(KeyFiles::new(paths.keys(), sources.clone()), master.clone(), sources.clone()),
                options.encrypted,
                options.durability,
                sqlite::connections_max(options.connection_bytes),
                directory.clone(),
                sources.clone(),
            );
            let layout: Box<dyn Layout> = Box::new(layout);
            let usual = Place::try_from("file")?;
            (directory, Places::new(usual, HashMap::from([(usual, layout)])))
        }
        Keeping::Postgres(kept) => {
            postgres::refuse_pooled_databases(kept)?;
            let server = kept.server(&master);
            postgres::refuse_wrong_pooler(&server)?;
            postgres::refuse_what_leaks(kept, &server)?;
            let placing = kept.placing()?;
            let directory =
                Directory::in_postgres(&server, placing, options.issuer.clone(), pseudonym, sources.clone())?;
            let keys = KeyRing::new(directory.clone(), master.clone(), sources.clone());
            let seals = Arc::new(postgres::seals::Seals::new(keys, kept.sealed, sources.clone()));
            let places = kept.places(&server, &directory, &seals)?;
            (directory, places)
        }
    };
    let Options { vector_bytes, quota, context_trail, .. } = *options;
    let spaces = Spaces::new(places, directory.clone(), vector_bytes, quota, context_trail, sources);
    let finished = spaces.finish_erasures()?;
    if finished > 0 {
        tracing::info!(finished, "finished erasures that an earlier run had begun");
    }
    Ok(Store { directory, spaces, token_secret, master })
}

/// Sets up the PostgreSQL of an installation, with a login that may: its roles, its tables and what guards them. May be
/// repeated, and then puts right what has been changed since.
pub fn migrate(
    options: &Options,
    privileged: &postgres::Address,
    migration: &Migration,
    sources: &Sources,
) -> Result<postgres::Report> {
    let Keeping::Postgres(kept) = &options.keeping else {
        return Err(Error::invalid("This installation keeps its data in files: there is no PostgreSQL to set up."));
    };
    let master = master_key(&Paths::new(options.data.clone()), options, sources)?;
    let cluster = migration.cluster.as_deref().unwrap_or(clusters::MAIN);
    let server = kept.alone(cluster)?.server(&master);
    let wanted = postgres::Wanted {
        layout: kept.layout,
        model: migration.model.clone(),
        pgvector: migration.pgvector,
        unless_done: migration.unless_done,
    };
    let mut report = postgres::migrate(privileged, &server, &wanted)?;
    if !report.owners.is_empty() && cluster == clusters::MAIN {
        report.strangers = adopt(options, &report.owners, sources)?;
    }
    if report.unfilled {
        fill_vectors(options, kept, cluster, sources)?;
        if kept.layout == PostgresLayout::Rls {
            postgres::filled(privileged, &server)?;
        }
    }
    Ok(report)
}

/// What to do besides, when a PostgreSQL is set up.
#[derive(Clone, Debug, Default)]
pub struct Migration {
    /// Set up this one of several, which keeps spaces beside the one with the directory.
    pub cluster: Option<String>,
    /// Whose vectors the tables of an older product hold, if these are to be taken over.
    pub model: Option<String>,
    /// Make the extension pgvector where it is not.
    pub pgvector: bool,
    /// Do nothing where this very program has done all of it before, which nobody notices who is at work there.
    pub unless_done: bool,
}

/// Gives the vectors that were written before there was a column of pgvector's type their place in it, space by space, each
/// some at a time, beside servers that run.
fn fill_vectors(options: &Options, kept: &Postgres, cluster: &str, sources: &Sources) -> Result<()> {
    let store = open(&Options { create: false, ..options.clone() }, sources.clone())?;
    let place = clusters::place(kept.layout, cluster)?;
    let mut after = None;
    loop {
        let some = store.directory.born_after(after)?;
        let Some((last, _)) = some.last() else { return Ok(()) };
        after = Some(*last);
        for (space, _) in some.iter().filter(|(_, kept_at)| *kept_at == place) {
            store.spaces.fill_vectors(*space, place)?;
        }
    }
}

/// Gives a space to each owner of rows that came with an older product's tables. Gives back the names that nobody can have.
fn adopt(options: &Options, owners: &[String], sources: &Sources) -> Result<Vec<String>> {
    use locule_core::directory::Directory as _;
    // Their rows are here, wherever new ones go.
    let keeping = match &options.keeping {
        Keeping::Postgres(kept) => Keeping::Postgres(kept.alone(clusters::MAIN)?),
        Keeping::Files => Keeping::Files,
    };
    let store = open(&Options { create: false, keeping, ..options.clone() }, sources.clone())?;
    let mut strangers = Vec::new();
    for owner in owners {
        match Subject::try_from(owner.as_str()) {
            Ok(subject) => {
                let chamber = store.directory.provision(&Identity { issuer: options.issuer.clone(), subject })?;
                store.spaces.adopt(&chamber)?;
            }
            Err(_) => strangers.push(owner.clone()),
        }
    }
    Ok(strangers)
}

/// What holds users apart in an installation's PostgreSQL, tried out over the login that requests use, with people who do not
/// exist and in a transaction that is rolled back.
///
/// With a `privileged` login the rules of organisations are tried too. `user` is somebody to look at besides.
pub fn test_rls(
    options: &Options,
    privileged: Option<&postgres::Address>,
    user: Option<&str>,
    sources: &Sources,
) -> Result<Vec<postgres::trial::Line>> {
    let (server, prefix) = rows(options, sources)?;
    let api = server.connect(postgres::server::Login::Api)?;
    let privileged = privileged.map(open_privileged).transpose()?;
    postgres::trial::test_rls(&api, privileged.as_ref(), prefix.as_str(), user)
}

/// Whether an installation's PostgreSQL has what it needs, and works.
pub fn validate(options: &Options, sources: &Sources) -> Result<Vec<postgres::trial::Line>> {
    let (server, prefix) = rows(options, sources)?;
    postgres::trial::validate(&server.connect(postgres::server::Login::Api)?, prefix.as_str())
}

/// What the catalogue of a database shows to be wrong with how it holds users apart: of one set up for us, nothing. It may
/// be any database, and for instance one that an older product has set up.
pub fn audit_report(
    address: &postgres::Address,
    prefix: &postgres::Prefix,
) -> Result<Vec<postgres::catalogue::Finding>> {
    postgres::catalogue::audit(&open_privileged(address)?, prefix.as_str())
}

/// What a login that row security does not hold sees of a user's rows and of all: why somebody's answers are empty.
pub fn bypass_rls(privileged: &postgres::Address, user: &str) -> Result<Vec<String>> {
    postgres::trial::bypassing(&open_privileged(privileged)?, user)
}

/// How often each user was denied something, as the history of a database has it; nothing where it has none.
pub fn denials(privileged: &postgres::Address) -> Result<Vec<(String, i64)>> {
    postgres::trial::denials(&open_privileged(privileged)?)
}

fn open_privileged(address: &postgres::Address) -> Result<postgres::connection::Connection> {
    postgres::connection::Connection::open(address, postgres::Pooler::Transaction)
}

/// The server that keeps an installation's rows, and what its roles' names begin with.
fn rows(options: &Options, sources: &Sources) -> Result<(Server, postgres::Prefix)> {
    match &options.keeping {
        Keeping::Postgres(kept) if kept.layout == PostgresLayout::Rls => {
            let master = master_key(&Paths::new(options.data.clone()), options, sources)?;
            Ok((kept.server(&master), kept.prefix.clone()))
        }
        _ => Err(Error::invalid("This installation does not keep its spaces behind row security.")),
    }
}

impl Postgres {
    fn server(&self, master: &MasterKey) -> Server {
        Server::new(self.address.clone(), self.pooler, self.prefix.clone(), master.derive("postgres"))
    }
}

impl PostgresLayout {
    /// All of them.
    pub const ALL: [PostgresLayout; 3] = [PostgresLayout::Rls, PostgresLayout::Schema, PostgresLayout::Database];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            PostgresLayout::Rls => "rls",
            PostgresLayout::Schema => "schema",
            PostgresLayout::Database => "database",
        }
    }
}

fn directory_file(
    paths: &Paths,
    encryption: Option<Secret>,
    pseudonym: Secret,
    options: &Options,
    sources: &Sources,
) -> Result<Arc<Directory>> {
    if !paths.directory().exists() && (paths.spaces().exists() || paths.keys().exists()) {
        return Err(Error::new(
            Code::SpaceCorrupt,
            format!(
                "There is data in {}, and its directory.db is missing. Restore it from its backup.",
                paths.root().display()
            ),
        ));
    }
    Directory::open(&paths.directory(), encryption, pseudonym, options.create, sources.clone())
        .map_err(|error| if error.code() == Code::SpaceCorrupt { locked(paths, error) } else { error })
}

/// The directory does not open: from inside, a wrong key and a damaged file look alike.
fn locked(paths: &Paths, error: Error) -> Error {
    Error::new(
        Code::KeyUnavailable,
        format!(
            "The directory.db in {} does not open with the master.key beside it. They are of two installations, or one of \
             them is damaged: restore both from one backup.",
            paths.root().display()
        ),
    )
    .because(error)
}

fn master_key(paths: &Paths, options: &Options, sources: &Sources) -> Result<MasterKey> {
    if let Some(master) = MasterKey::read(&paths.master_key())? {
        return Ok(master);
    }
    if paths.directory().exists() {
        return Err(Error::new(
            Code::KeyUnavailable,
            format!(
                "There is data in {}, and its master.key is missing. Restore it from its backup.",
                paths.root().display()
            ),
        ));
    }
    if !options.create {
        return Err(Error::new(
            Code::KeyUnavailable,
            format!("There is no data directory at {0}. Make one: locule init --data {0}", paths.root().display()),
        ));
    }
    files::create_directory(paths.root()).map_err(error::of_disk)?;
    MasterKey::create(&paths.master_key(), sources)
}
