//! The choice between AVX2 and plain Rust, and the integer products themselves.
//!
//! This is the only file with `unsafe`. It knows rows of numbers and nothing of the
//! model; `forward.rs` calls it. Both kernels give the same bits for every function.

use crate::math::{self, PANEL, Rows};

/// Outputs of a linear layer that are computed side by side; the panels of the packed file have as many rows.
pub const PANEL_ROWS: usize = 16;

/// Inputs one step of the AVX2 kernel takes; every layer's width is a multiple.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 8;

/// Token rows whose sums are kept in registers at once: four by sixteen fill eight of sixteen.
const BLOCK: usize = 4;

/// A linear layer with int8 weights, one scale for each output.
pub struct Linear {
    /// Panel of 16 outputs, then step of 4 inputs, then output, then input.
    ///
    /// No four weights that meet in a 16-bit lane of the AVX2 kernel sum to more than
    /// 128 in one direction; `tools/pack.py` sees to it.
    pub panels: &'static [u8],
    pub scales: Vec<f32>,
    pub biases: Vec<f32>,
    /// The sum of each output's weights: what the zero of the activations adds.
    pub sums: Vec<i32>,
    pub inputs: usize,
}

impl Linear {
    pub fn outputs(&self) -> usize {
        self.scales.len()
    }
}

/// Rows of activations on 0..=255, each with its own scale and zero.
#[derive(Default)]
pub struct Activations {
    values: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<i32>,
    width: usize,
}

impl Activations {
    /// Takes over `rows`, each of `width` values, each rounded to 256 steps of its own.
    pub fn quantise(&mut self, kernel: Kernel, rows: &[f32], width: usize) {
        self.width = width;
        self.values.resize(rows.len(), 0);
        self.scales.clear();
        self.zeros.clear();
        for (row, quantised) in rows.chunks_exact(width).zip(self.values.chunks_exact_mut(width)) {
            let (scale, zero) = kernel.quantise_row(row, quantised);
            self.scales.push(scale);
            self.zeros.push(zero);
        }
    }

    fn row(&self, index: usize) -> &[u8] {
        &self.values[index * self.width..][..self.width]
    }

    fn count(&self) -> usize {
        self.scales.len()
    }
}

/// How the CPU at hand is used best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// Exists only where the CPU has AVX2 and FMA: that is what makes the calls below sound.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Kernel {
    pub fn best() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Kernel::Avx2(Avx2(()));
        }
        Kernel::Portable
    }
}

/// Makes a method of [`Kernel`] from an `inline(always)` function, compiled once for each kernel.
macro_rules! compiled_for_each {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $function:path;)*) => {
        impl Kernel {
            $($(#[$doc])*
            pub fn $name(self, $($argument: $type),*) $(-> $result)? {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                fn with_avx2($($argument: $type),*) $(-> $result)? {
                    $function($($argument),*)
                }
                match self {
                    Kernel::Portable => $function($($argument),*),
                    // SAFETY: an `Avx2` is only made where the CPU has AVX2 and FMA.
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx2(_) => unsafe { with_avx2($($argument),*) },
                }
            })*
        }
    };
}

