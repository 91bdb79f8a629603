//! `locule reindex`

use clap::Args;
use locule::{Act, Operator, Reindexed, UserRecord};

use super::context::{Context, Installation, reason};
use super::failure::{Failure, Outcome};
use super::output::{self, say, shown};
use super::{progress, user};

/// Have vectors made anew, by the model that is configured now
///
/// A space keeps the vectors of one model. After another was configured ([embedding]), searching and adding there is refused
/// until this is done; texts, ids and history stay as they are. It may run beside a server, which is then started again with
/// the new configuration. Where the vectors are that model's already, nothing is done: it may be broken off and run again.
///
/// Examples:
///   locule reindex alice
///   locule reindex --all
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Reindex {
    /// The user's id; several may be given
    #[arg(required_unless_present = "all")]
    ids: Vec<String>,
    /// Everybody
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl Reindex {
    pub fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("reindex")?;
        let mut users = Vec::new();
        if self.all {
            user::each(&installation, &operator, None, usize::MAX, |user| {
                users.push(user.clone());
                Ok(())
            })?;
        } else {
            for id in &self.ids {
                users.push(installation.user(&operator, id)?);
            }
        }
        let mut done = Vec::new();
        for user in users {
            let id = user.identity.subject.as_str().to_owned();
            let reindexed = reindex(&installation, &operator, user)?;
            match &reindexed {
                Reindexed { memories: 0, .. } => say(format!("{} needs nothing.", shown(&id))),
                Reindexed { memories, to, .. } => {
                    say(format!("{}: {memories} memories have vectors of {to}.", shown(&id)))
                }
            }
            done.push(serde_json::json!({ "user_id": id, "reindexed": reindexed }));
        }
        if context.json() { output::json(&serde_json::json!({ "users": done })) } else { Ok(()) }
    }
}

fn reindex(installation: &Installation, operator: &Operator, user: UserRecord) -> Result<Reindexed, Failure> {
    let engine = &installation.engine;
    let bar = progress::bar(user.published.memories, "{wide_bar} {pos}/{len} texts, {eta} left");
    let scope = engine.gate().system_write(operator, user.identity, Act::WriteMemories, &reason("reindex"))?;
    let reindexed = engine.reindex(scope, &mut |done, whole| {
        bar.set_length(whole);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(reindexed?)
}
