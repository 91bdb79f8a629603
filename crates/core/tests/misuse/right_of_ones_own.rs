//! Nobody adds a third right.
use locule_core::{Right, Scope};

enum Everything {}

impl Right for Everything {
    const CHANGES: bool = true;
}

fn use_it(_: Scope<Everything>) {}

fn main() {}
