//! `locule user`

mod export;
mod import;
pub mod reader;

use std::io::{self, IsTerminal};

use clap::{Args, Subcommand};
use locule::{Act, Operator, Receipt, Usage, UserRecord};

use super::context::{Context, Installation, reason};
use super::failure::{Failure, Outcome};
use super::output::{self, List, bytes, moment, say, shown};

/// Create, look at, move and erase users
///
/// Users are named as the application names them. One whose name begins with a dash stands after two: user usage -- -x
///
/// Example:
///   locule user list
#[derive(Subcommand)]
#[command(verbatim_doc_comment)]
pub enum User {
    Create(Create),
    List(ListUsers),
    Path(Locate),
    Usage(ShowUsage),
    Suspend(Suspend),
    Resume(Resume),
    Erase(Erase),
    Export(export::Export),
    Import(import::Import),
}

/// Give a user a space
///
/// Needed only with `users.provision = "manual"`: otherwise a user's first write does it.
///
/// Example:
///   locule user create alice
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Create {
    /// The user's id, as the application knows it
    id: String,
}

/// List users, in the order of their ids
///
/// The figures are those that each space last told, at most a minute behind.
///
/// Examples:
///   locule user list
///   locule user list --after alice --limit 100
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListUsers {
    /// How many at most [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Begin after this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

/// Print where a user's data lies
///
/// Example:
///   locule user path alice
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Locate {
    /// The user's id
    id: String,
}

/// Show how much a user keeps, and may keep
///
/// Example:
///   locule user usage alice
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ShowUsage {
    /// The user's id
    id: String,
}

/// Shut a user's space, and keep what is in it
///
/// Takes effect at once, in a running server too.
///
/// Example:
///   locule user suspend alice
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Suspend {
    /// The user's id
    id: String,
}

/// Open a suspended user's space again
///
/// Example:
///   locule user resume alice
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Resume {
    /// The user's id
    id: String,
}

/// Destroy all that is kept of a user, for good, and print the receipt
///
/// The key of the space is destroyed first, so that no copy of the data can be read without a copy of the key. The user's
/// tokens and keys are refused from then on.
///
/// Examples:
///   locule user erase alice            Asks first
///   locule user erase alice --yes
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Erase {
    /// The user's id
    id: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl User {
    pub fn run(self, context: &Context) -> Outcome {
        match self {
            User::Create(create) => create.run(context),
            User::List(list) => list.run(context),
            User::Path(locate) => locate.run(context),
            User::Usage(usage) => usage.run(context),
            User::Suspend(Suspend { id }) => suspend(context, &id, true),
            User::Resume(Resume { id }) => suspend(context, &id, false),
            User::Erase(erase) => erase.run(context),
            User::Export(export) => export.run(context),
            User::Import(import) => import.run(context),
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("user create")?;
        let identity = installation.engine.identity(&self.id)?;
        let known = installation.engine.user(&operator, &identity).is_ok();
        let record = installation.engine.create_user(&operator, &identity)?;
        say(format!("{} {}.", shown(&self.id), if known { "was there already" } else { "has a space now" }));
        if context.json() { output::json(&object(&record)) } else { Ok(()) }
    }
}

impl ListUsers {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("user list")?;
        let heading = format!("{:<9}  {:>9}  {:>10}  {:<20}  ID", "STATE", "MEMORIES", "SIZE", "CREATED");
        let mut list = List::new(context.json(), &heading)?;
        each(&installation, &operator, self.after.as_deref(), self.limit.unwrap_or(usize::MAX), |user| {
            list.item(
                || object(user),
                || {
                    let (state, created) = (user.state_word(), moment(user.created_at));
                    let (memories, size) = (user.published.memories, bytes(user.published.size_bytes));
                    format!(
                        "{state:<9}  {memories:>9}  {size:>10}  {created:<20}  {}",
                        shown(user.identity.subject.as_str())
                    )
                },
            )
        })?;
        list.end()
    }
}

/// How many users are read at a time.
const PAGE: usize = 500;

/// Every user, in the order of their ids, up to `limit`.
pub fn each(
    installation: &Installation,
    operator: &Operator,
    after: Option<&str>,
    mut limit: usize,
    mut visit: impl FnMut(&UserRecord) -> Outcome,
) -> Outcome {
    let engine = &installation.engine;
    let mut after = after.map(|after| engine.identity(after)).transpose()?;
    loop {
        let users = engine.users(operator, after.as_ref(), PAGE.min(limit))?;
        users.iter().try_for_each(&mut visit)?;
        limit -= users.len();
        match users.into_iter().next_back() {
            Some(last) => after = Some(last.identity),
            None => return Ok(()),
        }
    }
}

impl Locate {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("user path")?;
        let user = installation.user(&operator, &self.id)?;
        let path = installation.engine.whereabouts(&operator, &user.identity)?;
        if context.json() {
            return output::json(&serde_json::json!({ "user_id": self.id, "path": path }));
        }
        output::data(&path)
    }
}

impl ShowUsage {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("user usage")?;
        let user = installation.user(&operator, &self.id)?;
        let scope = installation.engine.system_read(&operator, user.identity, Act::ReadUsage, &reason("user usage"))?;
        let usage = installation.engine.usage(scope)?;
        if context.json() { output::json(&usage) } else { output::data(&usage_lines(&usage)) }
    }
}

