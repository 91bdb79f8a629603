//! The vectors of one open space, held in memory and searched exactly.
//!
//! This is a cache: the rows in the database are the truth, and whoever opens a space fills this from them, keeps it in step
//! with what the writer commits, and drops it when memory is wanted elsewhere. It knows of no user, no database and no text;
//! a row is a number (the key of its record) and a unit vector.
//!
//! A search runs in two steps. [`Vectors::scan`] reads the coarse half of every row, 8 bits per component, because beyond a
//! few ten thousand rows the time is that of moving the bytes. [`Vectors::top`] then takes every row that could still be
//! among the best, given how far off a coarse score can be, and scores it with all 16 bits. The bound is proved, not
//! guessed, so the answer is that of an exact scan.
//!
//! ```
//! # use locule_store::vector::{encode, Scan, Vectors};
//! let mut vectors = Vectors::new(3);
//! vectors.put(1, &encode(&[1.0, 0.0, 0.0]).unwrap());
//! vectors.put(2, &encode(&[0.6, 0.8, 0.0]).unwrap());
//!
//! let mut scan = Scan::new();
//! vectors.scan(&[0.0, 5.0, 0.0], &mut scan);
//! let best = vectors.top(&scan, 1, None);
//! assert_eq!(best[0].0, 2);
//! assert!((best[0].1 - 0.8).abs() < 1e-3);
//! ```

mod half;
mod kernel;
mod rows;

pub use half::{DIMENSION_MAX, NotAVector, decode, encode};
use rows::Rows;

/// How large the parts of a coarse query may be: `127 × 4095 × DIMENSION_MAX` is the most a dot product can come to, and it
/// just fits an `i32`.
const COARSE_QUERY_MAX: f32 = 4095.0;

/// What rounding in `f32` may add to the difference of a coarse and a full score; generous, as it costs next to nothing.
const ROUNDING: f32 = 1e-5;

/// One space's vectors, ordered by `number` (ascending), scanned exactly.
///
/// At 384 dimensions a row takes 780 bytes: 768 for the vector, 8 for its number, 4 for its scale.
#[derive(Debug)]
pub struct Vectors {
    dimension: usize,
    rows: Rows,
    /// Slots whose row was removed, ascending. Such a row is zero, so that it adds nothing to any sum.
    dead: Vec<u32>,
    /// The most that the coarse half of any row differs from the whole, as a length.
    coarse_error: f32,
    /// Counts the changes, so that a scan made before one is not mistaken for a scan made after it.
    revision: u64,
}

/// The outcome of [`Vectors::scan`], and the buffers it works in; keep it for the next scan.
///
/// It belongs to the vectors as they stood: after any change to them, scan again.
#[derive(Debug, Default)]
pub struct Scan {
    /// The mean of the cosines over all live rows, 0 if there are none.
    pub mean: f32,
    /// Their standard deviation.
    pub deviation: f32,
    /// Coarse cosines by slot; minus infinity where the row is dead.
    scores: Vec<f32>,
    /// The most that any of them is off.
    score_error: f32,
    /// Of unit length, padded as rows are.
    query: Vec<f32>,
    /// The same in steps of `coarse_scale`.
    coarse_query: Vec<i16>,
    coarse_scale: f32,
    revision: u64,
}

impl Vectors {
    /// No vectors yet.
    ///
    /// # Panics
    /// If `dimension` is 0 or more than [`DIMENSION_MAX`].
    pub fn new(dimension: usize) -> Self {
        assert!((1..=DIMENSION_MAX).contains(&dimension), "no such dimension: {dimension}");
        Self { dimension, rows: Rows::new(dimension), dead: Vec::new(), coarse_error: 0.0, revision: 0 }
    }

    /// How many numbers a vector has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How many vectors can be found.
    pub fn len(&self) -> usize {
        self.rows.len() - self.dead.len()
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory held, in bytes, spare room included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.rows.bytes() + self.dead.capacity() * size_of::<u32>()
    }

