//! `locule key`

use clap::{ArgGroup, Args, Subcommand};
use locule::auth::{ActAs, KeyKind, KeyRecord};
use locule::{Code, Engine};

use super::context::{Context, Installation};
use super::failure::{Failure, Outcome};
use super::lifetime::Lifetime;
use super::output::{self, List, moment, say, shown};

/// Make, list and revoke API keys
///
/// Example:
///   locule key create --service --act-as '*' --name shop
#[derive(Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Key {
    Create(Create),
    List(ListKeys),
    Revoke(Revoke),
}

/// Make a key: its text on standard output, once and never again
///
/// A service key is for a program that serves many users: each of its requests names one of those it may act for. A user
/// key is that user. An operator key works on the operators' listener alone, and sees no content.
///
/// Examples:
///   locule key create --service --act-as '*' --name shop
///   locule key create --service --act-as 'shop-*' --ttl 90d
///   locule key create --user alice --read-only
///   locule key create --operator --name dashboard
#[derive(Args)]
#[command(verbatim_doc_comment, group = ArgGroup::new("kind").required(true).args(["service", "user", "operator"]))]
pub struct Create {
    /// For a service that acts for users
    #[arg(long, requires = "act_as")]
    service: bool,
    /// For which users: `*` for all, a prefix such as 'shop-*', or one id
    #[arg(long, value_name = "PATTERN", requires = "service", conflicts_with_all = ["user", "operator"])]
    act_as: Option<String>,
    /// For this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The user's key may look and change nothing
    #[arg(long, requires = "user", conflicts_with_all = ["service", "operator"])]
    read_only: bool,
    /// For an operator
    #[arg(long)]
    operator: bool,
    /// What the list calls it
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// How long it works: 15m, 1h, 90d [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    ttl: Option<Lifetime>,
}

/// List all keys, without their secrets
///
/// Example:
///   locule key list
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListKeys {}

/// End a key, from the next request on
///
/// Example:
///   locule key revoke 0123456789abcdef
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Revoke {
    /// The key's id, as the list shows it
    id: String,
}

impl Key {
    pub fn run(self, context: &Context) -> Outcome {
        match self {
            Key::Create(create) => create.run(context),
            Key::List(_) => list(context),
            Key::Revoke(revoke) => revoke.run(context),
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        let engine = &installation.engine;
        let kind = self.kind(engine)?;
        let operator = installation.operator("key create")?;
        let expires_at = self.ttl.map(Lifetime::end);
        let key = engine.create_key(&operator, kind, &self.name, expires_at)?;
        if context.json() {
            let mut object = object(&key.record);
            object["key"] = key.text.into();
            return output::json(&object);
        }
        output::data(&key.text)?;
        say(format!("This key is {}. Keep it now: it is not shown again.", kind_words(&key.record.kind)));
        say(format!("To end it: locule key revoke {}", key.record.id.as_str()));
        Ok(())
    }

    fn kind(&self, engine: &Engine) -> Result<KeyKind, Failure> {
        Ok(match (&self.user, &self.act_as) {
            (Some(user), _) => KeyKind::User { identity: engine.identity(user)?, read_only: self.read_only },
            (None, Some(pattern)) => {
                KeyKind::Service { issuer: engine.issuer().clone(), act_as: ActAs::parse(pattern)? }
            }
            (None, None) => KeyKind::Operator,
        })
    }
}

fn list(context: &Context) -> Outcome {
    let installation = context.open()?;
    let operator = installation.operator("key list")?;
    let heading = format!("{:<16}  {:<20}  {:<20}  {:<18}  FOR", "ID", "CREATED", "ENDS", "NAME");
    let mut list = List::new(context.json(), &heading)?;
    for key in installation.engine.keys(&operator)? {
        let ends = key.expires_at.map_or_else(|| "never".to_owned(), moment);
        list.item(
            || object(&key),
            || {
                let (id, name) = (key.id.as_str(), shown(&key.name));
                let made = moment(key.created_at);
                format!("{id}  {made:<20}  {ends:<20}  {name:<18}  {}", kind_words(&key.kind))
            },
        )?;
    }
    list.end()
}

impl Revoke {
    fn run(self, context: &Context) -> Outcome {
        let installation = context.open()?;
        revoke(&installation, &self.id)?;
        say(format!("The key {} is revoked.", self.id));
        if context.json() {
            return output::json(&serde_json::json!({ "id": self.id, "revoked": true }));
        }
        Ok(())
    }
}

fn revoke(installation: &Installation, id: &str) -> Outcome {
    let operator = installation.operator("key revoke")?;
    installation.engine.revoke_key(&operator, id).map_err(|error| match error.code() {
        Code::NotFound => Failure::not_found(format!("There is no key {}.", shown(id))),
        _ => error.into(),
    })
}

fn kind_words(kind: &KeyKind) -> String {
    match kind {
        KeyKind::User { identity, read_only: false } => format!("user {}", shown(identity.subject.as_str())),
        KeyKind::User { identity, read_only: true } => format!("user {}, read-only", shown(identity.subject.as_str())),
        KeyKind::Service { act_as, .. } => format!("service acting for {}", shown(&act_as.to_string())),
        KeyKind::Operator => "operator".to_owned(),
    }
}

fn object(key: &KeyRecord) -> serde_json::Value {
    let (kind, user, read_only, act_as) = match &key.kind {
        KeyKind::User { identity, read_only } => ("user", Some(identity.subject.as_str()), Some(*read_only), None),
        KeyKind::Service { act_as, .. } => ("service", None, None, Some(act_as.to_string())),
        KeyKind::Operator => ("operator", None, None, None),
    };
    serde_json::json!({
        "id": key.id.as_str(),
        "kind": kind,
        "user_id": user,
        "read_only": read_only,
        "act_as": act_as,
        "name": key.name,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    })
}
