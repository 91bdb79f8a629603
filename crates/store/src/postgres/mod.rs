//! PostgreSQL: spaces as rows behind row security, as schemas, or as databases.

pub mod address;
pub mod connection;
mod value;
