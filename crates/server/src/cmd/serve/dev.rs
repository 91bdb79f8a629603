//! What `serve --dev` makes and shows: two users' tokens, a service key, and commands that tell the users apart.

use std::net::SocketAddr;

use locule::auth::{ActAs, KeyKind};
use locule::postgres::Address;
use locule::{Engine, Keeping, Migration, Request};

use super::init::{self, Found};
use crate::cmd::context::reason;
use crate::cmd::failure::Failure;
use crate::cmd::lifetime::Lifetime;
use crate::cmd::output::say;
use crate::config::Config;

/// Opens the installation, made now if there is none.
pub fn open(config: &Config) -> Result<Engine, Failure> {
    let data = &config.server.data;
    let create = match init::find(data)? {
        Found::Installation => false,
        Found::Nothing => {
            init::prepare(data)?;
            say(format!("Made the data directory {} with its keys.", data.display()));
            true
        }
    };
    let engine = locule::Config { create, ..config.engine() };
    // Trying it out is one command: where somebody may set the database up, it is done at once.
    if let (Keeping::Postgres(_), Some(admin)) = (&engine.keeping, config.privileged()) {
        locule::migrate(&engine, &Address::parse(admin)?, &Migration::default())?;
    }
    Ok(Engine::open(engine)?)
}

/// What somebody needs who tries it out.
pub struct Offer {
    alice: Option<String>,
    bob: Option<String>,
    service: String,
    lifetime: Lifetime,
}

/// What our own keys are called, so that a later start finds them.
const KEY_NAME: &str = "locule serve --dev";

/// How many of them may be good at a time: several servers may run on one data directory, and none has its key ended
/// under it by a few others that start.
const KEYS_MAX: usize = 8;

impl Offer {
    pub fn make(engine: &Engine, lifetime_max_s: u32) -> Result<Self, Failure> {
        let lifetime = Lifetime::at_most(lifetime_max_s);
        // Another issuer's key set may be configured: then its tokens are the ones to use.
        let token = |user| engine.mint_token(user, lifetime.seconds()).ok();
        Ok(Offer { alice: token("alice"), bob: token("bob"), service: service_key(engine)?, lifetime })
    }

    /// For a program.
    pub fn object(&self) -> serde_json::Value {
        serde_json::json!({ "alice": self.alice, "bob": self.bob, "service_key": self.service })
    }

    /// For a person.
    pub fn words(&self, address: SocketAddr, operators: Option<SocketAddr>) -> String {
        let api = format!("http://{}", reachable(address));
        let operators =
            operators.map_or_else(|| "nowhere".to_owned(), |address| format!("at http://{}", reachable(address)));
        let head = format!(
            "\nLocule serves at {api} (API described at {api}/docs/), operators {operators}\n\n\
             Service key, for a day; names the user it acts for in the path:\n  {}\n",
            self.service
        );
        let (Some(alice), Some(bob)) = (&self.alice, &self.bob) else {
            return format!("{head}\nTokens come from the issuer whose key set is configured.\n");
        };
        let curl = |path: &str, token: &str, body: &str| {
            format!(
                "  curl -sS -w '\\n' {api}/api/me/{path} -H 'authorization: Bearer {token}' -H 'content-type: application/json' -d {body}"
            )
        };
        let question = r#"'{"query": "what food should I avoid?"}'"#;
        [
            head,
            format!("Tokens, for {}:\n  alice  {alice}\n  bob    {bob}\n", self.lifetime),
            "Alice says something:".to_owned(),
            curl("memories", alice, r#""{\"memory\": \"I'm allergic to peanuts\"}""#),
            "Alice asks, and finds it:".to_owned(),
            curl("memories/search", alice, question),
            "Bob asks the same, and finds nothing:".to_owned(),
            curl("memories/search", bob, question),
            "\nStop with Ctrl-C.".to_owned(),
        ]
        .join("\n")
    }
}

/// A key of this start. Those of earlier ones end by themselves within a day, and are tidied away here.
fn service_key(engine: &Engine) -> Result<String, Failure> {
    let operator = engine.trusted_operator(&reason("serve --dev"), &Request::default())?;
    let now = locule::Sources::system().now();
    let keys = engine.keys(&operator)?;
    let (mut good, ended): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .filter(|key| key.name == KEY_NAME && matches!(key.kind, KeyKind::Service { .. }))
        .partition(|key| key.expires_at.is_none_or(|end| end > now));
    // They come oldest first, and one more is about to be made.
    good.truncate((good.len() + 1).saturating_sub(KEYS_MAX));
    for key in ended.iter().chain(&good) {
        // Another start may have tidied it away already.
        let _ = engine.revoke_key(&operator, key.id.as_str());
    }
    let kind = KeyKind::Service { issuer: engine.issuer().clone(), act_as: ActAs::Anyone };
    Ok(engine.create_key(&operator, kind, KEY_NAME, Some(Lifetime::hours(24).end()))?.text)
}

/// An address to connect to: one that stands for all of the machine's is not.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        std::net::IpAddr::V4(_) => SocketAddr::from(([127, 0, 0, 1], address.port())),
        std::net::IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
    }
}
