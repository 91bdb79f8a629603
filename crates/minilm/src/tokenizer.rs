//! Text to word pieces, as BERT's uncased tokenizer does it.
//!
//! Clean, space out CJK, decompose, drop accents, lower-case, split at space and
//! punctuation, then take the longest known piece from the left. All of it runs as
//! one pass that ends with the last token that fits, so a long text costs no more
//! than its beginning.
//!
//! The markers `[CLS]`, `[SEP]` and the like are plain text when they stand in a
//! text: nobody who writes a memory can end it early.

use unicode_normalization::UnicodeNormalization;

use crate::TOKENS_MAX;
use crate::unicode_tables::{FORMAT_OR_PRIVATE, NONSPACING_MARK, PUNCTUATION};

const UNKNOWN: u16 = 100;
const START: u16 = 101;
const END: u16 = 102;

/// A longer word is unknown as a whole.
const WORD_CHARACTERS_MAX: usize = 100;

/// The pieces and a hash table over them, read in place from the packed file.
pub struct Vocabulary {
    /// All pieces, one after the other.
    pub pieces: &'static [u8],
    /// Where each piece ends in `pieces`, u32.
    pub ends: &'static [u8],
    /// An open-addressed table of ids, u16; `EMPTY` where there is none.
    pub slots: &'static [u8],
}

/// FNV-1a over bytes, which gives the hash of every prefix on the way.
#[derive(Clone, Copy)]
struct Hash(u32);

impl Hash {
    const START: Hash = Hash(0x811C_9DC5);

    fn add(self, bytes: &[u8]) -> Hash {
        Hash(bytes.iter().fold(self.0, |state, byte| (state ^ u32::from(*byte)).wrapping_mul(0x0100_0193)))
    }
}

impl Vocabulary {
    pub const SLOTS: usize = 1 << 16;
    const EMPTY: u16 = u16::MAX;

    /// `[CLS]`, the pieces of `text`, `[SEP]`; at most [`TOKENS_MAX`], the end of the text is cut.
    pub fn tokens(&self, text: &str) -> Vec<u16> {
        let mut tokens = Tokens { vocabulary: self, ids: vec![START], word: Word::default() };
        for character in normalised(text) {
            if tokens.ids.len() >= TOKENS_MAX - 1 {
                break;
            }
            if character.is_whitespace() {
                tokens.end_word();
            } else if is_punctuation(character) {
                tokens.end_word();
                tokens.word.push(character);
                tokens.end_word();
            } else {
                tokens.word.push(character);
            }
        }
        tokens.end_word();
        tokens.ids.truncate(TOKENS_MAX - 1);
        tokens.ids.push(END);
        tokens.ids
    }

    /// The id of the piece `prefix` + `rest`, whose hash is at hand.
    fn find(&self, hash: Hash, prefix: &[u8], rest: &[u8]) -> Option<u16> {
        let mut slot = (hash.0 ^ (hash.0 >> 16)) as usize % Self::SLOTS;
        loop {
            let id = u16::from_le_bytes([self.slots[slot * 2], self.slots[slot * 2 + 1]]);
            if id == Self::EMPTY {
                return None;
            }
            if self.piece(id).strip_prefix(prefix) == Some(rest) {
                return Some(id);
            }
            slot = (slot + 1) % Self::SLOTS;
        }
    }

    fn piece(&self, id: u16) -> &'static [u8] {
        let end = |index: usize| u32::from_le_bytes(std::array::from_fn(|byte| self.ends[index * 4 + byte])) as usize;
        let id = usize::from(id);
        let start = if id == 0 { 0 } else { end(id - 1) };
        &self.pieces[start..end(id)]
    }
}

/// A word while it is read. Of one that is too long only the length is kept.
#[derive(Default)]
struct Word {
    text: String,
    characters: usize,
}

impl Word {
    fn push(&mut self, character: char) {
        self.characters += 1;
        if self.characters <= WORD_CHARACTERS_MAX {
            self.text.push(character);
        }
    }
}

struct Tokens<'a> {
    vocabulary: &'a Vocabulary,
    ids: Vec<u16>,
    word: Word,
}

