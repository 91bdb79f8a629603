//! What is printed: data on standard output, words on standard error, nothing by colour alone.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::failure::Outcome;

/// Puts a line of data on standard output.
pub fn data(line: &str) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The same as JSON, for people's eyes too.
pub fn json(value: &impl serde::Serialize) -> Outcome {
    data(&serde_json::to_string_pretty(value).map_err(io::Error::from)?)
}

/// Says something to whoever watches. Nobody may be there to hear it, and that is no reason to stop.
pub fn say(words: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", words.as_ref());
}

/// A list that is printed as it is read: a JSON array, or lines under a heading.
pub struct List {
    json: bool,
    count: u64,
}

impl List {
    pub fn new(json: bool, heading: &str) -> Result<Self, super::Failure> {
        let mut out = io::stdout().lock();
        if json {
            write!(out, "[")?;
        } else {
            writeln!(out, "{heading}")?;
        }
        Ok(List { json, count: 0 })
    }

    /// One more, in the form that was asked for.
    pub fn item(&mut self, object: impl FnOnce() -> serde_json::Value, line: impl FnOnce() -> String) -> Outcome {
        let mut out = io::stdout().lock();
        if self.json {
            write!(out, "{}\n  {}", if self.count == 0 { "" } else { "," }, object())?;
        } else {
            writeln!(out, "{}", line())?;
        }
        self.count += 1;
        Ok(())
    }

    pub fn end(self) -> Outcome {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}]", if self.count == 0 { "" } else { "\n" })?;
        }
        Ok(out.flush()?)
    }
}

/// A name that somebody else has chosen, so that it cannot change what a terminal shows around it.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(meddles) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if meddles(character) {
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Controls, and characters without width that turn the direction of writing.
fn meddles(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A moment to the second.
pub fn moment(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Bytes as people read them.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_change_what_stands_around_it() {
        assert_eq!(shown("Ålice 1"), "Ålice 1");
        assert_eq!(shown("a\u{202e}b\u{1b}[2J"), "a\\u{202e}b\\u{1b}[2J");
    }
}