compiled_for_each! {
    /// GELU of every value, in place.
    fn gelu(values: &mut [f32]) = math::gelu;
    /// The first `count` scores become weights that sum to one, the rest zero.
    fn softmax(row: &mut [f32], count: usize) = math::softmax;
    /// LayerNorm of `row + update`, in place.
    fn add_and_normalise(row: &mut [f32], update: &[f32], gain: &[f32], bias: &[f32]) = math::add_and_normalise;
    /// The product of two matrices; see [`math::multiply`].
    fn multiply(left: Rows<'_>, right: &[[f32; PANEL]], out: &mut [f32], out_stride: usize) = math::multiply;
    /// One row of activations; see [`math::quantise`].
    fn quantise_row(row: &[f32], quantised: &mut [u8]) -> (f32, i32) = math::quantise;
}

impl Kernel {
    /// Writes the outputs of `linear` for every row of `activations` to `out`.
    pub fn apply(self, linear: &Linear, activations: &Activations, out: &mut [f32]) {
        match self {
            Kernel::Portable => apply(Portable, linear, activations, out),
            // SAFETY: an `Avx2` is only made where the CPU has AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(avx2) => unsafe { apply_avx2(avx2, linear, activations, out) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn apply_avx2(avx2: Avx2, linear: &Linear, activations: &Activations, out: &mut [f32]) {
    apply(avx2, linear, activations, out);
}

/// The integer products of some rows of activations with the 16 rows of a panel.
trait Products: Copy {
    fn products<const TOKENS: usize>(self, rows: [&[u8]; TOKENS], panel: &[u8]) -> [[i32; PANEL_ROWS]; TOKENS];
}

#[inline(always)]
fn apply(kernel: impl Products, linear: &Linear, activations: &Activations, out: &mut [f32]) {
    assert_eq!(linear.inputs, activations.width);
    assert_eq!(out.len(), activations.count() * linear.outputs());
    // A panel of weights stays in the first cache while all tokens pass by.
    for (index, panel) in linear.panels.chunks_exact(PANEL_ROWS * linear.inputs).enumerate() {
        let block = Block { linear, panel, first_output: index * PANEL_ROWS, activations };
        let mut first = 0;
        while first < activations.count() {
            let count = (activations.count() - first).min(BLOCK);
            match count {
                4 => block.apply::<4>(kernel, first, out),
                3 => block.apply::<3>(kernel, first, out),
                2 => block.apply::<2>(kernel, first, out),
                _ => block.apply::<1>(kernel, first, out),
            }
            first += count;
        }
    }
}

/// Sixteen outputs of a layer, for as many tokens at a time as its method is asked for.
struct Block<'a> {
    linear: &'a Linear,
    panel: &'a [u8],
    first_output: usize,
    activations: &'a Activations,
}

impl Block<'_> {
    #[inline(always)]
    fn apply<const TOKENS: usize>(&self, kernel: impl Products, first: usize, out: &mut [f32]) {
        let Block { linear, panel, first_output, activations } = *self;
        let products = kernel.products::<TOKENS>(std::array::from_fn(|token| activations.row(first + token)), panel);
        let scales = &linear.scales[first_output..][..PANEL_ROWS];
        let biases = &linear.biases[first_output..][..PANEL_ROWS];
        let sums = &linear.sums[first_output..][..PANEL_ROWS];
        for (token, products) in products.iter().enumerate() {
            let token = first + token;
            let (scale, zero) = (activations.scales[token], activations.zeros[token]);
            let out = &mut out[token * linear.outputs() + first_output..][..PANEL_ROWS];
            for output in 0..PANEL_ROWS {
                let product = (products[output] - zero * sums[output]) as f32;
                out[output] = product.mul_add(scale * scales[output], biases[output]);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Portable;

impl Products for Portable {
    #[inline(always)]
    fn products<const TOKENS: usize>(self, rows: [&[u8]; TOKENS], panel: &[u8]) -> [[i32; PANEL_ROWS]; TOKENS] {
        products_portable(rows, panel)
    }
}

#[cfg(target_arch = "x86_64")]
impl Products for Avx2 {
    #[inline(always)]
    fn products<const TOKENS: usize>(self, rows: [&[u8]; TOKENS], panel: &[u8]) -> [[i32; PANEL_ROWS]; TOKENS] {
        // SAFETY: an `Avx2` is only made where the CPU has AVX2.
        unsafe { products_avx2(rows, panel) }
    }
}

fn products_portable<const TOKENS: usize>(rows: [&[u8]; TOKENS], panel: &[u8]) -> [[i32; PANEL_ROWS]; TOKENS] {
    let steps = panel.as_chunks::<{ 4 * PANEL_ROWS }>().0;
    rows.map(|row| {
        let mut sums = [0_i32; PANEL_ROWS];
        for (inputs, weights) in row.as_chunks::<4>().0.iter().zip(steps) {
            for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
                for (input, weight) in inputs.iter().zip(weights) {
                    *sum += i32::from(*input) * i32::from(*weight as i8);
                }
            }
        }
        sums
    })
}

/// Two `maddubs` results are added in 16 bits before they are widened, which is
/// exact because of the bound on [`Linear::panels`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn products_avx2<const TOKENS: usize>(rows: [&[u8]; TOKENS], panel: &[u8]) -> [[i32; PANEL_ROWS]; TOKENS] {
    use std::arch::x86_64::*;

    let (steps, rest) = panel.as_chunks::<{ STEP * PANEL_ROWS }>();
    assert!(rest.is_empty() && rows.iter().all(|row| row.len() == steps.len() * STEP));
    let ones = _mm256_set1_epi16(1);
    let mut low = [_mm256_setzero_si256(); TOKENS];
    let mut high = [_mm256_setzero_si256(); TOKENS];
    for (step, weights) in steps.iter().enumerate() {
        // SAFETY: the four loads of 32 bytes cover the 128 bytes of `weights`; they need no alignment.
        let [low_0, high_0, low_1, high_1] =
            [0, 32, 64, 96].map(|at| unsafe { _mm256_loadu_si256(weights.as_ptr().add(at).cast()) });
        for token in 0..TOKENS {
            // SAFETY: the row holds `steps.len()` times 8 bytes, by the assertion above.
            let (inputs_0, inputs_1) = unsafe {
                let inputs = rows[token].as_ptr().add(step * STEP).cast::<i32>();
                (_mm256_set1_epi32(inputs.read_unaligned()), _mm256_set1_epi32(inputs.add(1).read_unaligned()))
            };
            let sum = _mm256_add_epi16(_mm256_maddubs_epi16(inputs_0, low_0), _mm256_maddubs_epi16(inputs_1, low_1));
            low[token] = _mm256_add_epi32(low[token], _mm256_madd_epi16(sum, ones));
            let sum = _mm256_add_epi16(_mm256_maddubs_epi16(inputs_0, high_0), _mm256_maddubs_epi16(inputs_1, high_1));
            high[token] = _mm256_add_epi32(high[token], _mm256_madd_epi16(sum, ones));
        }
    }
    let mut products = [[0; PANEL_ROWS]; TOKENS];
    for token in 0..TOKENS {
        let [first, second] = [products[token].as_mut_ptr(), products[token][PANEL_ROWS / 2..].as_mut_ptr()];
        // SAFETY: each half of the array holds the eight integers stored to it.
        unsafe {
            _mm256_storeu_si256(first.cast(), low[token]);
            _mm256_storeu_si256(second.cast(), high[token]);
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that the same numbers come at every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }

        fn floats(&mut self, count: usize, size: f32) -> Vec<f32> {
            (0..count).map(|_| (self.below(2001) as f32 / 1000.0 - 1.0) * size).collect()
        }

        /// Weights of −32..=32, of which no four break the bound on [`Linear::panels`].
        fn weights(&mut self, count: usize) -> &'static [u8] {
            Vec::leak((0..count).map(|_| (self.below(65) as i8 - 32) as u8).collect())
        }
    }

    fn linear(random: &mut Random, outputs: usize, inputs: usize) -> Linear {
        Linear {
            panels: random.weights(outputs * inputs),
            scales: random.floats(outputs, 0.01),
            biases: random.floats(outputs, 1.0),
            sums: (0..outputs).map(|_| random.below(4001) as i32 - 2000).collect(),
            inputs,
        }
    }

    #[test]
    fn both_kernels_multiply_to_equal_integers() {
        let random = &mut Random(1);
        for inputs in [8, 384, 1536] {
            let panel = random.weights(PANEL_ROWS * inputs);
            let rows: [Vec<u8>; BLOCK] =
                std::array::from_fn(|_| (0..inputs).map(|_| random.below(256) as u8).collect());
            let rows = rows.each_ref().map(Vec::as_slice);
            let expected = naive(rows, panel);
            assert_eq!(products_portable(rows, panel), expected);
            #[cfg(target_arch = "x86_64")]
            if let Kernel::Avx2(avx2) = Kernel::best() {
                assert_eq!(avx2.products(rows, panel), expected);
            }
        }
    }

    #[test]
    fn the_largest_sums_a_packed_file_may_hold_do_not_overflow() {
        let row = vec![255; 1536];
        // Inputs 0, 1, 4, 5 of a step of eight meet in one lane, inputs 2, 3, 6, 7 in the other.
        for [first, second] in [
            [[127_i8, 0, 1, 127], [1, 0, 0, 0]],
            [[64, 64, 0, 0], [0, 0, 127, 1]],
            [[-127, 0, -64, -64], [0, -1, 0, 0]],
            [[0, -128, -32, -32], [0, 0, -32, -32]],
        ] {
            let step = [[first; PANEL_ROWS], [second; PANEL_ROWS]].concat().concat();
            let panel: Vec<u8> = step.repeat(192).into_iter().map(|weight| weight as u8).collect();
            let expected = naive([&row], &panel);
            assert_eq!(products_portable([&row], &panel), expected);
            #[cfg(target_arch = "x86_64")]
            if let Kernel::Avx2(avx2) = Kernel::best() {
                assert_eq!(avx2.products([&row], &panel), expected);
            }
        }
    }

    fn naive<const TOKENS: usize>(rows: [&[u8]; TOKENS], panel: &[u8]) -> [[i32; PANEL_ROWS]; TOKENS] {
        rows.map(|row| {
            std::array::from_fn(|output| {
                let weight = |input: usize| panel[input / 4 * 4 * PANEL_ROWS + output * 4 + input % 4] as i8;
                row.iter().enumerate().map(|(input, value)| i32::from(*value) * i32::from(weight(input))).sum()
            })
        })
    }

    #[test]
    fn both_kernels_apply_a_layer_to_equal_bits() {
        let random = &mut Random(2);
        let linear = linear(random, 48, 384);
        for count in 1..=9 {
            let rows = random.floats(count * 384, 3.0);
            let outputs = [Kernel::Portable, Kernel::best()].map(|kernel| {
                let mut activations = Activations::default();
                activations.quantise(kernel, &rows, 384);
                let mut out = vec![0.0; count * 48];
                kernel.apply(&linear, &activations, &mut out);
                (activations.values, activations.scales, activations.zeros, out)
            });
            assert_eq!(outputs[0], outputs[1], "{count} tokens");
        }
    }

    #[test]
    fn both_kernels_give_equal_bits_between_the_layers() {
        let random = &mut Random(3);
        let (row, update) = (random.floats(384, 9.0), random.floats(384, 9.0));
        let (gain, bias) = (random.floats(384, 2.0), random.floats(384, 2.0));
        let right: Vec<[f32; PANEL]> = random.floats(32 * 3 * PANEL, 1.0).as_chunks().0.to_vec();
        let outputs = [Kernel::Portable, Kernel::best()].map(|kernel| {
            let [mut bent, mut shares, mut normal] = [row.clone(), row.clone(), row.clone()];
            kernel.gelu(&mut bent);
            kernel.softmax(&mut shares, 379);
            kernel.add_and_normalise(&mut normal, &update, &gain, &bias);
            let left = Rows { values: &row, stride: 33, width: 32, count: 11 };
            let mut product = vec![0.0; 11 * 50];
            kernel.multiply(left, &right, &mut product, 50);
            [bent, shares, normal, product]
        });
        assert_eq!(outputs[0], outputs[1]);
    }

    #[test]
    fn rounding_keeps_zero_and_the_ends() {
        let mut activations = Activations::default();
        let mut row = [0.0_f32; 16];
        (row[1], row[2]) = (-1.0, 4.0);
        activations.quantise(Kernel::best(), &row, 16);
        assert_eq!((activations.values[0], activations.values[1], activations.values[2]), (51, 0, 255));
        assert_eq!(activations.zeros, [51]);

        activations.quantise(Kernel::best(), &[0.0; 16], 16);
        assert_eq!((activations.scales[0], activations.zeros[0]), (0.0, 0));
    }
}
