//! How an installation is set up, as Python says it.

use std::path::PathBuf;
use std::time::Duration;

use locule::id::Issuer;
use locule::postgres::{Address, Pooler, Prefix};
use locule::{
    ChatEndpoint, Config, Durability, Embedding, Endpoint, Engine, Error, Issuing, Keeping, KeySet, Migration,
    Postgres, PostgresLayout, Provision, Result,
};
use serde::Deserialize;

/// What `locule.Locule` was given. What is left out is as usual.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    data: PathBuf,
    #[serde(default = "yes")]
    create: bool,
    #[serde(default = "yes")]
    encrypted: bool,
    durability: Option<DurabilityIn>,
    memories_max: Option<u64>,
    bytes_max: Option<u64>,
    entries_max: Option<u64>,
    agents_max: Option<u64>,
    #[serde(default)]
    context_trail: bool,
    #[serde(default = "yes")]
    provision: bool,
    embedding: Option<EmbeddingIn>,
    chat: Option<ChatIn>,
    tokens: Option<TokensIn>,
    postgres: Option<PostgresIn>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DurabilityIn {
    Full,
    Normal,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum EmbeddingIn {
    Local,
    Supplied {
        dimension: usize,
    },
    Endpoint {
        url: String,
        model: String,
        dimension: usize,
        key: Option<String>,
        #[serde(default)]
        send_dimension: bool,
        document_prefix: Option<String>,
        query_prefix: Option<String>,
        batch: Option<usize>,
        timeout_s: Option<f64>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatIn {
    url: String,
    model: String,
    key: Option<String>,
    #[serde(default)]
    json_object: bool,
    attempts: Option<u32>,
    concurrency: Option<usize>,
    timeout_s: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensIn {
    #[serde(default)]
    secrets: Vec<String>,
    key_set_url: Option<String>,
    key_set_file: Option<PathBuf>,
    issuer: Option<String>,
    #[serde(default)]
    require_issuer: bool,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    require_audience: bool,
    lifetime_max_s: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostgresIn {
    url: String,
    layout: LayoutIn,
    prefix: Option<String>,
    connections: Option<usize>,
    #[serde(default)]
    transaction_pooler: bool,
    #[serde(default)]
    sealed: bool,
    /// Whether the URL's user sets the database up, and requests run on logins made for them.
    #[serde(default)]
    set_up: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayoutIn {
    Rls,
    Schema,
    Database,
}

impl Setup {
    /// What Python wrote down.
    pub fn read(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| Error::invalid(format!("The set-up is not understood: {error}.")))
    }

    /// An engine that is set up so. A PostgreSQL that is to be set up is, where it is not yet, or does not let us in as it is.
    pub fn open(self) -> Result<Engine> {
        let admin = match &self.postgres {
            Some(postgres) if postgres.set_up => Some(Address::parse(&postgres.url)?),
            _ => None,
        };
        let config = self.config()?;
        let Some(admin) = admin else { return Engine::open(config) };
        locule::migrate(&config, &admin, &Migration { unless_done: true, ..Migration::default() })?;
        Engine::open(config.clone()).or_else(|_| {
            locule::migrate(&config, &admin, &Migration::default())?;
            Engine::open(config)
        })
    }

    fn config(self) -> Result<Config> {
        let mut config = Config::at(self.data);
        config.create = self.create;
        config.encrypted = self.encrypted;
        config.durability = match self.durability {
            None | Some(DurabilityIn::Full) => Durability::Full,
            Some(DurabilityIn::Normal) => Durability::Normal,
        };
        config.quota.memories_max = self.memories_max.unwrap_or(config.quota.memories_max);
        config.quota.bytes_max = self.bytes_max.unwrap_or(config.quota.bytes_max);
        config.quota.entries_max = self.entries_max.unwrap_or(config.quota.entries_max);
        config.quota.agents_max = self.agents_max.unwrap_or(config.quota.agents_max);
        config.context_trail = self.context_trail;
        config.provision = if self.provision { Provision::Auto } else { Provision::Manual };
        config.embedding = self.embedding.map_or(Ok(Embedding::Local), EmbeddingIn::read)?;
        config.chat = self.chat.map(ChatIn::read).transpose()?;
        config.issuing = self.tokens.unwrap_or_default().read()?;
        if let Some(postgres) = self.postgres {
            config.keeping = Keeping::Postgres(postgres.read()?);
        }
        Ok(config)
    }
}

impl EmbeddingIn {
    fn read(self) -> Result<Embedding> {
        Ok(match self {
            EmbeddingIn::Local => Embedding::Local,
            EmbeddingIn::Supplied { dimension } => Embedding::Supplied { dimension },
            EmbeddingIn::Endpoint {
                url,
                model,
                dimension,
                key,
                send_dimension,
                document_prefix,
                query_prefix,
                batch,
                timeout_s,
            } => {
                let usual = Endpoint::new(url, model, dimension);
                let timeout = timeout(timeout_s, usual.timeout)?;
                Embedding::Endpoint(Endpoint {
                    key,
                    send_dimension,
                    document_prefix: document_prefix.unwrap_or_default(),
                    query_prefix: query_prefix.unwrap_or_default(),
                    batch: batch.unwrap_or(usual.batch),
                    timeout,
                    ..usual
                })
            }
        })
    }
}

impl ChatIn {
    fn read(self) -> Result<ChatEndpoint> {
        let usual = ChatEndpoint::new(self.url, self.model);
        Ok(ChatEndpoint {
            key: self.key,
            json_object: self.json_object,
            timeout: timeout(self.timeout_s, usual.timeout)?,
            attempts: self.attempts.unwrap_or(usual.attempts),
            concurrency: self.concurrency.unwrap_or(usual.concurrency),
            ..usual
        })
    }
}

fn timeout(seconds: Option<f64>, usual: Duration) -> Result<Duration> {
    seconds.map_or(Ok(usual), |seconds| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| Error::invalid("`timeout_s` is a number of seconds above zero."))
    })
}

impl TokensIn {
    fn read(self) -> Result<Issuing> {
        let key_set = match (self.key_set_url, self.key_set_file) {
            (Some(url), None) => Some(KeySet::Url(url)),
            (None, Some(path)) => Some(KeySet::File(path)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(Error::invalid("Give `key_set_url` or `key_set_file`, not both.")),
        };
        Ok(Issuing {
            secrets: self.secrets.into_iter().map(String::into_bytes).collect(),
            key_set,
            issuer: self.issuer.map_or_else(|| Ok(Issuer::default()), |name| Issuer::try_from(&*name))?,
            require_issuer: self.require_issuer,
            audiences: self.audiences,
            require_audience: self.require_audience,
            lifetime_max_s: self.lifetime_max_s,
        })
    }
}

impl PostgresIn {
    fn read(self) -> Result<Postgres> {
        let address = Address::parse(&self.url)?;
        Ok(Postgres {
            layout: match self.layout {
                LayoutIn::Rls => PostgresLayout::Rls,
                LayoutIn::Schema => PostgresLayout::Schema,
                LayoutIn::Database => PostgresLayout::Database,
            },
            // Who may set a database up can get around what holds users apart in it: no request runs as them.
            address: if self.set_up { address.anybody() } else { address },
            pooler: if self.transaction_pooler { Pooler::Transaction } else { Pooler::None },
            prefix: Prefix::parse(self.prefix.as_deref().unwrap_or("locule"))?,
            connections_max: self.connections.unwrap_or(20),
            sealed: self.sealed,
            clusters: locule::Clusters::default(),
        })
    }
}
