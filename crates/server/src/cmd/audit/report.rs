//! `locule audit report`

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use locule::postgres::catalogue::Level;
use locule::postgres::{Address, Prefix};

use crate::cmd::context::Context;
use crate::cmd::failure::{Failure, Outcome};
use crate::cmd::output::{self, say, shown};

/// Look for what lets users of a PostgreSQL reach one another's rows
///
/// Asks the catalogue of any database with tables like ours, also one that something else has made: tables without row
/// security, policies that check nothing, views and functions that see everything, grants that go too far. Lists whom
/// something was denied, how often. Ends with exit code 1 if there is an error among the findings.
///
/// Examples:
///   locule audit report --admin-url postgres://postgres:secret@db.example.com/app
///   locule audit report --report findings.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Report {
    /// The database, and somebody who may read its catalogue [default: DATABASE_URL or SUPABASE_DB_URL]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// Write the findings here as well, in JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Report {
    pub fn run(self, context: &Context) -> Outcome {
        let flags = self.admin_url.map(|url| ("postgres.admin_url".to_owned(), url)).into_iter().collect();
        let config = context.config_with(flags)?;
        let url = config
            .privileged()
            .ok_or_else(|| Failure::usage("Say which database: --admin-url postgres://user:password@host/database."))?;
        let (findings, denials) =
            locule::inspect::report(&Address::parse(url)?, &Prefix::parse(&config.postgres.prefix)?)?;
        let worst = findings.iter().any(|finding| finding.level == Level::Error);
        let object = serde_json::json!({
            "findings": findings.iter().map(|finding| serde_json::json!({
                "level": format!("{:?}", finding.level).to_lowercase(), "code": finding.code,
                "object": finding.object, "detail": finding.detail,
            })).collect::<Vec<_>>(),
            "denials": denials.iter().map(|(actor, count)| serde_json::json!({ "actor": actor, "count": count }))
                .collect::<Vec<_>>(),
        });
        if let Some(path) = &self.report {
            let text = serde_json::to_vec_pretty(&object).map_err(std::io::Error::from)?;
            create(path)?.write_all(&text)?;
        }
        if context.json() {
            output::json(&object)?;
        } else {
            for finding in &findings {
                let level = format!("{:?}", finding.level).to_uppercase();
                output::data(&format!(
                    "{level:<8} {:<28} {}\n         {}",
                    finding.code,
                    shown(&finding.object),
                    shown(&finding.detail)
                ))?;
            }
            for (actor, count) in &denials {
                output::data(&format!("denied   {count} × {}", shown(actor)))?;
            }
            say(format!("{} findings.", findings.len()));
        }
        if worst { Err(Failure::failed("Users of this database can reach one another's rows.")) } else { Ok(()) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a file that the operator asks for, not a data file")]
fn create(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::failed(format!("The file {} cannot be written.", path.display())).because(&error))
}
