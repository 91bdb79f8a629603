//! How an installation is set up. Every field has a default that is safe; [`Config::at`] is enough to begin.

use std::path::PathBuf;
use std::time::Duration;

use locule_core::Provision;
use locule_core::id::Issuer;
use locule_store::{Durability, Keeping, Options, Quota};

/// The set-up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// How spaces are kept apart.
    pub keeping: Keeping,
    /// Whether to make it if it is not there.
    pub create: bool,
    /// Whether data is encrypted at rest.
    pub encrypted: bool,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Memory for open connections, in bytes; each takes some 150 KiB.
    pub connection_bytes: usize,
    /// Memory for vectors, in bytes; each takes 2 bytes for each number, and 12.
    pub vector_bytes: usize,
    /// How much one space may hold.
    pub quota: Quota,
    /// Whether the trail of a space tells of its context which agent did what to which key, and of what it was refused: see
    /// [`Engine::note_context`](crate::Engine::note_context). The trail then holds content, and holds it as the rest of the
    /// space is held.
    pub context_trail: bool,
    /// Whether a verified user gets a space at the first write.
    pub provision: Provision,
    /// What makes vectors from texts.
    pub embedding: Embedding,
    /// The model that finds in conversations what is worth remembering; without one they are kept word for word.
    pub chat: Option<ChatEndpoint>,
    /// Where webhooks may lead.
    pub webhooks: Webhooks,
    /// Whose tokens are taken.
    pub issuing: Issuing,
}

impl Config {
    /// The usual set-up, with data in this directory.
    pub fn at(data: impl Into<PathBuf>) -> Self {
        let Options {
            data,
            keeping,
            issuer: _,
            create,
            encrypted,
            durability,
            connection_bytes,
            vector_bytes,
            quota,
            context_trail,
        } = Options::at(data);
        Config {
            data,
            keeping,
            create,
            encrypted,
            durability,
            connection_bytes,
            vector_bytes,
            quota,
            context_trail,
            provision: Provision::default(),
            embedding: Embedding::default(),
            chat: None,
            webhooks: Webhooks::default(),
            issuing: Issuing::default(),
        }
    }

    pub(crate) fn store_options(&self) -> Options {
        Options {
            data: self.data.clone(),
            keeping: self.keeping.clone(),
            issuer: self.issuing.issuer.clone(),
            create: self.create,
            encrypted: self.encrypted,
            durability: self.durability,
            connection_bytes: self.connection_bytes,
            vector_bytes: self.vector_bytes,
            quota: self.quota,
            context_trail: self.context_trail,
        }
    }
}

/// What makes vectors from texts.
#[derive(Clone, Debug, Default)]
pub enum Embedding {
    /// The built-in model: all-MiniLM-L6-v2, 384 numbers, English, no network.
    #[default]
    Local,
    /// Any endpoint that speaks OpenAI's `POST /embeddings`.
    Endpoint(Endpoint),
    /// Nothing: callers bring vectors of this many numbers with every memory; a search in words alone goes by words.
    Supplied {
        /// How many numbers.
        dimension: usize,
    },
}

/// An OpenAI-compatible embedding endpoint.
#[derive(Clone)]
pub struct Endpoint {
    /// Up to and without `/embeddings`, such as `https://api.openai.com/v1`.
    pub url: String,
    /// Sent as a bearer token, if set.
    pub key: Option<String>,
    /// The model's name there.
    pub model: String,
    /// How many numbers its vectors have.
    pub dimension: usize,
    /// Whether to ask for that many; for models that can do several.
    pub send_dimension: bool,
    /// Put before a text that is stored, as some models want.
    pub document_prefix: String,
    /// Put before a text that is searched for.
    pub query_prefix: String,
    /// How many texts one request carries.
    pub batch: usize,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Endpoint {
    /// An endpoint with the usual batch of 64 and 20 seconds' patience.
    pub fn new(url: impl Into<String>, model: impl Into<String>, dimension: usize) -> Self {
        Endpoint {
            url: url.into(),
            key: None,
            model: model.into(),
            dimension,
            send_dimension: false,
            document_prefix: String::new(),
            query_prefix: String::new(),
            batch: 64,
            timeout: Duration::from_secs(20),
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).field("model", &self.model).finish_non_exhaustive()
    }
}

/// A model that one talks to, behind OpenAI's `POST /chat/completions`.
#[derive(Clone)]
pub struct ChatEndpoint {
    /// Up to and without `/chat/completions`, such as `https://api.openai.com/v1`.
    pub url: String,
    /// Sent as a bearer token, if set.
    pub key: Option<String>,
    /// The model's name there.
    pub model: String,
    /// Whether to ask for a JSON object (`response_format`); what is said is read either way.
    pub json_object: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a piece of work is tried.
    pub attempts: u32,
    /// How many requests are under way at a time.
    pub concurrency: usize,
}

impl ChatEndpoint {
    /// A model with the usual patience: a minute for each of 5 attempts, 2 requests at a time.
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        ChatEndpoint {
            url: url.into(),
            key: None,
            model: model.into(),
            json_object: false,
            timeout: Duration::from_secs(60),
            attempts: 5,
            concurrency: 2,
        }
    }
}

impl std::fmt::Debug for ChatEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatEndpoint").field("url", &self.url).field("model", &self.model).finish_non_exhaustive()
    }
}

/// Where webhooks may lead, and how long they are tried.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Hosts that may be inside this network, and may be asked over plain http.
    pub allow: Vec<String>,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// How often one is tried.
    pub attempts: u32,
}

impl Default for Webhooks {
    fn default() -> Self {
        Webhooks { allow: Vec::new(), timeout: Duration::from_secs(10), attempts: 8 }
    }
}

/// Whose tokens are taken. With neither secrets nor a key set, those that this installation signs itself.
#[derive(Clone, Default)]
pub struct Issuing {
    /// HS256 secrets, at least 32 bytes each; the first signs, all verify.
    pub secrets: Vec<Vec<u8>>,
    /// A set of public keys in place of secrets.
    pub key_set: Option<KeySet>,
    /// The issuer that tokens name, and whose users keys act for.
    pub issuer: Issuer,
    /// Whether a token must name it.
    pub require_issuer: bool,
    /// The audiences that tokens may be meant for; the usual one when empty.
    pub audiences: Vec<String>,
    /// Whether a token must be meant for one.
    pub require_audience: bool,
    /// The longest life of a token, in seconds; the usual 24 hours when `None`.
    pub lifetime_max_s: Option<u32>,
}

impl std::fmt::Debug for Issuing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuing").field("issuer", &self.issuer).field("key_set", &self.key_set).finish_non_exhaustive()
    }
}

/// Where a JSON Web Key Set (RFC 7517) is.
#[derive(Clone, Debug)]
pub enum KeySet {
    /// In a file, read anew when a token names an unknown key.
    File(PathBuf),
    /// At an https URL (http only on this machine).
    Url(String),
}
