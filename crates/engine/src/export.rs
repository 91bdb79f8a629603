//! Taking everything out of a space, and putting it back exactly.
//!
//! An export is one JSON object, written as it is read, so that a large space needs no large memory:
//! `{"format", "user_id", "export_date", "total_memories", "total_relationships", "model", "dimension",
//! "memories": [ … ], "relationships": [ … ], "feedback": [ … ], "agents": [ … ], "context": [ … ], "settings": { … }}`.
//! A memory is `{"id", "content", "created_at", "metadata", …}` with all its fields and its vector as base64 of little-endian
//! half-precision floats. Relationships come after all the memories they lead to, then what was said of memories, the agents
//! with what they follow, the context that they share, and at the end the user's settings; who does not know these passes
//! them over.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use locule_core::context::{Agent, Entry, EntryQuery, Json, Name};
use locule_core::feedback::Feedback;
use locule_core::id::{MemoryId, RelationshipId, Tag, Tick};
use locule_core::memory::{Memory, Metadata, hash};
use locule_core::relationship::{NewRelationship, Relationship, Strength};
use locule_core::{Code, Error, Read, Result, Scope, Write};
use locule_store::vector;
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::model::Purpose;

/// What the first field of an export says.
pub const EXPORT_FORMAT: &str = "locule-export-1";

/// How many imported memories, or relationships, one transaction takes.
const IMPORT_BATCH: usize = 500;

/// How many bytes of imported entries: they can be large, and each is in memory until it is put in.
const IMPORT_BYTES: usize = 16 * 1024 * 1024;

/// One memory of an export. Only `content` must be there to import one: the rest is made if it is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    /// See [`Memory::id`].
    #[serde(default)]
    pub id: Option<MemoryId>,
    /// The text.
    #[serde(alias = "memory")]
    pub content: String,
    /// See [`Memory::created_at`].
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// See [`Memory::metadata`].
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// See [`Memory::updated_at`].
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// See [`Memory::agent_id`].
    #[serde(default)]
    pub agent_id: Option<String>,
    /// See [`Memory::run_id`].
    #[serde(default)]
    pub run_id: Option<String>,
    /// See [`Memory::app_id`].
    #[serde(default)]
    pub app_id: Option<String>,
    /// See [`Memory::categories`].
    #[serde(default)]
    pub categories: Option<Vec<String>>,
    /// See [`Memory::hash`]; made anew from the text on import.
    #[serde(default)]
    pub hash: Option<String>,
    /// See [`Memory::expiration`].
    #[serde(default)]
    pub expiration: Option<Timestamp>,
    /// The vector, as base64 of little-endian half-precision floats.
    #[serde(default)]
    pub embedding: Option<String>,
}

impl Exported {
    /// Passes what can be imported.
    pub fn check(&self) -> Result<()> {
        let like = locule_core::memory::NewMemory {
            memory: self.content.clone(),
            agent_id: self.agent_id.clone(),
            run_id: self.run_id.clone(),
            app_id: self.app_id.clone(),
            categories: self.categories.clone().unwrap_or_default(),
            metadata: self.metadata.clone().unwrap_or_default(),
            ..Default::default()
        };
        like.check()
    }
}

/// One relationship of an export. Its two memories and its type must be there to import it: the rest is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportedRelationship {
    /// See [`Relationship::id`].
    #[serde(default)]
    pub id: Option<RelationshipId>,
    /// See [`Relationship::source_memory_id`].
    pub source_memory_id: MemoryId,
    /// See [`Relationship::target_memory_id`].
    pub target_memory_id: MemoryId,
    /// See [`Relationship::relationship_type`].
    pub relationship_type: String,
    /// See [`Relationship::strength`].
    #[serde(default)]
    pub strength: Strength,
    /// See [`Relationship::metadata`].
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// See [`Relationship::created_at`].
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

/// What was said of a memory, as an export has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportedFeedback {
    /// Of which memory.
    pub memory_id: MemoryId,
    /// What.
    #[serde(flatten)]
    pub said: Feedback,
}

/// An entry of the context, as an export has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportedEntry {
    /// See [`Entry::key`].
    pub key: Name,
    /// See [`Entry::value`].
    pub value: Json,
    /// See [`Entry::audience`].
    #[serde(default)]
    pub audience: Option<Vec<Name>>,
    /// See [`Entry::topics`].
    #[serde(default)]
    pub topics: Vec<Name>,
    /// See [`Entry::writer`].
    #[serde(default)]
    pub writer: Option<Name>,
    /// See [`Entry::metadata`].
    #[serde(default)]
    pub metadata: Option<Json>,
    /// See [`Entry::ttl_s`].
    #[serde(default)]
    pub ttl_s: Option<f64>,
    /// See [`Entry::created_at`].
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

