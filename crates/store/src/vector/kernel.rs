//! The arithmetic of a scan, for the plain machine and for one with AVX2. It knows numbers and slices, nothing else.
//!
//! Both ways give the same bits. Sums of integers come out equal in any order, and where floats are summed both run the same
//! Rust source, which the compiler never reorders; under `avx2` it merely has wider registers to do it in. So only the one
//! loop that reads everything, [`score`], is written by hand.
//!
//! All `unsafe` of this module is in this file, of two kinds: calling what was compiled for AVX2 once that is known to be
//! there, and loading a register from a reference to an array of its size.

/// Rows are padded with zeros to a multiple of this, so that no loop here has a tail.
pub const LANES: usize = 32;

/// Picks the AVX2 build of a function of [`plain`], or the function itself.
macro_rules! fastest {
    ($name:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the one feature these functions are compiled for has just been found.
            return unsafe { avx2::$name($($argument),*) };
        }
        plain::$name($($argument),*)
    }};
}

/// `scores[i] = query_scale × scales[i] × (query · rows[i])`, where the rows follow one another in `rows`.
///
/// The dot products must fit an `i32`; see `COARSE_QUERY_MAX`.
pub fn score(query: &[i16], query_scale: f32, rows: &[i8], scales: &[f32], scores: &mut [f32]) {
    assert_eq!(query.len() % LANES, 0);
    assert_eq!(query.len() * scores.len(), rows.len());
    assert_eq!(scales.len(), scores.len());
    fastest!(score(query, query_scale, rows, scales, scores))
}

/// `query · (FINE × coarse + fine)`: one row with all its bits.
pub fn dot(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
    fastest!(dot(query, coarse, fine))
}

/// Cuts a row of halves, given as bytes, into the two planes, of which it fills the first `row.len() / 2` places.
/// Returns the scale, and the length of what the coarse plane leaves out in units of `scale / FINE`.
pub fn split(row: &[u8], coarse: &mut [i8], fine: &mut [i8]) -> (f32, f32) {
    fastest!(split(row, coarse, fine))
}

/// The sum and the sum of squares.
pub fn moments(scores: &[f32]) -> (f64, f64) {
    fastest!(moments(scores))
}

/// To the nearest whole number, for magnitudes well under 2^22. Adding 1.5 × 2^23 leaves no room for a fraction, so the
/// hardware rounds, and the number stands in the low bits: far faster here than `round`, which is a call without SSE4.
#[inline(always)]
pub fn round(number: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (number + SHIFT).to_bits() as i32 - SHIFT.to_bits() as i32
}

/// Steps of the fine plane in one of the coarse plane: half a step each way, from -127 to 127.
pub const FINE: f32 = 254.0;

mod plain {
    use super::{FINE, LANES, round};
    use crate::vector::half;

    pub fn score(query: &[i16], query_scale: f32, rows: &[i8], scales: &[f32], scores: &mut [f32]) {
        for ((row, scale), score) in rows.chunks_exact(query.len()).zip(scales).zip(scores) {
            let products = row.iter().zip(query).map(|(&x, &y)| i32::from(x) * i32::from(y));
            *score = products.sum::<i32>() as f32 * (query_scale * scale);
        }
    }

