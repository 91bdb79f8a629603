//! The library as a program that embeds it sees it.
#![allow(clippy::disallowed_methods, reason = "tests stand outside the program")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs)]

mod house;
mod work;
