//! Where spaces are kept if not in files.

use locule::postgres::{Address, Pooler, Prefix};
use locule::{Keeping, PostgresLayout};

use super::clusters::Clusters;
use super::setting::{section, words};
use super::storage::Layout;

words! {
    /// What stands between this program and the database.
    pub enum Between {
        /// Nothing, or a pooler in session mode.
        None = "none",
        /// A pooler that gives each transaction another connection.
        Transaction = "transaction",
    }
}

section! {
    /// The PostgreSQL that keeps the spaces, with a `storage.layout` other than `file`.
    pub struct Postgres in "postgres" {
        /// Where it is: `postgres://host:port/database`, several hosts with commas between them. Without a user, the logins that `locule migrate` has made are used; with one, requests run on that login, which must not be able to get around row security. Left out, the address in `admin_url`, `DATABASE_URL` or `SUPABASE_DB_URL` counts, without its user.
        secret url: Option<String> = None;
        /// The same with somebody who may make roles and tables: for `locule migrate` and for nothing else.
        secret admin_url: Option<String> = None;
        /// `transaction` if there is a pooler between that gives each transaction another connection, such as PgBouncer or Supabase's port 6543; `none` otherwise.
        plain pooler: Between = Between::None;
        /// What the names of the roles begin with: roles belong to the whole cluster.
        plain prefix: String = "locule".to_owned();
        /// How many connections for requests at most; the directory takes a few more.
        plain connections: usize = 20;
        /// Whether the content of memories is sealed with keys that the database does not have: whoever runs it sees that there are rows, and not what they say. It holds for users who are made from then on. Filters are then applied by this program, and SQL and PostgREST read nothing.
        plain sealed: bool = false;
        /// More PostgreSQL that keep spaces, beside this one, which has the directory: a table of names, each with a URL or with `{ url = "…", weight = 2 }`, whose users are spread over all by weight. `locule migrate --cluster NAME` sets one up, `locule migrate layout --to-cluster NAME` carries users to it. All have one prefix, and none may be left out while users are there.
        secret clusters: Clusters = Clusters::default();
        /// The share of new users that stay with the PostgreSQL that has the directory, as against the weights of the others; 0 for none.
        plain weight: u32 = 1;
    }
}

/// Names that people have set already, for other programs too.
pub const ADDRESSES: [&str; 2] = ["DATABASE_URL", "SUPABASE_DB_URL"];

impl Postgres {
    pub fn check(&self, layout: Layout, shared: Option<&str>) -> Result<(), (&'static str, String)> {
        if self.connections == 0 {
            return Err(("connections", "it is at least 1".to_owned()));
        }
        Prefix::parse(&self.prefix).map_err(|error| ("prefix", plain(&error)))?;
        for (key, url) in [("url", &self.url), ("admin_url", &self.admin_url)] {
            if let Some(url) = url {
                Address::parse(url).map_err(|error| (key, plain(&error)))?;
            }
        }
        if layout == Layout::File {
            return Ok(());
        }
        self.address(shared).map(drop).map_err(|why| ("url", why))
    }

    /// Where requests go. `shared` is what a variable says that other programs know too.
    fn address(&self, shared: Option<&str>) -> Result<Address, String> {
        if let Some(url) = &self.url {
            return Address::parse(url).map_err(|error| plain(&error));
        }
        match self.privileged(shared) {
            Some(url) => Ok(Address::parse(url).map_err(|error| plain(&error))?.anybody()),
            None => Err("a `storage.layout` in PostgreSQL needs to know where that is".to_owned()),
        }
    }

    /// Somebody who may set it up.
    pub fn privileged<'a>(&'a self, shared: Option<&'a str>) -> Option<&'a str> {
        self.admin_url.as_deref().or(shared)
    }

    /// For the engine.
    pub fn engine(&self, layout: Layout, shared: Option<&str>) -> Keeping {
        let layout = match layout {
            Layout::File => return Keeping::Files,
            Layout::Rls => PostgresLayout::Rls,
            Layout::Schema => PostgresLayout::Schema,
            Layout::Database => PostgresLayout::Database,
        };
        // Both were checked when the configuration was read.
        let (Ok(address), Ok(prefix)) = (self.address(shared), Prefix::parse(&self.prefix)) else {
            return Keeping::Files;
        };
        let pooler = match self.pooler {
            Between::None => Pooler::None,
            Between::Transaction => Pooler::Transaction,
        };
        Keeping::Postgres(locule::Postgres {
            layout,
            address,
            pooler,
            prefix,
            connections_max: self.connections,
            sealed: self.sealed,
            clusters: locule::Clusters { others: self.clusters.engine(), weight_of_main: self.weight },
        })
    }
}

fn plain(error: &locule::Error) -> String {
    error.detail().trim_end_matches('.').to_owned()
}
