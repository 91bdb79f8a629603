//! Who runs the installation has no right to any space by that.
use locule_core::{Operator, Scope, Write};

fn peek(operator: Operator) -> Scope<Write> {
    operator.into()
}

fn main() {}
