//! `locule test-rls`

use clap::Args;
use locule::postgres::Address;
use locule::{Line, Outcome as Went};

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::output::{self, shown};

/// Try out what holds users apart in PostgreSQL
///
/// Connects as the server does and lets two people who do not exist write, read and reach for each other's rows, in a
/// transaction that is always rolled back. Prints a line for each rule, and ends with exit code 1 if one does not hold.
///
/// With somebody who may set the database up (--admin-url, DATABASE_URL or SUPABASE_DB_URL), the rules of organisations
/// and of agents are tried as well.
///
/// Examples:
///   locule test-rls
///   locule test-rls --user-id alice                 And whether Alice sees her own rows only
///   locule test-rls --user-id alice --bypass-rls    And what is there, whoever may see it
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct TestRls {
    /// Somebody to look at besides
    #[arg(long, value_name = "ID")]
    user_id: Option<String>,
    /// Say what somebody sees whom row security does not hold: for finding out why answers are empty
    #[arg(long, requires = "user_id")]
    bypass_rls: bool,
    /// Somebody who may set the database up [default: DATABASE_URL or SUPABASE_DB_URL]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
}

impl TestRls {
    pub fn run(self, context: &Context) -> Outcome {
        let flags = self.admin_url.into_iter().map(|url| ("postgres.admin_url".to_owned(), url)).collect();
        let config = context.config_with(flags)?;
        let admin = config.privileged().map(Address::parse).transpose()?;
        let lines = locule::test_rls(&config.engine(), admin.as_ref(), self.user_id.as_deref())?;
        let seen = match (&admin, &self.user_id) {
            (Some(admin), Some(user)) if self.bypass_rls => locule::bypass_rls(admin, user)?,
            (None, _) if self.bypass_rls => {
                return Err(Failure::usage("Say whom row security does not hold: --admin-url postgres://…"));
            }
            _ => Vec::new(),
        };
        if context.json() {
            output::json(&serde_json::json!({ "lines": lines, "bypassing": seen }))?;
        } else {
            print(&lines)?;
            for line in seen {
                output::data(&format!("SEEN  {line}"))?;
            }
        }
        judge(&lines)
    }
}

/// A line for each rule.
pub fn print(lines: &[Line]) -> Outcome {
    for line in lines {
        output::data(&shown_lines(line))?;
    }
    Ok(())
}

/// What it says of a person may hold anything but the line's own break.
fn shown_lines(line: &Line) -> String {
    line.to_string().split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// Whether all of them hold.
pub fn judge(lines: &[Line]) -> Outcome {
    let failed = lines.iter().filter(|line| line.outcome == Went::Fail).count();
    match failed {
        0 => Ok(()),
        1 => Err(Failure::failed("1 rule does not hold.")),
        count => Err(Failure::failed(format!("{count} rules do not hold."))),
    }
}
