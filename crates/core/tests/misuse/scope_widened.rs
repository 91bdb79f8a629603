//! The right to look does not become the right to change.
use locule_core::{Read, Scope, Write};

fn by_conversion(scope: Scope<Read>) -> Scope<Write> {
    scope.into()
}

fn by_name(scope: Scope<Read>) -> Scope<Write> {
    scope
}

fn main() {}
