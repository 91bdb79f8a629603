//! `locule migrate layout`

use clap::Args;
use indicatif::ProgressBar;
use locule::{Code, Error, Identity, MoveReceipt, Mover, Operator, Request, Step, Subject, UserRecord};

use crate::cmd::context::{Context, reason};
use crate::cmd::failure::{Failure, Outcome};
use crate::cmd::output::{self, bytes, say, shown};
use crate::cmd::progress;
use crate::config::Config;

/// Carry users' spaces to another layout
///
/// From the layout that the configuration names to another: between files and PostgreSQL in either direction, or from one
/// layout to another within a PostgreSQL, which `locule migrate --layout …` has set up for it before. Everything goes along:
/// memories, vectors, history, relationships, the audit trail with its hashes, keys, and who was erased.
///
/// Each space is shut to changes (503, with Retry-After) while it is copied, in one piece; then the copy is read back and
/// held against its origin, the directory changes over, and the old copy is destroyed. Other users go on meanwhile. Cut
/// short at any point, the same command finishes it; what is not handed over yet can be taken back with --abandon.
///
/// Within one PostgreSQL servers find each space where it is. Between files and PostgreSQL a space that was moved answers
/// 410 at the old server, and the new one serves it; the master key and its data directory stay the same.
///
/// Examples:
///   locule migrate layout --to rls --to-url postgres://db.example.com/app --all --dry-run
///   locule migrate layout --to rls --to-url postgres://db.example.com/app --all
///   locule migrate layout --to schema --user alice
///   locule migrate layout --to-cluster berlin --user alice
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Layout {
    /// Where they go: file, rls, schema or database
    #[arg(long, value_name = "LAYOUT", required_unless_present = "to_cluster")]
    to: Option<String>,
    /// The PostgreSQL among several that they go to: one of postgres.clusters, or main
    #[arg(long, value_name = "NAME")]
    to_cluster: Option<String>,
    /// The PostgreSQL they go to [default: the one in the configuration]
    #[arg(long, value_name = "URL")]
    to_url: Option<String>,
    /// One user
    #[arg(long, value_name = "ID", conflicts_with = "all", required_unless_present = "all")]
    user: Option<String>,
    /// All users, and what is of none: afterwards the old place is no more
    #[arg(long)]
    all: bool,
    /// Say what would be moved, and move nothing
    #[arg(long, conflicts_with = "abandon")]
    dry_run: bool,
    /// Take back what was begun and is not handed over yet
    #[arg(long)]
    abandon: bool,
    /// Go on although a user has what no other layout can keep, such as shares with organisations: it is destroyed
    #[arg(long)]
    leave_behind: bool,
}

/// How many users are looked up at a time.
const PAGE: usize = 200;

/// A run of the command.
struct Run<'a> {
    mover: Mover,
    operator: Operator,
    layout: &'a Layout,
    config: &'a Config,
}

impl Layout {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?;
        let mut flags: Vec<_> = self.to.iter().map(|to| ("storage.layout".to_owned(), to.clone())).collect();
        flags.extend(self.to_url.iter().map(|url| ("postgres.url".to_owned(), url.clone())));
        let target = context.config_with(flags)?;
        let mover = Mover::open(&config.engine(), &target.engine(), self.to_cluster.as_deref())?;
        let operator = mover.trusted_operator(&reason("migrate layout"), &Request::default())?;
        let run = Run { mover, operator, layout: &self, config: &target };
        let report = match (self.dry_run, self.abandon) {
            (true, _) => run.plan()?,
            (_, true) => run.abandon()?,
            _ => run.carry()?,
        };
        run.mover.close()?;
        if context.json() { output::json(&report) } else { Ok(()) }
    }
}

