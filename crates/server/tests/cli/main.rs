//! The command line, asked as a person or a script asks it: the real program in a directory of its own, with an empty
//! environment.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test lays out its own files")]

mod audit;
mod backups;
mod configuration;
mod doctor;
mod export;
mod help;
mod home;
mod imports;
mod init;
mod keys;
mod moves;
mod postgres;
mod reindex;
mod serve;
mod tokens;
mod users;
