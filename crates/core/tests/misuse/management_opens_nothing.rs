//! Who manages a project has no right to any space by that, and keeps it no longer than for one act.
use locule_core::{Management, Read, Scope};

fn peek(management: Management) -> Scope<Read> {
    management.into()
}

fn keep(management: &Management) -> Management {
    Management::clone(management)
}

fn main() {}
