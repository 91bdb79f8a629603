//! Who may destroy a space may not look into it by that right.
use locule_core::{Erasure, Read, Scope};

fn peek(erasure: Erasure) -> Scope<Read> {
    erasure.into()
}

fn main() {}
