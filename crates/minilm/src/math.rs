//! The floating-point parts of the forward pass, in plain Rust over fixed lanes.
//!
//! Every function is `inline(always)` and written so that the compiler turns its
//! lanes into vector registers. `kernel.rs` compiles each of them twice, once with
//! AVX2 and FMA and once for any CPU. Sums run in a fixed order of lanes and
//! `mul_add` rounds once everywhere, so both give the same bits.

/// Columns of a panel of the right matrix in [`multiply`].
pub const PANEL: usize = 16;

/// Adding it to a small `f32` leaves the nearest whole number in the low bits.
const ROUNDING: f32 = 12_582_912.0;

/// Two vector registers: enough sums side by side to hide the time one addition takes.
const LANES: usize = 16;

/// `x · Φ(x)`, with Φ the normal distribution: GELU in its erf form.
///
/// Φ(x) − ½ is a ratio of polynomials in x², fitted to |x| ≤ 5.5, outside of which
/// Φ is 0 or 1 to 2e-8. The error is below 2e-6 for |x| ≤ 8.
#[inline(always)]
pub fn gelu(values: &mut [f32]) {
    for value in values {
        *value = gelu_of(*value);
    }
}

#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let bounded = at_least(at_most(x, 5.5), -5.5);
    let square = bounded * bounded;
    let above = 7.349_25e-6_f32
        .mul_add(square, 4.095_846e-4)
        .mul_add(square, 6.145_164e-3)
        .mul_add(square, 5.815_886e-2)
        .mul_add(square, 3.989_415_8e-1);
    let below = 6.036_61e-7_f32
        .mul_add(square, 1.471_096_6e-4)
        .mul_add(square, 3.258_294_7e-3)
        .mul_add(square, 4.249_674_3e-2)
        .mul_add(square, 3.124_381_6e-1)
        .mul_add(square, 1.0);
    x * (bounded * above / below + 0.5)
}

/// Turns the first `count` scores of `row` into weights that sum to one, the rest into zero.
///
/// The row's length is a multiple of [`PANEL`], so that it can be the left side of [`multiply`].
#[inline(always)]
pub fn softmax(row: &mut [f32], count: usize) {
    row[count..].fill(f32::MIN);
    let largest = largest(row, f32::MIN);
    for value in row.iter_mut() {
        *value = exp_of(*value - largest);
    }
    row[count..].fill(0.0);
    let factor = 1.0 / sum(row);
    for value in row {
        *value *= factor;
    }
}

/// eˣ for x ≤ 0, within 3e-7 of its value; below −87 it stays at e⁻⁸⁷.
#[inline(always)]
fn exp_of(x: f32) -> f32 {
    // ln 2 in two parts, the first short enough that its product with n is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = at_least(x, -87.0);
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUNDING);
    let n = rounded - ROUNDING;
    let rest = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    // The Taylor series; |rest| ≤ ½ ln 2 leaves the next term below 1.3e-7.
    let series = (1.0_f32 / 720.0)
        .mul_add(rest, 1.0 / 120.0)
        .mul_add(rest, 1.0 / 24.0)
        .mul_add(rest, 1.0 / 6.0)
        .mul_add(rest, 0.5)
        .mul_add(rest, 1.0)
        .mul_add(rest, 1.0);
    let power_of_two = (rounded.to_bits() << 23).wrapping_add(127 << 23);
    series * f32::from_bits(power_of_two)
}

/// LayerNorm of `row + update`: to mean 0 and variance 1, then to `gain` and `bias`.
///
/// The row's length is a multiple of 16.
#[inline(always)]
pub fn add_and_normalise(row: &mut [f32], update: &[f32], gain: &[f32], bias: &[f32]) {
    const EPSILON: f32 = 1e-12;
    for (value, update) in row.iter_mut().zip(update) {
        *value += update;
    }
    let count = row.len() as f32;
    let mean = sum(row) / count;
    for value in row.iter_mut() {
        *value -= mean;
    }
    let variance = sum_of_squares(row) / count;
    let factor = 1.0 / (variance + EPSILON).sqrt();
    for ((value, gain), bias) in row.iter_mut().zip(gain).zip(bias) {
        *value = (*value * factor).mul_add(*gain, *bias);
    }
}

/// Maps `row` onto 0..=255 so that 0.0 is met exactly; gives the scale and the number that stands for 0.0.
#[inline(always)]
pub fn quantise(row: &[f32], quantised: &mut [u8]) -> (f32, i32) {
    let lowest = smallest(row, 0.0);
    let highest = largest(row, 0.0);
    let scale = (highest - lowest) / 255.0;
    if scale < f32::MIN_POSITIVE {
        quantised.fill(0);
        return (0.0, 0);
    }
    let factor = 1.0 / scale;
    let zero = (-lowest * factor).round_ties_even();
    for (quantised, value) in quantised.iter_mut().zip(row) {
        let step = at_most(at_least(value.mul_add(factor, zero), 0.0), 255.0);
        *quantised = (step + ROUNDING).to_bits() as u8;
    }
    (scale, zero as i32)
}

/// The left side of [`multiply`]: `rows` rows of `width` values, each `stride` after the last.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub width: usize,
    pub count: usize,
}

