//! Finding in a conversation what is worth remembering.

use std::sync::Arc;
use std::time::Duration;

use locule_core::job::JobKind;
use locule_core::memory::{NewMemory, SearchQuery};
use locule_core::settings::Settings;
use locule_core::{Code, Error, Result};

use super::BESIDE;
use super::room::Room;
use crate::config::ChatEndpoint;
use crate::infer::{self, Conversation, Instructions};
use crate::model::chat::Chat;
use crate::remember;
use crate::work::{Done, Failure, Runner, Work};

/// Asks the model.
pub(crate) struct Extract {
    /// How often.
    pub attempts: u32,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Room for all that ask it.
    pub room: Arc<Room>,
}

impl Extract {
    /// As often and as long as is configured.
    pub fn new(chat: Option<&Chat>, room: Arc<Room>) -> Self {
        let usual = ChatEndpoint::new("", "");
        let ChatEndpoint { attempts, timeout, .. } = chat.map_or(&usual, Chat::endpoint);
        Extract { attempts: *attempts, timeout: *timeout, room }
    }
}

impl Runner for Extract {
    fn kind(&self) -> JobKind {
        JobKind::Extract
    }

    fn run(&self, work: &Work) -> Result<Done, Failure> {
        let _room = self.room.take();
        let conversation: Conversation = infer::read(work.job().payload.clone())?;
        let engine = work.engine();
        let memories = match engine.chat() {
            Some(chat) => found(work, chat, &conversation)?,
            // There was a model when this was asked for.
            None => conversation.verbatim(),
        };
        // Vectors take milliseconds each: nobody's space is held meanwhile.
        let ready = engine.ready(memories)?;
        let listeners = engine.listeners(&work.reading()?)?;
        work.complete(|writer| {
            let model = engine.embedder().model();
            let added = if ready.is_empty() { Vec::new() } else { writer.add(model, ready).map_err(full)? };
            listeners.added(writer, &added)?;
            remember::results(&added).map(Some)
        })
    }

    fn has_room(&self) -> bool {
        self.room.is_there()
    }

    fn attempts_max(&self) -> u32 {
        self.attempts
    }

    fn claim(&self) -> Duration {
        // It waits for its turn with the model, and then for the answer.
        self.timeout * 2 + BESIDE
    }
}

/// A full space does not empty itself, and each attempt costs the model's work: what was said is kept, to be replayed.
fn full(error: Error) -> Error {
    if error.code() == Code::QuotaExceeded { Error::invalid(error.detail().to_owned()) } else { error }
}

/// How many of the memories nearest to a conversation the model is shown.
const KNOWN_MAX: usize = 10;

/// How much of the end of a conversation those are looked for by: an embedder reads no more.
const LOOKED_FOR_BYTES: usize = 4 * 1024;

/// What the model makes of a conversation.
fn found(work: &Work, chat: &Chat, conversation: &Conversation) -> Result<Vec<NewMemory>, Failure> {
    let engine = work.engine();
    let instructions = conversation.instructions.clone().or(of_settings(engine.settings_in_force(work.reading()?)?));
    if conversation.procedural {
        let said = chat.say(&infer::procedure(&conversation.messages, instructions.custom.as_deref()))?;
        return Ok(vec![conversation.procedure(infer::summary(&said)?)]);
    }
    let known = known(work, conversation)?;
    let said = chat.say(&infer::extraction(&conversation.messages, &known, &instructions, engine.now()))?;
    Ok(conversation.memories(infer::facts(&said, &instructions.categories)?))
}

/// The texts of the memories nearest to a conversation.
fn known(work: &Work, conversation: &Conversation) -> Result<Vec<String>, Failure> {
    let text = conversation.text();
    let start = text.ceil_char_boundary(text.len().saturating_sub(LOOKED_FOR_BYTES));
    let query = SearchQuery { limit: KNOWN_MAX, ..SearchQuery::text(&text[start..]) };
    let hits = work.engine().search(work.reading()?, &query)?;
    Ok(hits.into_iter().map(|hit| hit.memory.memory).collect())
}

/// What settings ask a model for.
fn of_settings(settings: Settings) -> Instructions {
    Instructions {
        custom: settings.custom_instructions,
        agent: settings.agent_custom_instructions,
        categories: settings.custom_categories.unwrap_or_default(),
    }
}