impl Tokens<'_> {
    /// Adds the pieces of the word read so far and starts a new one.
    fn end_word(&mut self) {
        if self.word.characters > WORD_CHARACTERS_MAX {
            self.ids.push(UNKNOWN);
        } else {
            self.add_pieces();
        }
        self.word.text.clear();
        self.word.characters = 0;
    }

    /// A word with a part that no piece begins is unknown as a whole.
    fn add_pieces(&mut self) {
        let word_start = self.ids.len();
        let mut rest = self.word.text.as_str();
        let mut prefix: &[u8] = b"";
        while !rest.is_empty() {
            let Some((id, length)) = self.longest_piece(prefix, rest) else {
                self.ids.truncate(word_start);
                self.ids.push(UNKNOWN);
                return;
            };
            self.ids.push(id);
            rest = &rest[length..];
            prefix = b"##";
        }
    }

    fn longest_piece(&self, prefix: &[u8], rest: &str) -> Option<(u16, usize)> {
        let mut hash = Hash::START.add(prefix);
        let mut hashes = [(Hash::START, 0); WORD_CHARACTERS_MAX];
        let mut count = 0;
        for (start, character) in rest.char_indices() {
            let end = start + character.len_utf8();
            hash = hash.add(&rest.as_bytes()[start..end]);
            hashes[count] = (hash, end);
            count += 1;
        }
        hashes[..count].iter().rev().find_map(|&(hash, end)| {
            let id = self.vocabulary.find(hash, prefix, &rest.as_bytes()[..end])?;
            Some((id, end))
        })
    }
}

/// The text as BERT's uncased models were taught to see it; a space stands round each CJK character.
fn normalised(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|&character| !is_dropped(character))
        .flat_map(|character| {
            let space = is_cjk(character).then_some(' ');
            space.into_iter().chain([character]).chain(space)
        })
        .nfd()
        .filter(|&character| !is_in(NONSPACING_MARK, character))
        .flat_map(char::to_lowercase)
}

/// Tabs and line ends are control characters by category but white space here.
fn is_dropped(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => false,
        '\u{FFFD}' => true,
        _ => character.is_control() || is_in(FORMAT_OR_PRIVATE, character),
    }
}

fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation() || is_in(PUNCTUATION, character)
}

/// The blocks the upstream tokenizer knows, its gaps included.
fn is_cjk(character: char) -> bool {
    matches!(
        u32::from(character),
        0x3400..=0x4DBF
            | 0x4E00..=0x9FFF
            | 0xF900..=0xFAFF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0x2F800..=0x2FA1F
    )
}

fn is_in(ranges: &[(u32, u32)], character: char) -> bool {
    let code_point = u32::from(character);
    let after = ranges.partition_point(|&(first, _)| first <= code_point);
    after > 0 && code_point <= ranges[after - 1].1
}

#[cfg(test)]
#[cfg(feature = "weights")]
mod tests {
    use super::*;
    use crate::weights::Weights;

    fn vocabulary() -> Vocabulary {
        Weights::read(crate::embedded::FILE.unwrap()).unwrap().0
    }

    /// `\u{..}` to the character, as `tools/golden.py` writes it.
    fn unescaped(text: &str) -> String {
        let mut parts = text.split("\\u{");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (code_point, rest) = part.split_once('}').unwrap();
            plain.push(char::from_u32(u32::from_str_radix(code_point, 16).unwrap()).unwrap());
            plain.push_str(rest);
        }
        plain
    }

    #[test]
    fn tokens_are_those_of_the_upstream_tokenizer() {
        let vocabulary = vocabulary();
        let table = include_str!("../tests/golden/tokens.tsv");
        assert_eq!(table.split_terminator('\n').count(), 300);
        for line in table.split_terminator('\n') {
            let (text, ids) = line.split_once('\t').unwrap();
            let ids: Vec<u16> = ids.split(' ').map(|id| id.parse().unwrap()).collect();
            assert_eq!(vocabulary.tokens(&unescaped(text)), ids, "{text}");
        }
    }

    #[test]
    fn a_marker_in_a_text_is_plain_text() {
        let tokens = vocabulary().tokens("so [SEP] it [PAD] goes [MASK]");
        assert!(tokens[1..tokens.len() - 1].iter().all(|id| ![0, START, END, 103].contains(id)));
        assert_eq!(tokens, vocabulary().tokens("so [ sep ] it [ pad ] goes [ mask ]"));
    }

    #[test]
    fn no_text_has_more_tokens_than_the_model_takes() {
        let vocabulary = vocabulary();
        for text in
            ["word ".repeat(10_000), "unbelievably".repeat(8).repeat(99), ".".repeat(100_000), "中".repeat(9999)]
        {
            let tokens = vocabulary.tokens(&text);
            assert!(tokens.len() <= TOKENS_MAX);
            assert_eq!((tokens[0], tokens[tokens.len() - 1]), (START, END));
        }
    }

    #[test]
    fn every_piece_is_found() {
        let vocabulary = vocabulary();
        for id in 0..30_522 {
            let piece = vocabulary.piece(id);
            assert_eq!(vocabulary.find(Hash::START.add(piece), b"", piece), Some(id));
        }
        assert_eq!(vocabulary.find(Hash::START.add(b"no such piece"), b"", b"no such piece"), None);
    }
}
