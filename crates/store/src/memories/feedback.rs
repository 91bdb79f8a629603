//! What somebody thinks of a memory: two columns beside it, read only here.

use locule_core::Result;
use locule_core::feedback::{Feedback, Rating};
use locule_core::id::MemoryId;

use super::form;
use crate::content::Place;
use crate::error::corrupt;
use crate::space::{Reader, Writer};
use crate::tx::{Row, Sql, Value};

impl Reader<'_> {
    /// What was said of a memory.
    pub fn feedback(&self, id: MemoryId) -> Result<Feedback> {
        self.memory(id)?;
        let sql = "SELECT id, feedback, feedback_reason FROM memories WHERE id = $1";
        let found = self.tx.first(sql, &[Value::Id(id.as_bytes())], said)?;
        Ok(found.map(|(_, feedback)| feedback).unwrap_or_default())
    }

    /// Shows what was said of each memory that something was said of, the oldest memory first.
    pub fn export_feedback(&self, each: &mut dyn FnMut(MemoryId, Feedback) -> Result<()>) -> Result<()> {
        let mut sql = Sql::default();
        sql.push("SELECT id, feedback, feedback_reason FROM memories WHERE ");
        sql.push("(feedback IS NOT NULL OR feedback_reason IS NOT NULL) AND ");
        self.push_visible(&mut sql, None);
        sql.push(" ORDER BY id");
        self.tx.query(sql.text(), &sql.values(), &mut |row| {
            let (id, feedback) = said(row)?;
            each(id, feedback)
        })
    }
}

fn said(row: &dyn Row) -> Result<(MemoryId, Feedback)> {
    let id = row.memory_id(0)?;
    let rating = row.label_of(1, form::FEEDBACK)?;
    let place = Place(form::FEEDBACK_REASON, id.as_bytes());
    let feedback = Feedback {
        feedback: rating.map(|word| Rating::try_from(&*word)).transpose().map_err(corrupt)?,
        feedback_reason: if row.is_null(2) { None } else { Some(row.text_of(2, place)?.into_owned()) },
    };
    Ok((id, feedback))
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