fn usage_lines(usage: &Usage) -> String {
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let count = |part: u64, whole: u64| format!("{part} of {whole} ({:.1} %)", percent(part, whole));
    let when = |time: Option<jiff::Timestamp>| time.map_or_else(|| "-".to_owned(), moment);
    let model = match (&usage.model, usage.dimension) {
        (Some(model), Some(dimension)) => format!("{model}, {dimension} numbers"),
        _ => "-".to_owned(),
    };
    let statistics = &usage.statistics;
    [
        format!("memories        {}", count(usage.memories, usage.memories_max)),
        format!("context         {}", count(usage.entries, usage.entries_max)),
        format!("agents          {}", count(usage.agents, usage.agents_max)),
        format!(
            "size            {} of {} ({:.1} %)",
            bytes(usage.size_bytes),
            bytes(usage.size_bytes_max),
            percent(usage.size_bytes, usage.size_bytes_max)
        ),
        format!("mean length     {:.0} characters", statistics.avg_memory_length),
        format!("first memory    {}", when(statistics.first_memory)),
        format!("latest memory   {}", when(statistics.latest_memory)),
        format!("model           {model}"),
    ]
    .join("\n")
}

fn suspend(context: &Context, id: &str, suspended: bool) -> Outcome {
    let installation = context.open()?;
    let command = if suspended { "user suspend" } else { "user resume" };
    let operator = installation.operator(command)?;
    let user = installation.user(&operator, id)?;
    installation.engine.suspend(&operator, &user.identity, suspended)?;
    let state = if suspended { "suspended: the data is kept and nobody reaches it" } else { "open" };
    say(format!("The space of {} is {state}.", shown(id)));
    if context.json() {
        return output::json(&object(&installation.user(&operator, id)?));
    }
    Ok(())
}

impl Erase {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("user erase")?;
        let user = installation.user(&operator, &self.id)?;
        if !self.yes {
            confirm(&self.id)?;
        }
        let erasure = installation.engine.gate().system_erase(&operator, user.identity, &reason("user erase"))?;
        let receipt = installation.engine.erase(erasure)?;
        if context.json() { output::json(&receipt) } else { output::data(&receipt_lines(&receipt)) }
    }
}

/// Goes on only if somebody at a terminal types the id once more.
fn confirm(id: &str) -> Outcome {
    if !io::stdin().is_terminal() {
        return Err(Failure::refused(
            "Erasing cannot be undone, and there is nobody here to ask: add --yes if it is meant.",
        ));
    }
    say(format!("This destroys all that is kept of {}, for good. Type the id again to go on:", shown(id)));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim_end_matches(['\r', '\n']) == id {
        return Ok(());
    }
    Err(Failure::refused("That is not the id. Nothing was erased."))
}

fn receipt_lines(receipt: &Receipt) -> String {
    [
        format!("erased                {}", if receipt.erased { "yes" } else { "no" }),
        format!("erased at             {}", receipt.erased_at),
        format!("key destroyed         {}", if receipt.key_destroyed { "yes" } else { "there was none" }),
        format!("files removed         {}", receipt.files_removed),
        format!("files left            {}", receipt.residue),
        format!("tokens refused until  {}", receipt.tokens_refused_until),
        receipt.note.to_owned(),
    ]
    .join("\n")
}

fn object(user: &UserRecord) -> serde_json::Value {
    serde_json::json!({
        "user_id": user.identity.subject.as_str(),
        "issuer": user.identity.issuer.as_str(),
        "state": user.state_word(),
        "created_at": user.created_at,
        "memories": user.published.memories,
        "size_bytes": user.published.size_bytes,
        "as_of": user.published_at,
    })
}
