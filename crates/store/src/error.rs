//! From what SQLite and the disk say to what a caller can do about it.

use std::error::Error as StdError;
use std::io;

use locule_core::{Code, Error};
use rusqlite::ErrorCode;

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
