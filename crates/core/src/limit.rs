//! Every bound on what comes in: the number, its unit and the reason, in one table.
//!
//! A bound is where an input stops being a use and starts being an attack on everybody else's share of the machine.

use crate::{Code, Error, Result};

/// One bound.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What is bounded, as the error says it.
    pub name: &'static str,
    /// The largest value that passes.
    pub max: usize,
    /// What is counted.
    pub unit: &'static str,
    /// Why there is a bound, and why here.
    pub reason: &'static str,
}

impl Bound {
    /// Passes `amount`, or says what the bound is.
    pub fn check(&self, amount: usize) -> Result<()> {
        if amount <= self.max {
            return Ok(());
        }
        let Bound { name, max, unit, .. } = self;
        Err(Error::new(Code::TooLarge, format!("{name}: {amount} {unit}, and at most {max} are taken.")))
    }
}

macro_rules! bounds {
    ($($constant:ident = $name:literal, $max:expr, $unit:literal, $reason:literal;)*) => {
        $(#[doc = concat!($name, ", in ", $unit, ". ", $reason)]
        pub const $constant: Bound = Bound { name: $name, max: $max, unit: $unit, reason: $reason };)*
        /// All of them, for the documentation and for the test that tries each at its edge.
        pub const ALL: &[Bound] = &[$($constant),*];
    };
}

