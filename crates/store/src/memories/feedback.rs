//! What somebody thinks of a memory: two columns beside it, read only here.

use locule_core::Result;
use locule_core::feedback::{Feedback, Rating};
use locule_core::id::MemoryId;

use super::form;
use crate::content::Place;
use crate::error::corrupt;
use crate::space::{Reader, Writer};
use crate::tx::Value;

impl Reader<'_> {
    /// What was said of a memory.
    pub fn feedback(&self, id: MemoryId) -> Result<Feedback> {
        self.memory(id)?;
        let sql = "SELECT feedback, feedback_reason FROM memories WHERE id = $1";
        let found = self.tx.first(sql, &[Value::Id(id.as_bytes())], |row| {
            let rating = row.label_of(0, form::FEEDBACK)?;
            let place = Place(form::FEEDBACK_REASON, id.as_bytes());
            Ok(Feedback {
                feedback: rating.map(|word| Rating::try_from(&*word)).transpose().map_err(corrupt)?,
                feedback_reason: if row.is_null(1) { None } else { Some(row.text_of(1, place)?) },
            })
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Writer<'_> {
    /// Says something of a memory, in place of what was said before; nothing takes it back. The memory itself is as it was, its
    /// time of change too.
    pub fn give_feedback(&mut self, id: MemoryId, feedback: &Feedback) -> Result<()> {
        feedback.check()?;
        self.memory(id)?;
        let tx = &*self.reader.tx;
        let rating = feedback.feedback.map(|rating| tx.label(form::FEEDBACK, rating.as_str()));
        let place = Place(form::FEEDBACK_REASON, id.as_bytes());
        let reason = feedback.feedback_reason.as_deref().map(|reason| tx.text(place, reason));
        tx.run(
            "UPDATE memories SET feedback = $1, feedback_reason = $2 WHERE id = $3",
            &[Value::text(rating.as_deref()), Value::text(reason.as_deref()), Value::Id(id.as_bytes())],
        )?;
        self.note("give_feedback", Some(id.to_string()))
    }
}
