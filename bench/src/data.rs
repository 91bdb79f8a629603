//! Vectors and texts to measure with: 384 numbers around 64 centres, alike in every run and for every neighbour.
//!
//! The generator is xorshift64*; a number is uniform in −1…1; a vector is a centre plus 0.6 of noise, and so is a query.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub const DIMENSION: usize = 384;
const CENTRES: usize = 64;
const NOISE: f32 = 0.6;

pub struct Source {
    state: u64,
    centres: Vec<Vec<f32>>,
}

impl Source {
    pub fn new(seed: u64) -> Self {
        let mut centres = Source { state: 0x9e37_79b9_7f4a_7c15, centres: Vec::new() };
        let all = (0..CENTRES).map(|_| (0..DIMENSION).map(|_| centres.uniform()).collect()).collect();
        Source { state: seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1, centres: all }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn vector(&mut self) -> Vec<f32> {
        let centre = self.next() as usize % CENTRES;
        (0..DIMENSION).map(|place| self.centres[centre][place] + NOISE * self.uniform()).collect()
    }

    pub fn text(&mut self, number: usize) -> String {
        const WORDS: [&str; 32] = [
            "tea", "garden", "train", "music", "bread", "winter", "doctor", "peanut", "bicycle", "meeting", "birthday",
            "coffee", "river", "museum", "laptop", "sister", "running", "holiday", "recipe", "window", "blue", "morning",
            "ticket", "violin", "market", "forest", "project", "dinner", "guitar", "island", "neighbour", "airport",
        ];
        let mut text = format!("note {number}:");
        for _ in 0..9 {
            text.push(' ');
            text.push_str(WORDS[self.next() as usize % WORDS.len()]);
        }
        text
    }
}

pub fn json_array(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(|number| format!("{number:.6}")).collect();
    format!("[{}]", numbers.join(","))
}

pub fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// A body that adds `count` memories with their vectors.
pub fn batch(source: &mut Source, first: usize, count: usize, encode: fn(&[f32]) -> String) -> String {
    let memories: Vec<String> = (first..first + count).map(|number| memory(source, number, encode)).collect();
    format!("{{\"memories\":[{}]}}", memories.join(","))
}

/// A body that adds one memory with its vector.
pub fn memory(source: &mut Source, number: usize, encode: fn(&[f32]) -> String) -> String {
    let text = source.text(number);
    let vector = source.vector();
    let vector = encode(&vector);
    let vector = if vector.starts_with('[') { vector } else { format!("\"{vector}\"") };
    format!("{{\"memory\":\"{text}\",\"metadata\":{{\"kind\":\"note\",\"number\":{number}}},\"embedding\":{vector}}}")
}
