//! `locule serve`

mod dev;

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use locule::Engine;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::init;
use super::output::{self, say};
use crate::config::{Config, Flags, Format};

/// Serve the HTTP API
///
/// Users and services connect to one address, operators to another, which is for this machine only unless you say
/// otherwise. Stops at SIGTERM or SIGINT, when what is under way is done. A log goes to standard error; it never names a
/// token, and users only under a pseudonym.
///
/// Examples:
///   locule serve --dev                         Try it: makes what is missing, prints commands to paste
///   locule serve --data /var/lib/locule --listen 0.0.0.0:7400
///   locule serve --log json --set quota.memories=10000
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = Config::table())]
pub struct Serve {
    /// Make the data directory if it is missing, and print tokens, a key and commands to try
    #[arg(long)]
    dev: bool,
    /// Where users and services connect [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where operators connect, or `off` [default: 127.0.0.1:7401]
    #[arg(long, value_name = "ADDRESS")]
    operator_listen: Option<String>,
    /// Let other machines reach the operators' address
    #[arg(long)]
    operator_public: bool,
    /// How spaces are kept apart: file, rls, schema or database [default: file]
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<String>,
    /// The PostgreSQL that keeps them, with a layout other than file
    #[arg(long, value_name = "URL")]
    postgres_url: Option<String>,
    /// How long a request may take, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS")]
    deadline_s: Option<String>,
    /// How many requests are worked on at a time [default: 32]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Requests per second that one user may make [default: no bound]
    #[arg(long, value_name = "N")]
    rate_per_s: Option<String>,
    /// The form of the log: text or json [default: text]
    #[arg(long, value_name = "FORM")]
    log: Option<String>,
}

impl Serve {
    pub fn run(self, context: Context) -> Outcome {
        let config = context.config_with(self.flags())?;
        let settings = config.serving();
        self.check_operator_address(settings.operator_listen)?;
        begin_log(&config)?;
        let engine = Arc::new(if self.dev { dev::open(&config)? } else { Engine::open(config.engine())? });
        let offer = self.dev.then(|| dev::Offer::make(&engine, config.tokens.lifetime_max_s)).transpose()?;
        match engine.chat() {
            Some(chat) => tracing::info!(model = chat.model(), "inference: a model finds facts in conversations"),
            None => tracing::info!("inference: no model is configured ([chat]); conversations are kept word for word"),
        }
        let (listen, operator_listen) = (settings.listen, settings.operator_listen);
        let ready = |address: SocketAddr, operators: Option<SocketAddr>| {
            tracing::info!(%address, operators = operators.map(tracing::field::display), "serving");
            announce(context.json(), address, operators, offer.as_ref());
        };
        crate::serve::serve(engine, settings, ready).map_err(|error| {
            let operators = operator_listen.map_or_else(String::new, |address| format!(" and {address}"));
            Failure::failed(format!(
                "Serving on {listen}{operators} failed. If another program has an address, choose others: --listen, --operator-listen."
            ))
            .because(&error)
        })
    }

    fn flags(&self) -> Flags {
        let given = [
            ("listen", &self.listen),
            ("operator_listen", &self.operator_listen),
            ("storage.layout", &self.layout),
            ("postgres.url", &self.postgres_url),
            ("deadline_s", &self.deadline_s),
            ("workers", &self.workers),
            ("rate_per_s", &self.rate_per_s),
            ("log.format", &self.log),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }

    /// An operator sees every user's figures and can erase them all: that door opens to other machines only on purpose.
    fn check_operator_address(&self, address: Option<SocketAddr>) -> Outcome {
        match address {
            Some(address) if !address.ip().is_loopback() && !self.operator_public => Err(Failure::usage(format!(
                "Other machines could reach the operators' address {address}. If that is meant, add --operator-public."
            ))),
            _ => Ok(()),
        }
    }
}

fn begin_log(config: &Config) -> Outcome {
    let filter: Targets = config
        .log
        .filter
        .parse()
        .map_err(|error| Failure::usage("The setting `log.filter` cannot be read.").because(&error))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let log = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_heard));
    match config.log.format {
        Format::Json => log.with(lines.json()).init(),
        Format::Text => log.with(lines).init(),
    }
    Ok(())
}

/// The driver of PostgreSQL tells each statement with its values, if one lets it. No filter of an operator's does.
fn may_be_heard(said: &Metadata) -> bool {
    let is_driver = said.target().starts_with("tokio_postgres") || said.target().starts_with("postgres");
    !is_driver || *said.level() <= Level::WARN
}

/// Says where we are, once both addresses accept.
fn announce(json: bool, address: SocketAddr, operators: Option<SocketAddr>, offer: Option<&dev::Offer>) {
    if json {
        let mut object = serde_json::json!({ "listen": address, "operator_listen": operators });
        if let Some(offer) = offer {
            object["dev"] = offer.object();
        }
        // Whoever started us may have closed the other end; we serve all the same.
        let _ = output::data(&object.to_string());
        return;
    }
    if let Some(offer) = offer {
        say(offer.words(address, operators));
    }
}
