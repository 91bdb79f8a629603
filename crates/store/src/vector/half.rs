//! Vectors as they are stored: half-precision numbers, little-endian, of unit length.
//!
//! Half precision is 1 sign, 5 exponent and 10 fraction bits (IEEE 754 binary16). Called where an embedding enters the store
//! and where one must be handed out again; the search keeps rows in a form of its own (`rows.rs`).

use std::fmt;

/// The longest vector that can be kept; no embedding model in use has more dimensions.
pub const DIMENSION_MAX: usize = 4096;

/// Why an embedding cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAVector {
    /// It has no dimensions, or more than [`DIMENSION_MAX`].
    Dimension,
    /// A component is infinite or not a number.
    NotFinite,
    /// Its length is zero, so it has no direction to compare.
    Zero,
}

impl fmt::Display for NotAVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension => write!(f, "an embedding has 1 to {DIMENSION_MAX} components"),
            Self::NotFinite => f.write_str("an embedding has finite components only"),
            Self::Zero => f.write_str("an embedding has a component other than zero"),
        }
    }
}

impl std::error::Error for NotAVector {}

/// The embedding as a row: brought to unit length, rounded to half precision (to nearest, ties to even), little-endian.
///
/// ```
/// # use locule_store::vector::{decode, encode};
/// assert_eq!(decode(&encode(&[3.0, 0.0, 0.0]).unwrap()), [1.0, 0.0, 0.0]);
/// assert!(encode(&[0.0, 0.0]).is_err());
/// ```
pub fn encode(embedding: &[f32]) -> Result<Vec<u8>, NotAVector> {
    if !(1..=DIMENSION_MAX).contains(&embedding.len()) {
        return Err(NotAVector::Dimension);
    }
    if !embedding.iter().all(|part| part.is_finite()) {
        return Err(NotAVector::NotFinite);
    }
    let length = length(embedding);
    if length == 0.0 {
        return Err(NotAVector::Zero);
    }
    let halves = embedding.iter().map(|&part| from_f32((f64::from(part) / length) as f32));
    Ok(halves.flat_map(u16::to_le_bytes).collect())
}

/// The components of a stored row.
pub fn decode(row: &[u8]) -> Vec<f32> {
    let (halves, _) = row.as_chunks::<2>();
    halves.iter().map(|&half| to_f32(u16::from_le_bytes(half))).collect()
}

/// In `f64`, where the square of no finite `f32` overflows or vanishes.
pub(super) fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|&part| f64::from(part) * f64::from(part)).sum::<f64>().sqrt()
}

/// To nearest, ties to even. Written without branches that depend on the number's size except for the two ends.
fn from_f32(number: f32) -> u16 {
    let sign = (number.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = number.abs();
    let half = if magnitude.is_nan() {
        0x7e00
    } else if magnitude >= 65520.0 {
        0x7c00 // Half way from the largest half to where the next would be, and above: infinite.
    } else if magnitude < MIN_NORMAL {
        // Subnormal halves are the multiples of 2^-24: adding 1/2, whose last fraction bit is 2^-24, lets the hardware round
        // to one of them, and leaves it in the fraction.
        (magnitude + 0.5).to_bits() as u16
    } else {
        // The exponent moves from bias 127 to 15. The 13 bits that go are rounded by adding just under half of the last bit
        // that stays, or just half if that bit is odd; a carry runs into the exponent, as it should.
        let bits = magnitude.to_bits() - (112 << 23);
        ((bits + 0xfff + (bits >> 13 & 1)) >> 13) as u16
    };
    sign | half
}

/// Exact: every half is an `f32`.
#[inline(always)]
pub(super) fn to_f32(half: u16) -> f32 {
    // With the fields in their places the exponent is 112 too small; a product by 2^112 mends that for subnormal halves too.
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    let endless = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | endless | u32::from(half & 0x8000) << 16)
}

/// 2^-14.
const MIN_NORMAL: f32 = 1.0 / 16384.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_way_through_f32() {
        for half in 0..=u16::MAX {
            let number = to_f32(half);
            match half & 0x7fff {
                0x7c01.. => assert!(number.is_nan() && from_f32(number) & 0x7fff == 0x7e00),
                _ => assert_eq!(from_f32(number), half, "{number}"),
            }
        }
    }

    /// Between each two neighbours: just below the middle, on it, and just above.
    #[test]
    fn rounding_is_to_nearest_and_ties_go_to_even() {
        for low in 0..0x7bff_u16 {
            let middle = (to_f32(low) + to_f32(low + 1)) / 2.0;
            assert_eq!(from_f32(middle.next_down()), low, "below {middle}");
            assert_eq!(from_f32(middle), low + (low & 1), "at {middle}");
            assert_eq!(from_f32(middle.next_up()), low + 1, "above {middle}");
            assert_eq!(from_f32(-middle), 0x8000 | (low + (low & 1)), "at -{middle}");
        }
    }

    #[test]
    fn known_halves() {
        let table = [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.333_251_95, 0x3555),
            (65504.0, 0x7bff),
            (65519.99, 0x7bff),
            (65520.0, 0x7c00),
            (f32::INFINITY, 0x7c00),
            (6.103_515_6e-5, 0x0400), // the smallest normal
            (6.097_555e-5, 0x03ff),   // the largest subnormal
            (5.960_464_5e-8, 0x0001), // the smallest subnormal
            (2.980_232_2e-8, 0x0000), // half of it: a tie, to even
            (1e-30, 0x0000),
        ];
        for (number, half) in table {
            assert_eq!(from_f32(number), half, "{number}");
        }
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        assert_eq!(encode(&[]), Err(NotAVector::Dimension));
        assert_eq!(encode(&[1.0; DIMENSION_MAX + 1]), Err(NotAVector::Dimension));
        assert_eq!(encode(&[1.0, f32::NAN]), Err(NotAVector::NotFinite));
        assert_eq!(encode(&[f32::NEG_INFINITY, 1.0]), Err(NotAVector::NotFinite));
        assert_eq!(encode(&[0.0, -0.0]), Err(NotAVector::Zero));
    }

    #[test]
    fn any_length_becomes_one() {
        for scale in [f32::MIN_POSITIVE * 1e-6, 1e-20, 1.0, 1e20, f32::MAX] {
            assert_eq!(decode(&encode(&[scale, 0.0, -scale]).unwrap()), [0.707_031_25, 0.0, -0.707_031_25]);
        }
        assert_eq!(encode(&[1.0; DIMENSION_MAX]).unwrap().len(), 2 * DIMENSION_MAX);
    }
}
