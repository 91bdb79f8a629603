//! What a caller of the crate may rely on. The tokenizer's and the kernels' own rules are tested beside them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail loudly")]

mod batch;
mod hostile;
mod meaning;
mod reference;

use std::sync::LazyLock;

use locule_minilm::Model;

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::embedded().expect("the weights are compiled in"));

/// The cosine, as both have length one.
fn cosine(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn is_unit(vector: &[f32]) -> bool {
    vector.len() == locule_minilm::DIMENSION && (cosine(vector, vector) - 1.0).abs() < 1e-5
}
