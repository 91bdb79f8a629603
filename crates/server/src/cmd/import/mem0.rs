//! One memory as mem0 exports it, and what becomes of it here.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use locule::memory::Metadata;
use locule::{Error, Exported, Subject};
use serde_json::{Map, Value};

/// A memory, and whose it is.
pub struct Record {
    /// Whom it names, if it names a user.
    pub user: Option<Subject>,
    /// The memory.
    pub memory: Exported,
}

/// Reads a record. What is wrong with it comes as a sentence.
pub fn read(value: Value) -> Result<Record, String> {
    let Value::Object(mut fields) = value else { return Err("it is no object".to_owned()) };
    let content = text(&mut fields, &["memory", "content", "text"])?.ok_or("it has no `memory`")?;
    let user = text(&mut fields, &["user_id"])?.map(|user| Subject::try_from(user.as_str())).transpose();
    let created_at = moment(&mut fields, "created_at")?;
    let memory = Exported {
        id: match text(&mut fields, &["id"])? {
            Some(id) => Some(id.parse().map_err(|_| format!("its `id` {id:?} is no UUID"))?),
            None => None,
        },
        content,
        created_at,
        updated_at: moment(&mut fields, "updated_at")?.or(created_at),
        metadata: Some(metadata(&mut fields)?),
        agent_id: text(&mut fields, &["agent_id"])?,
        run_id: text(&mut fields, &["run_id", "session_id"])?,
        app_id: text(&mut fields, &["app_id"])?,
        categories: Some(categories(&mut fields)?),
        hash: None,
        expiration: expiration(&mut fields)?,
        embedding: None,
    };
    memory.check().map_err(|error| plain(&error))?;
    Ok(Record { user: user.map_err(|error| format!("its `user_id`: {}", plain(&error)))?, memory })
}

/// The first of these fields that is there, and is no empty text.
fn text(fields: &mut Map<String, Value>, names: &[&str]) -> Result<Option<String>, String> {
    for name in names {
        match fields.remove(*name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => return Ok(Some(text)),
            Some(_) => return Err(format!("its `{name}` is no text")),
        }
    }
    Ok(None)
}

fn metadata(fields: &mut Map<String, Value>) -> Result<Metadata, String> {
    match fields.remove("metadata") {
        None | Some(Value::Null) => Ok(Metadata::new()),
        Some(Value::Object(members)) => Ok(members.into_iter().collect()),
        Some(_) => Err("its `metadata` is no object".to_owned()),
    }
}

fn categories(fields: &mut Map<String, Value>) -> Result<Vec<String>, String> {
    match fields.remove("categories") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => serde_json::from_value(list).map_err(|_| "its `categories` are no list of texts".to_owned()),
    }
}

/// A moment with its zone; without one, in UTC.
fn moment(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    let Some(text) = text(fields, &[name])? else { return Ok(None) };
    let utc = || text.parse::<DateTime>().ok().and_then(|civil| Offset::UTC.to_timestamp(civil).ok());
    let moment =
        text.parse().ok().or_else(utc).ok_or_else(|| format!("its `{name}` {text:?} is no time (ISO 8601)"))?;
    // To the microsecond, as every database keeps it.
    Timestamp::from_microsecond(Timestamp::as_microsecond(moment)).map(Some).map_err(|error| error.to_string())
}

/// The end of the last day on which it is seen.
fn expiration(fields: &mut Map<String, Value>) -> Result<Option<Timestamp>, String> {
    let Some(text) = text(fields, &["expiration_date"])? else { return Ok(None) };
    let end = text.parse::<Date>().ok().and_then(|day| day.checked_add(1.day()).ok());
    let end = end.and_then(|next| Offset::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok());
    end.map(Some).ok_or_else(|| format!("its `expiration_date` {text:?} is no day (YYYY-MM-DD)"))
}

fn plain(error: &Error) -> String {
    error.detail().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_memory_of_the_platform_reads_whole() {
        let record = read(json!({
            "id": "5f0c2a9e-3a0f-4f0e-9a83-0d0b6f1a7c11", "memory": "Prefers aisle seats", "user_id": "u-204", "agent_id": null,
            "app_id": "", "session_id": "trip-9", "metadata": {"source": "chat"}, "categories": ["travel"],
            "hash": "of another text", "expiration_date": "2030-01-31",
            "created_at": "2026-03-01T09:15:00.120000+02:00", "updated_at": null,
            "structured_attributes": {"day": 1}, "owner": "me",
        }))
        .unwrap();
        assert_eq!(record.user.unwrap().as_str(), "u-204");
        let memory = record.memory;
        assert_eq!(memory.id.unwrap().to_string(), "5f0c2a9e-3a0f-4f0e-9a83-0d0b6f1a7c11");
        assert_eq!((memory.agent_id, memory.app_id, memory.run_id.as_deref()), (None, None, Some("trip-9")));
        assert_eq!(memory.created_at.unwrap().to_string(), "2026-03-01T07:15:00.12Z");
        assert_eq!(memory.updated_at, memory.created_at);
        assert_eq!(memory.expiration.unwrap().to_string(), "2030-02-01T00:00:00Z");
        let civil = read(json!({"content": "x", "created_at": "2024-07-01T10:00:00.5"})).unwrap().memory;
        assert_eq!(civil.created_at.unwrap().to_string(), "2024-07-01T10:00:00.5Z");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (record, words) in [
            (json!("text"), "no object"),
            (json!({}), "no `memory`"),
            (json!({"memory": ""}), "no `memory`"),
            (json!({"memory": 5}), "no text"),
            (json!({"memory": "a", "id": "1"}), "UUID"),
            (json!({"memory": "a", "user_id": "me"}), "user_id"),
            (json!({"memory": "a", "metadata": []}), "metadata"),
            (json!({"memory": "a", "categories": [1]}), "categories"),
            (json!({"memory": "a", "created_at": "yesterday"}), "created_at"),
            (json!({"memory": "a", "expiration_date": "2030"}), "expiration_date"),
            (json!({"memory": "x".repeat(1 << 20)}), "bytes"),
        ] {
            let found = read(record.clone()).err().unwrap_or_default();
            assert!(found.contains(words), "{}: {found:?}", record.to_string().chars().take(80).collect::<String>());
        }
    }
}
