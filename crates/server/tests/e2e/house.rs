//! A house: one installation with its server, and those who come to it. Every value that is written carries its owner's
//! name, every answer is looked through for the names of others, and at the end every log line and file is.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use jiff::{SignedDuration, Timestamp};
use locule::auth::{ActAs, KeyKind};
use locule::clock::{ManualClock, Sources};
use locule::{Config, Engine, Operator, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::ground::{Ground, Layout};
use crate::server::{Server, run};
use crate::wire::{Answer, Wire};

/// One installation and its server.
pub struct House {
    home: TempDir,
    /// Goes after the server.
    ground: Ground,
    settings: Vec<(String, String)>,
    server: Option<Server>,
    log: Arc<Mutex<Vec<String>>>,
    doors: Arc<Mutex<Doors>>,
    /// The library on the same data, kept where opening it takes a database: as it is, and as it was hours ago.
    engines: [OnceLock<Arc<Engine>>; 2],
}

/// Where the server listens; another place after each start.
#[derive(Clone, Copy)]
struct Doors {
    public: SocketAddr,
    operators: SocketAddr,
}

/// How many numbers a vector has in a house without a model.
pub const DIMENSION: usize = 8;

/// The settings of a house without a model: every memory brings its vector, and a write costs nothing but the write.
pub const NO_MODEL: [(&str, &str); 2] = [("LOCULE_EMBEDDING_PROVIDER", "none"), ("LOCULE_EMBEDDING_DIMENSION", "8")];

impl House {
    /// The usual one, in files, with these settings.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        House::on(Layout::File, settings)
    }

    /// One that keeps spaces apart in this way.
    pub fn on(layout: Layout, settings: &[(&str, &str)]) -> Self {
        House::at(Ground::new(layout), settings)
    }

    /// One in this place.
    pub fn at(ground: Ground, settings: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        ground.prepare(&home.path().join("data"));
        let more = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let settings = ground.settings().into_iter().chain(more).collect();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut house = House {
            home,
            ground,
            settings,
            server: None,
            log: Arc::default(),
            doors: Arc::new(Mutex::new(Doors { public: nowhere, operators: nowhere })),
            engines: Default::default(),
        };
        house.start();
        house
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Where it stands.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// A place for files that are no data.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts the server.
    pub fn start(&mut self) {
        let server = self.another();
        *self.doors.lock().unwrap() = Doors { public: server.public, operators: server.operators };
        self.server = Some(server);
    }

    /// Starts a second server on the same directory.
    pub fn another(&self) -> Server {
        Server::start(&self.data(), &self.settings(), &self.log)
    }

    /// How many bytes of memory the server holds.
    pub fn memory_bytes(&self) -> u64 {
        self.server.as_ref().unwrap().memory_bytes()
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Ends the server in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Asks the server to end, and waits.
    pub fn stop(&mut self) {
        let server = self.server.take().unwrap();
        server.ask_to_stop();
        let status = server.ended();
        assert_eq!(status.code(), Some(0), "{:?}", self.log());
    }

    /// Everything the server has written so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Runs a command of the command line on the directory; what it prints.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = run(&self.data(), &self.settings(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The library on the same directory, beside the server.
    pub fn engine(&self) -> Arc<Engine> {
        self.engine_at(0, Sources::system)
    }

    fn engine_at(&self, place: usize, sources: fn() -> Sources) -> Arc<Engine> {
        if self.ground.layout().is_file() {
            // Another one each time, as it would be in another process.
            return Arc::new(self.open_engine(sources()));
        }
        self.engines[place].get_or_init(|| Arc::new(self.open_engine(sources()))).clone()
    }

    fn open_engine(&self, sources: Sources) -> Engine {
        let mut config = Config { create: false, keeping: self.ground.keeping(), ..Config::at(self.data()) };
        if self.settings.iter().any(|(name, value)| (name.as_str(), value.as_str()) == NO_MODEL[0]) {
            config.embedding = locule::Embedding::Supplied { dimension: DIMENSION };
        }
        Engine::open_with(config, sources).unwrap()
    }

    /// A token for this user.
    pub fn token(&self, user: &str) -> String {
        self.engine().mint_token(user, 3600).unwrap()
    }

    /// A token for this user that has been good long ago.
    pub fn expired_token(&self, user: &str) -> String {
        let hours_ago = || {
            let clock = Arc::new(ManualClock::at(Timestamp::now() - SignedDuration::from_hours(3)));
            Sources { clock, ..Sources::system() }
        };
        self.engine_at(1, hours_ago).mint_token(user, 3600).unwrap()
    }

    /// A key of this kind, and its id.
    pub fn key(&self, kind: KeyKind) -> (String, String) {
        let engine = self.engine();
        let key = engine.create_key(&operator(&engine), kind, "test", None).unwrap();
        (key.text, key.record.id.as_str().to_owned())
    }

    /// A key of a service that acts for these users.
    pub fn service_key(&self, act_as: &str) -> String {
        let issuer = locule::Issuer::default();
        self.key(KeyKind::Service { issuer, act_as: ActAs::parse(act_as).unwrap() }).0
    }

    /// A key that may look into this user's space.
    pub fn reader_key(&self, user: &str) -> String {
        let identity = self.engine().identity(user).unwrap();
        self.key(KeyKind::User { identity, read_only: true }).0
    }

    /// Somebody who comes with this credential, and may see what this user has written.
    pub fn caller(&self, owner: &str, credential: &str) -> Caller {
        Caller {
            owner: owner.to_owned(),
            headers: vec![("authorization".to_owned(), format!("Bearer {credential}"))],
            doors: self.doors.clone(),
            at: At::Public,
            connection: Mutex::default(),
        }
    }

    /// A user with a token.
    pub fn user(&self, user: &str) -> Caller {
        self.caller(user, &self.token(user))
    }

    /// One of the two whom every story is about.
    pub fn alice(&self) -> Caller {
        self.user("alice-123")
    }

    /// The other.
    pub fn bob(&self) -> Caller {
        self.user("bob-456")
    }

    /// Somebody without a credential.
    pub fn nobody(&self) -> Caller {
        Caller { headers: Vec::new(), ..self.caller("", "") }
    }

    /// An operator, at the operators' listener.
    pub fn operator(&self) -> Caller {
        Caller { at: At::Operators, ..self.caller("", &self.key(KeyKind::Operator).0) }
    }

    /// How many refusals stand in the installation's trail, which must be whole.
    pub fn denials(&self) -> usize {
        let engine = self.engine();
        let operator = operator(&engine);
        assert!(engine.verify_trail(&operator).unwrap().is_ok());
        engine.trail(&operator, usize::MAX >> 1).unwrap().iter().filter(|entry| entry.outcome != "ok").count()
    }

    /// Fails unless this user's own chain is whole.
    pub fn assert_chain_whole(&self, user: &str) {
        let engine = self.engine();
        let identity = engine.identity(user).unwrap();
        let act = locule::Act::Operate;
        let scope = engine.system_read(&operator(&engine), identity, act, "test").unwrap();
        assert!(engine.verify_audit(scope).unwrap().is_ok(), "the chain of {user} is broken");
    }

    /// Every file of the data directory.
    pub fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut directories) = (Vec::new(), vec![self.data()]);
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() { directories.push(entry.path()) } else { files.push(entry.path()) }
            }
        }
        files
    }
}

