//! A right does not come over the wire.
use locule_core::{Scope, Write};

fn read(body: &str) -> Scope<Write> {
    serde_json::from_str(body).unwrap()
}

fn main() {}
