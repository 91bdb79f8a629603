//! Nor does a name become that right, nor the right to write.
use locule_core::id::Identity;
use locule_core::{Erasure, Scope, Write};

fn forge(identity: Identity, scope: Scope<Write>) -> (Erasure, Erasure) {
    (identity.into(), scope.into())
}

fn main() {}
