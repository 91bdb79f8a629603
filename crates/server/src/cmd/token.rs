//! `locule token`

use clap::Args;

use super::context::Context;
use super::failure::Outcome;
use super::lifetime::Lifetime;
use super::output;

/// Make a token for a user: one JWT on standard output, and nothing else
///
/// Whoever holds it is that user until it ends. It is signed with JWT_SECRET if that is set, otherwise with the
/// installation's own secret. How long one may live at most is `tokens.lifetime_max_s`, a day unless set.
///
/// Examples:
///   locule token alice --ttl 1h
///   curl -H "authorization: Bearer $(locule token alice)" http://127.0.0.1:7400/api/me/usage
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Token {
    /// The user's id, as the application knows it
    user: String,
    /// How long it lives: 90s, 15m, 1h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: Lifetime,
}

impl Token {
    pub fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let token = installation.engine.mint_token(&self.user, self.ttl.seconds())?;
        if context.json() {
            return output::json(&serde_json::json!({ "token": token, "lifetime_s": self.ttl.seconds() }));
        }
        output::data(&token)
    }
}
