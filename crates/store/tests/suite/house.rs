//! A temporary installation, people who use it by name, and a clock that stands still.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use locule_core::auth::{Principal, trusted};
use locule_core::clock::{ManualClock, Sources};
use locule_core::directory::{Directory as _, Standing};
use locule_core::filter::{self, Filter};
use locule_core::id::{Identity, Issuer, MemoryId, SpaceId, Subject};
use locule_core::memory::{Added, Hit, ListQuery, Memory, NewMemory};
use locule_core::policy::Act;
use locule_core::{Code, Erasure, Gate, Operator, Provision, Read, Request, Result, Scope, Target, Write};
use locule_store::postgres::{Address, Pooler, Prefix, Report};
use locule_store::vector::encode;
use locule_store::{
    Durability, Find, Keeping, Migration, Model, Options, Postgres, PostgresLayout, Reader, Ready, Store, Writer,
};
use locule_testbed::{Flavour, Postgres as Cluster};
use tempfile::TempDir;

/// One way of keeping spaces apart.
pub struct Layout {
    pub encrypted: bool,
    /// In PostgreSQL, if so.
    pub postgres: Option<PostgresLayout>,
    /// Whether the database cannot read it.
    pub sealed: bool,
    /// Which PostgreSQL, if another than usual.
    pub on: Option<On>,
}

/// A PostgreSQL, with and without the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Fifteen,
    Eighteen,
    Pgvector,
}

impl On {
    /// The oldest; or, for a run of the whole suite on another one, what LOCULE_SUITE_ON says.
    fn usual() -> On {
        match std::env::var("LOCULE_SUITE_ON").as_deref() {
            Ok("18") => On::Eighteen,
            Ok("18+pgvector") => On::Pgvector,
            _ => On::Fifteen,
        }
    }

    fn cluster(self) -> &'static Cluster {
        Cluster::shared(if self == On::Fifteen { Flavour::Debian15 } else { Flavour::Eighteen })
    }
}

pub const ENCRYPTED: Layout = Layout { encrypted: true, postgres: None, sealed: false, on: None };
pub const PLAIN: Layout = Layout { encrypted: false, ..ENCRYPTED };
pub const RLS: Layout = Layout { postgres: Some(PostgresLayout::Rls), ..ENCRYPTED };
pub const RLS_SEALED: Layout = Layout { sealed: true, ..RLS };
pub const RLS_PGVECTOR: Layout = Layout { on: Some(On::Pgvector), ..RLS };
pub const SCHEMA: Layout = Layout { postgres: Some(PostgresLayout::Schema), ..ENCRYPTED };
pub const DATABASE: Layout = Layout { postgres: Some(PostgresLayout::Database), ..ENCRYPTED };

pub const DIMENSION: usize = 16;

pub fn model() -> Model {
    Model { id: "test model".to_owned(), dimension: DIMENSION }
}

pub fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// A data directory and one program running on it.
pub struct House {
    process: Option<Process>,
    pub options: Options,
    pub clock: ManualClock,
    /// Where the spaces are, if in PostgreSQL. Goes after the program that uses it.
    database: Option<Kept>,
    _root: Option<TempDir>,
}

impl House {
    pub fn new(layout: &Layout) -> House {
        House::with(layout, |_| {})
    }

    pub fn with(layout: &Layout, change: impl FnOnce(&mut Options)) -> House {
        House::within(tempfile::tempdir().unwrap(), layout, change)
    }

    /// In memory where the machine has room for files there: for rules that do not ask about the disk.
    pub fn quick(layout: &Layout, change: impl FnOnce(&mut Options)) -> House {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        House::within(root, layout, |options| {
            options.durability = Durability::Normal;
            change(options);
        })
    }

    fn within(root: TempDir, layout: &Layout, change: impl FnOnce(&mut Options)) -> House {
        let mut house = House::at(root.path().join("data"), layout, change);
        house._root = Some(root);
        house
    }

    /// In a directory that stays.
    pub fn at(data: PathBuf, layout: &Layout, change: impl FnOnce(&mut Options)) -> House {
        let mut options = Options::at(data);
        options.encrypted = layout.encrypted;
        let on = layout.on.unwrap_or_else(On::usual);
        let database = layout.postgres.map(|kind| postgres(&mut options, kind, on, layout.sealed));
        change(&mut options);
        let clock = ManualClock::at(noon());
        let process = Process::open(&options, &clock).unwrap();
        House { process: Some(process), options, clock, database, _root: None }
    }

