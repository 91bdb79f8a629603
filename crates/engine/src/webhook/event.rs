//! What is told: the events of mem0's webhooks, in the form its receivers read.

use serde_json::{Value, json};

/// The kinds of change that one may ask to be told of. The last four are never told: they are mem0's, and nothing here
/// happens that they would tell.
pub const EVENT_TYPES: [&str; 8] = [
    "memory_add",
    "memory_update",
    "memory_delete",
    "memory_categorize",
    "ingest_job_completed",
    "ingest_job_partially_completed",
    "ingest_job_failed",
    "ingest_job_cancelled",
];

/// Whether there is such a kind.
pub fn is_event_type(name: &str) -> bool {
    EVENT_TYPES.contains(&name)
}

/// The body for one change of a memory: `event` is `ADD`, `UPDATE` or `DELETE`; with categories, `CATEGORIZE`.
pub fn body_of(memory: &str, event: &str, text: Option<&str>, categories: &[String]) -> Value {
    match event {
        "CATEGORIZE" => {
            json!({"event_details": {"event": event, "memory_id": memory, "categories": categories}})
        }
        _ => {
            let data = text.map_or(Value::Null, |text| json!({ "memory": text }));
            json!({"event_details": {"id": memory, "data": data, "event": event}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_receivers_know_it() {
        let added = body_of("5f0c", "ADD", Some("likes tea"), &[]);
        assert_eq!(added, json!({"event_details": {"id": "5f0c", "data": {"memory": "likes tea"}, "event": "ADD"}}));
        let labelled = body_of("5f0c", "CATEGORIZE", None, &["food".to_owned()]);
        assert_eq!(
            labelled,
            json!({"event_details": {"event": "CATEGORIZE", "memory_id": "5f0c", "categories": ["food"]}})
        );
        assert!(is_event_type("memory_add") && !is_event_type("memory_read"));
    }
}