    #[inline(always)]
    pub fn dot(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
        let (query, coarse, fine) = (lanes(query), lanes(coarse), lanes(fine));
        let mut sums = [0.0; LANES];
        for ((query, coarse), fine) in query.iter().zip(coarse).zip(fine) {
            for lane in 0..LANES {
                let part = FINE as i16 * i16::from(coarse[lane]) + i16::from(fine[lane]);
                sums[lane] += query[lane] * f32::from(part);
            }
        }
        // Halves onto each other, as one after another every addition would wait for the last.
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] += sums[lane + width];
            }
            width /= 2;
        }
        sums[0]
    }

    #[inline(always)]
    pub fn split(row: &[u8], coarse: &mut [i8], fine: &mut [i8]) -> (f32, f32) {
        let (halves, _) = row.as_chunks::<2>();
        // The magnitudes of halves are ordered as their bits are.
        let largest = halves.iter().map(|&half| u16::from_le_bytes(half) & 0x7fff).fold(0, u16::max);
        if largest == 0 || largest >= INFINITE {
            coarse.fill(0);
            fine.fill(0);
            return (0.0, 0.0);
        }
        let scale = half::to_f32(largest) / 127.0;
        let per_step = scale.recip();
        let mut left_out = 0;
        for ((&half, coarse), fine) in halves.iter().zip(coarse).zip(fine) {
            let steps = half::to_f32(u16::from_le_bytes(half)) * per_step;
            let whole = round(steps);
            let rest = round((steps - whole as f32) * FINE);
            left_out += rest * rest;
            (*coarse, *fine) = (whole as i8, rest as i8);
        }
        // Each part was rounded to a fine step, half of one off at most.
        let rounding = (halves.len() as f32).sqrt() / 2.0;
        (scale, (left_out as f32).sqrt() + rounding)
    }

    #[inline(always)]
    pub fn moments(scores: &[f32]) -> (f64, f64) {
        let (whole, rest) = scores.as_chunks::<8>();
        let mut sums = [[0.0; 8]; 2];
        for scores in whole {
            for lane in 0..8 {
                let score = f64::from(scores[lane]);
                sums[0][lane] += score;
                sums[1][lane] += score * score;
            }
        }
        let rest = rest.iter().map(|&score| f64::from(score));
        let sum = sums[0].iter().sum::<f64>() + rest.clone().sum::<f64>();
        let squares = sums[1].iter().sum::<f64>() + rest.map(|score| score * score).sum::<f64>();
        (sum, squares)
    }

    fn lanes<T>(parts: &[T]) -> &[[T; LANES]] {
        parts.as_chunks().0
    }

    /// The bits of the half that is infinite; above it there are no numbers.
    const INFINITE: u16 = 0x7c00;
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{LANES, plain};
    use std::arch::x86_64::*;

    /// Reads four parts of the plane side by side. The processor fetches ahead on each of them, which from memory is about
    /// twice as fast as one run from front to back (100,000 rows: 1.6 to 2.3 ms against 3.5), and in the caches four rows
    /// share the loads of the query.
    #[target_feature(enable = "avx2")]
    pub fn score(query: &[i16], query_scale: f32, rows: &[i8], scales: &[f32], scores: &mut [f32]) {
        let row = |slot: usize| &rows[slot * query.len()..][..query.len()];
        let quarter = scores.len() / 4;
        for slot in 0..quarter {
            let slots = [slot, slot + quarter, slot + 2 * quarter, slot + 3 * quarter];
            let dots = dots(query, [row(slots[0]), row(slots[1]), row(slots[2]), row(slots[3])]);
            for (slot, dot) in slots.into_iter().zip(dots) {
                scores[slot] = dot as f32 * (query_scale * scales[slot]);
            }
        }
        for slot in 4 * quarter..scores.len() {
            let [dot] = dots(query, [row(slot)]);
            scores[slot] = dot as f32 * (query_scale * scales[slot]);
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn dot(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
        plain::dot(query, coarse, fine)
    }

    #[target_feature(enable = "avx2")]
    pub fn split(row: &[u8], coarse: &mut [i8], fine: &mut [i8]) -> (f32, f32) {
        plain::split(row, coarse, fine)
    }

    #[target_feature(enable = "avx2")]
    pub fn moments(scores: &[f32]) -> (f64, f64) {
        plain::moments(scores)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn dots<const ROWS: usize>(query: &[i16], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
        assert!(query.len().is_multiple_of(LANES) && rows.iter().all(|row| row.len() == query.len()));
        let mut sums = [_mm256_setzero_si256(); ROWS];
        for at in (0..query.len()).step_by(STEP) {
            // SAFETY: `LANES` is a multiple of `STEP`, so after the assertion there are as many left from `at` on, here and in
            // each row. No alignment is asked for.
            let query = unsafe { _mm256_loadu_si256(query.as_ptr().add(at).cast()) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: as above.
                let parts = unsafe { _mm_loadu_si128(row.as_ptr().add(at).cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(parts), query));
            }
        }
        let mut dots = [0; ROWS];
        for (dot, sum) in dots.iter_mut().zip(sums) {
            *dot = total(sum);
        }
        dots
    }

    /// How many components one instruction takes: 16 of 16 bits.
    const STEP: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn total(sums: __m256i) -> i32 {
        let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::tests::Random;

    const STRIDES: [usize; 4] = [LANES, 2 * LANES, 384, 4096];

    /// On a machine without AVX2 this compares a thing with itself, which is no harm.
    #[test]
    fn both_ways_give_the_same_bits() {
        let mut random = Random::new(1);
        for stride in STRIDES {
            for rows in 0..11 {
                let query: Vec<i16> = (0..stride).map(|_| random.below(8191) as i16 - 4095).collect();
                let coarse: Vec<i8> = (0..rows * stride).map(|_| random.below(255) as i8).collect();
                let scales: Vec<f32> = (0..rows).map(|_| random.unit()).collect();
                let (mut fast, mut slow) = (vec![0.0; rows], vec![0.0; rows]);
                score(&query, 0.5, &coarse, &scales, &mut fast);
                plain::score(&query, 0.5, &coarse, &scales, &mut slow);
                assert_eq!(fast, slow, "{rows} × {stride}");
                assert_eq!(moments(&fast), plain::moments(&slow));
            }
        }
    }

    #[test]
    fn the_largest_dot_product_fits() {
        let (query, row, scale) = ([4095; 4096], [-127; 4096], [1.0]);
        let mut scores = [0.0];
        score(&query, 1.0, &row, &scale, &mut scores);
        assert_eq!(scores[0], (4095_i64 * -127 * 4096) as f32);
    }

    #[test]
    fn a_split_row_adds_up_to_what_it_was() {
        let mut random = Random::new(2);
        for dimension in [1, 7, 8, 383, 384, 1536, 4096] {
            let embedding = random.vector(dimension);
            let row = crate::vector::encode(&embedding).unwrap();
            let stored = crate::vector::decode(&row);
            let stride = dimension.next_multiple_of(LANES);
            let (mut coarse, mut fine) = (vec![0; stride], vec![0; stride]);
            let (scale, left_out) = split(&row, &mut coarse, &mut fine);

            let step = scale / FINE;
            let mut squares = 0.0;
            for (place, &part) in stored.iter().enumerate() {
                let whole = scale * f32::from(coarse[place]);
                assert!((part - whole - step * f32::from(fine[place])).abs() <= step * 0.51, "{dimension}");
                squares += (part - whole).powi(2);
            }
            assert!(squares.sqrt() <= left_out * step * 1.001, "{dimension}");
            assert!(coarse[dimension..].iter().chain(&fine[dimension..]).all(|&part| part == 0));

            let mut query = random.vector(dimension);
            query.resize(stride, 0.0);
            let naive: f64 = query.iter().zip(&stored).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            assert!((f64::from(dot(&query, &coarse, &fine) * step) - naive).abs() < 3e-5, "{dimension}");
            assert_eq!(dot(&query, &coarse, &fine), plain::dot(&query, &coarse, &fine));
        }
    }

    #[test]
    fn a_row_that_is_not_finite_is_like_nothing() {
        for half in [0x7c00_u16, 0xfc00, 0x7e00, 0xffff] {
            let row = [0x3c00_u16, half].map(u16::to_le_bytes).concat();
            let (mut coarse, mut fine) = ([1; LANES], [1; LANES]);
            assert_eq!(split(&row, &mut coarse, &mut fine), (0.0, 0.0));
            assert!(coarse.iter().chain(&fine).all(|&part| part == 0));
        }
    }
}