bounds! {
    SUBJECT_BYTES = "user id", 255, "bytes", "Longer than any identity provider issues; a key of every directory look-up.";
    ISSUER_BYTES = "issuer", 1024, "bytes", "An issuer is a URL.";
    TOKEN_BYTES = "credential", 8 * 1024, "bytes", "Checked before any parsing: a 10 MB token costs 150 ms of CPU to refuse.";
    HEADER_BYTES = "request head", 16 * 1024, "bytes", "A request line and headers; kept per connection while it is read.";
    BODY_BYTES = "request body", 16 * 1024 * 1024, "bytes", "A full batch with vectors of 1,536 dimensions as JSON.";
    JSON_DEPTH = "JSON nesting", 32, "levels", "Parsers and stored paths recurse once per level.";
    BATCH = "memories or relationships in one request", 1000, "items", "One transaction, one sync, one writer's turn.";
    MEMORY_BYTES = "memory", 64 * 1024, "bytes", "A memory is a statement; a longer text is a document.";
    LABEL_BYTES = "agent_id, run_id, app_id, category or relationship_type", 255, "bytes", "Labels are matched exactly and shown in lists.";
    CATEGORIES = "categories", 32, "categories", "Each is matched against each filter.";
    METADATA_BYTES = "metadata", 64 * 1024, "bytes", "Kept and returned with each hit.";
    DIMENSION = "embedding", 4096, "numbers", "The widest model in common use has 4,096 dimensions.";
    QUERY_BYTES = "query", 16 * 1024, "bytes", "The embedder reads the first 256 tokens.";
    QUERY_TERMS = "words searched", 64, "words", "Each is one look-up in the word index; the rest are left to the vector.";
    LISTED_USERS = "users in one list", 10_000, "users", "One answer is built in memory.";
    PAGE = "limit", 1000, "memories, relationships or runs", "One answer is built in memory.";
    SEARCH_LIMIT = "limit", 1000, "hits", "One answer is built in memory.";
    SESSION_TTL_S = "ttl_s", 24 * 60 * 60, "seconds", "A session is over within a day; what shall last longer has an `expiration`.";
    RELATIONSHIPS = "relationships of one memory", 1000, "relationships", "Deleting the memory and walking from it read them all.";
    HOPS = "hops", 2, "hops", "Each hop multiplies what is read by the relationships of a memory.";
    NEIGHBOURS = "limit", 1000, "neighbours", "One answer is built in memory.";
    FILTER_NODES = "filter", 128, "conditions", "Each is evaluated against each memory.";
    FILTER_DEPTH = "filter nesting", 16, "levels", "Each level is one level of the statement.";
    FILTER_VALUES = "values of one `in`", 1000, "values", "Each is bound to the statement.";
    IMPORT_LINE_BYTES = "line of an import", 16 * 1024 * 1024, "bytes", "The longest entry of the context, or memory with metadata and vector, and room.";
    JOBS = "jobs of one space that are to be done", 1000, "jobs", "What waits is done one after the other.";
    JOB_BYTES = "what a job is given", 1024 * 1024, "bytes", "A long conversation; no model reads more at once.";
    JOB_ERROR_BYTES = "error of a job", 1000, "bytes", "A sentence, and not what a model or an endpoint answered.";
    INSTRUCTIONS_BYTES = "instructions", 16 * 1024, "bytes", "A model reads them with every conversation.";
    SETTINGS_BYTES = "settings", 64 * 1024, "bytes", "Read with every piece of work that goes by them.";
    CUSTOM_CATEGORIES = "custom_categories", 100, "categories", "A model reads them with every conversation.";
    FEEDBACK_BYTES = "feedback_reason", 4096, "bytes", "A few sentences.";
    WEBHOOKS = "webhooks of one project", 32, "webhooks", "Each is told of each change.";
    WEBHOOK_NAME_BYTES = "name of a webhook", 255, "bytes", "Shown in lists.";
    URL_BYTES = "url", 2048, "bytes", "Longer than any service hands out; kept with each webhook.";
    CONTEXT_KEY_BYTES = "key", 8 * 1024 * 1024, "bytes", "Found by its hash, so that it may be long; kept with each entry.";
    CONTEXT_VALUE_BYTES = "value", 8 * 1024 * 1024, "bytes", "Its size as JSON in ASCII; read whole with each look at the entry.";
    CONTEXT_DEPTH = "JSON nesting of a value", 512, "levels", "Readers of JSON recurse once per level, and most bear twice as many.";
    CONTEXT_NAME_BYTES = "agent or topic", 64 * 1024, "bytes", "Kept with each entry that it may read or that was pushed to it.";
    CONTEXT_NAMES = "names in one list", 1000, "names", "Each is compared with each of another list.";
    ACT_BYTES = "word for an act", 64, "bytes", "It stands in the trail; the longest in use has 19.";
    CONTEXT_NAMES_BYTES = "names in one list", 1024 * 1024, "bytes", "Read with each look at the entry or the agent that they are of.";
    CONTEXT_ENTRY_BYTES = "entry", 15 * 1024 * 1024, "bytes", "With its key, its names and its metadata it is one line of an export.";
    CONTEXT_ANSWER_BYTES = "context in one answer", 64 * 1024 * 1024, "bytes", "One answer is built in memory: ask for fewer keys.";
    CONTEXT_CHANGES_BYTES = "changes in one answer", 8 * 1024 * 1024, "bytes", "Held for each stream until its client has taken them; the rest comes after.";
    CONTEXT_KEYS_BYTES = "keys that are followed", 16 * 1024 * 1024, "bytes", "Held for each stream, to tell which are gone: follow for an agent, which reads fewer.";
    CONTEXT_WATCHERS = "streams of changes of one user", 16, "streams", "Each holds a connection and looks again every second.";
    FACTS = "facts of one conversation", 100, "facts", "More is a model gone astray.";
    FACT_BYTES = "fact", 4 * 1024, "bytes", "A sentence, or a few.";
    SUMMARY_BYTES = "summary", 48 * 1024, "bytes", "What an agent reads to go on with its work.";
    USE_CASE_CHARS = "use_case", 4000, "characters", "A model reads it.";
    DELIVERIES = "deliveries of one space that wait", 500, "deliveries", "A receiver that is away leaves room for other work.";
    DELETIONS_TOLD = "deletions told of one request", 10_000, "memories", "Each is looked up before it goes.";
    KEY_NAME_BYTES = "key name", 100, "bytes", "Shown in lists.";
    REASON_BYTES = "reason", 255, "bytes", "Kept in the audit trail.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_takes_its_limit_and_refuses_one_more() {
        for bound in ALL {
            assert!(bound.check(bound.max).is_ok(), "{}", bound.name);
            assert_eq!(bound.check(bound.max + 1).map_err(|error| error.code()), Err(Code::TooLarge), "{}", bound.name);
        }
    }
}