/// Writes `left · right` to `out`, whose rows are `out_stride` apart.
///
/// `right` comes as panels of [`PANEL`] columns; a panel holds `left.width` rows.
#[inline(always)]
pub fn multiply(left: Rows<'_>, right: &[[f32; PANEL]], out: &mut [f32], out_stride: usize) {
    // Four rows of sixteen sums are eight vector registers of AVX2, enough to keep both its
    // multipliers busy; with six, the rows' addresses no longer fit and nothing is gained.
    let mut first = 0;
    while first < left.count {
        let block = (left.count - first).min(4);
        for (index, panel) in right.chunks_exact(left.width).enumerate() {
            let out = &mut out[first * out_stride + index * PANEL..];
            match block {
                4 => multiply_block::<4>(left, first, panel, out, out_stride),
                3 => multiply_block::<3>(left, first, panel, out, out_stride),
                2 => multiply_block::<2>(left, first, panel, out, out_stride),
                _ => multiply_block::<1>(left, first, panel, out, out_stride),
            }
        }
        first += block;
    }
}

#[inline(always)]
fn multiply_block<const ROWS: usize>(
    left: Rows<'_>,
    first: usize,
    panel: &[[f32; PANEL]],
    out: &mut [f32],
    out_stride: usize,
) {
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &left.values[(first + row) * left.stride..][..panel.len()]);
    let mut sums = [[0.0_f32; PANEL]; ROWS];
    for (index, right) in panel.iter().enumerate() {
        for row in 0..ROWS {
            let factor = rows[row][index];
            for column in 0..PANEL {
                sums[row][column] = factor.mul_add(right[column], sums[row][column]);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        out[row * out_stride..][..PANEL].copy_from_slice(sums);
    }
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    reduce(values, 0.0, |sum, value| sum + value, |left, right| left + right)
}

#[inline(always)]
fn sum_of_squares(values: &[f32]) -> f32 {
    reduce(values, 0.0, |sum, value| value.mul_add(value, sum), |left, right| left + right)
}

#[inline(always)]
fn largest(values: &[f32], start: f32) -> f32 {
    reduce(values, start, at_least, at_least)
}

#[inline(always)]
fn smallest(values: &[f32], start: f32) -> f32 {
    reduce(values, start, at_most, at_most)
}

/// Folds in lanes, then joins the lanes in halves: the same order on every CPU.
#[inline(always)]
fn reduce(values: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    debug_assert!(rest.is_empty(), "rows are whole numbers of lanes");
    let mut lanes = [start; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = fold(lanes[lane], chunk[lane]);
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

// `f32::max` and `min` promise something for NaN that costs two more instructions;
// these are the plain comparisons, one instruction each.
#[inline(always)]
fn at_least(value: f32, bound: f32) -> f32 {
    if value > bound { value } else { bound }
}

#[inline(always)]
fn at_most(value: f32, bound: f32) -> f32 {
    if value < bound { value } else { bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ by Simpson's rule in f64.
    fn normal_distribution(x: f64) -> f64 {
        const STEPS: usize = 400;
        let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let width = x / STEPS as f64;
        let inner: f64 =
            (1..STEPS).map(|step| density(step as f64 * width) * if step % 2 == 0 { 2.0 } else { 4.0 }).sum();
        0.5 + (density(0.0) + inner + density(x)) * width / 3.0
    }

    #[test]
    fn gelu_is_within_two_millionths() {
        for step in -8000..=8000 {
            let x = step as f32 / 1000.0;
            let expected = f64::from(x) * normal_distribution(f64::from(x));
            assert!((f64::from(gelu_of(x)) - expected).abs() < 2e-6, "{x}: {} for {expected}", gelu_of(x));
        }
        assert!((gelu_of(1e4) - 1e4).abs() < 2e-3);
        assert!(gelu_of(-1e3).abs() < 1e-3);
    }

    #[test]
    fn the_exponential_is_within_three_in_ten_million() {
        for step in 0..=86_000 {
            let x = -(step as f32) / 1000.0;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp_of(x)) / expected - 1.0).abs() < 3e-7, "{x}: {} for {expected}", exp_of(x));
        }
        assert!(exp_of(f32::MIN) < 1e-37);
    }

    #[test]
    fn softmax_shares_out_one_and_nothing_to_the_padding() {
        let mut row: Vec<f32> = (0..32).map(|value| value as f32 / 7.0).collect();
        softmax(&mut row, 19);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(row[..19].is_sorted() && row[19..].iter().all(|share| *share == 0.0));
    }

    #[test]
    fn a_product_is_the_sum_of_products() {
        let left: Vec<f32> = (0..7 * 3).map(|value| value as f32).collect();
        let right: Vec<[f32; PANEL]> =
            (0..2 * 3).map(|row| std::array::from_fn(|column| (row * 16 + column) as f32)).collect();
        let mut out = vec![0.0; 7 * 32];
        multiply(Rows { values: &left, stride: 3, width: 3, count: 7 }, &right, &mut out, 32);
        for row in 0..7 {
            for column in 0..32 {
                let expected: f32 =
                    (0..3).map(|inner| left[row * 3 + inner] * right[column / 16 * 3 + inner][column % 16]).sum();
                assert_eq!(out[row * 32 + column], expected);
            }
        }
    }
}
