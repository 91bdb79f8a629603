//! `locule validate`

use clap::Args;

use super::context::Context;
use super::failure::Outcome;
use super::output;
use super::test_rls::{judge, print};

/// Check that the PostgreSQL that keeps the spaces has what it needs, and works
///
/// Looks at its version, encoding, tables, indexes and triggers, and writes, reads and searches as the server does, in a
/// transaction that is always rolled back. Ends with exit code 1 if something is not as it should be.
///
/// Example:
///   locule validate
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Validate {}

impl Validate {
    pub fn run(self, context: &Context) -> Outcome {
        let lines = locule::validate(&context.config()?.engine())?;
        if context.json() {
            output::json(&lines)?;
        } else {
            print(&lines)?;
        }
        judge(&lines)
    }
}
