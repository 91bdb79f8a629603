//! A PostgreSQL that fails over.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::address::{secret, url_to_any};
use crate::etcd::Etcd;
use crate::fail::OrFail;
use crate::postgres::{Flavour, forget_shared_memory, psql};
use crate::service::Service;
use crate::{place, port, process};

/// Some nodes of Debian's PostgreSQL 15 under Patroni, replicating synchronously.
///
/// Starting takes about ten seconds. A primary that is killed is replaced when its lease has run out: Patroni accepts no
/// shorter one than [`LEASE`](Patroni::LEASE).
pub struct Patroni {
    nodes: Vec<Node>,
    password: String,
}

struct Node {
    service: Service,
    port: u16,
    rest_port: u16,
}

impl Patroni {
    /// How long a primary that is silent stays one.
    pub const LEASE: Duration = Duration::from_secs(20);

    /// Starts so many nodes and waits until one leads, all others follow, and one of them synchronously.
    pub fn start(count: usize, etcd: &Etcd) -> Patroni {
        let nodes: Vec<Node> = (0..count).map(|_| Node::new()).collect();
        let first = nodes.first().or_fail("Patroni wants at least one node");
        // The processes' titles carry it: with the name of the run in it, the warden finds them.
        let scope = first.service.mark().to_owned();
        let patroni = Patroni { password: secret(), nodes };
        let replication = secret();
        for (number, node) in patroni.nodes.iter().enumerate() {
            node.configure(number, &scope, etcd, &patroni.password, &replication);
        }
        for number in 0..count {
            patroni.start_node(number);
            // The first leads, so that the others have somebody to copy.
            patroni.wait_for_primary();
        }
        patroni.wait_until_whole();
        patroni
    }

    /// How many nodes there are, dead or alive.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The node that leads now, if one does.
    pub fn primary(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.answers("/primary"))
    }

    /// Waits for a node that leads and takes writes, for as long as a failover may take.
    pub fn wait_for_primary(&self) -> usize {
        // It leads as soon as it has the lease; its PostgreSQL is promoted a moment later.
        self.wait_for("a primary", || self.primary().is_some() && self.try_psql("SELECT 1").is_ok());
        self.primary().or_fail("the primary stepped down at once")
    }

    /// Waits until one leads, all others follow, and one of them synchronously: nothing that was committed is lost then.
    pub fn wait_until_whole(&self) {
        let replicas = |path| self.nodes.iter().filter(|node| node.answers(path)).count();
        self.wait_for("all replicas", || {
            self.primary().is_some()
                && replicas("/replica") == self.count() - 1
                && (self.count() == 1 || replicas("/sync") >= 1)
        });
    }

    /// SIGKILL to the Patroni and the PostgreSQL of the primary; which node it was.
    pub fn kill_primary(&self) -> usize {
        let number = self.wait_for_primary();
        self.kill_node(number);
        number
    }

    /// SIGKILL to a node's Patroni and its PostgreSQL.
    pub fn kill_node(&self, number: usize) {
        self.nodes[number].service.kill();
    }

    /// Stops a node's Patroni and PostgreSQL where they are: it loses the lead and does not know it.
    pub fn freeze_node(&self, number: usize) {
        self.nodes[number].service.freeze();
    }

    /// Goes on after [`freeze_node`](Patroni::freeze_node).
    pub fn thaw_node(&self, number: usize) {
        self.nodes[number].service.thaw();
    }

    /// Starts a node, again if it was killed. It then finds its place by itself.
    pub fn start_node(&self, number: usize) {
        self.nodes[number].launch().or_fail(format_args!("starting node {number}"));
    }

    /// The port of a node's PostgreSQL.
    pub fn port(&self, number: usize) -> u16 {
        self.nodes[number].port
    }

    /// All that a node's Patroni and PostgreSQL have logged.
    pub fn log(&self, number: usize) -> String {
        self.nodes[number].service.log()
    }

    /// Where the superuser finds whoever leads.
    pub fn url(&self) -> String {
        self.url_for("postgres", &self.password, "postgres")
    }

    /// Where somebody finds whoever leads: all nodes, of which the client takes the one that may write.
    pub fn url_for(&self, user: &str, password: &str, database: &str) -> String {
        let ports: Vec<u16> = self.nodes.iter().map(|node| node.port).collect();
        url_to_any(user, password, &ports, database)
    }

    /// Runs statements as the superuser on whoever leads.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).or_fail(sql)
    }

    /// Runs statements as the superuser on whoever leads, which may fail.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        psql::run(&NODES.programs(), &[("PGCONNECT_TIMEOUT", "3")], &self.url(), sql)
    }

    /// Four leases are enough for two elections and a copy of an empty cluster.
    fn wait_for(&self, what: &str, is_so: impl FnMut() -> bool) {
        process::wait(Patroni::LEASE * 4, is_so)
            .then_some(())
            .or_fail(format_args!("gave up on {what}:\n{}", self.logs()));
    }

    fn logs(&self) -> String {
        (0..self.count()).map(|number| format!("node {number}:\n{}", self.log(number))).collect()
    }
}

