//! Reading memories out of JSON, one at a time, however many there are: an export, an array, or one memory to a line.
//! Relationships, what was said of memories, the context of agents, and settings come with an export only, after its memories.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use locule::{EXPORT_FORMAT, Error, Exported, Imported, limit};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The model that makes vectors here.
pub struct Ours {
    /// Its name.
    pub model: String,
    /// How many numbers its vectors have.
    pub dimension: usize,
}

/// Reads memories and relationships and hands each to `take`, until it wants no more. Never holds more than one.
pub fn read(reader: impl Read, ours: &Ours, take: &mut dyn FnMut(Imported) -> bool) -> Result<(), Error> {
    let allowance = Allowance::default();
    let metered = Metered::new(BufReader::with_capacity(1 << 16, reader), allowance.clone());
    let mut json = serde_json::Deserializer::from_reader(metered);
    let sink = RefCell::new(Sink { take, count: 0, had_enough: false });
    loop {
        allowance.renew();
        // A file may hold one value, or one to a line; after the last there are blanks at most.
        if json.end().is_ok() {
            return Ok(());
        }
        let read = Top { sink: &sink, ours, allowance: &allowance }.deserialize(&mut json);
        let sink = sink.borrow();
        match read {
            _ if sink.had_enough => return Ok(()),
            Ok(()) => {}
            Err(error) => return Err(refusal(sink.count, &error)),
        }
    }
}

fn refusal(count: u64, error: &serde_json::Error) -> Error {
    let place = if count == 0 { "Nothing was read".to_owned() } else { format!("After {count} memories") };
    Error::invalid(format!(
        "{place}: {error}. An import is what `locule user export` writes, a JSON array of memories, or one memory to a line."
    ))
}

/// Where they go.
struct Sink<'a> {
    take: &'a mut dyn FnMut(Imported) -> bool,
    /// How many memories went there.
    count: u64,
    had_enough: bool,
}

impl Sink<'_> {
    fn put<E: serde::de::Error>(&mut self, thing: Imported) -> Result<(), E> {
        self.count += u64::from(matches!(thing, Imported::Memory(_)));
        self.had_enough = !(self.take)(thing);
        if self.had_enough { Err(E::custom("nobody takes more")) } else { Ok(()) }
    }
}

/// How many bytes may still be read before the next memory begins.
#[derive(Clone)]
pub struct Allowance(Rc<Cell<usize>>);

impl Default for Allowance {
    fn default() -> Self {
        Allowance(Rc::new(Cell::new(limit::IMPORT_LINE_BYTES.max)))
    }
}

impl Allowance {
    /// The next one begins.
    pub fn renew(&self) {
        self.0.set(limit::IMPORT_LINE_BYTES.max);
    }
}

/// A reader that stops at a memory without end, before it fills ours.
pub struct Metered<R> {
    inner: R,
    allowance: Allowance,
}

impl<R> Metered<R> {
    /// Reads from `inner` for as long as the allowance lasts.
    pub fn new(inner: R, allowance: Allowance) -> Self {
        Metered { inner, allowance }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.allowance.0.get().checked_sub(count).ok_or_else(|| {
            io::Error::other(format!("one memory is longer than {} bytes", limit::IMPORT_LINE_BYTES.max))
        })?;
        self.allowance.0.set(left);
        Ok(count)
    }
}

/// What comes after the memories of an export.
const AFTER: [&str; 5] = ["relationships", "feedback", "agents", "context", "settings"];

