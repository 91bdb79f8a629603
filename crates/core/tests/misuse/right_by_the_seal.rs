//! Nor by the seal that the two rights carry.
enum Everything {}

impl locule_core::scope::sealed::Sealed for Everything {}

fn main() {}
