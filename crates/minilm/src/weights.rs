//! The packed file: how it is laid out and how it is read in place.
//!
//! A header of 64 bytes, then sections in a fixed order, each starting at a multiple
//! of 64, all numbers little-endian. `tools/pack.py` writes it.
//!
//! | header at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `LCLMINI` and the version of the layout |
//! | 8 | 24 | vocabulary, hidden width, layers, heads, intermediate width, positions, each u32 |
//! | 32 | 8 | length of the file |
//! | 40 | 8 | length of the vocabulary's text |
//! | 48 | 8 | digest of all that follows the header |
//! | 56 | 8 | digest of the header up to here |

use crate::kernel::{Linear, PANEL_ROWS};
use crate::tokenizer::Vocabulary;
use crate::{DIMENSION, LoadError, TOKENS_MAX};

pub const HEADS: usize = 12;
pub const INTERMEDIATE: usize = 1536;
const LAYERS: usize = 6;
const WORDS: usize = 30_522;
const MAGIC: [u8; 8] = *b"LCLMINI\x01";
const ALIGNMENT: usize = 64;

/// The weights as the forward pass wants them; the large matrices stay where they are compiled in.
pub struct Weights {
    /// One int8 row for each word piece, and its scale.
    words: &'static [u8],
    word_scales: Vec<f32>,
    /// Position and token type together.
    pub positions: Vec<f32>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
}

pub struct Layer {
    /// Query, key and value side by side; the query carries 1/√32.
    pub attention: Linear,
    pub attention_out: Linear,
    pub attention_norm: Norm,
    pub up: Linear,
    pub down: Linear,
    pub norm: Norm,
}

pub struct Norm {
    pub gain: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Weights {
    /// Reads the small parts and points at the large ones.
    ///
    /// The header's digest and the length are checked, the body's digest is not:
    /// that would read all 23 MB at every start. A test does it.
    pub fn read(file: &'static [u8]) -> Result<(Vocabulary, Weights), LoadError> {
        let pieces_length = check_header(file)?;
        let mut sections = Sections { rest: &file[ALIGNMENT..] };
        let vocabulary = Vocabulary {
            pieces: sections.take(pieces_length)?,
            ends: sections.take(WORDS * 4)?,
            slots: sections.take(Vocabulary::SLOTS * 2)?,
        };
        let weights = Weights {
            words: sections.take(WORDS * DIMENSION)?,
            word_scales: sections.floats(WORDS)?,
            positions: sections.floats(TOKENS_MAX * DIMENSION)?,
            norm: sections.norm()?,
            layers: (0..LAYERS).map(|_| sections.layer()).collect::<Result<_, _>>()?,
        };
        Ok((vocabulary, weights))
    }

    /// Writes the row of a word piece to `row`.
    pub fn word(&self, id: u16, row: &mut [f32]) {
        let id = usize::from(id);
        let scale = self.word_scales[id];
        for (value, weight) in row.iter_mut().zip(&self.words[id * DIMENSION..][..DIMENSION]) {
            *value = f32::from(*weight as i8) * scale;
        }
    }
}

/// Gives the length of the vocabulary's text.
fn check_header(file: &[u8]) -> Result<usize, LoadError> {
    let header = file.first_chunk::<ALIGNMENT>().ok_or(LoadError::Damaged("shorter than its header"))?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| header[at + index]));
    let shape = [WORDS, DIMENSION, LAYERS, HEADS, INTERMEDIATE, TOKENS_MAX];
    let found = std::array::from_fn(|index| {
        u32::from_le_bytes(std::array::from_fn(|byte| header[8 + index * 4 + byte])) as usize
    });
    if header[..8] != MAGIC {
        return Err(LoadError::Damaged("not a file of this layout"));
    }
    if word(56) != digest(&header[..56]) {
        return Err(LoadError::Damaged("the header's digest differs"));
    }
    if shape != found {
        return Err(LoadError::Damaged("the shape is another model's"));
    }
    if word(32) != file.len() as u64 {
        return Err(LoadError::Damaged("the length is not the one it was written with"));
    }
    usize::try_from(word(40)).map_err(|_| LoadError::Damaged("the vocabulary is too long"))
}

