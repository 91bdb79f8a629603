//! Looking into a PostgreSQL for its operator: whether row security holds, and what in the catalogue says otherwise.

use locule_core::Result;
use locule_core::clock::Sources;
use locule_store::postgres::catalogue::Finding;
use locule_store::postgres::trial::Line;
use locule_store::postgres::{Address, Prefix};

use crate::Config;

/// Tries row security out as the server is subject to it; nothing of it stays.
pub fn test_rls(config: &Config, privileged: Option<&Address>, user: Option<&str>) -> Result<Vec<Line>> {
    locule_store::inspect::test_rls(&config.store_options(), privileged, user, &Sources::system())
}

/// What somebody sees of a user's rows whom row security does not hold.
pub fn bypassing(privileged: &Address, user: &str) -> Result<Vec<String>> {
    locule_store::inspect::bypassing(privileged, user)
}

/// What the catalogue of any database shows to be wrong, and who was denied something how often.
pub fn report(address: &Address, prefix: &Prefix) -> Result<(Vec<Finding>, Vec<(String, i64)>)> {
    locule_store::inspect::report(address, prefix)
}