    /// Makes room for `rows` more, exactly: what a caller who knows the count should do before a load.
    pub fn reserve(&mut self, rows: usize) {
        self.rows.reserve_exact(rows);
    }

    /// Adds a vector, or replaces the one of this number. `row` is what [`encode`] made.
    ///
    /// A number above all others, the usual case, costs a few hundred nanoseconds; one in between moves all rows behind it.
    /// A row with parts that are not finite, which `encode` never makes, is kept as zero: it is like nothing.
    ///
    /// # Panics
    /// If `row` is not `2 × dimension` bytes long.
    pub fn put(&mut self, number: i64, row: &[u8]) {
        assert_eq!(row.len(), 2 * self.dimension, "a row of another dimension");
        self.revision += 1;
        let error = match self.rows.find(number) {
            Ok(slot) => {
                self.revive(slot);
                self.rows.replace(slot, row)
            }
            Err(slot) => {
                self.make_way(slot);
                self.rows.insert(slot, number, row)
            }
        };
        self.coarse_error = self.coarse_error.max(error);
    }

    /// Forgets a vector; `false` if there was none. The row is zeroed at once; its room is given back when more than a
    /// quarter of all rows is dead.
    pub fn remove(&mut self, number: i64) -> bool {
        let Ok(slot) = self.rows.find(number) else { return false };
        let Err(place) = self.dead.binary_search(&(slot as u32)) else { return false };
        self.revision += 1;
        self.rows.wipe(slot);
        self.dead.insert(place, slot as u32);
        if self.dead.len() * 4 > self.rows.len() {
            self.rows.compact(&self.dead);
            self.dead = Vec::new();
        }
        true
    }

    /// Forgets all vectors and gives back their memory.
    pub fn clear(&mut self) {
        let revision = self.revision + 1;
        *self = Self::new(self.dimension);
        self.revision = revision;
    }

    /// Compares the query with every live row, and sets `scan.mean` and `scan.deviation`. The query may have any length; if
    /// it is zero or not finite, every score is 0.
    ///
    /// # Panics
    /// If the query has another dimension.
    pub fn scan(&self, query: &[f32], scan: &mut Scan) {
        assert_eq!(query.len(), self.dimension, "a query of another dimension");
        let query_error = scan.prepare(query, self.rows.stride());
        self.rows.score(&scan.coarse_query, scan.coarse_scale, &mut scan.scores);
        // |q·x - q'·x'| is at most |q||x - x'| + |q - q'||x'|, and q is of unit length, x and x' nearly.
        scan.score_error = self.coarse_error + query_error * (1.0 + self.coarse_error) + ROUNDING;
        scan.revision = self.revision;

        // Dead rows are zero and add nothing here; they are marked only afterwards.
        let (sum, squares) = kernel::moments(&scan.scores);
        let count = self.len().max(1) as f64;
        let mean = sum / count;
        scan.mean = mean as f32;
        scan.deviation = (squares / count - mean * mean).max(0.0).sqrt() as f32;
        for &slot in &self.dead {
            scan.scores[slot as usize] = f32::NEG_INFINITY;
        }
    }

    /// The `k` best, as number and cosine, best first; of equal ones the larger number first. With `allowed`, a list of
    /// numbers in ascending order, only those can be among them.
    ///
    /// # Panics
    /// If the vectors have changed since the scan.
    pub fn top(&self, scan: &Scan, k: usize, allowed: Option<&[i64]>) -> Vec<(i64, f32)> {
        self.assert_current(scan);
        match allowed {
            None => self.best(scan, k, &scan.scores, |place| place),
            Some(numbers) => {
                let slots = self.slots(numbers);
                let scores: Vec<f32> = slots.iter().map(|&slot| scan.scores[slot]).collect();
                self.best(scan, k, &scores, |place| slots[place])
            }
        }
    }

    /// The cosine of one row; `None` if there is no such row.
    ///
    /// # Panics
    /// If the vectors have changed since the scan.
    pub fn score_of(&self, scan: &Scan, number: i64) -> Option<f32> {
        self.assert_current(scan);
        let slot = self.rows.find(number).ok()?;
        let live = scan.scores[slot] != f32::NEG_INFINITY;
        live.then(|| self.rows.exact(&scan.query, slot))
    }

