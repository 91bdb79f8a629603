//! A right to one space does not become a right to another.
use locule_core::{Chamber, Read, Scope};

fn lead(scope: &mut Scope<Read>, other: Chamber) {
    scope.space = Some(other);
}

fn main() {}
