//! The one place where a database is opened: keyed, hardened, and never created by accident.

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use locule_core::Result;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::error::of_sqlite;
use crate::seal::Secret;

/// How long a statement waits for another process's writer.
const BUSY_MS: u64 = 5_000;

/// The page cache a connection may grow to, in KiB: it holds the decrypted rows of a hot space.
const CACHE_KIB: u32 = 2_048;

/// Bytes of a page. A commit encrypts, hashes and writes each page it touches whole, and a memory touches a dozen; with
/// pages half of SQLite's usual size that is two thirds of the work, and reading all vectors is a third more.
const PAGE_BYTES: u32 = 2_048;

/// After how many pages the log is moved home: early enough that it is soon written over instead of growing.
const LOG_PAGES: u32 = 512;

/// How durable a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Acknowledged means on stable storage.
    #[default]
    Full,
    /// Acknowledged survives the process; a power cut may take the last moments.
    Normal,
}

/// Opens a database that is there.
#[expect(clippy::disallowed_methods, reason = "the home of opening")]
pub fn existing(path: &Path, key: Option<&Secret>, durability: Durability) -> Result<Connection> {
    // No CREATE: a file that is not there is a fault, not a new user. No symbolic links either.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(of_sqlite)?;
    prepare(&connection, key, durability).map_err(of_sqlite)?;
    Ok(connection)
}

/// A database in memory, for a space nothing has ever been kept of.
#[expect(clippy::disallowed_methods, reason = "the home of opening")]
pub fn in_memory() -> Result<Connection> {
    let connection = Connection::open_in_memory().map_err(of_sqlite)?;
    prepare(&connection, None, Durability::Normal).map_err(of_sqlite)?;
    Ok(connection)
}

fn prepare(connection: &Connection, key: Option<&Secret>, durability: Durability) -> rusqlite::Result<()> {
    if let Some(key) = key {
        unlock(connection, key)?;
    } else {
        connection.execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}"))?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A plan does not depend on the values bound to it: otherwise SQLite prepares some statements anew each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 256 * 1024)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    connection.set_prepared_statement_cache_capacity(24);
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA wal_autocheckpoint = {LOG_PAGES};"
    ))
}

/// Gives SQLCipher the key as it is (no derivation from a passphrase, which would take 300 ms).
/// SHA-256 authenticates the pages: measured faster than the default SHA-512 where the processor has SHA instructions.
fn unlock(connection: &Connection, key: &Secret) -> rusqlite::Result<()> {
    let hex = zeroize::Zeroizing::new(data_encoding::HEXLOWER.encode(key.as_bytes()));
    let statement = zeroize::Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", hex.as_str()));
    connection.execute_batch(&statement)?;
    connection.execute_batch(&format!(
        "PRAGMA cipher_log_level = NONE; PRAGMA cipher_page_size = {PAGE_BYTES}; PRAGMA cipher_hmac_algorithm = HMAC_SHA256;"
    ))
}

/// Settings of the whole process, made before the first database is opened: there are many databases here, each small.
///
/// With SQLite's usual buffers an open database takes some 200 KiB before it has read anything; with these, half of it.
pub fn configure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: these calls only set numbers, with the argument types that SQLite documents for each. They are refused,
        // and change nothing, if the library is in use already, which is why their answers do not matter.
        unsafe {
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, LOOKASIDE_BYTES, LOOKASIDE_SLOTS);
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_PAGECACHE, std::ptr::null_mut::<c_void>(), 0 as c_int, 0 as c_int);
            // Counting every allocation would take one lock for all threads.
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
        }
    });
}

const LOOKASIDE_BYTES: c_int = 128;
const LOOKASIDE_SLOTS: c_int = 64;
