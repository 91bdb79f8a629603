//! `locule config`

use clap::Args;

use super::context::Context;
use super::failure::Outcome;
use super::output;
use crate::config::Config;

/// Show the configuration in force, and where each value comes from
///
/// Examples:
///   locule config                              What counts here and now, as a file
///   LOCULE_WORKERS=8 locule config | grep workers
///   locule config --reference                  Every setting: name, variable, default, meaning
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// Everything there is to set, as a page in Markdown
    #[arg(long)]
    reference: bool,
}

impl Show {
    pub fn run(self, context: &Context) -> Outcome {
        if self.reference {
            return output::data(Config::page().trim_end());
        }
        let config = context.config()?;
        if context.json() {
            return output::json(&config.in_force_json());
        }
        output::data(config.in_force().trim_end())
    }
}