/// A value at the top of the file: an export, one memory, or an array of memories.
#[derive(Clone, Copy)]
struct Top<'a, 'b> {
    sink: &'a RefCell<Sink<'b>>,
    ours: &'a Ours,
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
        f.write_str("an export, a memory or an array of memories")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        List { top: self, keep_vectors: true }.visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut fields = Map::new();
        let mut is_export = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "memories" {
                if let Some(early) = AFTER.iter().find(|name| fields.contains_key(**name)) {
                    return Err(A::Error::custom(format!(
                        "`{early}` stands before `memories`, and must stand after it"
                    )));
                }
                let keep_vectors = self.head(&fields)?;
                map.next_value_seed(List { top: self, keep_vectors })?;
                is_export = true;
            } else if is_export && key == "relationships" {
                map.next_value_seed(self.things("relationships", Imported::Relationship))?;
            } else if is_export && key == "feedback" {
                map.next_value_seed(self.things("what was said of memories", Imported::Feedback))?;
            } else if is_export && key == "agents" {
                map.next_value_seed(self.things("agents", Imported::Agent))?;
            } else if is_export && key == "context" {
                map.next_value_seed(self.things("entries", |entry| Imported::Entry(Box::new(entry))))?;
            } else if is_export && key == "settings" {
                self.allowance.renew();
                self.sink.borrow_mut().put(Imported::Settings(map.next_value()?))?;
            } else if is_export && ["format", "model", "dimension"].contains(&&*key) {
                // By now vectors have been taken for what this would say otherwise.
                return Err(A::Error::custom(format!("`{key}` stands after `memories`, and must stand before it")));
            } else {
                fields.insert(key, map.next_value()?);
            }
        }
        if is_export {
            return Ok(());
        }
        let memory = serde_json::from_value(Value::Object(fields)).map_err(A::Error::custom)?;
        self.sink.borrow_mut().put(Imported::Memory(memory))
    }
}

impl<'a, 'b> Top<'a, 'b> {
    fn things<T>(self, what: &'static str, imported: fn(T) -> Imported) -> Things<'a, 'b, T> {
        Things { top: self, what, imported }
    }

    /// What an export says of itself before its memories: whether their vectors are of the model we have. If not, they say
    /// nothing here and are made anew.
    fn head<E: serde::de::Error>(&self, fields: &Map<String, Value>) -> Result<bool, E> {
        match fields.get("format").and_then(Value::as_str) {
            None | Some(EXPORT_FORMAT) => {}
            Some(other) => {
                return Err(E::custom(format!("the format is {other:?}, and this program reads {EXPORT_FORMAT:?}")));
            }
        }
        let model = fields.get("model").and_then(Value::as_str);
        let dimension = fields.get("dimension").and_then(Value::as_u64);
        Ok(model.is_none_or(|model| model == self.ours.model)
            && dimension.is_none_or(|dimension| dimension == self.ours.dimension as u64))
    }
}

/// An array of memories.
struct List<'a, 'b> {
    top: Top<'a, 'b>,
    keep_vectors: bool,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of memories")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.top.allowance.renew();
        while let Some(mut memory) = items.next_element::<Exported>()? {
            if !self.keep_vectors {
                memory.embedding = None;
            }
            self.top.sink.borrow_mut().put(Imported::Memory(Box::new(memory)))?;
            self.top.allowance.renew();
        }
        Ok(())
    }
}

