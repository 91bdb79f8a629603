//! What the directory knows of somebody is no right to their space.
use locule_core::directory::Standing;
use locule_core::{Chamber, Read, Scope};

fn enter(standing: Standing, chamber: Chamber) -> (Scope<Read>, Scope<Read>) {
    (Scope::new(standing), chamber.into())
}

fn main() {}
