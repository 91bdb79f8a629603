//! `locule migrate`

mod layout;

use clap::{Args, Subcommand};
use locule::postgres::Address;
use locule::{Keeping, Migration};

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::init;
use super::output::{self, say, shown};

/// Set up the PostgreSQL that keeps the spaces, or bring it up to date
///
/// Makes the roles, logins and tables that the configured layout needs, and says what it made. It runs as somebody who may
/// make roles; nothing else ever does. May be repeated: what has been changed since is put right. Tables that were made
/// from mem0's template for Supabase become Locule's, in place and with their data.
///
/// The logins' passwords are derived from the master key in the data directory: every server of an installation needs that
/// one file, and nothing else has to be handed around.
///
/// Examples:
///   locule migrate --layout rls --admin-url postgres://postgres:secret@db.example.com/app
///   DATABASE_URL=postgres://… locule migrate --layout schema
///   locule migrate --layout rls --pgvector --admin-url postgres://…
///   locule migrate layout --help       Carry spaces to another layout
#[derive(Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct Migrate {
    #[command(subcommand)]
    command: Option<Command>,
    /// Somebody who may make roles and tables [default: DATABASE_URL or SUPABASE_DB_URL]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// How spaces are kept apart: rls, schema or database
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<String>,
    /// Set up this one of postgres.clusters, instead of the PostgreSQL that has the directory
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    cluster: Option<String>,
    /// Take over the vectors of older tables, made by this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Make the extension pgvector if it is not there, for searching with SQL; the server does without it
    #[arg(long)]
    pgvector: bool,
}

#[derive(Subcommand)]
enum Command {
    Layout(layout::Layout),
}

impl Migrate {
    pub fn run(self, context: &Context) -> Outcome {
        if let Some(Command::Layout(layout)) = self.command {
            return layout.run(context);
        }
        let given = [("postgres.admin_url", &self.admin_url), ("storage.layout", &self.layout)];
        let flags = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect();
        let config = context.config_with(flags)?;
        let admin = config.privileged().ok_or_else(|| {
            Failure::usage("Say who may set the database up: --admin-url postgres://user:password@host/database.")
        })?;
        let mut engine = config.engine();
        let Keeping::Postgres(kept) = &engine.keeping else {
            return Err(Failure::usage("Say how spaces are kept apart: --layout rls, schema or database."));
        };
        let served_at = kept.address.place();
        let data = &config.server.data;
        engine.create = matches!(init::find(data)?, init::Found::Nothing);
        if engine.create {
            init::prepare(data)?;
        }
        let admin = Address::parse(admin)?;
        let migration =
            Migration { cluster: self.cluster.clone(), model: self.model, pgvector: self.pgvector, unless_done: false };
        let report = locule::migrate(&engine, &admin, &migration)?;
        if context.json() {
            return output::json(&report);
        }
        for thing in &report.made {
            say(format!("made      {thing}"));
        }
        for table in &report.upgraded {
            say(format!("took over {table}, with its data"));
        }
        if report.vectors > 0 {
            say(format!("took over {} vectors", report.vectors));
        }
        if report.pgvector {
            say("pgvector  is there: memory_vectors.vector has every vector that is not sealed");
        }
        for (reason, count) in &report.put_aside {
            say(format!("put aside {count} rows in locule.upgrade_rejects: {reason}"));
        }
        for name in &report.strangers {
            say(format!("note      nobody can have the name {}: its rows are kept, and nobody sees them", shown(name)));
        }
        for note in &report.notes {
            say(format!("note      {note}"));
        }
        if let Some(cluster) = &self.cluster {
            say(format!("\nThe cluster {cluster} is set up."));
            return Ok(());
        }
        say(format!("\n{served_at} is set up. Serve with:\n"));
        output::data(&format!(
            "locule serve --layout {} --postgres-url postgres://{served_at} --data {}",
            config.storage.layout.word(),
            data.display()
        ))
    }
}