    pub fn data(&self) -> &Path {
        &self.options.data
    }

    pub fn now(&self) -> Timestamp {
        locule_core::clock::Clock::now(&self.clock)
    }

    /// Asks the database that the spaces are in, as somebody whom nothing holds.
    pub fn psql(&self, sql: &str) -> String {
        let database = self.database.as_ref().expect("a database");
        database.on.cluster().psql_in(&database.name, sql)
    }

    /// The files of the cluster that the spaces are in.
    pub fn cluster_data(&self) -> PathBuf {
        self.database.as_ref().expect("a database").on.cluster().data_dir()
    }

    /// The same in another database of the cluster.
    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        self.database.as_ref().expect("a database").on.cluster().psql_in(database, sql)
    }

    /// Sets the database up again, as `locule migrate` does.
    pub fn migrate(&self) -> Report {
        self.migrate_as(&Migration::default())
    }

    /// The same with more to do.
    pub fn migrate_as(&self, migration: &Migration) -> Report {
        let database = self.database.as_ref().expect("a database");
        let admin = Address::parse(&database.on.cluster().url_to(&database.name)).unwrap();
        locule_store::migrate(&self.options, &admin, migration, &Sources::system()).unwrap()
    }

    /// Another program on the same data.
    pub fn neighbour(&self) -> Process {
        self.try_neighbour().unwrap()
    }

    pub fn try_neighbour(&self) -> Result<Process> {
        Process::open(&self.options, &self.clock)
    }

    /// Ends the program, does something to its files, and starts it again.
    pub fn while_closed<T>(&mut self, work: impl FnOnce(&Path) -> T) -> T {
        self.close();
        let made = work(&self.options.data.clone());
        self.process = Some(Process::open(&self.options, &self.clock).unwrap());
        made
    }

    pub fn close(&mut self) {
        if let Some(process) = self.process.take() {
            process.store.spaces.close().unwrap();
        }
    }

    pub fn reopen(&mut self) {
        self.while_closed(|_| ());
    }
}

impl Deref for House {
    type Target = Process;

    fn deref(&self) -> &Process {
        self.process.as_ref().expect("the house is open")
    }
}

/// A database of its own for an installation, set up as an operator would: once for each layout, and copied after that.
/// The copies share the roles, which belong to the cluster, and so the master key that their passwords come from.
fn postgres(options: &mut Options, layout: PostgresLayout, on: On, sealed: bool) -> Kept {
    static ORIGINALS: [OnceLock<(String, Vec<u8>)>; 9] = [const { OnceLock::new() }; 9];
    static COPIES: AtomicUsize = AtomicUsize::new(0);
    let cluster = on.cluster();
    let word = format!("{layout:?}_{on:?}").to_lowercase();
    let kept = |database: &str| Postgres {
        layout,
        address: Address::parse(&cluster.url_to(database)).unwrap().anybody(),
        pooler: Pooler::None,
        prefix: Prefix::parse(&word).unwrap(),
        connections_max: 16,
        sealed,
        clusters: locule_store::Clusters::default(),
    };
    let (original, key) = ORIGINALS[3 * layout as usize + on as usize].get_or_init(|| {
        let original = format!("original_{word}");
        cluster.create_database(&original);
        let place = tempfile::tempdir().unwrap();
        let mut options = Options::at(place.path().join("data"));
        options.keeping = Keeping::Postgres(kept(&original));
        let admin = Address::parse(&cluster.url_to(&original)).unwrap();
        let migration = Migration { pgvector: on == On::Pgvector, ..Migration::default() };
        locule_store::migrate(&options, &admin, &migration, &Sources::system()).unwrap();
        (original, std::fs::read(options.data.join("master.key")).unwrap())
    });
    let copy = format!("copy_{}", COPIES.fetch_add(1, Ordering::Relaxed));
    // What may be done with a database is not copied with it.
    cluster.psql(&format!("CREATE DATABASE {copy} TEMPLATE {original}"));
    cluster.psql(&format!("GRANT CREATE ON DATABASE {copy} TO {word}_owner"));
    std::fs::create_dir_all(&options.data).unwrap();
    std::fs::write(options.data.join("master.key"), key).unwrap();
    std::fs::set_permissions(options.data.join("master.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    options.keeping = Keeping::Postgres(kept(&copy));
    Kept { name: copy, on }
}

/// A database that goes with the house.
pub struct Kept {
    name: String,
    on: On,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.on.cluster().try_psql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// One program on the data.
pub struct Process {
    pub store: Store,
    pub gate: Gate,
}

impl Process {
    pub fn open(options: &Options, clock: &ManualClock) -> Result<Process> {
        let sources = Sources { clock: Arc::new(clock.clone()), ..Sources::system() };
        let store = locule_store::open(options, sources.clone())?;
        let gate = Gate::new(store.directory.clone(), Provision::Auto, sources);
        Ok(Process { store, gate })
    }

    pub fn user<'a>(&'a self, name: &'a str) -> User<'a> {
        User { process: self, name }
    }

    pub fn alice(&self) -> User<'_> {
        self.user("alice")
    }

    pub fn bob(&self) -> User<'_> {
        self.user("bob")
    }

    pub fn operator(&self) -> Operator {
        let principal = trusted::operator("the tests look after the house").unwrap();
        self.gate.operate(&principal, &request()).unwrap()
    }
}

pub fn request() -> Request {
    Request { id: "req-1".to_owned(), ..Request::default() }
}

pub fn identity(name: &str) -> Identity {
    Identity { issuer: Issuer::default(), subject: Subject::try_from(name).unwrap() }
}

/// Somebody with a name, in one program.
#[derive(Clone, Copy)]
pub struct User<'a> {
    pub process: &'a Process,
    pub name: &'a str,
}

