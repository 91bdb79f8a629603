//! How a command ends that is not done: an exit code, and words that say what to do next.

use std::error::Error as StdError;
use std::io;
use std::process::ExitCode;

use locule::{Code, Error};

use crate::config::Problem;

/// What a command comes to.
pub type Outcome = Result<(), Failure>;

/// Why a command is not done.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    code: &'static str,
    words: String,
    /// What lies under it, for whoever runs the installation.
    causes: Vec<String>,
}

/// The exit codes, as the help has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Whoever read our output has had enough. That is no failure.
    Done = 0,
    /// The disk, the data or the machine.
    Failed = 1,
    /// The command line, the configuration or an id.
    Usage = 2,
    /// No such user or key.
    NotFound = 3,
    /// It may not be done now.
    Refused = 4,
}

impl Failure {
    pub fn failed(words: impl Into<String>) -> Self {
        Failure { exit: Exit::Failed, code: "failed", words: words.into(), causes: Vec::new() }
    }

    pub fn usage(words: impl Into<String>) -> Self {
        Failure { exit: Exit::Usage, code: "usage", words: words.into(), causes: Vec::new() }
    }

    pub fn not_found(words: impl Into<String>) -> Self {
        Failure { exit: Exit::NotFound, code: "not_found", words: words.into(), causes: Vec::new() }
    }

    pub fn refused(words: impl Into<String>) -> Self {
        Failure { exit: Exit::Refused, code: "refused", words: words.into(), causes: Vec::new() }
    }

    #[must_use]
    pub fn because(mut self, error: &(dyn StdError + 'static)) -> Self {
        self.causes.extend(chain(Some(error)).map(ToString::to_string));
        self
    }

    /// The sentence.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// What is said of it on standard error, line by line.
    pub fn lines(&self, json: bool) -> Vec<String> {
        let Failure { exit, code, words, causes } = self;
        if *exit == Exit::Done {
            return Vec::new();
        }
        if json {
            let error = serde_json::json!({ "code": code, "detail": words, "causes": causes });
            return vec![serde_json::json!({ "error": error }).to_string()];
        }
        let causes = causes.iter().map(|cause| format!("  because: {cause}"));
        std::iter::once(format!("locule: {words}")).chain(causes).collect()
    }

    /// What the process ends with.
    pub fn exit(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if chain(error.source()).any(is_broken_pipe) {
            return Failure { exit: Exit::Done, code: "done", words: String::new(), causes: Vec::new() };
        }
        let words = match error.code() {
            // The library speaks to whoever sent a request; here is no request and no log.
            Code::Internal => "Something went wrong on our side.".to_owned(),
            _ => error.detail().to_owned(),
        };
        Failure {
            exit: exit(error.code()),
            code: error.code().as_str(),
            words,
            causes: chain(error.source()).map(ToString::to_string).collect(),
        }
    }
}

impl From<Problem> for Failure {
    fn from(Problem(words): Problem) -> Self {
        Failure { code: "configuration", ..Failure::usage(words) }
    }
}

/// Writing to standard output failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if is_broken_pipe(&error) {
            return Failure { exit: Exit::Done, ..Failure::failed("") };
        }
        Failure::failed("Standard output cannot be written to.").because(&error)
    }
}

fn exit(code: Code) -> Exit {
    match code {
        Code::NotFound => Exit::NotFound,
        Code::Invalid | Code::TooLarge => Exit::Usage,
        Code::Unauthenticated
        | Code::SpaceErased
        | Code::SpaceMoving
        | Code::SpaceMoved
        | Code::NotYourSpace
        | Code::NotAllowed
        | Code::SpaceSuspended
        | Code::QuotaExceeded
        | Code::Conflict
        | Code::ModelMismatch => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn chain<'a>(first: Option<&'a (dyn StdError + 'static)>) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(first, |&error| error.source())
}

fn is_broken_pipe(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
