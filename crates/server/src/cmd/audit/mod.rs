//! `locule audit`

mod report;

use clap::{Args, Subcommand};
use locule::{Act, Operator, SystemRecord};

use crate::cmd::context::{Context, Installation, reason};
use crate::cmd::failure::{Failure, Outcome};
use crate::cmd::output::{List, moment, say, shown};
use crate::cmd::user;

/// Check and read the audit trail
///
/// Example:
///   locule audit verify --all
#[derive(Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Audit {
    Verify(Verify),
    List(ListEntries),
    Report(report::Report),
}

/// Check that no entry was changed, moved or removed
///
/// The installation has a chain of its own (refusals, operators' acts, erasures), and so has each user's space. Ends with
/// exit code 1 if a chain is broken.
///
/// Examples:
///   locule audit verify                The installation's chain
///   locule audit verify --user alice   That of Alice's space
///   locule audit verify --all          Every chain there is, but those of suspended users
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Verify {
    /// The chain of this user's space
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    user: Option<String>,
    /// Every chain there is
    #[arg(long)]
    all: bool,
}

/// List the newest entries
///
/// Whoever was erased is named in no entry any more.
///
/// Examples:
///   locule audit list --limit 20
///   locule audit list --user alice     What was done in Alice's space, oldest first
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListEntries {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// The entries of this user's space, all of them
    #[arg(long, value_name = "ID", conflicts_with = "limit")]
    user: Option<String>,
}

impl Audit {
    pub fn run(self, context: &Context) -> Outcome {
        match self {
            Audit::Verify(verify) => verify.run(context),
            Audit::List(list) => list.run(context),
            Audit::Report(report) => report.run(context),
        }
    }
}

/// What a check of one chain found: so many entries, or the one at which it breaks.
type Checked = Result<u64, i64>;

impl Verify {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("audit verify")?;
        let mut report = Report { list: List::new(context.json(), "      CHAIN")?, broken: 0, unread: 0 };
        if let Some(id) = &self.user {
            installation.user(&operator, id)?;
            report.chain(Some(id), space(&installation, &operator, id)?)?;
        } else {
            report.chain(None, installation.engine.verify_trail(&operator)?)?;
        }
        if self.all {
            user::each(&installation, &operator, None, usize::MAX, |record| {
                let id = record.identity.subject.as_str();
                match record.state_word() {
                    "open" => {}
                    shut => return report.skipped(id, shut),
                }
                match space(&installation, &operator, id) {
                    Ok(checked) => report.chain(Some(id), checked),
                    Err(failure) => {
                        report.unread += 1;
                        say(format!("The space of {} cannot be read: {}", shown(id), failure.words()));
                        Ok(())
                    }
                }
            })?;
        }
        report.end()
    }
}

fn space(installation: &Installation, operator: &Operator, id: &str) -> Result<Checked, Failure> {
    let engine = &installation.engine;
    let scope = engine.system_read(operator, engine.identity(id)?, Act::Operate, &reason("audit verify"))?;
    Ok(engine.verify_audit(scope)?)
}

struct Report {
    list: List,
    broken: u64,
    unread: u64,
}

impl Report {
    fn chain(&mut self, user: Option<&str>, checked: Checked) -> Outcome {
        self.broken += u64::from(checked.is_err());
        let object = || serde_json::json!({ "user_id": user, "intact": checked.is_ok(), "entries": checked.ok(), "broken_at": checked.err() });
        let whose = user.map_or_else(|| "the installation".to_owned(), |id| format!("user {}", shown(id)));
        let line = || match checked {
            Ok(count) => format!("OK    {whose}: {count} entries"),
            Err(sequence) => format!("FAIL  {whose}: the chain breaks at entry {sequence}"),
        };
        self.list.item(object, line)
    }

    /// A space that is shut is opened for nobody. That is no fault of its chain.
    fn skipped(&mut self, user: &str, state: &str) -> Outcome {
        let object = || serde_json::json!({ "user_id": user, "intact": null, "entries": null, "broken_at": null, "skipped": state });
        self.list.item(object, || format!("SKIP  user {}: {state}", shown(user)))
    }

    fn end(self) -> Outcome {
        let Report { list, broken, unread, .. } = self;
        list.end()?;
        match (broken, unread) {
            (0, 0) => Ok(()),
            (0, unread) => Err(Failure::failed(format!("{unread} chains could not be read."))),
            (broken, _) => Err(Failure::failed(format!(
                "{broken} chains are broken: entries were changed, moved or removed. Compare with a backup, and find out who could write here."
            ))),
        }
    }
}

impl ListEntries {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("audit list")?;
        let heading =
            format!("{:>6}  {:<20}  {:<7} {:<26}  {:<16}  {:<16}  ON", "ENTRY", "TIME", "ACTOR", "", "ACT", "OUTCOME");
        let mut list = List::new(context.json(), &heading)?;
        match &self.user {
            Some(id) => self.space(&installation, &operator, id, &mut list)?,
            None => {
                for record in installation.engine.trail(&operator, self.limit as usize)? {
                    list.item(|| object(&record), || line(&record))?;
                }
            }
        }
        list.end()
    }

    fn space(&self, installation: &Installation, operator: &Operator, id: &str, list: &mut List) -> Outcome {
        installation.user(operator, id)?;
        let engine = &installation.engine;
        let scope = engine.system_read(operator, engine.identity(id)?, Act::Operate, &reason("audit list"))?;
        let mut outcome = Ok(());
        engine.audit(scope, &mut |entry| {
            if outcome.is_ok() {
                outcome = list.item(
                    || serde_json::to_value(&entry).unwrap_or_default(),
                    || {
                        line(&SystemRecord {
                            sequence: entry.sequence,
                            time: entry.time,
                            actor_kind: entry.actor_kind.clone(),
                            actor: Some(entry.actor.clone()),
                            target: entry.object.clone(),
                            act: entry.act.clone(),
                            outcome: entry.outcome.clone(),
                            request_id: entry.request_id.clone(),
                        })
                    },
                );
            }
            Ok(())
        })?;
        outcome
    }
}

fn line(record: &SystemRecord) -> String {
    let actor = shown(record.actor.as_deref().unwrap_or("(erased)"));
    let target = shown(record.target.as_deref().unwrap_or(""));
    let SystemRecord { sequence, actor_kind, act, outcome, .. } = record;
    format!("{sequence:>6}  {}  {actor_kind:<7} {actor:<26}  {act:<16}  {outcome:<16}  {target}", moment(record.time))
        .trim_end()
        .to_owned()
}

fn object(record: &SystemRecord) -> serde_json::Value {
    serde_json::json!({
        "sequence": record.sequence,
        "time": record.time,
        "actor_kind": record.actor_kind,
        "actor": record.actor,
        "target": record.target,
        "act": record.act,
        "outcome": record.outcome,
        "request_id": record.request_id,
    })
}
