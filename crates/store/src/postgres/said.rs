//! What the database said of a failure, as far as the log may hear it: of which kind, and at which table. PostgreSQL itself
//! quotes the failing row, the key and what a statement said, and with them people and what they keep.

use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

/// An error of the driver, told without values.
pub struct Said(pub tokio_postgres::Error);

/// Kinds of errors that are about connections, logins, locks and the server's own state. Their words hold no values.
const PLAIN: [&str; 10] = ["08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"];

/// Others that only name a table, a schema or a role.
const NAMING: [SqlState; 4] = [
    SqlState::INSUFFICIENT_PRIVILEGE,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_OBJECT,
    SqlState::INVALID_SCHEMA_NAME,
];

impl Said {
    /// What the database answered, if it was that which failed.
    pub fn answer(&self) -> Option<&DbError> {
        self.0.as_db_error()
    }
}

fn is_plain(state: &SqlState) -> bool {
    PLAIN.iter().any(|class| state.code().starts_with(class)) || NAMING.contains(state)
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(answer) = self.answer() else {
            // The driver or the network, with their reasons.
            write!(f, "{}", self.0)?;
            let mut cause = std::error::Error::source(&self.0);
            while let Some(reason) = cause {
                write!(f, ": {reason}")?;
                cause = reason.source();
            }
            return Ok(());
        };
        write!(f, "the database answered {}", answer.code().code())?;
        for (what, name) in [("table", answer.table()), ("constraint", answer.constraint())] {
            if let Some(name) = name {
                write!(f, ", {what} {name}")?;
            }
        }
        if is_plain(answer.code()) { write!(f, ": {}", answer.message()) } else { Ok(()) }
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// It has no source: that would tell the rest.
impl std::error::Error for Said {}