    /// The best of the rows at `slot(0)`, `slot(1)` and so on, whose coarse scores are `scores`.
    ///
    /// Any `k` rows set a mark that the best `k` reach; the coarse leaders set a high one. Whatever may reach it, once the
    /// error of a coarse score is allowed for, is scored in full.
    fn best(&self, scan: &Scan, k: usize, scores: &[f32], slot: impl Fn(usize) -> usize) -> Vec<(i64, f32)> {
        let exact = |place| self.rows.exact(&scan.query, slot(place));
        let leaders = leaders(scores, k.min(scores.len()));
        let Some(mark) = leaders.into_iter().map(exact).reduce(f32::min) else { return Vec::new() };

        let floor = mark - scan.score_error;
        let mut hits = Vec::new();
        each_above(scores, floor, |place| {
            hits.push((self.rows.numbers()[slot(place)], exact(place)));
            floor
        });
        hits.sort_unstable_by(|(number, score), (other, best)| best.total_cmp(score).then(other.cmp(number)));
        hits.truncate(k);
        hits
    }

    /// The slots of those of the numbers that are here, dead or not; each search starts where the last one ended and looks
    /// twice as far each time, so a long list costs a step or two per number, and a short one hardly more than bisection.
    fn slots(&self, allowed: &[i64]) -> Vec<usize> {
        let numbers = self.rows.numbers();
        let mut start = 0;
        let mut slots = Vec::new();
        for &number in allowed {
            let mut ahead = 1;
            while numbers.get(start + ahead).is_some_and(|&there| there < number) {
                ahead *= 2;
            }
            let (low, high) = (start + ahead / 2, (start + ahead + 1).min(numbers.len()));
            start = low + numbers[low..high].partition_point(|&there| there < number);
            if numbers.get(start) == Some(&number) {
                slots.push(start);
                start += 1; // A number given twice is found once.
            }
        }
        slots
    }

    fn revive(&mut self, slot: usize) {
        if let Ok(place) = self.dead.binary_search(&(slot as u32)) {
            self.dead.remove(place);
        }
    }

    /// Keeps the list right when a row is put in at `slot`.
    fn make_way(&mut self, slot: usize) {
        let behind = self.dead.partition_point(|&dead| (dead as usize) < slot);
        self.dead[behind..].iter_mut().for_each(|dead| *dead += 1);
    }

    fn assert_current(&self, scan: &Scan) {
        assert_eq!(scan.revision, self.revision, "the vectors have changed since the scan");
    }
}

impl Scan {
    /// One that has looked at nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings the query to unit length and rounds it for the coarse plane. Returns by how much the rounded one may be off.
    fn prepare(&mut self, query: &[f32], stride: usize) -> f32 {
        let length = half::length(query);
        self.query.clear();
        if length > 0.0 && length.is_finite() {
            let per_length = length.recip();
            self.query.extend(query.iter().map(|&part| (f64::from(part) * per_length) as f32));
        }
        self.query.resize(stride, 0.0);

        let largest = self.query.iter().map(|part| part.abs()).fold(0.0, f32::max);
        self.coarse_scale = largest / COARSE_QUERY_MAX;
        let per_step = if largest > 0.0 { COARSE_QUERY_MAX / largest } else { 0.0 };
        self.coarse_query.clear();
        self.coarse_query.extend(self.query.iter().map(|&part| kernel::round(part * per_step) as i16));
        // Each part by half a step at most.
        self.coarse_scale / 2.0 * (query.len() as f32).sqrt()
    }
}

