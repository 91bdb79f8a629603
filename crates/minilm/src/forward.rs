//! The forward pass: token ids in, unit vectors out.
//!
//! The tokens of several texts stand in one matrix, without padding; only attention
//! and the mean see where a text begins and ends. So a text's vector does not depend
//! on its company.

use std::ops::Range;

use crate::DIMENSION;
use crate::kernel::{Activations, Kernel, Linear};
use crate::math::{PANEL, Rows};
use crate::weights::{HEADS, Layer, Norm, Weights};

const HEAD_WIDTH: usize = DIMENSION / HEADS;
const ATTENTION_WIDTH: usize = 3 * DIMENSION;

/// Tokens that pass the two wide layers at a time: 64 × 1536 floats fit the second cache.
const WIDE_TOKENS: usize = 64;

/// One pass; it keeps its buffers from layer to layer.
pub struct Forward<'a> {
    weights: &'a Weights,
    linears: Linears,
    attended: Vec<f32>,
    projected: Vec<f32>,
    wide: Vec<f32>,
    update: Vec<f32>,
    head_space: HeadSpace,
}

impl<'a> Forward<'a> {
    pub fn new(weights: &'a Weights, kernel: Kernel) -> Forward<'a> {
        Forward {
            weights,
            linears: Linears { kernel, activations: Activations::default() },
            attended: Vec::new(),
            projected: Vec::new(),
            wide: Vec::new(),
            update: Vec::new(),
            head_space: HeadSpace::default(),
        }
    }

    /// One unit vector for each list of ids.
    pub fn vectors(&mut self, texts: &[Vec<u16>]) -> Vec<Vec<f32>> {
        let spans = spans(texts);
        let mut tokens = self.embeddings(texts);
        for layer in &self.weights.layers {
            self.attention(layer, &spans, &mut tokens);
            for tokens in tokens.chunks_mut(WIDE_TOKENS * DIMENSION) {
                self.wide_layers(layer, tokens);
            }
        }
        spans.iter().map(|span| mean_direction(&tokens[in_rows(span)])).collect()
    }

    fn embeddings(&self, texts: &[Vec<u16>]) -> Vec<f32> {
        let Norm { gain, bias } = &self.weights.norm;
        let mut tokens = vec![0.0; texts.iter().map(Vec::len).sum::<usize>() * DIMENSION];
        let mut rows = tokens.chunks_exact_mut(DIMENSION);
        for ids in texts {
            let positions = self.weights.positions.chunks_exact(DIMENSION);
            for ((id, position), row) in ids.iter().zip(positions).zip(&mut rows) {
                self.weights.word(*id, row);
                self.kernel().add_and_normalise(row, position, gain, bias);
            }
        }
        tokens
    }

    fn attention(&mut self, layer: &Layer, spans: &[Range<usize>], tokens: &mut [f32]) {
        self.linears.apply(&layer.attention, tokens, &mut self.projected);
        self.attended.resize(tokens.len(), 0.0);
        for span in spans {
            let projected = &self.projected[span.start * ATTENTION_WIDTH..span.end * ATTENTION_WIDTH];
            let attended = &mut self.attended[in_rows(span)];
            self.head_space.resize(span.len());
            for head in 0..HEADS {
                self.head_space.attend(self.linears.kernel, head * HEAD_WIDTH, projected, attended);
            }
        }
        self.linears.apply(&layer.attention_out, &self.attended, &mut self.update);
        self.add_and_normalise(tokens, &layer.attention_norm);
    }

    fn wide_layers(&mut self, layer: &Layer, tokens: &mut [f32]) {
        self.linears.apply(&layer.up, tokens, &mut self.wide);
        self.kernel().gelu(&mut self.wide);
        self.linears.apply(&layer.down, &self.wide, &mut self.update);
        self.add_and_normalise(tokens, &layer.norm);
    }

    fn add_and_normalise(&self, tokens: &mut [f32], norm: &Norm) {
        for (row, update) in tokens.chunks_exact_mut(DIMENSION).zip(self.update.chunks_exact(DIMENSION)) {
            self.kernel().add_and_normalise(row, update, &norm.gain, &norm.bias);
        }
    }

    fn kernel(&self) -> Kernel {
        self.linears.kernel
    }
}

/// Linear layers, and the buffer for what they take in.
struct Linears {
    kernel: Kernel,
    activations: Activations,
}

impl Linears {
    fn apply(&mut self, linear: &Linear, rows: &[f32], out: &mut Vec<f32>) {
        self.activations.quantise(self.kernel, rows, linear.inputs);
        out.resize(rows.len() / linear.inputs * linear.outputs(), 0.0);
        self.kernel.apply(linear, &self.activations, out);
    }
}

/// Keys and values of one head in the order `multiply` reads, and room for the scores.
#[derive(Default)]
struct HeadSpace {
    /// Panels of 16 tokens; each holds a row for each of the head's 32 columns.
    keys: Vec<[f32; PANEL]>,
    /// Panels of 16 of the head's columns; each holds a row for each token.
    values: Vec<[f32; PANEL]>,
    /// A row for each token, as wide as all panels of keys.
    scores: Vec<f32>,
    count: usize,
}

impl HeadSpace {
    /// Makes room for a text; the columns past its last token stay zero.
    fn resize(&mut self, count: usize) {
        let panels = count.div_ceil(PANEL);
        self.keys.clear();
        self.keys.resize(panels * HEAD_WIDTH, [0.0; PANEL]);
        self.values.resize(HEAD_WIDTH / PANEL * count, [0.0; PANEL]);
        self.scores.resize(count * panels * PANEL, 0.0);
        self.count = count;
    }

