//! What mem0's clients send and read: messages, days, and the memory object.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, ToSpan, Unit};
use locule::infer::Turn;
use locule::memory::Metadata;
use locule::{Error, Hit, Memory, MemoryId, Result};
use serde_json::{Map, Value, json};

/// The messages of a body: a list, one, or a bare text. What no user and no assistant has said is left out, and so is what
/// is no text.
pub fn messages(body: &Map<String, Value>) -> Result<Vec<Turn>> {
    let given = body.get("messages").or_else(|| body.get("text")).filter(|value| !value.is_null());
    let missing = || {
        Error::invalid(
            "`messages` is a text, a message such as {\"role\": \"user\", \"content\": \"…\"}, or a list of them.",
        )
    };
    match given {
        Some(Value::String(text)) => Ok(vec![said(text)]),
        Some(Value::Object(message)) => Ok(one(message).into_iter().collect()),
        Some(Value::Array(items)) => {
            let read = |item: &Value| match item {
                Value::Object(message) => Ok(one(message)),
                Value::String(text) => Ok(Some(said(text))),
                _ => Err(missing()),
            };
            Ok(items.iter().map(read).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        }
        _ => Err(missing()),
    }
}

fn said(text: &str) -> Turn {
    Turn { role: "user".to_owned(), name: None, content: text.to_owned() }
}

fn one(message: &Map<String, Value>) -> Option<Turn> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or("user");
    if !matches!(role, "user" | "assistant") {
        return None;
    }
    let content = content(message.get("content")?);
    let name = message.get("name").and_then(Value::as_str).map(str::to_owned);
    (!content.trim().is_empty()).then(|| Turn { role: role.to_owned(), name, content })
}

/// The text of a content: itself, or that of its parts.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().map(content).filter(|text| !text.is_empty()).collect();
            texts.join("\n")
        }
        Value::Object(part) if part.get("type").is_none_or(|kind| kind == "text") => {
            part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// The metadata of a body.
pub fn metadata(body: &Map<String, Value>) -> Result<Option<Metadata>> {
    match body.get("metadata") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(metadata)) => Ok(Some(metadata.clone())),
        Some(_) => Err(Error::invalid("`metadata` is a JSON object.")),
    }
}

/// A moment: seconds since 1970, RFC 3339, or a day, which stands for its first moment in UTC.
pub fn moment(value: &Value) -> Result<Timestamp> {
    let refuse = || Error::invalid("A time is a number of seconds since 1970, a date (2026-11-24) or RFC 3339.");
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => Timestamp::from_second(seconds).map_err(|_| refuse()),
            (None, Some(seconds)) => Timestamp::from_microsecond((seconds * 1e6) as i64).map_err(|_| refuse()),
            _ => Err(refuse()),
        },
        Value::String(text) => match locule::filter::moment(text) {
            Ok(moment) => Ok(moment),
            // Python writes a time without a zone, and means its own: UTC is the only one both sides know.
            Err(_) => format!("{}Z", text.trim_end_matches('Z').replace(' ', "T")).parse().map_err(|_| refuse()),
        },
        _ => Err(refuse()),
    }
}

/// A text that is a day and not a moment.
pub fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

/// The moment at which something expires that is to be seen through that day.
pub fn end_of(value: &Value) -> Result<Timestamp> {
    let Some(day) = value.as_str().and_then(day) else { return moment(value) };
    let next = day.checked_add(1.day()).map_err(|_| Error::invalid("There is no day after this `expiration_date`."))?;
    Offset::UTC.to_timestamp(next.at(0, 0, 0, 0)).map_err(|_| Error::invalid("There is no such `expiration_date`."))
}

/// The last day on which something is seen.
fn last_day(expiration: Timestamp) -> String {
    let last = expiration.checked_sub(SignedDuration::from_micros(1)).unwrap_or(expiration);
    Offset::UTC.to_datetime(last).date().to_string()
}

/// The expiration that a body gives: nothing said, none, or one.
pub fn expiration(body: &Map<String, Value>) -> Result<Option<Option<Timestamp>>> {
    match body.get("expiration_date") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(value) => end_of(value).map(|end| Some(Some(end))),
    }
}

