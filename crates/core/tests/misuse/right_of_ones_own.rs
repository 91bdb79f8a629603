//! Nobody adds a third right.
use locule_core::{Right, Scope};

enum Everything {}

impl Right for Everything {}

fn use_it(_: Scope<Everything>) {}

fn main() {}
