//! Where a house stands: in files, or in a PostgreSQL. All houses of one program share a cluster, unless a test needs one to
//! do something to.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use locule::id::SpaceId;
use locule::postgres::{Address, Pooler, Prefix};
use locule::{Keeping, Postgres, PostgresLayout};
use locule_testbed::{Flavour, Postgres as Cluster};

use crate::server::run;

/// How spaces are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    File,
    Rls,
    Schema,
    Database,
}

impl Layout {
    pub fn word(self) -> &'static str {
        match self {
            Layout::File => "file",
            Layout::Rls => "rls",
            Layout::Schema => "schema",
            Layout::Database => "database",
        }
    }

    pub fn is_file(self) -> bool {
        self == Layout::File
    }
}

/// A place for one installation.
pub struct Ground {
    layout: Layout,
    /// Where the server finds the database: the port, and the database's name.
    found: Option<(u16, String)>,
    pooled: bool,
    master_key: Option<Vec<u8>>,
    /// The shared cluster, whose databases go with their houses.
    shared: Option<&'static Cluster>,
}

impl Ground {
    /// The usual one for this layout.
    pub fn new(layout: Layout) -> Self {
        if layout.is_file() {
            return Ground { layout, found: None, pooled: false, master_key: None, shared: None };
        }
        let cluster = Cluster::shared(Flavour::Debian15);
        let (name, master_key) = copy(cluster, layout);
        let mut ground = Ground::there(cluster, layout, name, master_key);
        ground.shared = Some(cluster);
        ground
    }

    /// In a cluster that the test may stop and freeze.
    pub fn in_cluster(cluster: &Cluster, layout: Layout) -> Self {
        let name = format!("own_{}", layout.word());
        cluster.create_database(&name);
        let master_key = set_up(cluster, layout, &name);
        Ground::there(cluster, layout, name, master_key)
    }

    fn there(cluster: &Cluster, layout: Layout, name: String, master_key: Vec<u8>) -> Self {
        let found = Some((cluster.port(), name));
        Ground { layout, found, pooled: false, master_key: Some(master_key), shared: None }
    }

    /// The same, reached through what listens at another port.
    pub fn behind(mut self, port: u16) -> Self {
        self.found.as_mut().unwrap().0 = port;
        self
    }

    /// The same, said to be reached through a pooler that gives each transaction another connection.
    pub fn pooled(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// What the database is called.
    pub fn database(&self) -> &str {
        &self.found.as_ref().unwrap().1
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Makes the data directory.
    pub fn prepare(&self, data: &Path) {
        let Some(master_key) = &self.master_key else {
            let made = run(data, &[], &["init"]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            return;
        };
        std::fs::create_dir_all(data).unwrap();
        std::fs::set_permissions(data, PermissionsExt::from_mode(0o700)).unwrap();
        let file = data.join("master.key");
        std::fs::write(&file, master_key).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// What the server is told of it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let Some((port, name)) = &self.found else { return Vec::new() };
        let settings = [
            ("LOCULE_STORAGE_LAYOUT", self.layout.word().to_owned()),
            ("LOCULE_POSTGRES_URL", format!("postgres://127.0.0.1:{port}/{name}")),
            ("LOCULE_POSTGRES_PREFIX", self.layout.word().to_owned()),
            ("LOCULE_POSTGRES_POOLER", if self.pooled { "transaction" } else { "none" }.to_owned()),
        ];
        settings.map(|(setting, value)| (setting.to_owned(), value)).to_vec()
    }

    /// What the library is told of it.
    pub fn keeping(&self) -> Keeping {
        let layout = match self.layout {
            Layout::File => return Keeping::Files,
            Layout::Rls => PostgresLayout::Rls,
            Layout::Schema => PostgresLayout::Schema,
            Layout::Database => PostgresLayout::Database,
        };
        let (port, name) = self.found.as_ref().unwrap();
        Keeping::Postgres(Postgres {
            layout,
            address: Address::parse(&format!("postgres://127.0.0.1:{port}/{name}")).unwrap(),
            pooler: if self.pooled { Pooler::Transaction } else { Pooler::None },
            prefix: Prefix::parse(self.layout.word()).unwrap(),
            connections_max: 4,
            sealed: false,
            clusters: locule::Clusters::default(),
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let (Some(cluster), Some((_, name))) = (self.shared, &self.found) else { return };
        if self.layout == Layout::Database {
            // Databases of spaces are the cluster's, and each takes some megabytes.
            let ids =
                cluster.try_psql_in(name, "SELECT replace(id::text, '-', '') FROM locule.spaces").unwrap_or_default();
            let names = ids.lines().filter_map(|id| u128::from_str_radix(id.trim_start_matches("\\x"), 16).ok());
            let drops: String = names
                .map(|id| format!("d_{}", SpaceId::from_bytes(id.to_be_bytes()).name()))
                .map(|name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE); DROP ROLE IF EXISTS {name};\n"))
                .collect();
            let _ = cluster.try_psql(&drops);
        }
        let _ = cluster.try_psql(&format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}

/// A copy of a database that was set up once for each layout, and the master key that its roles' passwords come from: they
/// belong to the cluster, and are the same for all copies.
fn copy(cluster: &Cluster, layout: Layout) -> (String, Vec<u8>) {
    static ORIGINALS: Mutex<Vec<(Layout, Vec<u8>)>> = Mutex::new(Vec::new());
    static COPIES: AtomicUsize = AtomicUsize::new(0);
    let word = layout.word();
    let original = format!("original_{word}");
    let master_key = {
        let mut originals = ORIGINALS.lock().unwrap_or_else(PoisonError::into_inner);
        match originals.iter().find(|(of, _)| *of == layout) {
            Some((_, master_key)) => master_key.clone(),
            None => {
                cluster.create_database(&original);
                let master_key = set_up(cluster, layout, &original);
                originals.push((layout, master_key.clone()));
                master_key
            }
        }
    };
    let name = format!("copy_{}", COPIES.fetch_add(1, Ordering::Relaxed));
    cluster.psql(&format!("CREATE DATABASE {name} TEMPLATE {original}"));
    // What may be done with a database is not copied with it.
    cluster.psql(&format!("GRANT CREATE ON DATABASE {name} TO {word}_owner"));
    (name, master_key)
}

/// Sets a database up as an operator would. What comes of it is the master key.
fn set_up(cluster: &Cluster, layout: Layout, name: &str) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let (url, word) = (cluster.url_to(name), layout.word());
    let settings = [("DATABASE_URL", url.as_str()), ("LOCULE_POSTGRES_PREFIX", word), ("LOCULE_STORAGE_LAYOUT", word)];
    let made = run(&data, &settings, &["migrate"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(data.join("master.key")).unwrap()
}
