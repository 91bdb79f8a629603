//! Where a space is kept, as one word that the directory keeps and this crate does not read into.

use std::fmt;

use crate::{Error, Result};

/// How long the word may be: a layout, and the name of a cluster behind a colon.
const BYTES: usize = 39;

/// One of the places where an installation keeps spaces.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    bytes: [u8; BYTES],
    length: u8,
}

impl Place {
    /// The word.
    pub fn as_str(&self) -> &str {
        // Made of a text, byte for byte.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl TryFrom<&str> for Place {
    type Error = Error;

    fn try_from(word: &str) -> Result<Self> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b':');
        if word.is_empty() || word.len() > BYTES || !word.bytes().all(fits) {
            return Err(Error::invalid(
                "A place is 1 to 39 lower-case letters, digits, dashes, underscores and colons.",
            ));
        }
        let mut bytes = [0; BYTES];
        bytes[..word.len()].copy_from_slice(word.as_bytes());
        Ok(Place { bytes, length: word.len() as u8 })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_word_it_was_made_of() {
        for word in ["file", "rls:berlin-2", &"x".repeat(BYTES)] {
            assert_eq!(Place::try_from(word).map(|place| place.as_str().to_owned()).ok().as_deref(), Some(word));
        }
        for bad in ["", "File", "a b", "ü", &"x".repeat(BYTES + 1)] {
            assert!(Place::try_from(bad).is_err(), "{bad}");
        }
    }
}
