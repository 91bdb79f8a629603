//! Changing entries. An entry that is written anew gets a new row, so that the order of rows is the order of writing.

use jiff::{SignedDuration, Timestamp};
use locule_core::audit::Outcome;
use locule_core::context::{
    Deed, Entry, EntryQuery, Json, Listed, Name, Push, distinct, may_not_overwrite, may_not_post,
};
use locule_core::id::{EntryId, Tick};
use locule_core::{Code, Error, Result};

use super::row::{self, COLUMNS, FIXED_BYTES, entry};
use crate::space::Writer;
use crate::tick;
use crate::tx::Value;

/// How long an entry that has expired may still lie about: it can be counted, not read.
const LEFT: SignedDuration = SignedDuration::from_mins(5);

/// The first moment at which something expires. Said like this, it is found in the index of those that do.
const EARLIEST: &str = "SELECT min(expires_at) FROM context_entries WHERE expires_at IS NOT NULL";

/// The latest id below `$1`.
const LATEST: &str = "SELECT id FROM context_entries WHERE id < $1 ORDER BY id DESC LIMIT 1";

impl Writer<'_> {
    /// Writes an entry for whom the push says, in place of the one that is there. A sender is held to what it may: topics it
    /// may not post to, and an entry that it can neither read nor has written, are refused.
    pub fn push_context(&mut self, push: Push) -> Result<Entry> {
        push.check()?;
        let before = self.entry_before(&push.key)?;
        self.push_over(before, push)
    }

    /// Appends the push's value to the list that is the entry's, which otherwise stays as it is; begins one, as the push says,
    /// where there is none.
    pub fn append_context(&mut self, push: Push) -> Result<Entry> {
        let (item, sender) = (push.value.clone(), push.sender.clone());
        self.alter_context(push, |there| match (there, &sender) {
            (None, _) => Ok(Json::list_of(&item)),
            // Who appends is answered the whole list.
            (Some(there), Some(sender)) if !there.is_open_to(sender) => Err(may_not_overwrite(sender, &there.key)),
            (Some(there), _) => there.value.appended(&item),
        })
    }

    /// Puts the push's value in place of the entry's, which otherwise stays as it is; begins one, as the push says, where there
    /// is none.
    pub fn edit_context(&mut self, push: Push) -> Result<Entry> {
        let value = push.value.clone();
        self.alter_context(push, |_| Ok(value))
    }

    /// Puts an entry as it is, whoever may read it, in place of the one that is there. Each name counts once.
    pub fn put_context(&mut self, mut entry: Entry) -> Result<Entry> {
        entry.check()?;
        entry.topics = distinct(entry.topics);
        entry.audience = entry.audience.map(distinct);
        let before = self.entry_before(&entry.key)?;
        self.put_over(before, entry, None)
    }

    /// Gives the entry that is there another value; begins one, as the push says, where there is none. A sender is held to what
    /// it may, as if it had pushed to the entry's topics.
    fn alter_context(&mut self, push: Push, value: impl FnOnce(Option<&Entry>) -> Result<Json>) -> Result<Entry> {
        push.check()?;
        let before = self.entry_before(&push.key)?;
        let Some(there) = before.clone().filter(|there| !there.is_expired(self.reader.now)) else {
            return self.push_over(before, Push { value: value(None)?, ..push });
        };
        self.check_sender(&Push { topics: there.topics.clone(), ..push.clone() }, Some(&there))?;
        check_revision(&push, Some(&there))?;
        let value = value(Some(&there))?;
        let writer = push.sender.clone().or(there.writer.clone());
        self.put_over(before, Entry { value, writer, ..there }, push.sender.as_ref())
    }

    /// The entry of a key, also if it has expired. On the same journey comes what else a writer wants to know: what is to be
    /// swept, which is gone with that, and the latest id.
    fn entry_before(&mut self, key: &Name) -> Result<Option<Entry>> {
        let sql = format!(
            "SELECT {COLUMNS}, earliest, latest
                 FROM (SELECT ({EARLIEST}) AS earliest, ({LATEST}) AS latest) AS known
                 LEFT JOIN context_entries ON key_hash = $2"
        );
        let bound = tick::bound(self.reader.now);
        let hash = self.tx.label(entry::KEY_HASH, &key.hash()).into_owned();
        let found = self.tx.first(&sql, &[Value::Id(bound.as_bytes()), Value::Text(&hash)], |row| {
            let there = if row.is_null(0) { None } else { Some(row::read(row)?) };
            let latest = if row.is_null(11) { None } else { Some(EntryId::from_bytes(row.id(11)?)) };
            Ok((there, row.maybe_moment(10)?, latest))
        })?;
        let (there, earliest, latest) = found.unwrap_or_default();
        if latest.is_none_or(|latest| latest.tells_time()) {
            self.entry_tick = self.entry_tick.max(latest.map(|latest| latest.tick()));
        }
        let by = self.reader.now.checked_sub(LEFT).unwrap_or(Timestamp::UNIX_EPOCH);
        if earliest.is_none_or(|earliest| earliest >= by) {
            return Ok(there);
        }
        self.sweep_context(by)?;
        Ok(there.filter(|there| there.expires_at().is_none_or(|at| at >= by)))
    }

    fn push_over(&mut self, before: Option<Entry>, push: Push) -> Result<Entry> {
        let there = before.as_ref().filter(|there| !there.is_expired(self.reader.now));
        self.check_sender(&push, there)?;
        check_revision(&push, there)?;
        let followers = self.followers(&push.topics)?;
        let agent = push.sender.clone();
        let entry = Entry {
            audience: push.audience(followers),
            key: push.key,
            value: push.value,
            topics: distinct(push.topics),
            writer: push.sender,
            metadata: push.metadata,
            ttl_s: push.ttl_s,
            created_at: self.reader.now,
            revision: 0,
        };
        self.put_over(before, entry, agent.as_ref())
    }

    fn put_over(&mut self, before: Option<Entry>, mut entry: Entry, agent: Option<&Name>) -> Result<Entry> {
        entry.check()?;
        entry.revision = self.state.revision + 1;
        if let Some(before) = &before {
            self.delete_entry(before)?;
        }
        let id = self.entry_id()?;
        row::insert(&*self.reader.tx, id, &entry)?;
        self.state.size_bytes += row::size(&entry);
        self.context_changed = true;
        if before.is_none() {
            self.check_entries()?;
        }
        if let Some(writer) = &entry.writer {
            self.meet(writer)?;
        }
        self.check_quota()?;
        self.note_deed("push_context", || Deed::to_keys(agent, [entry.key.clone()]))?;
        Ok(entry)
    }

    /// Removes an entry, if it is there; for an agent, if it may read it or has written it. Says whether it did.
    pub fn remove_context(&mut self, key: &Name, agent: Option<&Name>) -> Result<bool> {
        let Some(there) = self.context_entry(key)? else { return Ok(false) };
        if agent.is_some() && there.is_expired(self.reader.now) {
            return Ok(false);
        }
        if agent.is_some_and(|agent| !may_change(agent, &there)) {
            // It looks as if nothing were there. That it was tried is told where the trail tells such things.
            if self.spaces.context_trail {
                let deed = Deed::to_keys(agent, [key.clone()]);
                self.note_context("remove_context", &deed, Outcome::Denied(Code::NotAllowed))?;
            }
            return Ok(false);
        }
        self.delete_entry(&there)?;
        self.note_deed("remove_context", || Deed::to_keys(agent, [key.clone()]))?;
        Ok(true)
    }

    /// Removes what has expired. Says how many entries that were.
    pub fn remove_expired_context(&mut self) -> Result<u64> {
        self.sweep_context(self.reader.now)
    }

    /// Removes all entries, and forgets all agents with what they follow and may.
    pub fn clear_context(&mut self) -> Result<()> {
        self.state.size_bytes = self.state.size_bytes.saturating_sub(self.context_bytes()?);
        self.tx.run("DELETE FROM context_entries", &[])?;
        self.tx.run("DELETE FROM context_agents", &[])?;
        self.context_changed = true;
        self.note_deed("clear_context", Deed::default)
    }

    /// Puts on record that an agent was refused something. For a writer in which nothing else is done.
    pub fn note_context_denial(&self) -> Result<()> {
        self.note("context_denied", None)
    }

    /// Puts on record what this writer has not done: a reading, or what was refused.
    pub fn note_context(&self, act: &str, deed: &Deed, outcome: Outcome) -> Result<()> {
        self.note_outcome(act, Some(deed.object()), outcome)
    }

    /// Puts on record what this writer does; whom and what by name only where the trail is to tell that.
    pub(super) fn note_deed(&self, act: &str, deed: impl FnOnce() -> Deed) -> Result<()> {
        self.note(act, self.spaces.context_trail.then(|| deed().object()))
    }

    /// Removes what had expired by then.
    pub(crate) fn sweep_context(&mut self, by: Timestamp) -> Result<u64> {
        let by = Value::Moment(by);
        let sql =
            "SELECT count(*), CAST(coalesce(sum(size_bytes), 0) AS bigint) FROM context_entries WHERE expires_at < $1";
        let found = self.tx.first(sql, &[by], |row| Ok((row.integer(0)? as u64, row.integer(1)? as u64)))?;
        let (count, bytes) = found.unwrap_or_default();
        if count > 0 {
            self.tx.run("DELETE FROM context_entries WHERE expires_at < $1", &[by])?;
            self.state.size_bytes = self.state.size_bytes.saturating_sub(bytes);
            self.context_changed = true;
            self.note("expire_context", Some(format!("{count} entries")))?;
        }
        Ok(count)
    }

    pub(super) fn delete_entry(&mut self, there: &Entry) -> Result<()> {
        let hash = self.tx.label(entry::KEY_HASH, &there.key.hash()).into_owned();
        self.tx.run("DELETE FROM context_entries WHERE key_hash = $1", &[Value::Text(&hash)])?;
        self.state.size_bytes = self.state.size_bytes.saturating_sub(row::size(there));
        self.context_changed = true;
        Ok(())
    }

    fn check_sender(&self, push: &Push, there: Option<&Entry>) -> Result<()> {
        let Some(sender) = &push.sender else { return Ok(()) };
        if !push.topics.is_empty() {
            let agent = self.context_agent(sender)?;
            let refused =
                push.topics.iter().find(|topic| agent.as_ref().is_some_and(|agent| !agent.may_post_to(topic)));
            if let Some(topic) = refused {
                return Err(may_not_post(sender, topic));
            }
        }
        match there {
            Some(there) if !may_change(sender, there) => Err(may_not_overwrite(sender, &push.key)),
            _ => Ok(()),
        }
    }

    /// Passes as many entries as there may be; what has expired does not count. As each counts for some bytes, they have to be
    /// counted only where the space is large enough to hold too many.
    fn check_entries(&mut self) -> Result<()> {
        let max = self.quota().entries_max;
        if self.state.size_bytes / FIXED_BYTES <= max || self.count_entries()? <= max {
            return Ok(());
        }
        self.sweep_context(self.reader.now)?;
        if self.count_entries()? <= max {
            return Ok(());
        }
        Err(Error::new(
            Code::QuotaExceeded,
            format!("This space is full: its limit is a size of {max} entries of context. Remove some first."),
        ))
    }

    fn count_entries(&self) -> Result<u64> {
        let count = self.tx.first("SELECT count(*) FROM context_entries", &[], |row| row.integer(0))?;
        Ok(count.unwrap_or(0) as u64)
    }

    /// The id of the next entry, after all others.
    fn entry_id(&mut self) -> Result<EntryId> {
        let tick = match self.entry_tick {
            Some(latest) => latest.next().max(Tick::of(self.reader.now)),
            None => tick::next(&*self.tx, self.reader.now, &[LATEST])?,
        };
        self.entry_tick = Some(tick);
        Ok(EntryId::mint(tick, self.chamber.tag, &self.reader.spaces.sources))
    }

    /// Takes a topic off entries, and removes those that have no other. Says how many it removed, and whether there were any.
    pub(super) fn untag(&mut self, topic: &Name) -> Result<(u64, bool)> {
        let query = EntryQuery { topic: Some(topic.clone()), expired: true, ..EntryQuery::default() };
        let tagged = self.list_context(&query)?;
        let (any, mut removed) = (!tagged.is_empty(), 0);
        // One value at a time: all of them can be more than one likes to have in memory.
        for Listed { key, .. } in tagged {
            let Some(mut entry) = self.context_entry(&key)? else { continue };
            self.delete_entry(&entry)?;
            entry.topics.retain(|other| other != topic);
            if entry.topics.is_empty() {
                removed += 1;
                continue;
            }
            // It stands last now in the order of writing, which it is: its topics have changed.
            entry.revision = self.state.revision + 1;
            let id = self.entry_id()?;
            row::insert(&*self.reader.tx, id, &entry)?;
            self.state.size_bytes += row::size(&entry);
        }
        Ok((removed, any))
    }
}

/// Passes a push that says nothing of a revision, or the right one.
fn check_revision(push: &Push, there: Option<&Entry>) -> Result<()> {
    if push.expected_revision.is_none_or(|expected| expected == there.map_or(0, |there| there.revision)) {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "The entry has been changed meanwhile. Read it again."))
}

/// Whether an agent may write over an entry, or remove it.
fn may_change(agent: &Name, there: &Entry) -> bool {
    there.is_open_to(agent) || there.writer.as_ref() == Some(agent)
}
