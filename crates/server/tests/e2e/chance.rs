//! Chance that can be had again: every draw follows from the seed.

/// A generator of pseudo-random numbers (SplitMix64).
pub struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub fn of(seed: u64) -> Self {
        Chance(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % end.max(1) as u64) as usize
    }

    /// One of several things.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// A direction, as callers bring it who have a model of their own: base64 of little-endian floats.
    pub fn embedding(&mut self, dimension: usize) -> String {
        use base64::Engine as _;
        let numbers = (0..dimension).map(|_| self.draw() as u32 as f32 / u32::MAX as f32 - 0.5);
        base64::prelude::BASE64_STANDARD.encode(numbers.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    }
}
