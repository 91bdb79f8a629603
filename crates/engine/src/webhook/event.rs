//! What is told: the events of mem0's webhooks, in the form its receivers read.

use locule_core::id::MemoryId;
use locule_core::memory::Memory;
use locule_core::project::WebhookEvent;
use serde_json::{Value, json};

/// The body for one change of a memory. What is deleted has no text any more.
pub fn body_of(id: MemoryId, event: WebhookEvent, memory: Option<&Memory>) -> Value {
    let word = match event {
        WebhookEvent::MemoryAdd => "ADD",
        WebhookEvent::MemoryUpdate => "UPDATE",
        WebhookEvent::MemoryDelete => "DELETE",
        WebhookEvent::IngestJobCompleted
        | WebhookEvent::IngestJobPartiallyCompleted
        | WebhookEvent::IngestJobFailed
        | WebhookEvent::IngestJobCancelled => event.as_str(),
        WebhookEvent::MemoryCategorize => {
            let categories = memory.map(|memory| memory.categories.clone()).unwrap_or_default();
            return json!({"event_details": {"event": "CATEGORIZE", "memory_id": id, "categories": categories}});
        }
    };
    let data = memory.map(|memory| json!({ "memory": memory.memory }));
    json!({"event_details": {"id": id, "data": data, "event": word}})
}
