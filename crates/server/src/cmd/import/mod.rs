//! `locule import`

mod mem0;
mod records;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use locule::{Act, Exported, Identity, ImportSummary, Imported, Operator, Subject};

use super::context::{Context, Installation, reason};
use super::failure::{Failure, Outcome};
use super::output::{self, say, shown};
use super::progress;

/// Import memories that another product has exported
///
/// Takes what mem0's platform exports as JSON: a list of memories, an object with the list under `results`, or one memory to a
/// line. Ids, texts, times, metadata, categories, agents, runs and apps are kept; vectors are made anew. Each memory goes to
/// the user it names, who is created if there is none; one that names no user goes to --user, or is wrong without it.
///
/// The whole file is read first: if a record is wrong, its number is said and nothing is imported, unless --skip-bad leaves
/// such out. Then memories go in in batches that are each there or not. What is there already, by id or by the same text, is
/// skipped, so that an import that was cut short is repeated with the same command. At the end it is counted what became of
/// every record.
///
/// Examples:
///   locule import --mem0 export.json --dry-run
///   locule import --mem0 export.json
///   locule import --mem0 agents.jsonl --user shared-agents
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Import {
    /// The file
    #[arg(long, value_name = "FILE")]
    mem0: PathBuf,
    /// Whose the memories are that name no user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Leave out records that are wrong, and import the others
    #[arg(long)]
    skip_bad: bool,
    /// Say what would be imported for whom, and import nothing
    #[arg(long)]
    dry_run: bool,
}

/// How many memories of one user are put in at a time.
const BATCH: usize = 200;

/// How many memories of all users are held at a time, before those of the user with the most are put in.
const HELD: usize = 5_000;

/// How many wrong records are named.
const NAMED: usize = 20;

/// What a first reading finds.
#[derive(Default)]
struct Found {
    /// By user, how many memories.
    users: BTreeMap<String, u64>,
    bad: Vec<(u64, String)>,
    /// Those that have expired by now: nobody would see them.
    expired: u64,
}

impl Import {
    pub fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("import")?;
        let now = installation.engine.now();
        let mut found = Found::default();
        let count = self.each(&mut |number, record| {
            match record {
                Ok((_, memory)) if has_expired(&memory, now) => found.expired += 1,
                Ok((user, _)) => *found.users.entry(user.as_str().to_owned()).or_default() += 1,
                Err(why) => found.bad.push((number, why)),
            }
            Ok(())
        })?;
        for (number, why) in found.bad.iter().take(NAMED) {
            say(format!("record {number}: {why}"));
        }
        if !found.bad.is_empty() && !self.skip_bad && !self.dry_run {
            return Err(Failure::usage(format!(
                "{} of {count} records are wrong. Nothing was imported: correct them, or leave them out with --skip-bad.",
                found.bad.len()
            )));
        }
        let mut summary = ImportSummary::default();
        if !self.dry_run {
            summary = self.import(&installation, &operator, now)?;
            let accounted = summary.imported + summary.skipped + found.expired + found.bad.len() as u64;
            if accounted != count {
                return Err(Failure::failed(format!(
                    "Of {count} records {accounted} are accounted for: the file has changed meanwhile. Run it again."
                )));
            }
        }
        self.tell(&found, count, summary);
        if context.json() { output::json(&self.report(&found, count, summary)) } else { Ok(()) }
    }

    /// Reads the file; shows each record with its number, and whose it is or what is wrong with it.
    fn each(&self, visit: &mut dyn FnMut(u64, Result<(Subject, Exported), String>) -> Outcome) -> Result<u64, Failure> {
        let fallback = self.user.as_deref().map(Subject::try_from).transpose()?;
        let (file, length) = open(&self.mem0)?;
        let bar = progress::bar(length, "{wide_bar} {bytes}/{total_bytes}, {eta} left");
        let read = records::read(Watched { file, bar: bar.clone() }, &mut |number, value| {
            let record = mem0::read(value).and_then(|record| {
                let nobody = "it names no user: say whose it is with --user";
                Ok((record.user.or_else(|| fallback.clone()).ok_or(nobody)?, record.memory))
            });
            visit(number, record)
        });
        bar.finish_and_clear();
        read
    }

    fn import(
        &self,
        installation: &Installation,
        operator: &Operator,
        now: jiff::Timestamp,
    ) -> Result<ImportSummary, Failure> {
        let mut importing =
            Importing { installation, operator, held: BTreeMap::new(), count: 0, summary: ImportSummary::default() };
        self.each(&mut |_, record| match record {
            Ok((user, memory)) if !has_expired(&memory, now) => importing.take(user, memory),
            _ => Ok(()),
        })?;
        while importing.put_most()? {}
        Ok(importing.summary)
    }

    fn tell(&self, found: &Found, count: u64, summary: ImportSummary) {
        let Found { users, bad, expired } = found;
        for (user, memories) in users {
            say(format!("{memories:>9}  {}", shown(user)));
        }
        let left_out = format!("{expired} have expired, {} are wrong", bad.len());
        if self.dry_run {
            say(format!("Would import {count} records for {} users; {left_out}.", users.len()));
        } else {
            let ImportSummary { imported, skipped, .. } = summary;
            say(format!(
                "Of {count} records for {} users {imported} were imported and {skipped} were there already; {left_out}.",
                users.len()
            ));
        }
    }

    fn report(&self, found: &Found, count: u64, summary: ImportSummary) -> serde_json::Value {
        let bad: Vec<_> =
            found.bad.iter().map(|(number, why)| serde_json::json!({ "record": number, "why": why })).collect();
        serde_json::json!({
            "dry_run": self.dry_run, "records": count, "imported": summary.imported, "skipped": summary.skipped,
            "expired": found.expired, "bad": bad, "users": found.users,
        })
    }
}

