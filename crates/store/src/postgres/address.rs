//! Where a PostgreSQL is and how to speak to it: from a URL of libpq's form to a connection's settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locule_core::{Error, Result};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode};

use super::pulse::Pulse;

/// How long it may take until a host accepts a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// After how long silence on a connection is looked into by the system, and given up.
const SILENCE: Duration = Duration::from_secs(10);

/// What stands between us and the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler in session mode: statements are prepared once for each connection.
    #[default]
    None,
    /// A pooler that gives each transaction another connection: nothing is kept on any of them.
    Transaction,
}

/// A database, without who connects to it. Its `Debug` shows no password.
#[derive(Clone)]
pub struct Address {
    config: Config,
    verify: Verify,
    authority: Option<PathBuf>,
    /// Which of several hosts was the right one last: the others are most likely not.
    last: Arc<AtomicUsize>,
    /// Shared by all that was made from one address: it is one server, whoever signs in to what in it.
    pulse: Arc<Pulse>,
}

/// One of an address's hosts.
pub(super) struct OneHost {
    number: usize,
    pub config: Config,
    last: Arc<AtomicUsize>,
}

impl OneHost {
    /// It was the right one.
    pub fn remember(&self) {
        self.last.store(self.number, Ordering::Relaxed);
    }
}

/// How much of the server's certificate is checked, as libpq's `sslmode` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    Nothing,
    Authority,
    Name,
}

fn habits(mut config: Config) -> Config {
    config
        .connect_timeout(CONNECT)
        .keepalives(true)
        .keepalives_idle(SILENCE)
        .tcp_user_timeout(SILENCE)
        .application_name("locule");
    config
}

/// Everything of a configuration but its hosts and who connects.
fn nobody_at(old: &Config) -> Config {
    let mut config = Config::new();
    if let Some(database) = old.get_dbname() {
        config.dbname(database);
    }
    if let Some(options) = old.get_options() {
        config.options(options);
    }
    config
        .ssl_mode(old.get_ssl_mode())
        .ssl_negotiation(old.get_ssl_negotiation())
        .target_session_attrs(old.get_target_session_attrs())
        .load_balance_hosts(old.get_load_balance_hosts());
    config
}

fn add_host(config: &mut Config, host: &Host) {
    match host {
        Host::Tcp(name) => config.host(name),
        Host::Unix(path) => config.host_path(path),
    };
}

