//! What every command needs: the configuration, the installation, and an operator's right with the command as its reason.

use std::path::Path;

use locule::{Code, Engine, Operator, Request, UserRecord};

use super::Common;
use super::failure::Failure;
use super::output::shown;
use crate::config::{Config, Environment, Flags};

/// What was said for every command.
pub struct Context {
    common: Common,
}

impl Context {
    pub fn new(common: Common) -> Self {
        Context { common }
    }

    /// Whether to answer in JSON.
    pub fn json(&self) -> bool {
        self.common.json
    }

    /// The configuration.
    pub fn config(&self) -> Result<Config, Failure> {
        self.config_with(Vec::new())
    }

    /// The configuration with a command's own flags.
    pub fn config_with(&self, flags: Flags) -> Result<Config, Failure> {
        let environment = Environment::of_process()?;
        let mut all = self.common.set.clone();
        if let Some(data) = &self.common.data {
            all.push(("data".to_owned(), text(data)?));
        }
        all.extend(flags);
        Ok(Config::load(self.common.config.as_deref(), &environment, &all)?)
    }

    /// The installation, which must be there.
    pub fn open(&self) -> Result<Installation, Failure> {
        Installation::open(self.config()?.engine())
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().ok_or_else(|| Failure::usage("The path of the data directory is not UTF-8."))?;
    Ok(text.to_owned())
}

/// An open installation, which tells its directory the last figures when the command ends.
pub struct Installation {
    /// The library.
    pub engine: Engine,
}

impl Installation {
    pub fn open(config: locule::Config) -> Result<Self, Failure> {
        Ok(Installation { engine: Engine::open(config)? })
    }

    /// The right to run the installation: whoever can read the master key has it. `command` goes on record.
    pub fn operator(&self, command: &str) -> Result<Operator, Failure> {
        Ok(self.engine.trusted_operator(&reason(command), &Request::default())?)
    }

    /// A user who must be there.
    pub fn user(&self, operator: &Operator, id: &str) -> Result<UserRecord, Failure> {
        let identity = self.engine.identity(id)?;
        self.engine.user(operator, &identity).map_err(|error| match error.code() {
            Code::NotFound => Failure::not_found(format!("There is no user {}.", shown(id))),
            _ => error.into(),
        })
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // What was acknowledged is on disk already; this only keeps figures fresh and logs short.
        if let Err(error) = self.engine.close() {
            super::output::say(format!("locule: closing the data: {error}"));
        }
    }
}

/// Why a command acts, as the audit trail keeps it.
pub fn reason(command: &str) -> String {
    format!("command line: {command}")
}