impl ExportedEntry {
    fn of(entry: Entry) -> Self {
        let Entry { key, value, audience, topics, writer, metadata, ttl_s, created_at, revision: _ } = entry;
        ExportedEntry { key, value, audience, topics, writer, metadata, ttl_s, created_at: Some(created_at) }
    }

    fn size_bytes(&self) -> usize {
        self.key.size_bytes() + self.value.text().len()
    }

    fn entry(self, now: Timestamp) -> Entry {
        let ExportedEntry { key, value, audience, topics, writer, metadata, ttl_s, created_at } = self;
        let created_at = created_at.unwrap_or(now);
        Entry { key, value, audience, topics, writer, metadata, ttl_s, created_at, revision: 0 }
    }
}

/// One thing to import. Relationships, and what was said of memories, come after the memories that they are about.
#[derive(Clone, Debug)]
pub enum Imported {
    /// A memory.
    Memory(Box<Exported>),
    /// A relationship.
    Relationship(ExportedRelationship),
    /// What was said of a memory.
    Feedback(ExportedFeedback),
    /// An agent, with the topics it follows and may post to.
    Agent(Agent),
    /// An entry of the context that agents share.
    Entry(Box<ExportedEntry>),
    /// The user's settings.
    Settings(Metadata),
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    /// How many memories were put in.
    pub imported: u64,
    /// How many were there already, by id or by text.
    pub skipped: u64,
    /// How many relationships were put in.
    pub relationships_imported: u64,
    /// How many were there already, or lead to a memory that is not in the space.
    pub relationships_skipped: u64,
}

/// After how many memories or relationships an export looks whether the space is still open to it: a client may read slowly, and what is
/// erased or suspended meanwhile is cut off.
const RECHECK: u64 = 16;

/// The lists of an export, one after the other.
struct Lists<'a> {
    out: &'a mut dyn io::Write,
    /// Passes while the space is open to the export.
    recheck: &'a dyn Fn() -> Result<()>,
}

impl Lists<'_> {
    /// Writes a list, a thing to a line; says how many things it has.
    fn list<T: Serialize>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<()>,
    ) -> Result<u64> {
        write!(self.out, ",\"{name}\":[").map_err(cut_off)?;
        let mut count = 0;
        read(&mut |thing| {
            if count % RECHECK == 0 {
                (self.recheck)()?;
            }
            let line = serde_json::to_string(&thing).map_err(Error::internal)?;
            write!(self.out, "{}\n{line}", if count == 0 { "" } else { "," }).map_err(cut_off)?;
            count += 1;
            Ok(())
        })?;
        write!(self.out, "{}]", if count == 0 { "" } else { "\n" }).map_err(cut_off)?;
        Ok(count)
    }
}

