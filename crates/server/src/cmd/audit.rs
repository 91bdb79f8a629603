//! `locule audit`

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use locule::postgres::{Address, Prefix};
use locule::{Act, Finding, Level, Operator, SystemRecord};

use super::context::{Context, Installation, reason};
use super::failure::{Failure, Outcome};
use super::output::{self, List, moment, say, shown};
use super::user;

/// Check and read the audit trail
///
/// Example:
///   locule audit verify --all
#[derive(Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Audit {
    Verify(Verify),
    List(ListEntries),
    Report(Report),
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

/// Say what a PostgreSQL database shows to be wrong with how it holds users apart
///
/// Reads the catalogue and nobody's rows: tables without row security, policies that let through what they should not, roles
/// and functions that get around, grants beyond rows, indexes that betray. Of a database that Locule has set up, nothing
/// is found. It may be any other: one made from mem0's template for Supabase, to see what `locule migrate` would mend.
/// Says besides how often each user was denied something. Ends with exit code 1 if something is found.
///
/// Examples:
///   locule audit report
///   locule audit report --admin-url postgres://… --report findings.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Report {
    /// Where to write it instead of standard output
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Which database [default: DATABASE_URL or SUPABASE_DB_URL]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
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
        let mut report = Chains { list: List::new(context.json(), "      CHAIN")?, broken: 0, unread: 0 };
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

impl Report {
    fn run(self, context: &Context) -> Outcome {
        let flags = self.admin_url.into_iter().map(|url| ("postgres.admin_url".to_owned(), url)).collect();
        let config = context.config_with(flags)?;
        let admin = config
            .privileged()
            .ok_or_else(|| Failure::usage("Say which database: --admin-url postgres://user:password@host/database."))?;
        let (admin, prefix) = (Address::parse(admin)?, Prefix::parse(&config.postgres.prefix)?);
        let findings = locule::audit_report(&admin, &prefix)?;
        // An older history may not know of denials, or be kept from this login.
        let denials = locule::denials(&admin).unwrap_or_default();
        let text = if context.json() {
            let report = serde_json::json!({ "findings": findings, "denials": denials });
            serde_json::to_string_pretty(&report).map_err(io::Error::from)?
        } else {
            words(&findings, &denials)
        };
        match &self.report {
            Some(file) => write(file, &text)?,
            None => output::data(&text)?,
        }
        match findings.len() {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{count} findings."))),
        }
    }
}

fn words(findings: &[Finding], denials: &[(String, i64)]) -> String {
    let mut text = format!("{} findings\n", findings.len());
    for Finding { level, code, object, detail } in findings {
        let level = if *level == Level::Error { "ERROR" } else { "WARNING" };
        text.push_str(&format!("{level:<7}  {code}  {}\n         {}\n", shown(object), shown(detail)));
    }
    for (user, count) in denials {
        text.push_str(&format!("DENIED   {count} times: {}\n", shown(user)));
    }
    text.trim_end().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a report that somebody asked for, and no data of ours")]
fn write(file: &Path, text: &str) -> Outcome {
    std::fs::write(file, format!("{text}\n"))
        .map_err(|error| Failure::failed(format!("{} cannot be written.", file.display())).because(&error))
}

fn space(installation: &Installation, operator: &Operator, id: &str) -> Result<Checked, Failure> {
    let engine = &installation.engine;
    let scope = engine.system_read(operator, engine.identity(id)?, Act::Operate, &reason("audit verify"))?;
    Ok(engine.verify_audit(scope)?)
}

struct Chains {
    list: List,
    broken: u64,
    unread: u64,
}

impl Chains {
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
        let Chains { list, broken, unread, .. } = self;
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
