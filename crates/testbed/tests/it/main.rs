//! The testbed does what tests believe it does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a test looks into /proc and starts itself again")]

mod end;
mod failover;
mod pgbouncer;
mod postgres;
mod proxy;