const NODES: Flavour = Flavour::Debian15;

impl Node {
    fn new() -> Node {
        // Patroni goes on without its port if that was taken in between, so it is not tried again on another.
        Node { service: Service::new("patroni"), port: port::free(), rest_port: port::free() }
    }

    fn launch(&self) -> Result<(), String> {
        let mut command = self.service.command(&place::installed("patroni").join("bin/python"));
        command.args(["-m", "patroni"]).arg(self.service.directory().join("patroni.yml"));
        self.service.launch(command, Duration::from_secs(30), |_| port::answers(self.rest_port))
    }

    /// Patroni's own health check.
    fn answers(&self, path: &str) -> bool {
        ask(self.rest_port, path).is_some_and(|answer| answer.split(' ').nth(1) == Some("200"))
    }

    fn configure(&self, number: usize, scope: &str, etcd: &Etcd, password: &str, replication: &str) {
        let (port, rest_port, etcd_port) = (self.port, self.rest_port, etcd.port());
        let lease = Patroni::LEASE.as_secs();
        let directory = self.service.directory();
        let programs = NODES.programs();
        let (directory, programs) = (directory.display(), Path::display(&programs));
        self.service.write(
            "patroni.yml",
            &format!(
                r#"
scope: {scope}
name: node{number}
restapi: {{ listen: "127.0.0.1:{rest_port}", connect_address: "127.0.0.1:{rest_port}" }}
etcd3: {{ host: "127.0.0.1:{etcd_port}" }}
bootstrap:
  dcs:
    ttl: {lease}
    loop_wait: 1
    retry_timeout: 3
    # A replica that lags is none: with so little, one that holds every commit.
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{ max_connections: 200, shared_buffers: 64MB, dynamic_shared_memory_type: mmap }}
  initdb: [ {{ encoding: UTF8 }}, {{ locale: C.UTF-8 }}, no-sync, data-checksums ]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {directory}/data
  bin_dir: {programs}
  pgpass: {directory}/pgpass
  authentication:
    superuser: {{ username: postgres, password: "{password}" }}
    replication: {{ username: replicator, password: "{replication}" }}
  parameters: {{ unix_socket_directories: "{directory}" }}
  pg_hba:
    - local all postgres trust
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication replicator 127.0.0.1/32 scram-sha-256
watchdog: {{ mode: "off" }}
"#
            ),
        );
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.service.kill();
        forget_shared_memory(&self.service.directory().join("data"));
    }
}

/// The head of an answer to a GET.
fn ask(port: u16, path: &str) -> Option<String> {
    // A frozen node accepts and says nothing; and after some who asked, does not even accept.
    let patience = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut head = [0; 64];
    let length = stream.read(&mut head).ok()?;
    Some(String::from_utf8_lossy(&head[..length]).into_owned())
}