impl User<'_> {
    pub fn identity(&self) -> Identity {
        identity(self.name)
    }

    pub fn principal(&self) -> Principal {
        trusted::user(self.identity(), "the tests vouch").unwrap()
    }

    pub fn reading(&self) -> Result<Scope<Read>> {
        self.process.gate.read(&self.principal(), Target::Own, Act::ReadMemories, &request())
    }

    pub fn writing(&self) -> Result<Scope<Write>> {
        self.process.gate.write(&self.principal(), Target::Own, Act::WriteMemories, &request())
    }

    pub fn erasing(&self) -> Result<Erasure> {
        self.process.gate.erase(&self.principal(), Target::Own, &request())
    }

    pub fn read<T>(&self, look: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        let space = self.process.store.spaces.open(self.reading()?);
        let reader = space.read()?;
        look(&reader)
    }

    pub fn write<T>(&self, change: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let space = self.process.store.spaces.open(self.writing()?);
        let mut writer = space.write()?;
        let made = change(&mut writer)?;
        writer.commit()?;
        Ok(made)
    }

    pub fn try_add(&self, memories: Vec<NewMemory>) -> Result<Vec<Added>> {
        self.write(|writer| writer.add(&model(), memories.into_iter().map(ready).collect()))
    }

    /// Adds one memory whose text names its owner.
    pub fn add(&self, text: &str) -> Memory {
        let text = self.canary(text);
        self.try_add(vec![NewMemory::text(text)]).unwrap().remove(0).memory
    }

    /// A text that names its owner, so that it is known wherever it turns up.
    pub fn canary(&self, text: &str) -> String {
        format!("{text} canary-of-{}", self.name)
    }

    /// All texts, newest first.
    pub fn texts(&self) -> Vec<String> {
        self.all().into_iter().map(|memory| memory.memory).collect()
    }

    /// All memories, newest first.
    pub fn all(&self) -> Vec<Memory> {
        self.try_all().unwrap()
    }

    pub fn try_all(&self) -> Result<Vec<Memory>> {
        let page = self.read(|reader| reader.list(&ListQuery { limit: 1000, ..ListQuery::default() }))?;
        assert_eq!(page.total as usize, page.memories.len());
        let whose = format!("canary-of-{}", self.name);
        assert!(page.memories.iter().all(|memory| memory.memory.contains(&whose)), "somebody else's memory");
        Ok(page.memories)
    }

    pub fn get(&self, id: MemoryId) -> Result<Memory> {
        self.read(|reader| reader.memory(id))
    }

    pub fn matching(&self, filter: &Filter) -> Vec<Memory> {
        let query = ListQuery { filter: Some(filter.clone()), limit: 1000, before: None, offset: 0 };
        self.read(|reader| reader.list(&query)).unwrap().memories
    }

    pub fn search(&self, embedding: &[f32], limit: usize) -> Result<Vec<Hit>> {
        self.read(|reader| {
            let model = Model { dimension: embedding.len(), ..model() };
            reader.search(&Find {
                model: &model,
                embedding: Some(embedding),
                words: &[],
                limit,
                threshold: None,
                cosine_min: None,
                filter: None,
            })
        })
    }

    pub fn standing(&self) -> Standing {
        self.process.store.directory.find(&self.identity()).unwrap()
    }

    pub fn space(&self) -> SpaceId {
        self.standing().space.unwrap().id
    }

    /// The file of this user's space.
    pub fn file(&self) -> PathBuf {
        self.process.store.spaces.whereabouts(&self.process.operator(), &self.standing().space.unwrap()).unwrap().into()
    }

    /// The file of this user's key.
    pub fn key_file(&self) -> PathBuf {
        let name = self.space().name();
        let file = self.file();
        let data = file.ancestors().nth(3).unwrap();
        data.join("keys").join(&name[..2]).join(name).with_extension("key")
    }

    pub fn erase(&self) -> Result<()> {
        let Process { store, .. } = self.process;
        let erasure = self.erasing()?;
        let closed = store.directory.close_door(&erasure)?;
        store.spaces.destroy(&erasure, &closed)?;
        assert_eq!(store.spaces.residue(&closed), Vec::<String>::new());
        let origin = erasure.origin();
        store.directory.forget(&closed, origin.actor.clone(), origin.request_id.clone())
    }

    pub fn suspend(&self, suspended: bool) {
        self.process.store.directory.suspend(&self.process.operator(), &self.identity(), suspended).unwrap();
    }
}

