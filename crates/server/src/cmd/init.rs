//! `locule init`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Args;

use super::context::{Context, Installation};
use super::failure::{Failure, Outcome};
use super::output::{self, say};

/// Make a data directory with its keys
///
/// Touches nothing that is there: a directory with anything in it is refused.
///
/// Examples:
///   locule init --data /var/lib/locule
///   locule init --if-missing           In a script: done if there is one already
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Init {
    /// Succeed if the data directory is there already
    #[arg(long)]
    if_missing: bool,
}

impl Init {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?.engine();
        let data = config.data.clone();
        let made = match find(&data)? {
            Found::Installation if self.if_missing => false,
            Found::Installation => {
                return Err(Failure::failed(format!(
                    "There is a data directory at {} already. It was left as it is; --if-missing takes that for done.",
                    data.display()
                )));
            }
            Found::Nothing => {
                prepare(&data)?;
                Installation::open(locule::Config { create: true, ..config })?;
                true
            }
        };
        if made {
            tell(&data);
        } else {
            say(format!("There is a data directory at {}. Nothing to do.", data.display()));
        }
        if context.json() {
            return output::json(&serde_json::json!({ "data": data, "made": made }));
        }
        Ok(())
    }
}

fn tell(data: &Path) {
    let data = data.display();
    say(format!("Made the data directory {data}, for this account alone:"));
    say("  master.key     opens everything else; without it nothing can be read again");
    say("  directory.db   users, API keys and the audit trail, encrypted");
    say("  keys/, spaces/ will hold each user's key and data, encrypted, from their first memory on");
    say("Back up master.key now, in another place than the data. Back up keys/ apart from spaces/ too, and let its");
    say("backups expire sooner: what has been erased can be read as long as a copy of its key is kept.");
    say(format!("Next: locule serve --data {data}"));
}

/// What is there before we make something.
pub enum Found {
    /// Nothing, or an empty directory.
    Nothing,
    /// An installation of ours.
    Installation,
}

/// Looks at the place of a data directory. What is neither empty nor ours is refused.
pub fn find(data: &Path) -> Result<Found, Failure> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => {
            let words = format!("The data directory {} cannot be looked into.", data.display());
            return Err(Failure::failed(words).because(&error));
        }
    };
    if data.join("master.key").exists() || data.join("directory.db").exists() {
        return Ok(Found::Installation);
    }
    match entries.count() {
        0 => Ok(Found::Nothing),
        _ => Err(Failure::failed(format!(
            "{} is not empty and is no data directory. Name one that is not there yet, or is empty.",
            data.display()
        ))),
    }
}

/// Makes the place that [`find`] found empty ours alone: an empty directory may have been laid out for all to see.
pub fn prepare(data: &Path) -> Outcome {
    if !data.exists() {
        return Ok(());
    }
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(|error| {
        Failure::failed(format!("The directory {} is not this account's own.", data.display())).because(&error)
    })
}