impl Run<'_> {
    /// Whom it is about: the one who is named, or everybody who is still to be moved.
    fn each(&self, visit: &mut dyn FnMut(&UserRecord) -> Outcome) -> Outcome {
        if let Some(name) = &self.layout.user {
            return match self.mover.user(&self.operator, &self.identity(name)?) {
                Ok(user) => visit(&user),
                Err(error) if error.code() == Code::NotFound => {
                    Err(Failure::not_found(format!("There is no user {} here.", shown(name))))
                }
                Err(error) => Err(error.into()),
            };
        }
        let mut after = None;
        loop {
            let (users, last) = self.mover.users(&self.operator, after.as_ref(), PAGE)?;
            users.iter().try_for_each(&mut *visit)?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    fn identity(&self, name: &str) -> Result<Identity, Failure> {
        let issuer = self.config.engine().issuing.issuer;
        Ok(Identity { issuer, subject: Subject::try_from(name)? })
    }

    fn plan(&self) -> Result<serde_json::Value, Failure> {
        let (mut users, mut memories, mut size_bytes) = (0, 0, 0);
        let mut only_here = Vec::new();
        self.each(&mut |user| {
            users += 1;
            memories += user.published.memories;
            size_bytes += user.published.size_bytes;
            for found in self.mover.only_here(&self.operator, &user.identity)? {
                only_here.push(serde_json::json!({ "user_id": user.identity.subject.as_str(), "only_here": found }));
            }
            Ok(())
        })?;
        say(format!(
            "Would move {users} users with {memories} memories ({}) to {}.",
            bytes(size_bytes),
            self.mover.target()
        ));
        for found in &only_here {
            say(format!("note      {found}: no other layout keeps that; --leave-behind goes on without it"));
        }
        Ok(serde_json::json!({
            "dry_run": true, "target": self.mover.target(), "users": users, "memories": memories,
            "size_bytes": size_bytes, "only_here": only_here,
        }))
    }

    fn carry(&self) -> Result<serde_json::Value, Failure> {
        if !self.layout.leave_behind {
            self.refuse_what_stays()?;
        }
        if self.layout.all {
            self.mover.begin_all(&self.operator)?;
        }
        let bar = progress::bar(0, "{spinner} {pos} rows {msg}");
        let mut done = Done::default();
        // What an earlier run has begun may not be among the users here any more.
        let begun = self.mover.begun(&self.operator)?;
        let meant = self.layout.user.as_deref();
        for identity in begun.into_iter().filter(|identity| meant.is_none_or(|name| identity.subject.as_str() == name))
        {
            self.carry_one(identity, &bar, &mut done)?;
        }
        if self.layout.all || done.receipts.is_empty() {
            self.each(&mut |user| self.carry_one(user.identity.clone(), &bar, &mut done))?;
        }
        bar.finish_and_clear();
        let trail = if self.layout.all { self.mover.end_all(&self.operator)? } else { true };
        self.tell(&done, trail)?;
        Ok(done.report(self.mover.target(), self.layout.all))
    }

    fn carry_one(&self, identity: Identity, bar: &ProgressBar, done: &mut Done) -> Outcome {
        let name = identity.subject.as_str().to_owned();
        bar.set_message(shown(&name).into_owned());
        let mut watch = |step: Step| {
            if let Step::Rows(rows) = step {
                bar.inc(rows);
            }
        };
        match self.mover.carry(&self.operator, identity, &reason("migrate layout"), &mut watch) {
            Ok(receipt) => done.receipts.push((name, receipt)),
            // Erased since the list was made.
            Err(error) if self.layout.all && is_gone(&error) => done.skipped.push(name),
            Err(error) => {
                bar.finish_and_clear();
                say(format!("The move of {} did not get to its end: run it again.", shown(&name)));
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn refuse_what_stays(&self) -> Outcome {
        let mut named = None;
        let looked = self.each(&mut |user| {
            let found = self.mover.only_here(&self.operator, &user.identity)?;
            if !found.is_empty() && named.is_none() {
                named = Some(format!("{} has {}", shown(user.identity.subject.as_str()), found.join(", ")));
            }
            Ok(())
        });
        match (looked, named) {
            (_, Some(named)) => Err(Failure::refused(format!(
                "{named}, which no other layout keeps. Nothing was moved: say --leave-behind to go on without it."
            ))),
            // A user who is handed over already is not here any more, and the move is to be finished all the same.
            (Err(_), None) if self.layout.user.is_some() && !self.mover.begun(&self.operator)?.is_empty() => Ok(()),
            (looked, None) => looked,
        }
    }

    fn abandon(&self) -> Result<serde_json::Value, Failure> {
        let begun = match &self.layout.user {
            Some(name) => vec![self.identity(name)?],
            None => self.mover.begun(&self.operator)?,
        };
        let mut taken_back = Vec::new();
        for identity in begun {
            let name = identity.subject.as_str().to_owned();
            if self.mover.abandon(&self.operator, identity, &reason("migrate layout --abandon"))? {
                say(format!("The space of {} is open again where it was.", shown(&name)));
                taken_back.push(name);
            }
        }
        if self.layout.all {
            self.mover.abandon_all(&self.operator)?;
        }
        if taken_back.is_empty() {
            say("No move was under way.");
        }
        Ok(serde_json::json!({ "taken_back": taken_back }))
    }

    fn tell(&self, done: &Done, trail: bool) -> Outcome {
        for (name, receipt) in &done.receipts {
            let MoveReceipt { memories, rows, .. } = receipt;
            say(format!("moved     {}: {memories} memories, {rows} rows, verified", shown(name)));
        }
        for name in &done.skipped {
            say(format!("skipped   {}: erased meanwhile", shown(name)));
        }
        if !trail {
            say("note      the target has a trail of its own: the old one stays in the old directory");
        }
        if self.layout.all {
            let serve = match self.config.engine().keeping {
                locule::Keeping::Files => format!("locule serve --data {}", self.config.server.data.display()),
                locule::Keeping::Postgres(kept) => format!(
                    "locule serve --layout {} --postgres-url postgres://{} --data {}",
                    self.config.storage.layout.word(),
                    kept.address.place(),
                    self.config.server.data.display()
                ),
            };
            say(format!("\nAll spaces are at {}. Serve with:\n\n{serve}", self.mover.target()));
        }
        Ok(())
    }
}

/// What a run has done.
#[derive(Default)]
struct Done {
    receipts: Vec<(String, MoveReceipt)>,
    skipped: Vec<String>,
}

impl Done {
    fn report(&self, target: &str, all: bool) -> serde_json::Value {
        let moved: Vec<_> = self
            .receipts
            .iter()
            .map(|(name, receipt)| serde_json::json!({ "user_id": name, "receipt": receipt }))
            .collect();
        serde_json::json!({ "target": target, "all": all, "moved": moved, "skipped": self.skipped })
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.code(), Code::NotFound | Code::SpaceErased)
}
