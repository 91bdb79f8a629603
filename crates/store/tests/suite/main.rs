//! What every way of keeping spaces apart must do. A rule is a plain function over a [`house::Layout`]; `for_each_layout!`
//! stamps it once for each, so that a new layout is one line and no new tests.
#![allow(clippy::disallowed_methods, reason = "tests vouch for users, damage files and read the environment")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(missing_docs)]

/// Makes a test of each rule for each layout.
macro_rules! for_each_layout {
    ($($rule:ident)*) => {
        mod file_encrypted {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::ENCRYPTED);
            })*
        }
        mod file_plain {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::PLAIN);
            })*
        }
        mod rls {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::RLS);
            })*
        }
        mod rls_with_pgvector {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::RLS_PGVECTOR);
            })*
        }
        mod rls_sealed {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::RLS_SEALED);
            })*
        }
        mod schema {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::SCHEMA);
            })*
        }
        mod database {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::DATABASE);
            })*
        }
    };
}

/// Makes a test of each rule for each layout that keeps files: for rules about the files themselves.
macro_rules! for_each_file_layout {
    ($($rule:ident)*) => {
        mod encrypted {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::ENCRYPTED);
            })*
        }
        mod plain {
            $(#[test]
            fn $rule() {
                super::$rule(&crate::house::PLAIN);
            })*
        }
    };
}

mod audit;
mod backups;
mod clusters;
mod context;
mod context_at_once;
mod context_bounds;
mod context_kill;
mod directory;
mod directory_shared;
mod disk;
mod entities;
mod erase;
mod faults;
mod filters;
mod house;
mod jobs;
mod kill;
mod machine;
mod memories;
mod moves;
mod pgvector;
mod pool;
mod relationships;
mod runs;
mod sealed;
mod search;
mod transactions;
