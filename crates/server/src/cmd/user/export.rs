//! `locule user export`

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use locule::{Act, Operator};

use crate::cmd::context::{Context, Installation, reason};
use crate::cmd::failure::{Failure, Outcome};
use crate::cmd::output::{self, say, shown};
use crate::cmd::progress;

/// Take everything out of a user's space, as one JSON object
///
/// Memories come one to a line, with all their fields and their vectors, and after them the relationships between them;
/// `locule user import` puts them back exactly. What is written is not encrypted.
///
/// Examples:
///   locule user export alice --out alice.json
///   locule user export alice | gzip > alice.json.gz
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Export {
    /// The user's id
    id: String,
    /// The file to make, for this account alone [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    pub fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("user export")?;
        let written = match &self.out {
            None => self.write(&installation, &operator, &mut BufWriter::new(io::stdout().lock()))?,
            Some(path) => self.write_file(&installation, &operator, path)?,
        };
        say(format!("Exported {written} memories of {}.", shown(&self.id)));
        match (&self.out, context.json()) {
            (Some(path), true) => {
                output::json(&serde_json::json!({ "user_id": self.id, "memories": written, "file": path }))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, installation: &Installation, operator: &Operator, out: &mut dyn Write) -> Result<u64, Failure> {
        let user = installation.user(operator, &self.id)?;
        let engine = &installation.engine;
        let scope = engine.system_read(operator, user.identity, Act::Export, &reason("user export"))?;
        let bar = progress::bar(user.published.memories, "{wide_bar} {pos}/{len} memories, {eta} left");
        let written = engine.export(scope, &self.id, out, &mut |written, total| {
            bar.set_length(total);
            bar.set_position(written);
        });
        bar.finish_and_clear();
        Ok(written?)
    }

    /// A file is there whole or not at all, and takes nobody's place.
    fn write_file(&self, installation: &Installation, operator: &Operator, path: &Path) -> Result<u64, Failure> {
        let mut file = BufWriter::new(make(path)?);
        let written = self.write(installation, operator, &mut file).and_then(|written| {
            let synced = file.flush().and_then(|()| file.get_ref().sync_all());
            synced.map_err(|error| unwritable(path, &error))?;
            Ok(written)
        });
        if written.is_err() {
            #[expect(clippy::disallowed_methods, reason = "the file this command has just made, not a data file")]
            let _ = fs::remove_file(path);
        }
        written
    }
}

#[expect(clippy::disallowed_methods, reason = "a file that the operator asks for, not a data file")]
fn make(path: &Path) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::failed(format!("There is a {} already. It was left as it is: name another file.", path.display()))
        }
        _ => unwritable(path, &error),
    })
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("The file {} cannot be written.", path.display())).because(error)
}
