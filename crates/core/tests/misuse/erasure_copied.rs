//! The right to destroy is for one time, and for one space.
use locule_core::Erasure;
use locule_core::id::Identity;

fn again(erasure: Erasure) -> (Erasure, Erasure) {
    (erasure.clone(), erasure)
}

fn elsewhere(erasure: &mut Erasure, other: Identity) {
    erasure.identity = other;
}

fn unasked() -> (Erasure, Erasure) {
    (Erasure::default(), serde_json::from_str("{}").unwrap())
}

fn main() {}