/// The places of the `k` highest scores, dead rows left out. Twice as many are gathered before the lower half is let go, so
/// that this takes one pass whatever `k` is.
fn leaders(scores: &[f32], k: usize) -> Vec<usize> {
    if k == 0 {
        return Vec::new();
    }
    let mut best = Vec::with_capacity(2 * k);
    let mut floor = f32::NEG_INFINITY;
    each_above(scores, floor, |place| {
        best.push(place);
        if best.len() == 2 * k {
            keep(&mut best, k, scores);
            floor = scores[best[k - 1]];
        }
        floor
    });
    keep(&mut best, k, scores);
    best
}

/// Visits the places of all scores above a floor, which each visit sets anew. Few scores are, so most are passed over sixteen
/// at a time.
fn each_above(scores: &[f32], mut floor: f32, mut visit: impl FnMut(usize) -> f32) {
    let (blocks, rest) = scores.as_chunks::<16>();
    let rest_start = scores.len() - rest.len();
    let blocks = blocks.iter().enumerate().map(|(block, scores)| (block * 16, scores));
    for (start, scores) in blocks {
        if scores.iter().fold(false, |any, &score| any | (score > floor)) {
            for (place, &score) in scores.iter().enumerate() {
                if score > floor {
                    floor = visit(start + place);
                }
            }
        }
    }
    for (place, &score) in rest.iter().enumerate() {
        if score > floor {
            floor = visit(rest_start + place);
        }
    }
}

