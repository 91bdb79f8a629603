//! The rules of this crate, told from outside it: one binary, a module per kind of rule.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test builds its own gate and vouches for its own users")]

mod audit;
mod gate;
mod keys;
mod memory;
mod misuse;
mod names;
mod policy;
mod support;
mod tokens;
