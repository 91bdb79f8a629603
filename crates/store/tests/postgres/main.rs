//! The layout `rls` as PostgreSQL sees it: every pitfall of row security against our tables, tables of the mem0 template made
//! ours, what PostgREST sends, and what the catalogue gives away. A rule is a plain function over a [`place::Place`]; a
//! [`rules!`] table runs many of them on one cluster, since each test is a process of its own.
#![allow(clippy::disallowed_methods, reason = "tests read their fixtures")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(missing_docs)]

/// A test for each PostgreSQL that runs each of these rules in the same place and names those that do not hold.
macro_rules! rules {
    ($made:expr; $($rule:ident)*) => {
        const RULES: &[crate::place::Rule] = &[$((stringify!($rule), $rule)),*];

        #[test]
        fn on_postgresql_15() {
            crate::place::hold(locule_testbed::Flavour::Debian15, $made, RULES);
        }

        #[test]
        fn on_postgresql_18() {
            crate::place::hold(locule_testbed::Flavour::Eighteen, $made, RULES);
        }
    };
}

mod audit;
mod migration;
mod organizations;
mod pitfalls;
mod place;
mod postgrest;
mod upgrade;
