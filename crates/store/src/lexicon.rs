//! The words of a space in memory, where the database keeps no index of them: which memories have which, ranked by BM25
//! (Robertson and Zaragoza 2009; k1 1.2, b 0.75) as FTS5 computes it.

use std::collections::HashMap;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Longer ones are no words of a language.
const STEMMED_BYTES: usize = 64;

/// The words of a space.
#[derive(Default)]
pub struct Lexicon {
    /// Which memories have a word, and how often.
    postings: HashMap<String, HashMap<i64, u32>>,
    texts: HashMap<i64, Text>,
    /// The words of all texts together.
    words: u64,
}

/// What must be known of a text to take it out again.
struct Text {
    length: u32,
    distinct: Vec<String>,
}

impl Lexicon {
    /// Takes a text in, in place of the one that had this number.
    pub fn put(&mut self, number: i64, text: &str) {
        self.remove(number);
        let mut distinct = Vec::new();
        let mut length = 0;
        for word in words(text) {
            length += 1;
            let places = self.postings.entry(word.clone()).or_default();
            let count = places.entry(number).or_insert(0);
            if *count == 0 {
                distinct.push(word);
            }
            *count += 1;
        }
        self.words += u64::from(length);
        self.texts.insert(number, Text { length, distinct });
    }

    /// Takes a text out.
    pub fn remove(&mut self, number: i64) {
        let Some(text) = self.texts.remove(&number) else { return };
        self.words -= u64::from(text.length);
        for word in text.distinct {
            if let Some(places) = self.postings.get_mut(&word) {
                places.remove(&number);
                if places.is_empty() {
                    self.postings.remove(&word);
                }
            }
        }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        *self = Lexicon::default();
    }

    /// How many memories have this word of a query.
    pub fn count(&self, word: &str) -> u64 {
        words(word).map(|word| self.postings.get(&word).map_or(0, HashMap::len) as u64).min().unwrap_or(0)
    }

    /// Every memory that has one of these words, with its BM25, larger being better.
    pub fn rank(&self, asked: &[String], each: &mut dyn FnMut(i64, f32)) {
        let mean = (self.words as f64 / self.texts.len().max(1) as f64).max(1.0);
        let mut ranks: HashMap<i64, f64> = HashMap::new();
        for word in asked.iter().flat_map(|word| words(word)) {
            let Some(places) = self.postings.get(&word) else { continue };
            let weight = crate::words::weight(self.texts.len() as u64, places.len() as u64);
            for (number, count) in places {
                let count = f64::from(*count);
                let length = f64::from(self.texts.get(number).map_or(0, |text| text.length));
                let rank = weight * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean));
                *ranks.entry(*number).or_default() += rank;
            }
        }
        ranks.into_iter().for_each(|(number, rank)| each(number, rank as f32));
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        const EACH_WORD: usize = 96;
        const EACH_TEXT: usize = 64;
        const EACH_PLACE: usize = 48;
        let places: usize = self.texts.values().map(|text| text.distinct.len()).sum();
        self.postings.len() * EACH_WORD + self.texts.len() * EACH_TEXT + places * EACH_PLACE
    }
}

/// The words of a text, without marks and endings.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let stemmer = Stemmer::create(Algorithm::English);
    text.split(|character: char| !character.is_alphanumeric() && !is_combining_mark(character))
        .filter(|word| !word.is_empty())
        .map(move |word| {
            let plain = word.to_lowercase();
            let plain: String =
                if plain.is_ascii() { plain } else { plain.nfd().filter(|mark| !is_combining_mark(*mark)).collect() };
            if plain.is_ascii() && plain.len() <= STEMMED_BYTES { stemmer.stem(&plain).into_owned() } else { plain }
        })
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(lexicon: &Lexicon, words: &[&str]) -> Vec<i64> {
        let mut found = Vec::new();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        lexicon.rank(&words, &mut |number, rank| found.push((number, rank)));
        found.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        found.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn words_are_found_whatever_their_endings_and_marks() {
        let mut lexicon = Lexicon::default();
        lexicon.put(1, "Allergies to peanuts");
        lexicon.put(2, "The café is closed");
        lexicon.put(3, "peanut peanut peanut butter");
        lexicon.put(4, "Nothing of the kind, and a longer text besides, about peanuts");
        assert_eq!(ranked(&lexicon, &["peanut"]), [3, 1, 4]);
        assert_eq!(ranked(&lexicon, &["cafe"]), [2]);
        assert_eq!((lexicon.count("PEANUTS"), lexicon.count("allergy"), lexicon.count("tea")), (3, 1, 0));
    }

    #[test]
    fn what_was_taken_out_leaves_nothing() {
        let mut lexicon = Lexicon::default();
        lexicon.put(1, "one two two");
        lexicon.put(1, "three");
        assert_eq!(lexicon.count("two"), 0);
        lexicon.remove(1);
        assert_eq!((lexicon.postings.len(), lexicon.texts.len(), lexicon.words), (0, 0, 0));
    }
}
