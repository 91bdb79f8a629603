//! The command line: one file per command. Data goes to standard output, words to standard error.

mod audit;
mod backup;
mod config;
mod context;
mod doctor;
mod failure;
mod import;
mod init;
mod key;
mod lifetime;
mod migrate;
mod output;
mod process;
mod progress;
mod reindex;
mod serve;
mod test_rls;
mod token;
mod user;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use context::Context;
use failure::{Failure, Outcome};

/// A private, isolated space for every user of an AI application.
///
/// Locule keeps each user's memories in an encrypted file of their own, finds them by meaning and by words, and lets
/// nobody else's request near them.
#[derive(Parser)]
#[command(name = "locule", version, max_term_width = 100, after_help = EXAMPLES, after_long_help = EXAMPLES_AND_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Examples:
  locule serve --dev                 Try it: makes what is missing and prints commands to paste
  locule init --data /var/lib/locule Make a data directory
  locule token alice --ttl 1h        A token for Alice, on standard output and nothing else
  locule doctor                      Find out what is wrong

More with --help.";

const EXAMPLES_AND_CODES: &str = "\
Examples:
  locule serve --dev                 Try it: makes what is missing and prints commands to paste
  locule init --data /var/lib/locule Make a data directory
  locule token alice --ttl 1h        A token for Alice, on standard output and nothing else
  locule doctor                      Find out what is wrong

Every command may run beside a server on the same data.

Exit codes:
  0  done
  1  failed: the disk, the data or the machine; `locule doctor` may know why
  2  usage: the command line, the configuration or an id is not as it should be
  3  not found: no such user or key
  4  refused: it is there and this may not be done to it now, or you said no

Configuration: ./locule.toml, then the environment (LOCULE_*, JWT_SECRET, OPENAI_API_KEY, OPENAI_BASE_URL), then flags;
the later one counts. `locule config` shows what is in force, `locule config --reference` everything there is.";

/// What every command takes.
#[derive(Args)]
struct Common {
    /// The data directory [default: ./locule-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration [default: ./locule.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting for this run, such as quota.memories=1000; may be given several times
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Answer in JSON, errors too
    #[arg(long, global = true)]
    json: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("say NAME=VALUE, such as quota.memories=1000")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Init(init::Init),
    Token(token::Token),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    User(user::User),
    #[command(subcommand)]
    Audit(audit::Audit),
    Migrate(migrate::Migrate),
    Import(import::Import),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Reindex(reindex::Reindex),
    TestRls(test_rls::TestRls),
    Validate(validate::Validate),
    Doctor(doctor::Doctor),
    Config(config::Show),
    Openapi(Openapi),
}

/// Print the description of the HTTP API (OpenAPI 3.1, JSON)
///
/// Example:
///   locule openapi > openapi.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
struct Openapi {}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    process::harden();
    let cli = Cli::parse();
    let json = cli.common.json;
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.lines(json).iter().for_each(output::say);
            failure.exit()
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    let context = Context::new(cli.common);
    match cli.command {
        Command::Serve(serve) => serve.run(context),
        Command::Init(init) => init.run(&context),
        Command::Token(token) => token.run(&context),
        Command::Key(key) => key.run(&context),
        Command::User(user) => user.run(&context),
        Command::Audit(audit) => audit.run(&context),
        Command::Migrate(migrate) => migrate.run(&context),
        Command::Import(import) => import.run(&context),
        Command::Backup(backup) => backup.run(&context),
        Command::Restore(restore) => restore.run(&context),
        Command::Reindex(reindex) => reindex.run(&context),
        Command::TestRls(test) => test.run(&context),
        Command::Validate(validate) => validate.run(&context),
        Command::Doctor(doctor) => doctor.run(&context),
        Command::Config(show) => show.run(&context),
        Command::Openapi(_) => output::data(&crate::routes::document()),
    }
}
