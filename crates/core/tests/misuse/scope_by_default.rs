//! There is no space that is open when nobody asks.
use locule_core::{Scope, Write};

fn main() {
    let _open: Scope<Write> = Default::default();
}
