//! A PostgreSQL cluster.

mod database;
pub(crate) mod psql;
mod setup;
mod template;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

pub use self::database::Database;
pub use self::setup::{Flavour, Setup};
use crate::address::{quoted, secret, url};
use crate::fail::OrFail;
use crate::port;
use crate::service::Service;

/// A PostgreSQL cluster of one's own, on 127.0.0.1. It listens when `start` returns, and is gone with this value.
///
/// The superuser is `postgres`; every login over TCP is checked with SCRAM.
pub struct Postgres {
    service: Service,
    setup: Setup,
    port: AtomicU16,
    password: String,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts one: a [`Flavour`], or a [`Setup`] for more than that.
    pub fn start(setup: impl Into<Setup>) -> Postgres {
        let setup = setup.into();
        let service = Service::placed("postgres", setup.on_disk);
        let data = service.directory().join("data");
        template::copy(setup.flavour, &service, &data);
        let settings = setup.file() + &own_settings(&service);
        append(&data.join("postgresql.conf"), &settings);

        let (port, password, databases) = (AtomicU16::new(0), secret(), AtomicU32::new(0));
        let postgres = Postgres { service, setup, port, password, databases };
        port::claim(|port| {
            append(&postgres.data_dir().join("postgresql.conf"), &format!("port = {port}\n"));
            postgres.port.store(port, Ordering::Relaxed);
            postgres.launch()
        });
        postgres.psql(&format!("ALTER ROLE postgres PASSWORD '{}'", postgres.password));
        postgres
    }

