//! Reading records out of a JSON file, one at a time, however many there are: a list, an object that has the list under
//! `results` or `memories`, or one record to a line. Nothing here knows what a record is.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufReader, Read};

use locule::Error;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::cmd::user::reader::{Allowance, Metered};

/// What the list of an export is called.
const LISTS: [&str; 2] = ["results", "memories"];

/// Shows each record with its number, from 1 on, until `take` fails. Never holds more than one.
pub fn read<E: From<Error>>(reader: impl Read, take: &mut dyn FnMut(u64, Value) -> Result<(), E>) -> Result<u64, E> {
    let allowance = Allowance::default();
    let metered = Metered::new(BufReader::with_capacity(1 << 16, reader), allowance.clone());
    let mut json = serde_json::Deserializer::from_reader(metered);
    let mut failed = None;
    let mut each = |number, record| take(number, record).map_err(|error| failed = Some(error)).is_ok();
    let sink = RefCell::new(Sink { each: &mut each, count: 0 });
    let read = loop {
        allowance.renew();
        // A file may hold one value, or one to a line; after the last there are blanks at most.
        if json.end().is_ok() {
            break Ok(());
        }
        if let Err(error) = (Top { sink: &sink, allowance: &allowance }).deserialize(&mut json) {
            break Err(error);
        }
    };
    let count = sink.borrow().count;
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(count),
        (None, Err(error)) => Err(Error::invalid(format!(
            "After {count} records: {error}. An export is a JSON list of memories, an object with the list under `results`, \
             or one memory to a line."
        ))
        .into()),
    }
}

struct Sink<'a> {
    /// Says whether it goes on.
    each: &'a mut dyn FnMut(u64, Value) -> bool,
    count: u64,
}

impl Sink<'_> {
    fn put<E: serde::de::Error>(&mut self, record: Value) -> Result<(), E> {
        self.count += 1;
        if (self.each)(self.count, record) { Ok(()) } else { Err(E::custom("nobody takes more")) }
    }
}

/// A value at the top of the file.
#[derive(Clone, Copy)]
struct Top<'a, 'b> {
    sink: &'a RefCell<Sink<'b>>,
    allowance: &'a Allowance,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an export, a memory or a list of memories")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.allowance.renew();
        while let Some(record) = items.next_element::<Value>()? {
            self.sink.borrow_mut().put(record)?;
            self.allowance.renew();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut fields = Map::new();
        let mut is_list = false;
        while let Some(key) = map.next_key::<String>()? {
            if LISTS.contains(&&*key) {
                if is_list {
                    return Err(A::Error::custom("there are two lists in one object"));
                }
                map.next_value_seed(List(self))?;
                is_list = true;
            } else {
                fields.insert(key, map.next_value()?);
            }
        }
        if is_list { Ok(()) } else { self.sink.borrow_mut().put(Value::Object(fields)) }
    }
}

/// A list of records.
struct List<'a, 'b>(Top<'a, 'b>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(json: &str) -> Result<Vec<(u64, String)>, Error> {
        let mut found = Vec::new();
        let count = read(json.as_bytes(), &mut |number, record| {
            found.push((number, record["memory"].as_str().unwrap_or("-").to_owned()));
            Ok::<_, Error>(())
        })?;
        assert_eq!(count, found.len() as u64);
        Ok(found)
    }

    #[test]
    fn a_list_an_export_and_lines_read_alike() {
        let expected = vec![(1, "a".to_owned()), (2, "b".to_owned())];
        for json in [
            r#"[{"memory":"a"},{"memory":"b"}]"#,
            r#"{"count":2,"next":null,"results":[{"memory":"a"},{"memory":"b"}],"previous":null}"#,
            r#"{"memories":[{"memory":"a"},{"memory":"b"}]}"#,
            "{\"memory\":\"a\"}\n\n{\"memory\":\"b\"}\n",
            "{\"results\":[{\"memory\":\"a\"}]}\n{\"results\":[{\"memory\":\"b\"}]}",
        ] {
            assert_eq!(texts(json).unwrap(), expected, "{json}");
        }
        assert_eq!(texts("[]").unwrap(), vec![]);
    }

    #[test]
    fn what_does_not_read_says_where() {
        for (json, words) in [
            ("5", "After 0 records"),
            ("[{\"memory\":\"a\"},", "After 1 records"),
            ("{\"results\":5}", "After 0 records"),
            ("[] x", "line 1 column 4"),
        ] {
            let error = texts(json).unwrap_err();
            assert!(error.detail().contains(words), "{json}: {error}");
        }
    }
}
