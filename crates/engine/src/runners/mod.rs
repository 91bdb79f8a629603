//! What jobs do, kind by kind. Each looks, asks whom it has to ask while it holds nothing, and writes what came of it in one
//! transaction with the end of its job: done exactly once, whatever is killed when.

mod deliver;
mod extract;
mod room;
mod select;

use std::sync::Arc;
use std::time::Duration;

use locule_core::job::JobKind;

use self::deliver::Deliver;
pub(crate) use self::deliver::{Delivery, Told};
use self::extract::Extract;
use self::room::Room;
use self::select::Select;
use crate::Engine;
use crate::infer::Unusable;
use crate::model::chat::{Again, Chat, Failure as Asked};
use crate::work::{Crew, Failure, Workers};

/// How long a job may take beside what it waits for: vectors, and a turn to write.
const BESIDE: Duration = Duration::from_secs(15);

/// How many deliveries are made at a time.
const DELIVERIES: usize = 4;

/// How many exports and summaries are made at a time where no model is asked for them.
const PLAIN: usize = 2;

impl Engine {
    /// Those who do the jobs of this installation. Nothing is done before they are started, or sent round.
    pub fn crew(self: &Arc<Self>) -> Arc<Crew> {
        let model = Arc::new(Room::of(self.chat().map_or(PLAIN, Chat::concurrency)));
        let extract = || Extract::new(self.chat(), model.clone());
        Crew::new(
            self.clone(),
            vec![
                Box::new(extract()),
                Box::new(Select { kind: JobKind::Export, like: extract() }),
                Box::new(Select { kind: JobKind::Summarize, like: extract() }),
                Box::new(Deliver::new(self.courier(), Room::of(DELIVERIES))),
            ],
        )
    }

    /// Starts as many as there is room for, so that neither a model nor a receiver that keeps us waiting keeps the others from
    /// being asked.
    pub fn start_workers(self: &Arc<Self>) -> Workers {
        self.crew().start(DELIVERIES + self.chat().map_or(PLAIN, Chat::concurrency))
    }
}

/// How asking somebody came to nothing is how the work did.
impl From<Asked> for Failure {
    fn from(Asked { again, why }: Asked) -> Self {
        match again {
            Again::Later => Failure::Again { reason: why, after: None },
            Again::After(after) => Failure::Again { reason: why, after: Some(after) },
            Again::Never => Failure::Final { reason: why },
        }
    }
}

/// What cannot be read may be said better the next time.
impl From<Unusable> for Failure {
    fn from(Unusable(why): Unusable) -> Self {
        Failure::again(format!("The model's answer cannot be used: {why}."))
    }
}