/// Keeps the `k` highest, of which the lowest then stands last.
fn keep(best: &mut Vec<usize>, k: usize, scores: &[f32]) {
    if best.len() > k {
        best.select_nth_unstable_by(k - 1, |&one, &other| scores[other].total_cmp(&scores[one]));
        best.truncate(k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A linear congruential generator: the same numbers in every run, and no crate for them.
    pub struct Random(u64);

    impl Random {
        pub fn new(seed: u64) -> Self {
            Self(seed)
        }

        pub fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }

        /// From -1 to 1.
        pub fn unit(&mut self) -> f32 {
            self.below(2_000_001) as f32 / 1e6 - 1.0
        }

        /// Of unit length, about.
        pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
            let vector: Vec<f32> = (0..dimension).map(|_| self.unit() + self.unit() + self.unit() + 1e-3).collect();
            let length = half::length(&vector) as f32;
            vector.iter().map(|part| part / length).collect()
        }
    }

    /// What a cosine may be off: 16 bits of a component whose scale is that of the row's largest.
    const TOLERANCE: f32 = 3e-5;

    type Model = BTreeMap<i64, Vec<u8>>;

    /// In `f64`, from the stored rows, best first.
    fn naive(model: &Model, query: &[f32]) -> Vec<(i64, f64)> {
        let length = half::length(query);
        let score = |row| decode(row).iter().zip(query).map(|(&x, &y)| f64::from(x) * f64::from(y) / length).sum();
        let mut scores: Vec<(i64, f64)> = model.iter().map(|(&number, row)| (number, score(row))).collect();
        scores.sort_by(|one, other| other.1.total_cmp(&one.1).then(other.0.cmp(&one.0)));
        scores
    }

    fn scanned(vectors: &Vectors, query: &[f32]) -> Scan {
        let mut scan = Scan::new();
        vectors.scan(query, &mut scan);
        scan
    }

    /// Everything the vectors answer agrees with the naive model; where the model's scores differ by less than rounding, the
    /// order may differ too, so scores are compared place by place and number by number.
    fn assert_agrees(vectors: &Vectors, model: &Model, query: &[f32]) {
        let expected = naive(model, query);
        let scan = scanned(vectors, query);
        assert_eq!(vectors.len(), model.len());
        for k in [0, 1, 3, 10, model.len() + 5] {
            let hits = vectors.top(&scan, k, None);
            assert_eq!(hits.len(), k.min(model.len()));
            for ((number, score), (_, there)) in hits.into_iter().zip(&expected) {
                assert!((score - *there as f32).abs() < TOLERANCE);
                assert_eq!(vectors.score_of(&scan, number), Some(score));
            }
        }
        for &(number, score) in &expected {
            assert!((vectors.score_of(&scan, number).unwrap() - score as f32).abs() < TOLERANCE);
        }
        let count = model.len().max(1) as f64;
        let mean = expected.iter().map(|(_, score)| score).sum::<f64>() / count;
        let variance = expected.iter().map(|(_, score)| (score - mean).powi(2)).sum::<f64>() / count;
        assert!((f64::from(scan.mean) - mean).abs() < 2e-3, "{} {mean}", scan.mean);
        assert!((f64::from(scan.deviation) - variance.sqrt()).abs() < 2e-3);
    }

    #[test]
    fn every_dimension_agrees_with_plain_arithmetic() {
        let mut random = Random::new(3);
        for dimension in [1, 7, 8, 383, 384, 1536, DIMENSION_MAX] {
            for rows in [0, 1, 2, 5, 64] {
                let mut vectors = Vectors::new(dimension);
                let mut model = Model::new();
                for number in 0..rows {
                    let row = encode(&random.vector(dimension)).unwrap();
                    vectors.put(number, &row);
                    model.insert(number, row);
                }
                assert_agrees(&vectors, &model, &random.vector(dimension));
            }
        }
    }

    #[test]
    fn any_history_of_changes_agrees_with_plain_arithmetic() {
        let mut random = Random::new(4);
        for dimension in [5, 40] {
            let mut vectors = Vectors::new(dimension);
            let mut model = Model::new();
            for step in 0..3000 {
                // Numbers are often reused, and more is removed than added in every second stretch.
                let number = random.below(120) as i64 - 20;
                if random.below(10) < if step / 300 % 2 == 0 { 3 } else { 7 } {
                    assert_eq!(vectors.remove(number), model.remove(&number).is_some());
                } else {
                    let row = encode(&random.vector(dimension)).unwrap();
                    vectors.put(number, &row);
                    model.insert(number, row);
                }
                assert!(vectors.dead.len() * 4 <= vectors.rows.len());
                if step % 10 == 0 {
                    assert_agrees(&vectors, &model, &random.vector(dimension));
                }
            }
            vectors.clear();
            assert_agrees(&vectors, &Model::new(), &random.vector(dimension));
        }
    }

    /// The worst case for a coarse first pass: thousands of rows that differ by less than it can tell. The two steps answer
    /// bit for bit what scoring every row in full does.
    #[test]
    fn near_duplicates_are_told_apart() {
        let mut random = Random::new(5);
        let centre = random.vector(384);
        let near = |random: &mut Random, distance: f32| -> Vec<f32> {
            centre.iter().zip(random.vector(384)).map(|(x, y)| x + distance * y).collect()
        };
        let mut vectors = Vectors::new(384);
        for number in 0..2000 {
            vectors.put(number, &encode(&near(&mut random, 0.02)).unwrap());
        }
        for _ in 0..20 {
            let scan = scanned(&vectors, &near(&mut random, 0.3));
            let mut all: Vec<_> = (0..2000).map(|number| (number, vectors.score_of(&scan, number).unwrap())).collect();
            all.sort_by(|one, other| other.1.total_cmp(&one.1).then(other.0.cmp(&one.0)));
            assert_eq!(vectors.top(&scan, 10, None), all[..10]);
        }
    }

    #[test]
    fn a_coarse_score_is_within_its_bound() {
        let mut random = Random::new(6);
        let mut vectors = Vectors::new(100);
        for number in 0..500 {
            let mut vector = random.vector(100);
            vector[7] += random.unit(); // Some rows with one large component, which makes for coarse steps.
            vectors.put(number, &encode(&vector).unwrap());
        }
        for _ in 0..20 {
            let scan = scanned(&vectors, &random.vector(100));
            for slot in 0..500 {
                let exact = vectors.rows.exact(&scan.query, slot);
                assert!((exact - scan.scores[slot]).abs() <= scan.score_error);
            }
        }
    }

    #[test]
    fn of_equal_scores_the_later_number_comes_first() {
        let row = encode(&[0.5, 0.5]).unwrap();
        let mut vectors = Vectors::new(2);
        for number in [4, 9, 1, 7, 3] {
            vectors.put(number, &row);
        }
        let scan = scanned(&vectors, &[1.0, 0.0]);
        let numbers = |k| vectors.top(&scan, k, None).into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(numbers(2), [9, 7]);
        assert_eq!(numbers(usize::MAX), [9, 7, 4, 3, 1]);
    }

    #[test]
    fn only_allowed_numbers_are_found() {
        let mut random = Random::new(7);
        let mut vectors = Vectors::new(16);
        for number in 0..500 {
            vectors.put(number * 3, &encode(&random.vector(16)).unwrap());
        }
        for gone in [30, 33, 300, 1497] {
            assert!(vectors.remove(gone));
        }
        let scan = scanned(&vectors, &random.vector(16));
        let all = vectors.top(&scan, 500, None);
        for share in [1, 2, 50, 1000] {
            let allowed: Vec<i64> = (-5..1600).filter(|_| random.below(share) == 0).collect();
            let expected: Vec<_> = all.iter().filter(|(number, _)| allowed.contains(number)).copied().collect();
            assert_eq!(vectors.top(&scan, 500, Some(&allowed)), expected);
            assert_eq!(vectors.top(&scan, 3, Some(&allowed)), expected[..expected.len().min(3)]);
        }
        assert_eq!(vectors.top(&scan, 3, Some(&[])), []);
        assert_eq!(vectors.top(&scan, 3, Some(&[i64::MIN, 30, 31, i64::MAX])), []);
        assert_eq!(vectors.top(&scan, 3, Some(&[6, 6])).len(), 1);
    }

    #[test]
    fn a_query_without_direction_scores_nothing() {
        let mut vectors = Vectors::new(2);
        vectors.put(1, &encode(&[1.0, 0.0]).unwrap());
        for query in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 0.0]] {
            let scan = scanned(&vectors, &query);
            assert_eq!(vectors.top(&scan, 5, None), [(1, 0.0)]);
            assert_eq!((scan.mean, scan.deviation), (0.0, 0.0));
        }
    }

    #[test]
    fn a_removed_row_is_zeroed_and_can_come_back() {
        let mut vectors = Vectors::new(2);
        for number in 0..8 {
            vectors.put(number, &encode(&[1.0, 0.3]).unwrap());
        }
        assert!(vectors.remove(3) && !vectors.remove(3) && !vectors.remove(99));
        let scan = scanned(&vectors, &[1.0, 0.3]);
        assert_eq!(vectors.rows.exact(&scan.query, 3), 0.0);
        assert_eq!(vectors.score_of(&scan, 3), None);
        assert!((scan.mean - 1.0).abs() < 0.01);

        vectors.put(3, &encode(&[0.0, 1.0]).unwrap());
        assert_eq!(vectors.len(), 8);
        assert!(vectors.score_of(&scanned(&vectors, &[0.0, 1.0]), 3).unwrap() > 0.999);
    }

    #[test]
    #[should_panic = "changed since the scan"]
    fn a_scan_does_not_outlive_a_change() {
        let mut vectors = Vectors::new(1);
        let scan = scanned(&vectors, &[1.0]);
        vectors.put(1, &encode(&[1.0]).unwrap());
        vectors.top(&scan, 1, None);
    }

    #[test]
    fn memory_is_what_the_rows_take() {
        let row = encode(&Random::new(8).vector(384)).unwrap();
        let mut reserved = Vectors::new(384);
        reserved.reserve(1000);
        let mut grown = Vectors::new(384);
        for number in 0..1000 {
            reserved.put(number, &row);
            grown.put(number, &row);
        }
        assert!(reserved.bytes() <= 785 * 1000, "{}", reserved.bytes());
        assert!(grown.bytes() <= 785 * 1000 * 9 / 8, "{}", grown.bytes());

        for number in 0..900 {
            grown.remove(number);
        }
        assert!(grown.bytes() <= 785 * 170, "{}", grown.bytes());
        grown.clear();
        assert!(grown.bytes() < 300 && grown.is_empty());
    }
}