/// An array of things that come with an export only.
struct Things<'a, 'b, T> {
    top: Top<'a, 'b>,
    what: &'static str,
    /// What is imported of each.
    imported: fn(T) -> Imported,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Things<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Things<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {}", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.top.allowance.renew();
        while let Some(thing) = items.next_element::<T>()? {
            self.top.sink.borrow_mut().put((self.imported)(thing))?;
            self.top.allowance.renew();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(json: &str) -> Result<Vec<(String, bool)>, Error> {
        let ours = Ours { model: "ours".to_owned(), dimension: 2 };
        let mut contents = Vec::new();
        read(json.as_bytes(), &ours, &mut |thing| {
            contents.push(match thing {
                Imported::Memory(memory) => (memory.content, memory.embedding.is_some()),
                Imported::Relationship(relationship) => (relationship.relationship_type, false),
                Imported::Feedback(said) => (said.said.feedback_reason.unwrap_or_default(), false),
                Imported::Agent(agent) => (agent.name.to_string(), false),
                Imported::Entry(entry) => (entry.key.to_string(), false),
                Imported::Settings(settings) => (serde_json::to_string(&settings).unwrap(), false),
            });
            true
        })?;
        Ok(contents)
    }

    #[test]
    fn an_export_an_array_and_lines_read_alike() {
        let expected = vec![("a".to_owned(), false), ("b".to_owned(), true)];
        for json in [
            r#"{"format":"locule-export-1","model":"ours","dimension":2,"memories":[{"content":"a"},{"content":"b","embedding":"AAAA"}]}"#,
            r#"{"memories":[{"memory":"a"},{"content":"b","embedding":"AAAA"}],"more":{"deep":[1]}}"#,
            r#"[{"content":"a","extra":null},{"content":"b","embedding":"AAAA"}]"#,
            "{\"content\":\"a\"}\n\n{\"content\":\"b\",\"embedding\":\"AAAA\"}\n  ",
        ] {
            assert_eq!(contents(json).unwrap(), expected, "{json}");
        }
        assert_eq!(contents(" \n").unwrap(), vec![]);
    }

    #[test]
    fn vectors_of_another_model_are_left_out() {
        for head in [r#""model":"theirs","dimension":2"#, r#""model":"ours","dimension":3"#] {
            let json = format!(r#"{{{head},"memories":[{{"content":"a","embedding":"AAAA"}}]}}"#);
            assert_eq!(contents(&json).unwrap(), vec![("a".to_owned(), false)]);
        }
    }

    #[test]
    fn relationships_come_after_the_memories_they_lead_to() {
        let id = "0199b1c2-7f3e-7abc-8def-0123456789ab";
        let edge = format!(r#"{{"source_memory_id":"{id}","target_memory_id":"{id}","relationship_type":"r"}}"#);
        let json = format!(r#"{{"memories":[{{"content":"a"}}],"relationships":[{edge}]}}"#);
        assert_eq!(contents(&json).unwrap(), vec![("a".to_owned(), false), ("r".to_owned(), false)]);
        let error = contents(&format!(r#"{{"relationships":[{edge}],"memories":[{{"content":"a"}}]}}"#)).unwrap_err();
        assert!(error.detail().contains("must stand after"), "{error}");
        for bad in [r#"{"memories":[],"relationships":{}}"#, r#"{"memories":[],"relationships":[{}]}"#] {
            assert!(contents(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_said_and_settings_come_after_the_memories() {
        let id = "0199b1c2-7f3e-7abc-8def-0123456789ab";
        let said = format!(r#"{{"memory_id":"{id}","feedback":"NEGATIVE","feedback_reason":"why"}}"#);
        let json = format!(r#"{{"memories":[],"relationships":[],"feedback":[{said}],"settings":{{"decay":true}}}}"#);
        assert_eq!(contents(&json).unwrap(), vec![("why".to_owned(), false), (r#"{"decay":true}"#.to_owned(), false)]);
        for bad in [
            r#"{"memories":[],"feedback":{}}"#,
            r#"{"memories":[],"settings":5}"#,
            r#"{"settings":{},"memories":[]}"#,
            r#"{"memories":[],"context":[{"key":5,"value":1}]}"#,
            r#"{"memories":[],"agents":{}}"#,
            r#"{"feedback":[],"memories":[]}"#,
        ] {
            assert!(contents(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_import_is_refused_with_the_place() {
        for bad in [
            "5",
            "{}",
            "{\"content\":5}",
            "[{\"content\":\"a\"}",
            "{\"memories\":{}}",
            "{\"format\":\"other\",\"memories\":[]}",
            "{\"memories\":[],\"model\":\"theirs\"}",
            "[] x",
        ] {
            assert!(contents(bad).is_err(), "{bad}");
        }
        let error = contents("{\"content\":\"a\"}\n{\"content\":").unwrap_err();
        assert!(error.detail().starts_with("After 1 memories"), "{error}");
    }

    #[test]
    fn a_memory_without_end_is_refused_before_it_fills_the_machine() {
        let endless = "[{\"content\":\"".bytes().chain(std::iter::repeat(b'x')).map(Ok::<_, io::Error>);
        struct Bytes<I>(I);
        impl<I: Iterator<Item = io::Result<u8>>> Read for Bytes<I> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match (buffer.first_mut(), self.0.next()) {
                    (Some(slot), Some(byte)) => byte.map(|byte| *slot = byte).map(|()| 1),
                    _ => Ok(0),
                }
            }
        }
        let ours = Ours { model: "ours".to_owned(), dimension: 2 };
        let error = read(Bytes(endless), &ours, &mut |_| true).unwrap_err();
        assert!(error.detail().contains("longer than"), "{error}");
    }

    #[test]
    fn reading_stops_when_nobody_takes_more() {
        let ours = Ours { model: "ours".to_owned(), dimension: 2 };
        let mut taken = 0;
        read(&br#"[{"content":"a"},{"content":"b"},"#[..], &ours, &mut |_| {
            taken += 1;
            false
        })
        .unwrap();
        assert_eq!(taken, 1);
    }
}