    /// One head of one text, whose columns start at `column`: two small products with a softmax between.
    fn attend(&mut self, kernel: Kernel, column: usize, projected: &[f32], attended: &mut [f32]) {
        self.fill(column, projected);
        let count = self.count;
        let width = count.next_multiple_of(PANEL);
        let queries = Rows { values: &projected[column..], stride: ATTENTION_WIDTH, width: HEAD_WIDTH, count };
        kernel.multiply(queries, &self.keys, &mut self.scores, width);
        for row in self.scores.chunks_exact_mut(width) {
            kernel.softmax(row, count);
        }
        let shares = Rows { values: &self.scores, stride: width, width: count, count };
        kernel.multiply(shares, &self.values, &mut attended[column..], DIMENSION);
    }

    fn fill(&mut self, column: usize, projected: &[f32]) {
        for (token, row) in projected.chunks_exact(ATTENTION_WIDTH).enumerate() {
            let key = &row[DIMENSION + column..][..HEAD_WIDTH];
            let panel = &mut self.keys[token / PANEL * HEAD_WIDTH..][..HEAD_WIDTH];
            for (value, row) in key.iter().zip(panel) {
                row[token % PANEL] = *value;
            }
            let value = &row[2 * DIMENSION + column..][..HEAD_WIDTH];
            for (panel, value) in value.as_chunks::<PANEL>().0.iter().enumerate() {
                self.values[panel * self.count + token] = *value;
            }
        }
    }
}

fn spans(texts: &[Vec<u16>]) -> Vec<Range<usize>> {
    let mut end = 0;
    texts
        .iter()
        .map(|ids| {
            let start = end;
            end += ids.len();
            start..end
        })
        .collect()
}

fn in_rows(span: &Range<usize>) -> Range<usize> {
    span.start * DIMENSION..span.end * DIMENSION
}

/// The mean over all rows, brought to length one.
fn mean_direction(rows: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0_f32; DIMENSION];
    for row in rows.chunks_exact(DIMENSION) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    // A sum need not be divided by the number of rows when only its direction counts.
    let length = sum.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32;
    for value in &mut sum {
        *value /= length;
    }
    sum
}
