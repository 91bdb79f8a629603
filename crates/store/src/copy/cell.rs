//! One value of a row, whatever database it comes from, and its bytes: in a copy on disk, and in a digest.

use jiff::Timestamp;
use locule_core::{Error, Result};

use super::tables::Kind;
use crate::error::corrupt;
use crate::tx::{Row, Value};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    Id([u8; 16]),
    Moment(Timestamp),
    Json(String),
    Texts(Vec<String>),
}

impl Cell {
    /// The value of this kind in a row's column.
    pub fn read(row: &dyn Row, column: usize, kind: Kind) -> Result<Self> {
        if row.is_null(column) {
            return Ok(Cell::Null);
        }
        Ok(match kind {
            Kind::Integer => Cell::Integer(row.integer(column)?),
            Kind::Real => Cell::Real(row.real(column)?),
            Kind::Text => Cell::Text(row.text(column)?.to_owned()),
            Kind::Blob => Cell::Blob(row.blob(column)?.to_vec()),
            Kind::Id => Cell::Id(row.id(column)?),
            Kind::Moment => Cell::Moment(row.moment(column)?),
            Kind::Json => Cell::Json(row.json(column)?.to_owned()),
            Kind::Texts => Cell::Texts(row.texts(column)?),
        })
    }

    /// As it goes into a statement.
    pub fn value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Integer(integer) => Value::Integer(*integer),
            Cell::Real(real) => Value::Real(*real),
            Cell::Text(text) => Value::Text(text),
            Cell::Blob(bytes) => Value::Blob(bytes),
            Cell::Id(id) => Value::Id(id),
            Cell::Moment(moment) => Value::Moment(*moment),
            Cell::Json(json) => Value::Json(json),
            Cell::Texts(texts) => Value::Texts(texts),
        }
    }

    /// Its bytes: a letter for what it is, and what it is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Cell::Null => out.push(b'n'),
            Cell::Integer(integer) => number(out, b'i', *integer),
            Cell::Real(real) => number(out, b'r', real.to_bits() as i64),
            Cell::Text(text) => bytes(out, b't', text.as_bytes()),
            Cell::Blob(blob) => bytes(out, b'b', blob),
            Cell::Id(id) => bytes(out, b'u', id),
            Cell::Moment(moment) => number(out, b'm', moment.as_microsecond()),
            Cell::Json(json) => bytes(out, b'j', json.as_bytes()),
            Cell::Texts(texts) => {
                number(out, b'l', texts.len() as i64);
                texts.iter().for_each(|text| bytes(out, b't', text.as_bytes()));
            }
        }
    }

    /// What [`Cell::encode`] made; `input` is moved past it.
    pub fn decode(input: &mut &[u8]) -> Result<Self> {
        let letter = take(input, 1)?[0];
        Ok(match letter {
            b'n' => Cell::Null,
            b'i' => Cell::Integer(take_number(input)?),
            b'r' => Cell::Real(f64::from_bits(take_number(input)? as u64)),
            b't' => Cell::Text(take_text(input)?),
            b'b' => Cell::Blob(take_bytes(input)?.to_vec()),
            b'u' => Cell::Id(take_bytes(input)?.try_into().map_err(|_| cut())?),
            b'm' => Cell::Moment(Timestamp::from_microsecond(take_number(input)?).map_err(corrupt)?),
            b'j' => Cell::Json(take_text(input)?),
            b'l' => {
                let count = take_number(input)?;
                let text = |_| match take(input, 1)? {
                    b"t" => take_text(input),
                    _ => Err(cut()),
                };
                Cell::Texts((0..count).map(text).collect::<Result<_>>()?)
            }
            _ => return Err(cut()),
        })
    }

    /// The same value in the one form that all databases have for it: of a JSON, the numbers as short as can be and the
    /// members in the order of their names.
    pub fn canonical(&self) -> Result<Cell> {
        match self {
            Cell::Json(json) => {
                let value = serde_json::from_str(json).map_err(corrupt)?;
                let mut text = String::with_capacity(json.len());
                write_json(&value, &mut text);
                Ok(Cell::Json(text))
            }
            // A strength is kept in hundredths, in one database as a decimal number.
            Cell::Real(real) => Ok(Cell::Integer((real * 100.0).round() as i64)),
            other => Ok(other.clone()),
        }
    }
}

fn write_json(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => match whole(float) {
                Some(whole) => out.push_str(&whole.to_string()),
                None => out.push_str(&number.to_string()),
            },
            _ => out.push_str(&number.to_string()),
        },
        serde_json::Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json(item, out);
            }
            out.push(']');
        }
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                out.push(':');
                write_json(member, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The whole number that a float is, if it is one that a whole number of 64 bits can be.
fn whole(float: f64) -> Option<i128> {
    (float.fract() == 0.0 && float.abs() < 18_446_744_073_709_551_616.0).then_some(float as i128)
}

fn number(out: &mut Vec<u8>, letter: u8, number: i64) {
    out.push(letter);
    out.extend(number.to_be_bytes());
}

fn bytes(out: &mut Vec<u8>, letter: u8, bytes: &[u8]) {
    number(out, letter, bytes.len() as i64);
    out.extend(bytes);
}

pub(super) fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(count).ok_or_else(cut)?;
    *input = rest;
    Ok(taken)
}

pub(super) fn take_number(input: &mut &[u8]) -> Result<i64> {
    Ok(i64::from_be_bytes(take(input, 8)?.try_into().map_err(|_| cut())?))
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = take_number(input)?;
    take(input, usize::try_from(length).map_err(|_| cut())?)
}

fn take_text(input: &mut &[u8]) -> Result<String> {
    String::from_utf8(take_bytes(input)?.to_vec()).map_err(corrupt)
}

fn cut() -> Error {
    corrupt("a copy of a row that does not read as one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_after_its_bytes() {
        let cells = [
            Cell::Null,
            Cell::Integer(i64::MIN),
            Cell::Real(-0.25),
            Cell::Text("Ünï\u{1f95c}".to_owned()),
            Cell::Blob(vec![0, 255]),
            Cell::Id([7; 16]),
            Cell::Moment(Timestamp::UNIX_EPOCH),
            Cell::Json("{}".to_owned()),
            Cell::Texts(vec![String::new(), "b".to_owned()]),
        ];
        let mut bytes = Vec::new();
        cells.iter().for_each(|cell| cell.encode(&mut bytes));
        let mut input = &bytes[..];
        for cell in &cells {
            assert_eq!(&Cell::decode(&mut input).unwrap(), cell);
        }
        assert!(input.is_empty());
        for end in 0..bytes.len() {
            let mut input = &bytes[..end];
            while let Ok(cell) = Cell::decode(&mut input) {
                assert!(cells.contains(&cell));
            }
        }
    }

    #[test]
    fn what_databases_write_differently_is_one() {
        let canonical = |json: &str| Cell::Json(json.to_owned()).canonical().unwrap();
        for (one, other) in [
            (r#"{"b":1.0,"a":[1e16,null]}"#, r#"{"a": [10000000000000000, null], "b": 1}"#),
            (r#"{"x":-0.0,"y":1e30}"#, r#"{"y": 1000000000000000000000000000000, "x": 0}"#),
            (r#"{"a":0.1,"é":"\u00e9"}"#, r#"{"a": 0.1, "é": "é"}"#),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
        assert_ne!(canonical(r#"{"a":0.1}"#), canonical(r#"{"a":0.2}"#));
        assert_ne!(canonical(r#"{"a":"1"}"#), canonical(r#"{"a":1}"#));
    }
}
