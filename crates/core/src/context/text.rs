//! Texts of the mesh: names and JSON values, kept as JSON text with everything beyond ASCII escaped. So what JSON can say comes
//! out as it went in, in every database: U+0000, halves of surrogate pairs and whole numbers of any size.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{Error, Result, limit};

/// The name of an entry (its key), of an agent or of a topic: any text, the empty one included. Two are the same if they are the
/// same UTF-16 code units; nothing is folded, trimmed or normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name that a text is.
    pub fn of(text: &str) -> Self {
        Name(escaped(text.encode_utf16()))
    }

    /// The name that a JSON string is, quotes included.
    pub fn from_json(json: &str) -> Result<Self> {
        let invalid = || Error::invalid("A key, an agent and a topic are each a JSON string.");
        let json = json.trim_ascii();
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(invalid)?;
        if is_plain(inner) {
            return Ok(Name(inner.to_owned()));
        }
        serde_json::from_str::<IgnoredAny>(json).map_err(|_| invalid())?;
        Ok(Name(escaped(units(inner).into_iter())))
    }

    /// As a JSON string in ASCII, quotes included.
    pub fn json(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// As a text, if it is one: halves of surrogate pairs are not.
    pub fn text(&self) -> Option<String> {
        serde_json::from_str(&self.json()).ok()
    }

    /// How many bytes it takes.
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }

    /// What finds it in an index, however long it is.
    pub fn hash(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.0.as_bytes())[..])
    }
}

/// As people read it.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text().unwrap_or_else(|| self.0.clone()))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name::of(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_plain(&self.0) { serializer.serialize_str(&self.0) } else { raw(&self.json(), serializer) }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Name::from_json(Box::<RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)
    }
}

/// A JSON value, as its text in ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Json(String);

impl Json {
    /// The value that a text is, if it is JSON. Numbers stay as they are written; `NaN` and infinities are not JSON.
    pub fn of(text: &str) -> Result<Self> {
        limit::CONTEXT_VALUE_BYTES.check(text.len())?;
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| Error::invalid(format!("A value of the context is JSON: {error}.")))?;
        let json = Json(plain(text)?);
        limit::CONTEXT_VALUE_BYTES.check(json.0.len())?;
        Ok(json)
    }

    /// The value that a database has kept of one, whoever may have written over it there.
    pub fn kept(text: &str) -> Result<Self> {
        if !text.is_ascii() {
            return Json::of(text);
        }
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| Error::invalid(format!("This is no JSON: {error}.")))?;
        Ok(Json(text.to_owned()))
    }

    /// What was put together of such texts, however long it has become.
    pub fn answer(text: String) -> Result<Self> {
        serde_json::from_str::<IgnoredAny>(&text).map_err(Error::internal)?;
        Ok(Json(text))
    }

    /// Its text: ASCII, without blanks between its parts.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text itself.
    pub fn into_text(self) -> String {
        self.0
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// The list with one more item at its end; a conflict if it is no list.
    pub fn appended(&self, item: &Json) -> Result<Json> {
        let Some(items) = self.0.strip_suffix(']') else {
            return Err(Error::new(
                crate::Code::Conflict,
                "This entry's value is no list, so nothing can be appended to it.",
            ));
        };
        let comma = if items == "[" { "" } else { "," };
        let longer = Json(format!("{items}{comma}{}]", item.0));
        limit::CONTEXT_VALUE_BYTES.check(longer.0.len())?;
        Ok(longer)
    }

    /// A list of one item.
    pub fn list_of(item: &Json) -> Json {
        Json(format!("[{}]", item.0))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json::of(Box::<RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)
    }
}

/// Writes JSON text as it is.
fn raw<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<&RawValue>(json).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Whether what stands between the quotes of a JSON string stands for itself, and is as it would be written here.
fn is_plain(inner: &str) -> bool {
    inner.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\')
}