/// The tester as an operator.
pub fn operator(engine: &Engine) -> Operator {
    engine.trusted_operator("test", &Request::default()).unwrap()
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.server.take());
        if std::thread::panicking() {
            let log = self.log();
            println!("the server's last words:\n{}", log[log.len().saturating_sub(15)..].join("\n"));
            return;
        }
        for line in self.log() {
            assert!(!line.contains('«') && !line.contains("\\u{ab}"), "a text in the log: {line}");
            assert!(!line.contains("panicked"), "{line}");
        }
        for file in self.files() {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(named_in(&bytes).is_none(), "{} shows whose it is", file.display());
        }
    }
}

/// Marks that are known, so that chance bytes in an encrypted file are not taken for one.
const MARKED: [&str; 4] = ["alice", "bob", "user", "eve"];

/// A value of this owner that nobody else has.
pub fn value(owner: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().hash_one(count);
    format!("«{owner}:{random:016x}{count:08x}»")
}

/// Whose marked value stands in these bytes.
fn named_in(bytes: &[u8]) -> Option<String> {
    named_in_but(bytes, "")
}

/// Whose marked value stands in these bytes, other than this owner's.
fn named_in_but(bytes: &[u8], owner: &str) -> Option<String> {
    let mark = "«".as_bytes();
    let marks = bytes.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
    marks
        .map(|(start, _)| &bytes[start + mark.len()..])
        .filter(|rest| MARKED.iter().any(|name| rest.starts_with(name.as_bytes())))
        .map(|rest| rest.split(|&byte| byte == b':').next().unwrap_or(rest))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .find(|name| owner.is_empty() || name != owner)
}

/// Which listener.
#[derive(Clone, Copy)]
enum At {
    Public,
    Operators,
}

/// Somebody who calls. Paths are within `/api/{owner}` when they do not begin with one of the server's own words.
pub struct Caller {
    /// Whose values they may see.
    pub owner: String,
    /// What they send with every request.
    pub headers: Vec<(String, String)>,
    doors: Arc<Mutex<Doors>>,
    at: At,
    connection: Mutex<Option<Wire>>,
}

impl Clone for Caller {
    /// The same person on a connection of their own.
    fn clone(&self) -> Self {
        let Caller { owner, headers, doors, at, .. } = self;
        Caller {
            owner: owner.clone(),
            headers: headers.clone(),
            doors: doors.clone(),
            at: *at,
            connection: Mutex::default(),
        }
    }
}

impl Caller {
    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same at the operators' listener.
    pub fn at_operators(mut self) -> Self {
        self.at = At::Operators;
        self
    }

