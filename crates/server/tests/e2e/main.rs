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

/// Makes a test of each rule for each way to keep spaces apart.
macro_rules! for_each_layout {
    ($($rule:ident)*) => {
        for_each_layout!(@ file File $($rule)*);
        for_each_layout!(@ rls Rls $($rule)*);
        for_each_layout!(@ schema Schema $($rule)*);
        for_each_layout!(@ database Database $($rule)*);
    };
    (@ $name:ident $layout:ident $($rule:ident)*) => {
        mod $name {
            $(#[test]
            fn $rule() {
                super::$rule(crate::ground::Layout::$layout);
            })*
        }
    };
}

mod chance;
mod clusters;
mod compat;
mod context;
mod failover;
mod fair;
mod faults;
mod ground;
mod hostile;
mod house;
mod journeys;
mod kill;
mod log;
mod matrix;
mod mem0;
mod mesh;
mod moves;
mod operator;
mod pooler;
mod processes;
mod server;
mod story;
mod wire;
