//! A database server as this installation uses it: which roles there are, and what their passwords are.

use locule_core::id::SpaceId;
use locule_core::{Error, Result};

use super::address::{Address, Pooler};
use super::connection::Connection;
use super::verifier;
use crate::seal::Secret;

/// A server, and how we sign in to it.
///
/// Passwords are derived from the master key: whoever has the key and the address needs nothing else, and no password is
/// written down anywhere.
#[derive(Clone)]
pub struct Server {
    address: Address,
    pooler: Pooler,
    prefix: Prefix,
    passwords: Secret,
}

/// What the names of this installation's roles begin with: roles belong to a whole cluster, which others may use too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Letters, digits and underscores, few enough that every name stays whole.
    pub fn parse(text: &str) -> Result<Self> {
        let letters = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if text.len() > 31 || !text.starts_with(|first: char| first.is_ascii_lowercase()) || !letters(text) {
            return Err(Error::invalid(
                "The prefix of the roles is 1 to 31 lower-case letters, digits and underscores, a letter first.",
            ));
        }
        Ok(Prefix(text.to_owned()))
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The logins of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Requests run on it.
    Api,
    /// The directory has its own.
    Directory,
    /// Makes and drops schemas and databases.
    Keeper,
}

impl Login {
    /// The word in its name.
    pub fn word(self) -> &'static str {
        match self {
            Login::Api => "api",
            Login::Directory => "directory",
            Login::Keeper => "keeper",
        }
    }
}

impl Server {
    /// The server at an address.
    pub fn new(address: Address, pooler: Pooler, prefix: Prefix, passwords: Secret) -> Self {
        Server { address, pooler, prefix, passwords }
    }

    /// Another server of the same installation, with the same roles and passwords.
    pub fn at(&self, address: Address) -> Self {
        Server { address, ..self.clone() }
    }

    /// The name of a role of this installation.
    pub fn role(&self, word: &str) -> String {
        format!("{}_{word}", self.prefix.0)
    }

    /// The prefix of its roles.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// What stands between.
    pub fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The password of a role.
    pub fn password(&self, role: &str) -> String {
        data_encoding::HEXLOWER.encode(self.passwords.derive(&format!("login {role}")).as_bytes())
    }

    /// The password of a role as the server keeps it, so that the password itself never comes near its log.
    pub fn verifier(&self, role: &str) -> String {
        let salt = self.passwords.derive(&format!("salt {role}"));
        verifier::scram(self.password(role).as_bytes(), std::array::from_fn(|at| salt.as_bytes()[at]))
    }

    /// Connects as one of the installation's logins. Requests run on the login that the URL names, if it names one.
    pub fn connect(&self, login: Login) -> Result<Connection> {
        self.connect_through(login, self.pooler)
    }

    /// The same, whatever the configuration says of what stands between.
    pub fn connect_through(&self, login: Login, pooler: Pooler) -> Result<Connection> {
        if login == Login::Api && self.address.user().is_some() {
            return Connection::open(&self.address, pooler);
        }
        let role = self.role(login.word());
        Connection::open(&self.address.login(&role, &self.password(&role)), pooler)
    }

    /// Connects to a space's own database, as its own login.
    pub fn connect_to(&self, space: SpaceId) -> Result<Connection> {
        let name = database(space);
        Connection::open(&self.address.login(&name, &self.password(&name)).at(&name), self.pooler)
    }

    /// Whether it is reached over a socket of this machine.
    pub fn is_local(&self) -> bool {
        self.address.is_a_socket()
    }
}

/// The name of a space's schema and of the role that may use it.
pub fn schema(space: SpaceId) -> String {
    format!("s_{}", space.name())
}

/// The name of a space's database and of its login.
pub fn database(space: SpaceId) -> String {
    format!("d_{}", space.name())
}
