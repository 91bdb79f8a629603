//! The server as its users meet it: the real program, over real connections, on a directory of its own.
//!
//! Each test keeps a [`house::House`], where every value carries its owner's name, and no answer may show another's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by stopping"
)]
#![allow(clippy::disallowed_methods, reason = "the tests stand outside the program")]

mod chance;
mod failover;
mod fair;
mod hostile;
mod house;
mod kill;
mod log;
mod matrix;
mod operator;
mod processes;
mod server;
mod story;
mod wire;
