//! Where the directory is kept: what its statements need of a database, whichever it is.

use locule_core::Result;
use locule_core::id::Issuer;

use super::known::Answers;
use crate::group::Job;
use crate::tx::Tx;

/// A database for the directory. Each call sees what every process has committed before it.
pub trait Home: Send + Sync {
    /// Looks. Each statement may see more than the one before it.
    fn read(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()>;

    /// Runs a job in a transaction that it may share with others, alone among all writers of all processes, and returns
    /// when it is durable. A job that fails leaves nothing behind.
    fn write(&self, job: Job) -> Result<()>;

    /// Answers a question from what is known, or from the database if that has changed since.
    fn ask(&self, question: &mut dyn Question) -> Result<()>;

    /// Answers nothing more from what was seen up to now, not even within one unit of work.
    fn look_again(&self) {}

    /// Has what was erased leave the log too, as far as that is in our hands.
    fn empty_log(&self);

    /// Keeps room back for what must be written on a full disk, where the disk is ours.
    fn keep_room(&self);

    /// Gives it up. Says whether there was any.
    fn give_up_room(&self) -> bool;

    /// Whose subjects own rows under their own names, if spaces are kept as rows that have owners: on PostgreSQL.
    fn default_issuer(&self) -> Option<&Issuer>;
}

/// A question whose answer holds for as long as nobody changes the directory.
pub trait Question {
    /// Takes the answer from among those that are known. Says whether it was there.
    fn known(&mut self, answers: &mut Answers) -> bool;

    /// Has the database answer.
    fn find(&mut self, tx: &dyn Tx) -> Result<()>;

    /// Leaves the answer for whoever asks next.
    fn keep(&self, answers: &mut Answers);
}