/// FNV-1a, eight bytes at a time.
fn digest(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<8>().0.iter().fold(0xCBF2_9CE4_8422_2325, |state, word| {
        (state ^ u64::from_le_bytes(*word)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

struct Sections {
    rest: &'static [u8],
}

impl Sections {
    fn take(&mut self, length: usize) -> Result<&'static [u8], LoadError> {
        let padded = length.next_multiple_of(ALIGNMENT);
        let (section, rest) = self.rest.split_at_checked(padded).ok_or(LoadError::Damaged("it ends too early"))?;
        self.rest = rest;
        Ok(&section[..length])
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, LoadError> {
        Ok(self.take(count * 4)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn integers(&mut self, count: usize) -> Result<Vec<i32>, LoadError> {
        Ok(self.take(count * 4)?.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    fn norm(&mut self) -> Result<Norm, LoadError> {
        Ok(Norm { gain: self.floats(DIMENSION)?, bias: self.floats(DIMENSION)? })
    }

    fn linear(&mut self, outputs: usize, inputs: usize) -> Result<Linear, LoadError> {
        debug_assert!(outputs.is_multiple_of(PANEL_ROWS));
        Ok(Linear {
            panels: self.take(outputs * inputs)?,
            scales: self.floats(outputs)?,
            biases: self.floats(outputs)?,
            sums: self.integers(outputs)?,
            inputs,
        })
    }

    fn layer(&mut self) -> Result<Layer, LoadError> {
        Ok(Layer {
            attention: self.linear(3 * DIMENSION, DIMENSION)?,
            attention_out: self.linear(DIMENSION, DIMENSION)?,
            attention_norm: self.norm()?,
            up: self.linear(INTERMEDIATE, DIMENSION)?,
            down: self.linear(DIMENSION, INTERMEDIATE)?,
            norm: self.norm()?,
        })
    }
}

#[cfg(test)]
#[cfg(feature = "weights")]
mod tests {
    use super::*;

    fn file() -> &'static [u8] {
        crate::embedded::FILE.unwrap()
    }

    fn refused(file: Vec<u8>) -> LoadError {
        Weights::read(Vec::leak(file)).map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_committed_file_is_whole() {
        let expected = u64::from_le_bytes(*file()[48..].first_chunk().unwrap());
        assert_eq!(digest(&file()[ALIGNMENT..]), expected);
        assert!(file().as_ptr().addr().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        for length in [0, 7, 63, 64, 1000, file().len() - 64, file().len() - 1] {
            assert!(matches!(refused(file()[..length].to_vec()), LoadError::Damaged(_)), "{length} bytes");
        }
        for at in [0, 7, 8, 20, 33, 41, 50, 60] {
            let mut damaged = file()[..ALIGNMENT].to_vec();
            damaged[at] ^= 1;
            damaged.extend_from_slice(&file()[ALIGNMENT..]);
            assert!(matches!(refused(damaged), LoadError::Damaged(_)), "byte {at}");
        }
    }

    #[test]
    fn no_weights_can_overflow_the_kernel() {
        let (_, weights) = Weights::read(file()).unwrap();
        for layer in &weights.layers {
            for linear in [&layer.attention, &layer.attention_out, &layer.up, &layer.down] {
                check_panels(linear);
            }
        }
    }

    /// The bound that [`Linear::panels`] names, and the sums.
    fn check_panels(linear: &Linear) {
        for (index, panel) in linear.panels.chunks_exact(PANEL_ROWS * linear.inputs).enumerate() {
            let mut sums = [0_i32; PANEL_ROWS];
            for step in panel.chunks_exact(8 * PANEL_ROWS) {
                for (row, sum) in sums.iter_mut().enumerate() {
                    let weight = |input: usize| i32::from(step[input / 4 * 4 * PANEL_ROWS + row * 4 + input % 4] as i8);
                    for lane in [[0, 1, 4, 5], [2, 3, 6, 7]].map(|inputs| inputs.map(weight)) {
                        assert!(lane.iter().filter(|weight| **weight > 0).sum::<i32>() <= 128);
                        assert!(lane.iter().filter(|weight| **weight < 0).sum::<i32>() >= -128);
                        *sum += lane.iter().sum::<i32>();
                    }
                }
            }
            assert_eq!(sums, linear.sums[index * PANEL_ROWS..][..PANEL_ROWS]);
        }
    }
}