    /// The cluster that all tests of this program share. It does not wait for the disk and ends with the program.
    pub fn shared(flavour: Flavour) -> &'static Postgres {
        static DEBIAN_15: OnceLock<Postgres> = OnceLock::new();
        static EIGHTEEN: OnceLock<Postgres> = OnceLock::new();
        let shared = match flavour {
            Flavour::Debian15 => &DEBIAN_15,
            Flavour::Eighteen => &EIGHTEEN,
        };
        shared.get_or_init(|| Postgres::start(Setup::new(flavour).careless().max_connections(400)))
    }

    /// A new, empty database. It shares the cluster's roles: see [`Database`].
    pub fn fresh_database(&self) -> Database<'_> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        Database::new(self, format!("fresh_{number}"))
    }

    /// Makes a database that stays.
    #[track_caller]
    pub fn create_database(&self, name: &str) {
        self.psql(&format!("CREATE DATABASE {} TEMPLATE template0", quoted(name)));
    }

    /// Which PostgreSQL it is.
    pub fn flavour(&self) -> Flavour {
        self.setup.flavour
    }

    /// Where its programs are (`psql`, `pg_dump`).
    pub fn programs(&self) -> PathBuf {
        self.setup.flavour.programs()
    }

    /// Where the superuser finds it.
    pub fn url(&self) -> String {
        self.url_to("postgres")
    }

    /// Where the superuser finds one of its databases.
    pub fn url_to(&self, database: &str) -> String {
        self.url_for("postgres", &self.password, database)
    }

    /// Where somebody finds one of its databases.
    pub fn url_for(&self, user: &str, password: &str, database: &str) -> String {
        url(user, password, self.port(), database)
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The port it listens on, the same after each start.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Where its socket is; only root and the account that services run as come in.
    pub fn socket_dir(&self) -> &Path {
        self.service.directory()
    }

    /// Where its data is, for tests that look for what must not be there.
    pub fn data_dir(&self) -> PathBuf {
        self.service.directory().join("data")
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Runs statements as the superuser in the database `postgres`: a line for each row, `|` between columns.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("postgres", sql)
    }

    /// Runs statements as the superuser, which may fail; then it is what psql says.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        self.try_psql_in("postgres", sql)
    }

    /// Runs statements as the superuser in one of its databases.
    #[track_caller]
    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        self.try_psql_in(database, sql).or_fail(format_args!("in {database}: {sql}"))
    }

    /// Runs statements as the superuser in one of its databases, which may fail.
    pub fn try_psql_in(&self, database: &str, sql: &str) -> Result<String, String> {
        let port = self.port().to_string();
        // The directory stands in the environment and not in the command line, where it would make psql a part of the
        // service, to be frozen and killed with it.
        let directory = self.socket_dir().to_string_lossy().into_owned();
        let environment = [("PGHOST", directory.as_str()), ("PGPORT", &port), ("PGUSER", "postgres")];
        psql::run(&self.programs(), &environment, database, sql)
    }

    /// Runs statements as whoever the address names, here or through whatever stands before it.
    pub fn try_psql_at(&self, url: &str, sql: &str) -> Result<String, String> {
        psql::run(&self.programs(), &[], url, sql)
    }

    /// Whether `CREATE EXTENSION` would find it.
    pub fn has_extension(&self, name: &str) -> bool {
        let sql = format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{}'", name.replace('\'', "''"));
        self.psql(&sql) == "1"
    }

    /// Its processes, the server's and those of its connections.
    pub fn processes(&self) -> Vec<Pid> {
        self.service.processes()
    }

    /// Whether the server is there, frozen or not.
    pub fn is_running(&self) -> bool {
        self.service.is_running()
    }

    /// Ends every connection and stops (`pg_ctl stop -m fast`).
    pub fn stop_fast(&self) {
        self.service.stop(Signal::SIGINT, STOP);
    }

    /// Stops at once, without a checkpoint (`pg_ctl stop -m immediate`): the next start recovers.
    pub fn stop_hard(&self) {
        self.service.stop(Signal::SIGQUIT, STOP);
    }

    /// SIGKILL to all its processes, as if the machine had lost its power but for what the kernel still writes.
    pub fn kill(&self) {
        self.service.kill();
    }

    /// Stops all its processes where they are: connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.service.freeze();
    }

    /// Goes on after [`freeze`](Postgres::freeze).
    pub fn thaw(&self) {
        self.service.thaw();
    }

    /// Starts again what was stopped or killed: the same port, the same data.
    pub fn start_again(&self) {
        self.launch().or_fail("starting again");
    }

    /// Starts the server and waits until it says it is ready.
    fn launch(&self) -> Result<(), String> {
        let mut command = self.service.command(&self.programs().join("postgres"));
        command.arg("-D").arg(self.data_dir());
        self.service.launch(command, READY, |_| {
            // A server that was killed has left its own file, which also says "ready".
            let pid = self.service.pid().map(|pid| pid.to_string());
            let file = fs::read_to_string(self.lock_file()).unwrap_or_default();
            let mut lines = file.lines().map(str::trim);
            lines.next() == pid.as_deref() && lines.nth(6) == Some("ready")
        })
    }

    fn lock_file(&self) -> PathBuf {
        self.data_dir().join("postmaster.pid")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Frozen processes do not hear.
        self.service.thaw();
        self.service.stop(Signal::SIGQUIT, Duration::from_secs(5));
        forget_shared_memory(&self.data_dir());
    }
}

/// A server that was killed leaves a segment of System V shared memory, which would stay until the machine is restarted.
pub(crate) fn forget_shared_memory(data: &Path) {
    let lock = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    if let Some(segment) = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
        let _ = Command::new("ipcrm").args(["-m", segment]).stderr(Stdio::null()).status();
    }
}

/// Recovery of a test's data takes a second or two; this is for a machine that does much else.
const READY: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

/// What makes the cluster this service's and no other's.
fn own_settings(service: &Service) -> String {
    let directory = service.directory().display();
    format!("cluster_name = '{}'\nunix_socket_directories = '{directory}'\n", service.mark())
}

/// The file is there, and stays its owner's.
fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).or_fail(format_args!("opening {}", path.display()));
    file.write_all(text.as_bytes()).or_fail(format_args!("writing {}", path.display()));
}
