//! From what SQLite and the disk say to what a caller can do about it.

use std::error::Error as StdError;
use std::io;

use locule_core::{Code, Error};
use rusqlite::ErrorCode;

use crate::postgres::said::Said;

type Source = Box<dyn StdError + Send + Sync>;

/// The space's files do not verify; they are kept as they are.
pub fn corrupt(source: impl Into<Source>) -> Error {
    Error::new(
        Code::SpaceCorrupt,
        "This space's files are damaged or do not belong together. They are kept as they are: ask the operator to restore them.",
    )
    .because(source)
}

/// A failure of the disk or of the limits on open files.
pub fn of_disk(error: io::Error) -> Error {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EDQUOT: i32 = 122;
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::StorageFull, _) | (_, Some(EDQUOT)) => full(error),
        (_, Some(ENFILE | EMFILE)) => overloaded(error),
        _ => failed(error),
    }
}

/// What a statement or an opening failed of.
pub fn of_sqlite(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(error),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt(error),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::new(Code::Busy, "Another writer holds this space. Try again in a moment.").because(error)
        }
        Some(ErrorCode::OperationInterrupted) => {
            Error::new(Code::Deadline, "This took longer than the server allows. Ask for less at a time.")
                .because(error)
        }
        Some(
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied,
        ) => {
            // SQLite folds the operating system's reason into a few codes; the reason itself is still there to ask.
            match io::Error::last_os_error() {
                os if os.raw_os_error().is_some_and(|code| [23, 24].contains(&code)) => overloaded(error),
                os if os.kind() == io::ErrorKind::StorageFull => full(error),
                _ => failed(error),
            }
        }
        Some(ErrorCode::OutOfMemory) => overloaded(error),
        _ => Error::internal(error),
    }
}

/// What a PostgreSQL said, or why it said nothing.
pub fn of_postgres(error: tokio_postgres::Error) -> Error {
    let state = error.code().map(|state| state.code().to_owned());
    let error = Said(error);
    let Some(state) = state else { return unavailable(error) };
    match state.as_str() {
        // The connection, the server, its start and its end; a server that only reads is one that is no longer the first.
        "25006" => unavailable(error),
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" => unavailable(error),
        "28000" | "28P01" | "3D000" => Error::new(
            Code::BackendUnavailable,
            "The database does not let us in. Whoever runs this server: `locule migrate` sets up its logins.",
        )
        .because(error),
        "55P03" | "40001" | "40P01" => {
            Error::new(Code::Busy, "Another writer holds this space. Try again in a moment.").because(error)
        }
        "57014" | "25P03" => {
            Error::new(Code::Deadline, "This took longer than the server allows. Ask for less at a time.")
                .because(error)
        }
        "53100" => full(error),
        "53200" | "53400" => overloaded(error),
        state if state.starts_with("08") => unavailable(error),
        // Damaged pages; or a table, a schema or a role of this space that should be there.
        state if state.starts_with("XX0") => corrupt(error),
        "42P01" | "3F000" | "42704" | "22023" => corrupt(error),
        _ => Error::internal(error),
    }
}

/// Whether a database answered that it knows no such login or database: it is there, and not set up.
pub fn is_not_set_up(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(answer) = cause.downcast_ref::<Said>().and_then(Said::answer) {
            return matches!(answer.code().code(), "28000" | "28P01" | "3D000");
        }
        source = cause.source();
    }
    false
}

/// A database that does not answer in time.
pub fn silent() -> Error {
    unavailable("no answer in time")
}

fn unavailable(source: impl Into<Source>) -> Error {
    Error::new(
        Code::BackendUnavailable,
        "The database does not answer just now. Nothing was acknowledged. Try again in a moment.",
    )
    .because(source)
}

fn full(source: impl Into<Source>) -> Error {
    Error::new(Code::StorageFull, "The disk is full. Nothing was stored; reading and erasing still work.")
        .because(source)
}

fn failed(source: impl Into<Source>) -> Error {
    Error::new(Code::StorageError, "The disk failed under this space. Nothing was acknowledged.").because(source)
}

fn overloaded(source: impl Into<Source>) -> Error {
    Error::new(Code::Overloaded, "The server has too much open just now. Try again in a moment.").because(source)
}
