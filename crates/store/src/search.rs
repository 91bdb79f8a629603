//! Searching: by meaning (vectors) and by words together, exactly, within one space.
//!
//! The score of a memory is `(1 + cosine + weight·words) / (2 + weight)`, from 0 to 1, where `words` is the share of the
//! query's weight in words that the memory has, and `weight` is [`WORDS_WEIGHT`] times the standard deviation of the
//! cosines over the whole space: what a word is worth depends on how far apart the meanings of this space lie. In order of
//! rank this is a z-scored cosine plus a coverage-normalised BM25; without words it is the cosine, moved to 0…1.
//! It does not depend on how many hits are asked for or on the filter, and means nothing beside another query's.

use std::collections::HashMap;

use locule_core::Result;
use locule_core::filter::Filter;
use locule_core::id::SpaceId;
use locule_core::memory::{Hit, ScoreParts};

use crate::memories::mismatch;
use crate::space::Reader;
use crate::state::{Model, State};
use crate::tx::Sql;
use crate::vector::{Scan, Vectors};
use crate::warm::{self, Held};
use crate::words::Words;

/// What having all of the query's words is worth, in standard deviations of the cosine. Picked on `bench/quality`, where 2
/// to 3.5 are alike, less loses the exact codes and more the paraphrases.
pub const WORDS_WEIGHT: f32 = 3.0;

/// Below this many memories the deviation of their cosines says little, and a usual one is taken.
const FEW: usize = 20;
const USUAL_DEVIATION: f32 = 0.1;

/// A search that is ready for the store.
pub struct Find<'a> {
    /// Whose vectors the query's is.
    pub model: &'a Model,
    /// The query as a vector, if it has one.
    pub embedding: Option<&'a [f32]>,
    /// The query's words; none when only the vector counts.
    pub words: &'a [String],
    /// How many hits at most.
    pub limit: usize,
    /// The least score.
    pub threshold: Option<f32>,
    /// The least cosine, where there is a vector.
    pub cosine_min: Option<f32>,
    /// Among which memories.
    pub filter: Option<&'a Filter>,
}

impl Reader<'_> {
    /// The best hits, best first; of equal ones the newer first.
    pub fn search(&self, find: &Find) -> Result<Vec<Hit>> {
        let Some(space) = self.space else { return Ok(Vec::new()) };
        let ranked = self.ranked(space, find, find.limit)?;
        let full = ranked.len() == find.limit;
        let hits = self.hits(ranked, find)?;
        if !full || hits.len() == find.limit {
            return Ok(hits);
        }
        // What has expired still has vectors: that many more are ranked, and the next best take the places.
        let spare = self.expired()? as usize;
        self.hits(self.ranked(space, find, find.limit + spare)?, find)
    }

    /// The best so many, expired ones among them, as far as they are good enough.
    fn ranked(&self, space: SpaceId, find: &Find, count: usize) -> Result<Ranked> {
        let look = |held: &Held, state: &State| {
            let vectors = &held.vectors;
            let Some(own) = &state.model else { return Ok(Vec::new()) };
            if let Some(embedding) = find.embedding
                && (own != find.model || own.dimension != embedding.len())
            {
                return Err(mismatch(own, &Model { id: find.model.id.clone(), dimension: embedding.len() }));
            }
            let allowed = self.allowed(find.filter)?;
            let words = Words::rank(&*self.tx, held.lexicon.as_ref(), find.words, vectors.len() as u64)?;
            Ok(rank(vectors, find, &words, count, allowed.as_deref()))
        };
        // What a writer has added and not yet committed is for its own eyes: it must not get into the cache.
        let mut ranked = if self.writes {
            let state = self.state()?;
            look(&warm::read(&*self.tx, &state)?, &state)?
        } else {
            self.warm().with(space, &*self.tx, look)?
        };
        let good = ranked.iter().take_while(|(_, score, _)| find.threshold.is_none_or(|threshold| *score >= threshold));
        let good = good.count();
        ranked.truncate(good);
        Ok(ranked)
    }

    /// The memories behind what was ranked, without those that have expired.
    fn hits(&self, ranked: Ranked, find: &Find) -> Result<Vec<Hit>> {
        let numbers: Vec<i64> = ranked.iter().map(|(number, ..)| *number).collect();
        let mut memories = self.numbered(&numbers)?;
        let hits = ranked
            .into_iter()
            .filter_map(|(number, score, parts)| memories.remove(&number).map(|memory| Hit { memory, score, parts }));
        Ok(hits.take(find.limit).collect())
    }

    /// The numbers of the memories that match, ascending.
    fn allowed(&self, filter: Option<&Filter>) -> Result<Option<Vec<i64>>> {
        let Some(filter) = filter else { return Ok(None) };
        if let Some(filter) = self.sieve(Some(filter)).own {
            let mut numbers = Vec::new();
            self.each_matching(filter, &mut |_, number| numbers.push(number))?;
            numbers.sort_unstable();
            return Ok(Some(numbers));
        }
        let mut sql = Sql::default();
        sql.push("SELECT number FROM memories WHERE ");
        self.push_visible(&mut sql, Some(filter));
        sql.push(" ORDER BY number");
        self.tx.all(sql.text(), &sql.values(), |row| row.integer(0)).map(Some)
    }
}

type Ranked = Vec<(i64, f32, ScoreParts)>;

fn rank(vectors: &Vectors, find: &Find, words: &Words, count: usize, allowed: Option<&[i64]>) -> Ranked {
    let mut scan = Scan::new();
    let Some(embedding) = find.embedding else {
        let lexical = words.coverage.iter().filter(|(number, _)| is_allowed(allowed, **number));
        return best(
            lexical.map(|(&number, &words)| (number, words, ScoreParts { cosine: 0.0, words })).collect(),
            count,
        );
    };
    vectors.scan(embedding, &mut scan);
    let deviation = if vectors.len() < FEW { USUAL_DEVIATION } else { scan.deviation };
    let weight = if find.words.is_empty() { 0.0 } else { WORDS_WEIGHT * deviation };
    let score = |cosine: f32, words: f32| ((1.0 + cosine + weight * words) / (2.0 + weight)).clamp(0.0, 1.0);

    // A memory is among the best if it is among the nearest, or if it has a word: nothing else can rank above those.
    let mut parts: HashMap<i64, ScoreParts> = vectors
        .top(&scan, count, allowed)
        .into_iter()
        .map(|(number, cosine)| (number, ScoreParts { cosine, words: 0.0 }))
        .collect();
    for (&number, &words) in &words.coverage {
        if !is_allowed(allowed, number) {
            continue;
        }
        match parts.get_mut(&number) {
            Some(parts) => parts.words = words,
            None => {
                let cosine = vectors.score_of(&scan, number).unwrap_or(-1.0);
                parts.insert(number, ScoreParts { cosine, words });
            }
        }
    }
    // Before they are ranked, so that what is no hit takes nobody's place.
    if let Some(least) = find.cosine_min {
        parts.retain(|_, parts| parts.cosine >= least);
    }
    best(parts.into_iter().map(|(number, parts)| (number, score(parts.cosine, parts.words), parts)).collect(), count)
}

fn best(mut ranked: Ranked, count: usize) -> Ranked {
    ranked.sort_unstable_by(|(left, left_score, _), (right, right_score, _)| {
        right_score.total_cmp(left_score).then(right.cmp(left))
    });
    ranked.truncate(count);
    ranked
}

fn is_allowed(allowed: Option<&[i64]>, number: i64) -> bool {
    allowed.is_none_or(|allowed| allowed.binary_search(&number).is_ok())
}
