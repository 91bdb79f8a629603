//! To know whose space it is does not suffice to destroy it.
use locule_core::Erasure;
use locule_core::audit::Origin;
use locule_core::id::Identity;

fn forge(identity: Identity, origin: Origin) -> Erasure {
    Erasure { identity, origin }
}

fn main() {}
