//! Real services for tests and measurements.
//!
//! Whoever needs a PostgreSQL, a PgBouncer or a whole Patroni cluster starts it here, on a free port of 127.0.0.1 and in a
//! temporary directory, and it is gone when its value is dropped. Nothing of the machine is used but its programs, which
//! `.ci/services` installs. Tests may run as root: services that refuse it are started as somebody else.
//!
//! Everything here panics when it fails, with what the service wrote: a test has nobody to hand an error to. The
//! exceptions are the `try_` methods, for rules whose point is that something is refused.
//!
//! # What is left behind
//!
//! Nothing, also by a test that panics or a test program that is killed with SIGKILL: a small process of its own waits for
//! the end of the test program, kills what that left running and removes its directory (`run`). `PR_SET_PDEATHSIG` would
//! not do: it fires when the *thread* that started a service ends, which under `cargo test` is when one test ends; and it
//! reaches neither the backends of a stopped PostgreSQL nor the one that Patroni detached.
//!
//! ```no_run
//! use locule_testbed::{Flavour, Postgres};
//!
//! let database = Postgres::shared(Flavour::Debian15).fresh_database();
//! database.psql("CREATE TABLE greeting (text text); INSERT INTO greeting VALUES ('hello')");
//! assert_eq!(database.psql("SELECT text FROM greeting"), "hello");
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "no part of Locule: the files, the environment and the clock here are those of test services"
)]

mod account;
mod address;
mod etcd;
mod fail;
mod patroni;
mod pgbouncer;
mod place;
mod port;
mod postgres;
mod process;
mod proxy;
mod run;
mod service;
mod web;

pub use account::{hand_over, lower};
pub use etcd::Etcd;
pub use patroni::Patroni;
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Flavour, Postgres, Setup};
pub use proxy::Proxy;
pub use web::{Asked, Say, Web};