impl Address {
    /// From `postgres://user:password@host:port,host:port/database?sslmode=…&sslrootcert=…&target_session_attrs=…`.
    pub fn parse(url: &str) -> Result<Self> {
        let refuse = |why: String| Error::invalid(format!("The PostgreSQL URL does not read as one: {why}."));
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut verify, mut authority, mut rest) = (Verify::Nothing, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", "verify-ca")) => {
                    verify = Verify::Authority;
                    rest.push("sslmode=require");
                }
                Some(("sslmode", "verify-full")) => {
                    verify = Verify::Name;
                    rest.push("sslmode=require");
                }
                Some(("sslmode", "allow")) => rest.push("sslmode=prefer"),
                Some(("sslrootcert", path)) => {
                    let path = percent_encoding::percent_decode_str(path).decode_utf8();
                    authority = Some(path.map_err(|error| refuse(error.to_string()))?.into_owned().into());
                }
                _ => rest.push(pair),
            }
        }
        if authority.is_some() && verify == Verify::Nothing {
            // libpq too checks what it was given something to check with.
            verify = Verify::Authority;
        }
        let config: Config = format!("{base}?{}", rest.join("&")).parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            refuse(why)
        })?;
        if config.get_hosts().is_empty() {
            return Err(refuse("it names no host".to_owned()));
        }
        Ok(Address { config: habits(config), verify, authority, last: Arc::default(), pulse: Arc::new(Pulse::new()) })
    }

    /// The user that the URL names.
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// The database that the URL names.
    pub fn database(&self) -> Option<&str> {
        self.config.get_dbname()
    }

    /// The same server, for nobody in particular.
    pub fn anybody(&self) -> Self {
        let mut config = nobody_at(&self.config);
        for host in self.config.get_hosts() {
            add_host(&mut config, host);
        }
        for host in self.config.get_hostaddrs() {
            config.hostaddr(*host);
        }
        for port in self.config.get_ports() {
            config.port(*port);
        }
        Address { config: habits(config), ..self.clone() }
    }

    /// Its hosts one by one, first the one that was right the last time.
    pub(super) fn hosts(&self) -> Vec<OneHost> {
        let hosts = self.config.get_hosts();
        let one = |number: usize| {
            let mut config = nobody_at(&self.config);
            add_host(&mut config, &hosts[number]);
            if let Some(address) = self.config.get_hostaddrs().get(number) {
                config.hostaddr(*address);
            }
            if let Some(port) = self.config.get_ports().get(number).or(self.config.get_ports().first()) {
                config.port(*port);
            }
            if let Some(user) = self.config.get_user() {
                config.user(user);
            }
            if let Some(password) = self.config.get_password() {
                config.password(password);
            }
            OneHost { number, config: habits(config), last: self.last.clone() }
        };
        let first = match self.config.get_load_balance_hosts() {
            LoadBalanceHosts::Random => self.last.fetch_add(1, Ordering::Relaxed),
            _ => self.last.load(Ordering::Relaxed),
        };
        (0..hosts.len()).map(|step| one((first + step) % hosts.len())).collect()
    }

    /// The same server for another login.
    pub fn login(&self, user: &str, password: &str) -> Self {
        let mut address = self.clone();
        address.config.user(user).password(password);
        address
    }

    /// Another database on the same server.
    pub fn at(&self, database: &str) -> Self {
        let mut address = self.clone();
        address.config.dbname(database);
        address
    }

    /// Where it is, without who and with what password.
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let ports = self.config.get_ports();
        let port = |index: usize| *ports.get(index).or(ports.first()).unwrap_or(&5432);
        let hosts: Vec<_> = hosts.enumerate().map(|(index, host)| format!("{host}:{}", port(index))).collect();
        format!("{}/{}", hosts.join(","), self.database().unwrap_or_default())
    }

    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(super) fn tls(&self) -> Result<MakeTlsConnector> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(Error::internal)?;
        if let Some(authority) = &self.authority {
            builder.set_ca_file(authority).map_err(|error| {
                Error::invalid(format!("The sslrootcert {} cannot be read.", authority.display())).because(error)
            })?;
        }
        if self.verify == Verify::Nothing {
            builder.set_verify(SslVerifyMode::NONE);
        }
        let mut connector = MakeTlsConnector::new(builder.build());
        let check_name = self.verify == Verify::Name;
        connector.set_callback(move |connect, _| {
            connect.set_verify_hostname(check_name);
            Ok(())
        });
        Ok(connector)
    }

    /// Whether it is reached through sockets of this machine alone.
    pub(super) fn is_a_socket(&self) -> bool {
        self.config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
    }

    /// Whether everything sent may be read on the way: neither TLS required nor a way that stays on this machine.
    pub fn in_the_clear(&self) -> bool {
        let local = self.config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => true,
        });
        !local && self.config.get_ssl_mode() != SslMode::Require
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.place()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        let address = Address::parse(
            "postgres://u:p%40ss@one:5433,two:5434/app?sslmode=verify-full&sslrootcert=%2Fca.pem&target_session_attrs=read-write",
        )
        .unwrap();
        assert_eq!((address.user(), address.database()), (Some("u"), Some("app")));
        assert_eq!(address.place(), "one:5433,two:5434/app");
        assert_eq!((address.verify, address.authority.as_deref()), (Verify::Name, Some("/ca.pem".as_ref())));
        assert!(!address.in_the_clear());
        assert!(!format!("{address:?}").contains("p@ss"));
        assert!(Address::parse("postgres://u@far/app").unwrap().in_the_clear());
        for bad in ["", "mysql://x/y", "postgres://", "postgres://h/db?sslmode=maybe", "postgres://h:port/db"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