pub fn ready(memory: NewMemory) -> Ready {
    let row = encode(&memory.embedding.clone().unwrap_or_else(|| embed(&memory.memory))).unwrap();
    Ready { memory, row }
}

/// A vector that depends on every byte of a text.
pub fn embed(text: &str) -> Vec<f32> {
    let seed = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Dice::new(seed).vector(DIMENSION)
}

pub fn filter(json: serde_json::Value) -> Filter {
    filter::parse(&json).unwrap().filter
}

pub fn code<T>(result: Result<T>) -> Option<Code> {
    result.err().map(|error| error.code())
}

/// Small, seeded chance (splitmix64): a failure is found again by its seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}

/// Every file below a directory, with its bytes.
pub fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}

/// Where a text stands below a directory, as it is or in another form, in the name of a file or in its bytes.
pub fn traces(root: &Path, text: &str) -> Vec<String> {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![("UTF-8", text.as_bytes().to_vec()), ("UTF-16", utf16)];
    forms.push(("hex", data_encoding::HEXLOWER.encode(text.as_bytes()).into_bytes()));
    forms.push(("HEX", data_encoding::HEXUPPER.encode(text.as_bytes()).into_bytes()));
    for shift in 0..3 {
        // What base64 makes of the text depends on where in a longer text it stands; the ends depend on their neighbours.
        let encoded = data_encoding::BASE64.encode(&[&[0; 2][..shift.min(2)], text.as_bytes()].concat());
        forms.push(("base64", encoded.as_bytes()[4..encoded.len() - 4].to_vec()));
    }
    let mut found = Vec::new();
    for (path, bytes) in files(root) {
        let name = path.file_name().unwrap().as_encoded_bytes();
        for (form, needle) in &forms {
            if holds(&bytes, needle) || holds(name, needle) {
                found.push(format!("{form} in {}", path.display()));
            }
        }
    }
    found
}

/// Whether these bytes stand somewhere in those.
pub fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|byte| *byte == needle[0]) {
        rest = &rest[start..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

const CHILD: &str = "LOCULE_TEST_DATA";

/// Runs one test of this program as a process of its own, over a data directory.
pub fn child(test: &str, data: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The data directory, in a process that [`child`] has started.
pub fn given_data() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}
