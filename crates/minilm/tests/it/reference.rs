//! Against vectors of the unquantised model, made by `tools/golden.py`.

use crate::{MODEL, cosine};

const TEXTS: &str = include_str!("../golden/vectors.txt");
const VECTORS: &[u8] = include_bytes!("../golden/vectors.f32");

/// Kind, text and reference of each line.
fn references() -> Vec<(&'static str, &'static str, Vec<f32>)> {
    let vectors = VECTORS.chunks_exact(4 * locule_minilm::DIMENSION);
    let lines = TEXTS.split_terminator('\n').map(|line| line.split_once('\t').unwrap());
    assert_eq!(vectors.len(), lines.clone().count());
    lines
        .zip(vectors)
        .map(|((kind, text), vector)| {
            let vector = vector.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (kind, text, vector)
        })
        .collect()
}

#[test]
fn vectors_are_close_to_the_unquantised_model() {
    let mut sum = 0.0;
    let references = references();
    for (kind, text, reference) in &references {
        let cosine = cosine(&MODEL.embed(text), reference);
        let least = if *kind == "latin" { 0.99 } else { 0.95 };
        println!("{cosine:.4} {text}");
        assert!(cosine >= least, "{cosine} for {text:?}");
        sum += cosine;
    }
    let mean = sum / references.len() as f32;
    println!("mean {mean:.4}");
    assert!(mean >= 0.997, "mean {mean}");
}
