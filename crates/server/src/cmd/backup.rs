//! `locule backup` and `locule restore`

use std::path::{Path, PathBuf};

use clap::Args;
use locule::{Backup as Taking, Identity, Lock, Operator, Request, Restore as Putting, RestoreOutcome, Subject, Taken};

use super::context::{Context, Installation, reason};
use super::failure::{Failure, Outcome};
use super::output::{self, bytes, moment, say, shown};
use super::progress;
use super::user;

/// Back an installation up, or one user
///
/// Beside a server that runs: each space is in it as it is at one moment. Two files are made, and appear when they are whole:
/// the backup, in which everything is sealed, and its keys (FILE.keys), without which it is noise. Keep them apart, and let
/// the keys expire: an erased user's data can be read for as long as somebody has both.
///
/// A whole backup has all spaces with their trails, API keys (their hashes), who was erased, and the installation's trail. It
/// does not have the configuration. The keys are wrapped by the master key, which is needed to restore and is in neither
/// file; or by a passphrase of twelve characters or more, and then a whole backup's keys bring the master key along.
///
/// A backup is the same whatever the layout: it can be restored into another.
///
/// Examples:
///   locule backup --to /backups/                       A file named by the moment
///   locule backup --to alice.backup --user alice
///   locule backup --to all.backup --keys /mnt/safe/all.keys --passphrase-file secret.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Backup {
    /// The file to make, or a directory to make it in
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    /// One user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The file for the keys [default: beside the backup, with .keys behind its name]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Wrap the keys by the passphrase in this file, instead of by the master key
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Put a backup back
///
/// It is read through first: one that is cut short, damaged or sealed with other keys changes nothing. Each space goes in in
/// one piece. Who was erased after the backup was taken stays erased. A user who has a space already is refused, unless
/// --force says to replace it; its trail then goes on with one entry more. Cut short, the same command finishes it.
///
/// Into an empty data directory goes a whole backup with its keys and trail: put the master.key there first, or give the
/// passphrase. In a PostgreSQL `locule migrate` sets up the tables first. No server may serve the same users meanwhile.
///
/// Examples:
///   locule restore --from all.backup --dry-run         Only read it through
///   locule restore --from all.backup --data /var/lib/locule
///   locule restore --from all.backup --user alice --force
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// One user of it
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The file with its keys [default: beside it, with .keys behind its name]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The passphrase that wraps the keys is in this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Replace the spaces that are there
    #[arg(long)]
    force: bool,
    /// Say what would become of whom, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Backup {
    pub fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let operator = installation.operator("backup")?;
        let now = installation.engine.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let archive = if self.to.is_dir() { self.to.join(format!("locule-{now}.backup")) } else { self.to.clone() };
        let keys = self.keys.clone().unwrap_or_else(|| beside(&archive));
        let lock = lock(self.passphrase_file.as_deref())?;
        let mut backup = installation.engine.begin_backup(&archive, &keys, self.user.is_none(), lock)?;
        self.fill(&installation, &operator, &mut backup)?;
        let taken = backup.end()?;
        let Taken { users, memories, skipped, size_bytes } = taken;
        say(format!(
            "Backed up {users} users with {memories} memories ({}). Its keys are in {}.",
            bytes(size_bytes),
            keys.display()
        ));
        if skipped > 0 {
            say(format!("{skipped} were erased meanwhile, and are not in it."));
        }
        if context.json() {
            return output::json(&serde_json::json!({ "file": archive, "keys": keys, "backup": taken }));
        }
        output::data(&archive.display().to_string())
    }

    fn fill(&self, installation: &Installation, operator: &Operator, backup: &mut Taking) -> Outcome {
        let engine = &installation.engine;
        if let Some(name) = &self.user {
            let user = installation.user(operator, name)?;
            engine.back_up(backup, operator, user.identity)?;
            return Ok(());
        }
        let bar = progress::bar(0, "{spinner} {pos} users");
        let filled = user::each(installation, operator, None, usize::MAX, |user| {
            engine.back_up(backup, operator, user.identity.clone())?;
            bar.inc(1);
            Ok(())
        });
        bar.finish_and_clear();
        filled?;
        Ok(backup.rest(operator)?)
    }
}

impl Restore {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?;
        let keys = self.keys.clone().unwrap_or_else(|| beside(&self.from));
        let lock = lock(self.passphrase_file.as_deref())?;
        let engine = config.engine();
        let issuer = engine.issuing.issuer.clone();
        let only = match &self.user {
            Some(name) => Some(Identity { issuer, subject: Subject::try_from(name.as_str())? }),
            None => None,
        };
        let restore = Putting::open(&engine, &self.from, &keys, &lock)?;
        let operator = restore.trusted_operator(&reason("restore"), &Request::default())?;
        let plan = restore.plan(&operator, only.as_ref(), self.force)?;
        if let (Some(name), true) = (&self.user, plan.is_empty()) {
            return Err(Failure::not_found(format!("There is no user {} in this backup.", shown(name))));
        }
        say(format!("The backup is whole, and of {}.", moment(restore.about().taken_at)));
        if !self.dry_run {
            self.refuse_to_replace(&plan)?;
            let bar = progress::bar(plan.len() as u64, "{wide_bar} {pos}/{len} users, {eta} left");
            let run = restore.run(&operator, &plan, &mut |_, _| bar.inc(1));
            bar.finish_and_clear();
            run?;
        }
        for (identity, memories, outcome) in &plan {
            say(format!("{:<9} {}: {memories} memories", word(*outcome), shown(identity.subject.as_str())));
        }
        if context.json() { output::json(&self.report(&plan)) } else { Ok(()) }
    }

    fn refuse_to_replace(&self, plan: &[(Identity, u64, RestoreOutcome)]) -> Outcome {
        let mut kept = plan.iter().filter(|(_, _, outcome)| *outcome == RestoreOutcome::Kept);
        let Some((first, ..)) = kept.next() else { return Ok(()) };
        let more = match kept.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(Failure::refused(format!(
            "{}{more} have a space already. Nothing was changed: restore one user at a time, or replace them with --force.",
            shown(first.subject.as_str())
        )))
    }

    fn report(&self, plan: &[(Identity, u64, RestoreOutcome)]) -> serde_json::Value {
        let users: Vec<_> = plan
            .iter()
            .map(|(identity, memories, outcome)| {
                serde_json::json!({ "user_id": identity.subject.as_str(), "memories": memories, "outcome": outcome })
            })
            .collect();
        serde_json::json!({ "dry_run": self.dry_run, "users": users })
    }
}

fn word(outcome: RestoreOutcome) -> &'static str {
    match outcome {
        RestoreOutcome::Restored => "restored",
        RestoreOutcome::Replaced => "replaced",
        RestoreOutcome::Erased => "erased",
        RestoreOutcome::Kept => "kept",
    }
}

/// Where the keys of a backup lie if nothing else is said.
fn beside(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".keys");
    name.into()
}

fn lock(passphrase_file: Option<&Path>) -> Result<Lock, Failure> {
    let Some(path) = passphrase_file else { return Ok(Lock::Master) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("The file {} cannot be read.", path.display())).because(&error))?;
    Ok(Lock::Passphrase(text.trim_end_matches(['\r', '\n']).to_owned().into()))
}