    /// The same at another server.
    pub fn at(mut self, server: &Server) -> Self {
        self.doors = Arc::new(Mutex::new(Doors { public: server.public, operators: server.operators }));
        self
    }

    /// Where they go.
    pub fn address(&self) -> SocketAddr {
        let doors = *self.doors.lock().unwrap();
        match self.at {
            At::Public => doors.public,
            At::Operators => doors.operators,
        }
    }

    /// A fresh connection.
    pub fn wire(&self) -> Wire {
        Wire::to(self.address()).unwrap()
    }

    /// A request as it goes over the wire.
    pub fn bytes(&self, method: &str, path: &str, body: Option<&[u8]>) -> Vec<u8> {
        let mut head = format!("{method} {} HTTP/1.1\r\nhost: test\r\n", self.full(path));
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if let Some(body) = body {
            write!(head, "content-type: application/json\r\ncontent-length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        bytes
    }

    fn full(&self, path: &str) -> String {
        let own =
            ["/context", "/memories", "/relationships", "/runs", "/jobs", "/settings", "/usage", "/export", "/history"]
                .iter()
                .any(|start| path.starts_with(start));
        if own || path.is_empty() { format!("/api/{}{path}", self.owner) } else { path.to_owned() }
    }

    /// Asks, on the open connection if there is one; an error if the server is gone.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&[u8]>) -> std::io::Result<Answer> {
        let mut connection = self.connection.lock().unwrap();
        let bytes = self.bytes(method, path, body);
        // A connection that was idle may have been closed meanwhile, and then nothing of this has been done.
        let used = connection.take();
        let mut wire = match used {
            Some(wire) if !wire.is_closed() => wire,
            _ => Wire::to(self.address())?,
        };
        wire.send(&bytes)?;
        let answer = wire.answer(method)?;
        if answer.header("connection") != Some("close") {
            *connection = Some(wire);
        }
        self.look_through(&answer);
        Ok(answer)
    }

    /// Fails if an answer shows what somebody else has written.
    pub fn look_through(&self, answer: &Answer) {
        let owner = if self.owner.is_empty() { "nobody" } else { &self.owner };
        let found = named_in_but(&answer.body, owner);
        assert!(found.is_none(), "{owner} was shown a text of {found:?}");
        for (_, value) in &answer.headers {
            assert!(named_in_but(value.as_bytes(), "").is_none(), "a text in a header: {value}");
        }
    }

    /// Asks.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Asks with a JSON body.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call(method, path, Some(body.to_string().as_bytes()))
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None)
    }

    /// `POST`.
    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, body)
    }

    /// `PATCH`.
    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, body)
    }

    /// Adds a text with this mark of theirs, with a vector of chance where the house has no model; the memory.
    #[track_caller]
    pub fn add(&self, text: &str) -> Value {
        self.post("/memories", json!({"memory": format!("{text} {}", value(&self.owner))})).expect(201).json()
    }

    /// Adds a text with a vector.
    #[track_caller]
    pub fn add_with_vector(&self, chance: &mut Chance, dimension: usize) -> Value {
        let body = json!({"memory": value(&self.owner), "embedding": chance.embedding(dimension)});
        self.post("/memories", body).expect(201).json()
    }

    /// Adds a relationship between two of their memories; the relationship.
    #[track_caller]
    pub fn relate(&self, source: &Value, relationship_type: &str, target: &Value) -> Value {
        let body = json!({"source_memory_id": source["id"], "target_memory_id": target["id"],
            "relationship_type": relationship_type});
        self.post("/relationships", body).expect(201).json()
    }

    /// How many memories they have.
    #[track_caller]
    pub fn count(&self) -> u64 {
        self.get("/memories?limit=1").expect(200).json()["total"].as_u64().unwrap()
    }

    /// All their memories.
    #[track_caller]
    pub fn all(&self) -> Vec<Value> {
        let page = self.get("/memories?limit=1000").expect(200).json();
        assert!(page["next_cursor"].is_null());
        page["memories"].as_array().unwrap().clone()
    }
}

/// The path of a memory.
pub fn path_of(memory: &Value) -> String {
    format!("/memories/{}", memory["id"].as_str().unwrap())
}

#[test]
fn a_text_of_somebody_else_is_noticed_wherever_it_stands() {
    let (alices, bobs) = (value("alice-123"), value("bob-456"));
    let both = format!("{alices} and {bobs}");
    assert_eq!(named_in_but(alices.as_bytes(), "alice-123"), None);
    assert_eq!(named_in_but(both.as_bytes(), "alice-123").as_deref(), Some("bob-456"));
    assert_eq!(named_in_but(both.as_bytes(), "bob-456").as_deref(), Some("alice-123"));
    assert_eq!(named_in_but(bobs.as_bytes(), "nobody").as_deref(), Some("bob-456"));
    assert_eq!(named_in("« is a quotation mark".as_bytes()), None);
    assert_eq!(named_in(&[b"\0\xc2", bobs.as_bytes()].concat()).as_deref(), Some("bob-456"));
}