/// Memories on their way in, gathered by user.
struct Importing<'a> {
    installation: &'a Installation,
    operator: &'a Operator,
    held: BTreeMap<Subject, Vec<Exported>>,
    count: usize,
    summary: ImportSummary,
}

impl Importing<'_> {
    fn take(&mut self, user: Subject, memory: Exported) -> Outcome {
        let held = self.held.entry(user.clone()).or_default();
        held.push(memory);
        self.count += 1;
        if held.len() >= BATCH {
            self.put(&user)?;
        }
        if self.count >= HELD { self.put_most().map(drop) } else { Ok(()) }
    }

    /// Puts in what is held of the user with the most. Says whether there was anybody.
    fn put_most(&mut self) -> Result<bool, Failure> {
        let most = self.held.iter().max_by_key(|(_, held)| held.len()).map(|(user, _)| user.clone());
        match most {
            Some(user) => self.put(&user).map(|()| true),
            None => Ok(false),
        }
    }

    fn put(&mut self, user: &Subject) -> Outcome {
        let memories = self.held.remove(user).unwrap_or_default();
        self.count -= memories.len();
        let engine = &self.installation.engine;
        let identity = Identity { issuer: engine.issuer().clone(), subject: user.clone() };
        let summary = engine.import(
            || engine.gate().system_write(self.operator, identity.clone(), Act::WriteMemories, &reason("import")),
            memories.into_iter().map(|memory| Ok(Imported::Memory(Box::new(memory)))),
            &mut |_| {},
        )?;
        self.summary.imported += summary.imported;
        self.summary.skipped += summary.skipped;
        Ok(())
    }
}

fn has_expired(memory: &Exported, now: jiff::Timestamp) -> bool {
    memory.expiration.is_some_and(|expiration| expiration <= now)
}

fn open(path: &Path) -> Result<(File, u64), Failure> {
    let unreadable =
        |error: std::io::Error| Failure::failed(format!("The file {} cannot be read.", path.display())).because(&error);
    #[expect(clippy::disallowed_methods, reason = "a file that the operator names, not a data file")]
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    Ok((file, length))
}

/// Moves the bar as bytes are read.
struct Watched {
    file: File,
    bar: ProgressBar,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}
