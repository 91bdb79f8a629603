//! `locule test-rls`

use clap::Args;
use locule::postgres::Address;
use locule::postgres::trial::Line;

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::output;

/// Try row security out on the database itself
///
/// Signs in exactly as the server does, makes two people who do not exist, has each try to read, change and plant what is
/// the other's, and rolls everything back. Ends with exit code 1 if anything was let through, or kept from its owner.
///
/// Examples:
///   locule test-rls --user-id alice                Also look at Alice's rows, without showing them
///   locule test-rls --user-id alice --bypass-rls   Why are answers empty? Count her rows as somebody who sees all
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct TestRls {
    /// A user to look at as well
    #[arg(long, value_name = "ID")]
    user_id: Option<String>,
    /// Count the user's rows as somebody whom row security does not hold
    #[arg(long, requires = "user_id")]
    bypass_rls: bool,
    /// Somebody whom it does not hold [default: DATABASE_URL or SUPABASE_DB_URL]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
}

impl TestRls {
    pub fn run(self, context: &Context) -> Outcome {
        let mut flags = vec![("storage.layout".to_owned(), "rls".to_owned())];
        flags.extend(self.admin_url.clone().map(|url| ("postgres.admin_url".to_owned(), url)));
        let config = context.config_with(flags)?;
        let privileged = config.privileged().map(Address::parse).transpose()?;
        if self.bypass_rls {
            let privileged = privileged.as_ref().ok_or_else(|| {
                Failure::usage("Say who sees all rows: --admin-url postgres://user:password@host/database.")
            })?;
            for line in locule::inspect::bypassing(privileged, self.user_id.as_deref().unwrap_or_default())? {
                output::data(&line)?;
            }
        }
        let lines = locule::inspect::test_rls(&config.engine(), privileged.as_ref(), self.user_id.as_deref())?;
        if context.json() {
            let list: Vec<_> = lines
                .iter()
                .map(|line| {
                    let outcome = format!("{:?}", line.outcome).to_lowercase();
                    serde_json::json!({ "outcome": outcome, "rule": line.rule, "detail": line.detail })
                })
                .collect();
            output::json(&list)?;
        } else {
            for line in &lines {
                output::data(&line.to_string())?;
            }
        }
        if Line::all_pass(&lines) { Ok(()) } else { Err(Failure::failed("Row security does not hold here.")) }
    }
}
