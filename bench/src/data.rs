//! Vectors and texts to measure with: 384 numbers around 64 centres, the same as `others/neighbours.py` makes.
//!
//! `mix`, `draw`, `part` and `raw` are described there, with numbers to check against (see the test below).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub const DIMENSION: usize = 384;
const CENTRES: u64 = 64;

/// The streams that the neighbours take memories and queries from.
pub const MEMORIES: u64 = 2;
pub const QUERIES: u64 = 3;

/// The vectors of one stream, one after the other.
pub struct Source {
    stream: u64,
    next: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn draw(stream: u64, index: u64) -> u64 {
    mix(stream.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn part(stream: u64, index: u64) -> f32 {
    (draw(stream, index) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}

impl Source {
    pub fn new(stream: u64) -> Self {
        Source { stream, next: 0 }
    }

    pub fn vector(&mut self) -> Vec<f32> {
        let (stream, k) = (self.stream, self.next);
        self.next += 1;
        let centre = draw(stream ^ 1 << 63, k) % CENTRES;
        let width = DIMENSION as u64;
        let mut vector: Vec<f32> =
            (0..width).map(|place| part(stream, width * k + place) + part(1, width * centre + place)).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= length);
        vector
    }

    pub fn text(&self, number: usize) -> String {
        const WORDS: [&str; 32] = [
            "tea",
            "garden",
            "train",
            "music",
            "bread",
            "winter",
            "doctor",
            "peanut",
            "bicycle",
            "meeting",
            "birthday",
            "coffee",
            "river",
            "museum",
            "laptop",
            "sister",
            "running",
            "holiday",
            "recipe",
            "window",
            "blue",
            "morning",
            "ticket",
            "violin",
            "market",
            "forest",
            "project",
            "dinner",
            "guitar",
            "island",
            "neighbour",
            "airport",
        ];
        let mut text = format!("note {number}:");
        for place in 0..9 {
            text.push(' ');
            text.push_str(WORDS[draw(self.stream, (number * 9 + place) as u64) as usize % WORDS.len()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_neighbours_get_the_same_vectors() {
        assert_eq!(draw(1, 0), 10_451_216_379_200_822_465);
        assert_eq!(draw(MEMORIES ^ 1 << 63, 0) % CENTRES, 60);
        let first = Source::new(MEMORIES).vector();
        assert!((first[0] + 0.001_019_9).abs() < 1e-6 && (first[1] - 0.056_632_4).abs() < 1e-6);
    }
}
