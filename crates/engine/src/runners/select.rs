//! Exports and summaries: of some memories, in the form that was asked for.

use std::time::Duration;

use locule_core::Result;
use locule_core::job::JobKind;
use locule_core::memory::{ListQuery, Metadata};
use serde_json::{Value, json};

use super::{BESIDE, Extract};
use crate::infer::{self, EXPORTED_MAX, SHOWN_MAX, Selection};
use crate::model::chat::Chat;
use crate::work::{Done, Failure, Runner, Work};

/// Writes one or the other.
pub(crate) struct Select {
    /// Which.
    pub kind: JobKind,
    /// As often and as long as the model is asked for other things.
    pub like: Extract,
}

impl Runner for Select {
    fn kind(&self) -> JobKind {
        self.kind
    }

    fn run(&self, work: &Work) -> Result<Done, Failure> {
        let _room = self.like.room.take();
        let selection: Selection = infer::read(work.job().payload.clone())?;
        let written = if self.kind == JobKind::Export { export(work, &selection)? } else { summary(work, &selection)? };
        work.complete(|_| Ok(Some(written)))
    }

    fn has_room(&self) -> bool {
        self.like.has_room()
    }

    fn attempts_max(&self) -> u32 {
        self.like.attempts
    }

    fn claim(&self) -> Duration {
        self.like.timeout * 2 + BESIDE
    }
}

/// The memories of a selection, newest first, as many as can be shown to a model, or told without one.
fn selected(work: &Work, selection: &Selection, chat: Option<&Chat>) -> Result<locule_core::memory::Page, Failure> {
    let limit = if chat.is_some() { SHOWN_MAX } else { EXPORTED_MAX };
    let query = ListQuery { filter: selection.filter.clone(), limit, before: None, offset: 0 };
    Ok(work.engine().list(work.reading()?, &query)?)
}

/// A model fills a schema; without one, and where no schema is given, the memories are told as they are.
fn export(work: &Work, selection: &Selection) -> Result<Metadata, Failure> {
    let chat = work.engine().chat().filter(|_| selection.schema.is_object());
    let page = selected(work, selection, chat)?;
    let Some(chat) = chat else { return Ok(selection.plain(&page.memories, page.total)) };
    let memories: Vec<Value> = page.memories.iter().map(infer::of).collect();
    let said = chat.say(&infer::export(&selection.schema, &memories, selection.instructions.as_deref()))?;
    Ok(infer::object(&said)?)
}

fn summary(work: &Work, selection: &Selection) -> Result<Metadata, Failure> {
    let chat = work.engine().chat();
    let page = selected(work, selection, chat)?;
    let chat = chat.filter(|_| !page.memories.is_empty());
    let text = match chat {
        Some(chat) => {
            let memories: Vec<String> = page.memories.iter().map(|memory| memory.memory.clone()).collect();
            infer::summary(&chat.say(&infer::overview(&memories, selection.instructions.as_deref()))?)?
        }
        None => Selection::overview(&page.memories, page.total),
    };
    let fields = [("summary", json!(text)), ("total_memories", json!(page.total)), ("inferred", json!(chat.is_some()))];
    Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