/// A valid JSON text without blanks between its parts and with everything beyond ASCII escaped.
fn plain(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escapes, mut depth) = (false, false, 0_usize);
    for char in text.chars() {
        match char {
            _ if quoted && escapes => escapes = false,
            '\\' if quoted => escapes = true,
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ' ' | '\t' | '\n' | '\r' if !quoted => continue,
            _ => {}
        }
        limit::CONTEXT_DEPTH.check(depth)?;
        if char.is_ascii() && char != '\x7f' {
            out.push(char);
        } else {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Ok(out)
}

/// The code units of what stands between the quotes of a valid JSON string.
fn units(inner: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(char) = rest.next() {
        let char = match char {
            '\\' => match rest.next() {
                Some('u') => {
                    let digits: String = rest.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap_or_default());
                    continue;
                }
                Some('b') => '\x08',
                Some('f') => '\x0c',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(itself) => itself,
                None => continue,
            },
            itself => itself,
        };
        units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
    }
    units
}

/// Code units as they stand in a JSON string in ASCII: each in one way only.
fn escaped(units: impl Iterator<Item = u16>) -> String {
    let mut out = String::new();
    for unit in units {
        match unit {
            0x22 => out.push_str("\\\""),
            0x5c => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            0x0a => out.push_str("\\n"),
            0x0d => out.push_str("\\r"),
            0x09 => out.push_str("\\t"),
            0x20..=0x7e => out.push(char::from(unit as u8)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_however_it_was_written() {
        assert_eq!(Name::of("é/\0"), Name::from_json(r#""\u00E9\/\u0000""#).unwrap());
        assert_eq!(Name::of("é/\0").json(), r#""\u00e9/\u0000""#);
        assert_eq!(Name::of("😀").text().as_deref(), Some("😀"));
        let half = Name::from_json(r#""\ud83d""#).unwrap();
        assert_eq!((half.text(), half.json().as_str()), (None, r#""\ud83d""#));
        assert_eq!(serde_json::to_string(&half).unwrap(), r#""\ud83d""#);
        assert_eq!(serde_json::from_str::<Name>(r#""\uD83D""#).unwrap(), half);
        for bad in ["", "a", "\"", "\"\"\"", "1", "null", r#""a"b""#, "\"a\nb\""] {
            assert!(Name::from_json(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_keeps_what_json_can_say() {
        for (given, kept) in [
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            (" { \"a b\" : [ 1.50 , \"\\\" é\" ] } ", r#"{"a b":[1.50,"\" \u00e9"]}"#),
            ("\"😀\\ud83d\\u0000\"", r#""\ud83d\ude00\ud83d\u0000""#),
            ("\"\"", "\"\""),
        ] {
            let json = Json::of(given).unwrap();
            assert_eq!(json.text(), kept);
            assert_eq!(serde_json::to_string(&json).unwrap(), kept);
            assert_eq!(serde_json::from_str::<Json>(given).unwrap(), json);
        }
        for bad in ["", "NaN", "Infinity", "-", "{1:2}", "[1,]", "1 2", "'a'", "\"\u{1}\""] {
            assert!(Json::of(bad).is_err(), "{bad:?}");
        }
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::of(&deep(limit::CONTEXT_DEPTH.max)).is_ok());
        assert!(Json::of(&deep(limit::CONTEXT_DEPTH.max + 1)).is_err());
    }

    #[test]
    fn only_a_list_is_appended_to() {
        let item = Json::of("{\"a\":1}").unwrap();
        let one = Json::of("[]").unwrap().appended(&item).unwrap();
        assert_eq!(one, Json::list_of(&item));
        assert_eq!(one.appended(&item).unwrap().text(), r#"[{"a":1},{"a":1}]"#);
        assert!(Json::of("\"]\"").unwrap().appended(&item).is_err());
        assert!(Json::of("{}").unwrap().appended(&item).is_err());
    }
}
