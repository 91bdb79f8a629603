//! There is no such person as anybody.
use locule_core::auth::Principal;

fn main() {
    let _anybody = Principal::default();
}