/// ISO 8601 with six digits and a zone, as Python writes it: its readers of old take nothing else.
pub fn time(moment: Timestamp) -> String {
    let rounded = moment.round(Unit::Microsecond).unwrap_or(moment);
    format!("{}+00:00", Offset::UTC.to_datetime(rounded).strftime("%Y-%m-%dT%H:%M:%S.%6f"))
}

/// The memory object, every key of it, with null for what is not there.
pub fn memory(memory: Memory, owner: &str) -> Map<String, Value> {
    let object = json!({
        "id": memory.id,
        "memory": memory.memory,
        "user_id": owner,
        "agent_id": memory.agent_id,
        "app_id": memory.app_id,
        "run_id": memory.run_id,
        "session_id": memory.run_id,
        "metadata": if memory.metadata.is_empty() { Value::Null } else { Value::Object(memory.metadata) },
        "categories": if memory.categories.is_empty() { Value::Null } else { json!(memory.categories) },
        "hash": memory.hash,
        "expiration_date": memory.expiration.map(last_day),
        "created_at": time(memory.created_at),
        "updated_at": time(memory.updated_at),
    });
    match object {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The memory object of a hit, with its score.
pub fn hit(hit: Hit, owner: &str, explain: bool) -> Map<String, Value> {
    let mut object = memory(hit.memory, owner);
    object.insert("score".to_owned(), json!(hit.score));
    let parts = json!({"semantic": hit.parts.cosine, "bm25": hit.parts.words});
    object.insert("score_breakdown".to_owned(), parts.clone());
    if explain {
        object.insert("score_details".to_owned(), parts);
    }
    object
}

/// Only these fields of an object, and its id.
pub fn only(mut object: Map<String, Value>, fields: &[String]) -> Value {
    if !fields.is_empty() {
        object.retain(|key, _| key == "id" || key == "score" || fields.contains(key));
    }
    Value::Object(object)
}

/// The fields that a body asks for; all where there are none.
pub fn fields(body: &Map<String, Value>) -> Vec<String> {
    let Some(Value::Array(fields)) = body.get("fields") else { return Vec::new() };
    fields.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The id of a memory. Clients take what is no UUID for a mistake of theirs.
pub fn memory_id(text: &str) -> Result<MemoryId> {
    text.parse().map_err(|_| Error::invalid("memory_id should be a valid UUID"))
}

/// A whole number of a body.
pub fn number(value: Option<&Value>, name: &str) -> Result<Option<usize>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) if number.as_u64().is_some() => Ok(number.as_u64().map(|number| number as usize)),
        Some(Value::String(text)) if text.parse::<usize>().is_ok() => Ok(text.parse().ok()),
        Some(_) => Err(Error::invalid(format!("`{name}` is a whole number, 0 or more."))),
    }
}

/// A yes or no of a body.
pub fn flag(value: Option<&Value>) -> Option<bool> {
    match value {
        Some(Value::Bool(flag)) => Some(*flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_seen_through_the_day_of_its_expiration() -> Result<()> {
        let end = end_of(&json!("2026-02-28"))?;
        assert_eq!(end.to_string(), "2026-03-01T00:00:00Z");
        assert_eq!(last_day(end), "2026-02-28");
        assert!(end_of(&json!("2026-02-30")).is_err());
        assert!(end_of(&json!("9999-12-31")).is_err());
        Ok(())
    }

    #[test]
    fn a_time_is_read_in_every_form_that_clients_send() -> Result<()> {
        for form in [
            json!(1_772_323_200),
            json!("2026-03-01"),
            json!("2026-03-01T00:00:00+00:00"),
            json!("2026-03-01 00:00:00"),
        ] {
            assert_eq!(time(moment(&form)?), "2026-03-01T00:00:00.000000+00:00", "{form}");
        }
        for bad in [json!("yesterday"), json!(true), json!(1e300)] {
            assert!(moment(&bad).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn messages_come_as_a_text_an_object_or_a_list() -> Result<()> {
        let read = |value: Value| messages(json!({ "messages": value }).as_object().unwrap());
        assert_eq!(read(json!("likes tea"))?.len(), 1);
        assert_eq!(read(json!({"role": "assistant", "content": "noted"}))?[0].role, "assistant");
        let list = json!([{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "b"}]}, {"role": "user", "content": " "}]);
        assert_eq!(read(list)?, [said("a\nb")]);
        assert!(read(json!(7)).is_err() && read(Value::Null).is_err() && read(json!([7])).is_err());
        Ok(())
    }
}
