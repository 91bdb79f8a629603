//! What was answered, so that it can be compared.

use std::collections::BTreeMap;
use std::fmt::Debug;

use locule_core::Result;

/// What was answered, with the ids of objects numbered as they first appear: they are another each time.
#[derive(Default)]
pub struct Answers {
    pub all: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Answers {
    pub fn note<T: Debug>(&mut self, when: &str, answer: &Result<T>) {
        let said = match answer {
            Ok(answer) => format!("{answer:?}"),
            Err(error) => format!("{} {}", error.code().as_str(), error.detail()),
        };
        let mut line = format!("{when}: ");
        let is_of_id = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
        // Between what can be no part of an id.
        for part in said.split_inclusive(|letter| !is_of_id(letter)) {
            let word = part.trim_end_matches(|letter| !is_of_id(letter));
            if word.len() == 36 {
                let count = self.numbers.len();
                let number = *self.numbers.entry(word.to_owned()).or_insert(count);
                line.push_str(&format!("#{number}{}", &part[word.len()..]));
            } else {
                line.push_str(part);
            }
        }
        self.all.push(line);
    }
}