impl Engine {
    /// Writes a whole space to `out`; calls `progress` with how many memories are written, of how many.
    pub fn export(
        &self,
        scope: Scope<Read>,
        user_id: &str,
        out: &mut dyn io::Write,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64> {
        let space = self.store.spaces.open(scope);
        let reader = space.read()?;
        let total = reader.count(None)?;
        let state = reader.state()?;
        let head = serde_json::json!({
            "format": EXPORT_FORMAT,
            "user_id": user_id,
            "export_date": self.sources.now(),
            "total_memories": total,
            "total_relationships": reader.relationship_count()?,
            "model": state.model.as_ref().map(|model| &model.id),
            "dimension": state.model.as_ref().map(|model| model.dimension),
        });
        let head = head.to_string();
        // The lists go in before the brace that closes the object.
        write!(out, "{}", &head[..head.len() - 1]).map_err(cut_off)?;
        let mut lists = Lists { out, recheck: &|| space.recheck() };
        let mut written = 0;
        lists.list("memories", |each| {
            reader.export(&mut |memory, embedding| {
                each(exported(memory, &embedding)?)?;
                written += 1;
                progress(written, total);
                Ok(())
            })
        })?;
        lists.list("relationships", |each| reader.export_relationships(each))?;
        lists.list("feedback", |each| {
            reader.export_feedback(&mut |memory_id, said| each(ExportedFeedback { memory_id, said }))
        })?;
        lists.list("agents", |each| reader.context_agents()?.into_iter().try_for_each(each))?;
        lists.list("context", |each| {
            reader.context_entries(&EntryQuery::default(), &mut |entry| each(ExportedEntry::of(entry)))
        })?;
        let settings = serde_json::to_string(&reader.settings()?).map_err(Error::internal)?;
        writeln!(out, ",\"settings\":{settings}}}").map_err(cut_off)?;
        out.flush().map_err(cut_off)?;
        Ok(written)
    }

    /// Puts memories and relationships into a space, in batches that are each durable or not there at all. Repeating it
    /// adds nothing twice. `open` gives a scope for each batch.
    pub fn import(
        &self,
        mut open: impl FnMut() -> Result<Scope<Write>>,
        things: impl Iterator<Item = Result<Imported>>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportSummary> {
        let mut summary = ImportSummary::default();
        let (mut memories, mut relationships, mut feedback) = (Vec::new(), Vec::new(), Vec::new());
        let (mut agents, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut things = things.peekable();
        while let Some(thing) = things.next() {
            match thing? {
                Imported::Memory(memory) => memories.push(*memory),
                Imported::Relationship(relationship) => relationships.push(relationship),
                Imported::Feedback(said) => feedback.push(said),
                Imported::Agent(agent) => agents.push(agent),
                Imported::Entry(entry) => {
                    bytes += entry.size_bytes();
                    entries.push(*entry);
                }
                Imported::Settings(settings) if settings.is_empty() => {}
                Imported::Settings(settings) => drop(self.change_settings(open()?, &settings)?),
            }
            // A relationship finds its memories in the space, so those that came before it go in first.
            let (last, related) = (things.peek().is_none(), !relationships.is_empty());
            let about = related || !feedback.is_empty();
            if !memories.is_empty() && (memories.len() == IMPORT_BATCH || last || about) {
                self.import_batch(open()?, std::mem::take(&mut memories), &mut summary)?;
                progress(summary.imported + summary.skipped);
            }
            if relationships.len() == IMPORT_BATCH || (last && related) {
                self.import_relationships(open()?, std::mem::take(&mut relationships), &mut summary)?;
            }
            if feedback.len() == IMPORT_BATCH || (last && !feedback.is_empty()) {
                self.import_feedback(open()?, std::mem::take(&mut feedback))?;
            }
            let shared = agents.len() + entries.len();
            if shared == IMPORT_BATCH || bytes > IMPORT_BYTES || (last && shared > 0) {
                bytes = 0;
                self.import_context(open()?, std::mem::take(&mut agents), std::mem::take(&mut entries))?;
            }
        }
        Ok(summary)
    }

    /// What was said of memories that are here. Of others, nothing is to be said.
    fn import_feedback(&self, scope: Scope<Write>, batch: Vec<ExportedFeedback>) -> Result<()> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        for ExportedFeedback { memory_id, said } in batch {
            match writer.give_feedback(memory_id, &said) {
                Err(error) if error.code() == Code::NotFound => {}
                given => given?,
            }
        }
        writer.commit()
    }

    /// Agents and entries that are not there yet. Those that are stay as they are.
    fn import_context(&self, scope: Scope<Write>, agents: Vec<Agent>, entries: Vec<ExportedEntry>) -> Result<()> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        for Agent { name, topics, posts } in agents {
            if writer.context_agent(&name)?.is_some() {
                continue;
            }
            writer.subscribe(&name, topics)?;
            if let Some(posts) = posts {
                writer.permit(&name, posts)?;
            }
        }
        for exported in entries {
            // What has expired and lies about is not there.
            let now = self.sources.now();
            if writer.context_entry(&exported.key)?.is_none_or(|there| there.is_expired(now)) {
                writer.put_context(exported.entry(now))?;
            }
        }
        writer.commit()
    }

    fn import_relationships(
        &self,
        scope: Scope<Write>,
        batch: Vec<ExportedRelationship>,
        summary: &mut ImportSummary,
    ) -> Result<()> {
        let tag = tag_of(&scope);
        let count = batch.len() as u64;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let mut imported = 0;
        for exported in batch {
            imported += u64::from(writer.import_relationship(&self.restored_relationship(exported, tag)?)?);
        }
        writer.note_import_relationships(imported)?;
        writer.commit()?;
        summary.relationships_imported += imported;
        summary.relationships_skipped += count - imported;
        Ok(())
    }

    fn restored_relationship(&self, exported: ExportedRelationship, tag: Tag) -> Result<Relationship> {
        let created_at = exported.created_at.unwrap_or_else(|| self.sources.now());
        let new = NewRelationship {
            source_memory_id: exported.source_memory_id,
            target_memory_id: exported.target_memory_id,
            relationship_type: exported.relationship_type,
            strength: exported.strength,
            metadata: exported.metadata.unwrap_or_default(),
        };
        new.check()?;
        Ok(Relationship {
            id: exported.id.unwrap_or_else(|| RelationshipId::mint(Tick::of(created_at), tag, &self.sources)),
            source_memory_id: new.source_memory_id,
            target_memory_id: new.target_memory_id,
            relationship_type: new.relationship_type,
            strength: new.strength,
            metadata: new.metadata,
            created_at,
        })
    }

    fn import_batch(&self, scope: Scope<Write>, batch: Vec<Exported>, summary: &mut ImportSummary) -> Result<()> {
        let bare: Vec<usize> = (0..batch.len()).filter(|&index| batch[index].embedding.is_none()).collect();
        let texts: Vec<&str> = bare.iter().map(|&index| &*batch[index].content).collect();
        let mut made = Vec::new();
        if !texts.is_empty() {
            made = self.embedder().embed(&texts, Purpose::Document)?;
        }
        let mut made = made.into_iter();
        let tag = tag_of(&scope);
        let mut ready = Vec::with_capacity(batch.len());
        for exported in batch {
            let row = match &exported.embedding {
                Some(text) => self.row(text)?,
                None => self.encode(&made.next().unwrap_or_default())?,
            };
            ready.push((self.restored(exported, tag)?, row));
        }
        if let Some(chamber) = scope.space() {
            // A service that has nothing but an id finds those too that were made elsewhere.
            let strange = ready.iter().map(|(memory, _)| memory.id.tag()).filter(|theirs| *theirs != tag);
            self.store.directory.lead(chamber.id, strange.collect())?;
        }
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let mut imported = 0;
        let count = ready.len() as u64;
        for (memory, row) in ready {
            imported += u64::from(writer.import(self.embedder().model(), &memory, row)?);
        }
        writer.note_import(imported)?;
        writer.commit()?;
        summary.imported += imported;
        summary.skipped += count - imported;
        Ok(())
    }

    fn row(&self, base64: &str) -> Result<Vec<u8>> {
        let row = BASE64_STANDARD
            .decode(base64)
            .map_err(|_| Error::invalid("An `embedding` of the import is not base64."))?;
        if !row.len().is_multiple_of(2) {
            return Err(Error::invalid("An `embedding` of the import is cut short."));
        }
        let embedding = vector::decode(&row);
        // Checked as any vector is; stored as it came, so that a round trip changes no bit.
        self.encode(&embedding)?;
        Ok(row)
    }

    fn restored(&self, exported: Exported, tag: Tag) -> Result<Memory> {
        exported.check()?;
        let now = self.sources.now();
        let created_at = exported.created_at.unwrap_or(now);
        let tick = Tick::of(created_at);
        Ok(Memory {
            id: exported.id.unwrap_or_else(|| MemoryId::mint(tick, tag, &self.sources)),
            hash: hash(&exported.content),
            memory: exported.content,
            agent_id: exported.agent_id,
            run_id: exported.run_id,
            app_id: exported.app_id,
            categories: exported.categories.unwrap_or_default(),
            metadata: exported.metadata.unwrap_or_default(),
            expiration: exported.expiration,
            created_at,
            updated_at: exported.updated_at.unwrap_or(created_at),
        })
    }
}

fn tag_of(scope: &Scope<Write>) -> Tag {
    scope.space().map_or(Tag(0), |chamber| chamber.tag)
}

fn exported(memory: Memory, embedding: &[f32]) -> Result<Exported> {
    let row = vector::encode(embedding).map_err(|_| Error::internal("a stored vector that is none"))?;
    Ok(Exported {
        id: Some(memory.id),
        content: memory.memory,
        created_at: Some(memory.created_at),
        metadata: Some(memory.metadata),
        updated_at: Some(memory.updated_at),
        agent_id: memory.agent_id,
        run_id: memory.run_id,
        app_id: memory.app_id,
        categories: Some(memory.categories),
        hash: Some(memory.hash),
        expiration: memory.expiration,
        embedding: Some(BASE64_STANDARD.encode(row)),
    })
}

fn cut_off(error: io::Error) -> Error {
    Error::internal(error)
}
