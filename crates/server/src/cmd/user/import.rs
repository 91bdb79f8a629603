//! `locule user import`

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clap::Args;
use indicatif::ProgressBar;
use locule::{Act, Error, ImportSummary, Imported};

use crate::cmd::context::{Context, Installation, reason};
use crate::cmd::failure::{Failure, Outcome};
use crate::cmd::output::{self, say, shown};
use crate::cmd::progress;
use crate::cmd::user::reader::{self, Ours};

/// Put memories into a user's space
///
/// Takes what `locule user export` writes, and puts it back exactly: ids, times and vectors included. Takes JSON lines and
/// JSON arrays of memories too, of which only `content` (or `memory`) must be there; a memory without a vector gets one.
/// What is there already, by id or by text, is skipped, so that an import that was cut short can be repeated; so are
/// relationships that lead to a memory that is not there. The user is created if there is none.
///
/// Examples:
///   locule user import alice alice.json
///   zcat alice.json.gz | locule user import alice -
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Import {
    /// The user's id
    id: String,
    /// The file to read, or - for standard input
    file: PathBuf,
}

/// How many things are read ahead of those that are being stored.
const AHEAD: usize = 64;

impl Import {
    pub fn run(self, context: &Context) -> Outcome {
        let source = open(&self.file)?;
        let installation = context.open()?;
        let summary = self.import(&installation, source)?;
        let ImportSummary { imported, skipped, relationships_imported, relationships_skipped } = summary;
        say(format!(
            "Imported {imported} memories into the space of {}; {skipped} were there already.",
            shown(&self.id)
        ));
        if relationships_imported + relationships_skipped > 0 {
            say(format!(
                "Imported {relationships_imported} relationships between them; {relationships_skipped} were there already, \
                 or lead to a memory that is not."
            ));
        }
        if context.json() { output::json(&summary) } else { Ok(()) }
    }

    /// One thread reads and one stores, with a few things between them.
    fn import(&self, installation: &Installation, source: Source) -> Result<ImportSummary, Failure> {
        let engine = &installation.engine;
        let operator = installation.operator("user import")?;
        let identity = engine.identity(&self.id)?;
        let model = engine.embedder().model();
        let ours = Ours { model: model.id.clone(), dimension: model.dimension };
        let bar = match source.length {
            Some(length) => progress::bar(length, "{wide_bar} {bytes}/{total_bytes}, {eta} left"),
            None => progress::bar(0, "{spinner} {bytes} read"),
        };
        let (sender, receiver) = sync_channel(AHEAD);
        let reader = Watched { inner: source.reader, bar: bar.clone() };
        let summary = std::thread::scope(|threads| {
            threads.spawn(move || read(reader, &ours, &sender));
            engine.import(
                || engine.gate().system_write(&operator, identity.clone(), Act::WriteMemories, &reason("user import")),
                Things(receiver),
                &mut |_| {},
            )
        });
        bar.finish_and_clear();
        Ok(summary?)
    }
}

/// What an import reads, and how long it is if that is known.
struct Source {
    reader: Box<dyn Read + Send>,
    length: Option<u64>,
}

fn open(path: &Path) -> Result<Source, Failure> {
    if path == Path::new("-") {
        return Ok(Source { reader: Box::new(io::stdin()), length: None });
    }
    let unreadable =
        |error: io::Error| Failure::failed(format!("The file {} cannot be read.", path.display())).because(&error);
    #[expect(clippy::disallowed_methods, reason = "a file that the operator names, not a data file")]
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    Ok(Source { reader: Box::new(file), length: Some(length) })
}

/// Moves the bar as bytes are read.
struct Watched {
    inner: Box<dyn Read + Send>,
    bar: ProgressBar,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}

type Item = Result<Imported, Error>;

fn read(reader: Watched, ours: &Ours, sender: &SyncSender<Item>) {
    // Nobody listens any more when storing has failed, and then there is nothing to say.
    if let Err(error) = reader::read(reader, ours, &mut |thing| sender.send(Ok(thing)).is_ok()) {
        let _ = sender.send(Err(error));
    }
}

struct Things(Receiver<Item>);

impl Iterator for Things {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.0.recv().ok()
    }
}
