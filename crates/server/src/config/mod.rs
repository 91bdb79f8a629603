//! How this program is set up: defaults, then the file, then the environment, then flags; the later one counts.
//!
//! Each concern has a file here, with meaning and default beside the field. This is the one place that reads the
//! environment. What is misspelt is refused, because a bound that is not in force looks like one that is.

mod chat;
mod clusters;
mod embedding;
mod environment;
mod log;
mod postgres;
mod quota;
mod reference;
mod server;
mod setting;
mod storage;
mod tokens;
mod users;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use embedding::Provider;
pub use environment::Environment;
pub use log::Format;
pub use server::OperatorListen;

use crate::app;
use chat::Chat;
use embedding::Embedding;
use environment::{JWT_SECRET, OPENAI_API_KEY, OPENAI_BASE_URL, OPENROUTER_API_KEY, variable};
use log::Log;
use postgres::Postgres;
use quota::Quota;
use server::Server;
use setting::{Given, Section};
use storage::{Durability, Storage};
use tokens::Tokens;
use users::{Provision, Users};
use webhooks::Webhooks;

/// The file that is read if it is there and no other is named.
const FILE_DEFAULT: &str = "./locule.toml";

/// The fewest bytes of a secret that signs tokens: as many as the hash it keys.
const SECRET_BYTES_MIN: usize = 32;

/// How this program is set up.
#[derive(Clone, Default)]
pub struct Config {
    /// Where the data is, where the server listens, and how much it takes on.
    pub server: Server,
    /// How data is kept.
    pub storage: Storage,
    /// The database that keeps it, if one does.
    pub postgres: Postgres,
    /// How much one user may keep.
    pub quota: Quota,
    /// What makes vectors from texts.
    pub embedding: Embedding,
    /// The model that finds in conversations what is worth remembering.
    pub chat: Chat,
    /// Where webhooks may lead.
    pub webhooks: Webhooks,
    /// Whose tokens are taken.
    pub tokens: Tokens,
    /// Who gets a space.
    pub users: Users,
    /// What the server writes to standard error.
    pub log: Log,
    /// The file that was read.
    pub file: Option<PathBuf>,
    secret: Option<String>,
    openai_key: Option<String>,
    openai_url: Option<String>,
    openrouter_key: Option<String>,
    database_url: Option<String>,
    origins: BTreeMap<String, Origin>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    File,
    Environment,
    Flag,
}

/// What is wrong with the set-up, in a sentence for whoever made it.
#[derive(Debug)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What flags say: a setting's name and its value.
pub type Flags = Vec<(String, String)>;

impl Config {
    /// Everything put together. `file` is the one that a flag names.
    pub fn load(file: Option<&Path>, environment: &Environment, flags: &Flags) -> Result<Self, Problem> {
        let mut config = Config::default();
        let named = file.map(Path::to_owned).or_else(|| environment.value("LOCULE_CONFIG").map(PathBuf::from));
        config.read_file(named)?;
        config.read_environment(environment)?;
        for (name, value) in flags {
            let (section, key) = name.split_once('.').unwrap_or(("", name));
            config
                .set(section, key, &Given::Text(value), Origin::Flag)
                .map_err(|why| Problem(format!("The value {value:?} given for {why}.")))?;
        }
        config.check()?;
        Ok(config)
    }

    /// For the engine.
    pub fn engine(&self) -> locule::Config {
        let Storage { layout, durability, connection_mib, vector_mib, encryption } = self.storage;
        locule::Config {
            create: false,
            keeping: self.postgres.engine(layout, self.database_url.as_deref()),
            encrypted: encryption,
            durability: match durability {
                Durability::Full => locule::Durability::Full,
                Durability::Normal => locule::Durability::Normal,
            },
            connection_bytes: connection_mib << 20,
            vector_bytes: vector_mib << 20,
            quota: locule::Quota {
                memories_max: self.quota.memories,
                bytes_max: self.quota.bytes,
                entries_max: self.quota.entries,
                agents_max: self.quota.agents,
            },
            provision: match self.users.provision {
                Provision::Auto => locule::Provision::Auto,
                Provision::Manual => locule::Provision::Manual,
            },
            embedding: self.embedding.engine(self.openai_url.as_deref(), self.openai_key.as_deref()),
            chat: self.chat.engine(chat::Known {
                openai_url: self.openai_url.as_deref(),
                openai_key: self.openai_key.as_deref(),
                openrouter_key: self.openrouter_key.as_deref(),
            }),
            webhooks: self.webhooks.engine(),
            issuing: self.tokens.engine(self.secret.as_deref()),
            ..locule::Config::at(&self.server.data)
        }
    }

    /// Somebody who may set the database up.
    pub fn privileged(&self) -> Option<&str> {
        self.postgres.privileged(self.database_url.as_deref())
    }

    /// For the server.
    pub fn serving(&self) -> app::Settings {
        let Server {
            listen,
            operator_listen: OperatorListen(operator_listen),
            deadline_s,
            workers,
            rate_per_s,
            mem0_prefix,
            ..
        } = &self.server;
        app::Settings {
            listen: *listen,
            operator_listen: *operator_listen,
            deadline: Duration::from_secs((*deadline_s).into()),
            workers: *workers,
            rate_per_s: *rate_per_s,
            mem0_prefix: mem0_prefix.clone(),
            origins: self.server.origins().map(str::to_owned).collect(),
        }
    }

    fn sections(&self) -> [&dyn Section; 10] {
        [
            &self.server,
            &self.storage,
            &self.postgres,
            &self.quota,
            &self.embedding,
            &self.chat,
            &self.webhooks,
            &self.tokens,
            &self.users,
            &self.log,
        ]
    }

    fn section(&mut self, name: &str) -> Option<&mut dyn Section> {
        let sections: [&mut dyn Section; 10] = [
            &mut self.server,
            &mut self.storage,
            &mut self.postgres,
            &mut self.quota,
            &mut self.embedding,
            &mut self.chat,
            &mut self.webhooks,
            &mut self.tokens,
            &mut self.users,
            &mut self.log,
        ];
        sections.into_iter().find(|section| section.name() == name)
    }

    /// Sets one setting. What is wrong comes as the rest of a sentence that begins with who said so.
    fn set(&mut self, section: &str, key: &str, value: &Given, origin: Origin) -> Result<(), String> {
        let path = path(section, key);
        let outcome = self.section(section).and_then(|section| section.set(key, value));
        match outcome {
            Some(Ok(())) => {
                self.origins.insert(path, origin);
                Ok(())
            }
            Some(Err(why)) => Err(format!("`{path}` cannot be used: {why}")),
            None => Err(format!(
                "`{path}` goes nowhere, for there is no such setting; there is {}",
                self.neighbours(section)
            )),
        }
    }

    /// What somebody may have meant who names a setting that is not there.
    fn neighbours(&self, section: &str) -> String {
        let names = match self.sections().into_iter().find(|found| found.name() == section) {
            Some(found) => found.rows().iter().map(|row| format!("`{}`", path(section, row.key))).collect(),
            None => self.section_names(),
        };
        names.join(", ")
    }

    fn section_names(&self) -> Vec<String> {
        let sections = self.sections().into_iter().map(|section| section.name());
        sections.filter(|name| !name.is_empty()).map(|name| format!("`[{name}]`")).collect()
    }

    /// A file that is named must be there; the usual one need not be.
    fn read_file(&mut self, named: Option<PathBuf>) -> Result<(), Problem> {
        let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE_DEFAULT));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(()),
            Err(error) => {
                return Err(Problem(format!("The configuration {} cannot be read: {error}.", path.display())));
            }
        };
        let problem = |why: String| Problem(format!("In the configuration {}: {why}", path.display()));
        let table: toml::Table = toml::from_str(&text).map_err(|error| problem(error.to_string()))?;
        for (name, value) in &table {
            match value {
                toml::Value::Table(inner) => {
                    if name.is_empty() || self.section(name).is_none() {
                        let names = self.section_names().join(", ");
                        return Err(problem(format!("there is no section `[{name}]`; there is {names}.")));
                    }
                    for (key, value) in inner {
                        self.read_value(name, key, value).map_err(problem)?;
                    }
                }
                value => self.read_value("", name, value).map_err(problem)?,
            }
        }
        self.file = Some(path);
        Ok(())
    }

    fn read_value(&mut self, section: &str, key: &str, value: &toml::Value) -> Result<(), String> {
        self.set(section, key, &Given::Toml(value), Origin::File).map_err(|why| format!("{why}."))
    }

    fn read_environment(&mut self, environment: &Environment) -> Result<(), Problem> {
        let mut known: BTreeMap<String, (String, String)> = BTreeMap::new();
        for section in self.sections() {
            for row in section.rows() {
                known.insert(variable(section.name(), row.key), (section.name().to_owned(), row.key.to_owned()));
            }
        }
        for name in environment.names() {
            let value = environment.value(name).unwrap_or_default();
            match known.get(name) {
                Some((section, key)) => self
                    .set(section, key, &Given::Text(value), Origin::Environment)
                    .map_err(|why| Problem(format!("The variable {name} for {why}.")))?,
                None => self.check_stray(name)?,
            }
        }
        let openai = |name| environment.value(name).map(str::to_owned);
        (self.openai_key, self.openai_url) = (openai(OPENAI_API_KEY), openai(OPENAI_BASE_URL));
        self.openrouter_key = openai(OPENROUTER_API_KEY);
        self.database_url = postgres::ADDRESSES.into_iter().find_map(|name| environment.value(name)).map(str::to_owned);
        self.secret = environment.value(JWT_SECRET).map(str::to_owned);
        match &self.secret {
            Some(secret) if secret.len() < SECRET_BYTES_MIN => Err(Problem(format!(
                "The variable JWT_SECRET has {} bytes, and a secret that signs tokens has at least {SECRET_BYTES_MIN}: \
                 anybody could find a shorter one. Take one from `openssl rand -hex 32`, or unset the variable to use \
                 the installation's own.",
                secret.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Other programs have variables that begin like ours, such as a client's address. One that begins like a section is
    /// ours and misspelt.
    fn check_stray(&self, name: &str) -> Result<(), Problem> {
        let sections = self.sections();
        let meant = sections
            .iter()
            .find(|section| !section.name().is_empty() && name.starts_with(&variable(section.name(), "")));
        match meant {
            Some(section) => {
                let names: Vec<String> = section.rows().iter().map(|row| variable(section.name(), row.key)).collect();
                Err(Problem(format!("The variable {name} sets nothing; there is {}.", names.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let checks = [
            ("", self.server.check()),
            ("storage", self.storage.check()),
            ("postgres", self.postgres.check(self.storage.layout, self.database_url.as_deref())),
            ("embedding", self.embedding.check()),
            ("chat", self.chat.check()),
            ("webhooks", self.webhooks.check()),
            ("tokens", self.tokens.check()),
        ];
        for (section, outcome) in checks {
            outcome.map_err(|(key, why)| Problem(format!("The setting `{}`: {why}.", path(section, key))))?;
        }
        if self.secret.is_some() && (self.tokens.jwks_file.is_some() || self.tokens.jwks_url.is_some()) {
            return Err(Problem(
                "Tokens are verified with JWT_SECRET or with a key set (`tokens.jwks_file`, `tokens.jwks_url`), never \
                 with both: unset one of them."
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// A setting's whole name.
fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Problem> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locule.toml");
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&path, file).unwrap();
        let flags = flags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Config::load(Some(&path), &Environment::of(environment), &flags)
    }

    fn refusal(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
        load(file, environment, flags).err().map(|problem| problem.0).unwrap_or_default()
    }

    #[test]
    fn the_later_of_file_environment_and_flag_counts() {
        let file = "[quota]\nmemories = 1\nbytes = 1\n[storage]\nvector_mib = 1";
        let environment = [("LOCULE_QUOTA_BYTES", "2"), ("LOCULE_STORAGE_VECTOR_MIB", "2")];
        let config = load(file, &environment, &[("storage.vector_mib", "3")]).unwrap();
        assert_eq!((config.quota.memories, config.quota.bytes, config.storage.vector_mib), (1, 2, 3));
    }

    #[test]
    fn what_is_misspelt_is_named() {
        for (file, named) in [
            ("dta = 'x'", "`dta`"),
            ("[quota]\nmemory = 5", "`quota.memory`"),
            ("[qouta]\nmemories = 5", "`[qouta]`"),
            ("[quota]\nmemories = '5'", "`quota.memories`"),
            ("[quota]\nmemories = -5", "`quota.memories`"),
            ("[storage]\ndurability = 'none'", "`full`, `normal`"),
            ("workers = 0", "`workers`"),
            ("data = 5", "`data`"),
            ("data", "TOML"),
        ] {
            let refusal = refusal(file, &[], &[]);
            assert!(refusal.contains(named), "{file}: {refusal}");
        }
        assert!(refusal("", &[("LOCULE_QUOTA_MEMORY", "5")], &[]).contains("LOCULE_QUOTA_MEMORY"));
        assert!(refusal("", &[], &[("quota.memory", "5")]).contains("`quota.memory`"));
    }

    #[test]
    fn variables_of_other_programs_do_no_harm() {
        assert!(load("", &[("LOCULE_URL", "http://localhost:7400"), ("LOCULE_API_KEY", "x")], &[]).is_ok());
    }

    #[test]
    fn a_secret_is_strong_or_refused() {
        for weak in ["", "short", &"x".repeat(31)] {
            assert!(refusal("", &[(JWT_SECRET, weak)], &[]).contains("at least 32"), "{weak:?}");
        }
        let config = load("", &[(JWT_SECRET, &"a,b".repeat(11))], &[]).unwrap();
        // One secret, commas or not.
        assert_eq!(config.engine().issuing.secrets, vec!["a,b".repeat(11).into_bytes()]);
        assert!(refusal("[tokens]\njwks_file = 'x'", &[(JWT_SECRET, &"x".repeat(32))], &[]).contains("never"));
    }

    #[test]
    fn openais_own_variables_count_only_for_such_an_endpoint() {
        let variables = [(OPENAI_API_KEY, "sk-1"), (OPENAI_BASE_URL, "http://localhost:1/v1")];
        assert!(matches!(load("", &variables, &[]).unwrap().engine().embedding, locule::Embedding::Local));
        let file = "[embedding]\nprovider = 'openai'";
        let locule::Embedding::Endpoint(endpoint) = load(file, &variables, &[]).unwrap().engine().embedding else {
            panic!("an endpoint is configured");
        };
        assert_eq!((&*endpoint.url, endpoint.key.as_deref()), ("http://localhost:1/v1", Some("sk-1")));
        let file = "[embedding]\nprovider = 'openai'\nurl = 'https://example.com'\nkey = 'mine'";
        let locule::Embedding::Endpoint(endpoint) = load(file, &variables, &[]).unwrap().engine().embedding else {
            panic!("an endpoint is configured");
        };
        assert_eq!((&*endpoint.url, endpoint.key.as_deref()), ("https://example.com", Some("mine")));
    }

    #[test]
    fn the_defaults_are_the_librarys_own() {
        let (ours, theirs) = (Config::default(), locule::Config::at("./locule-data"));
        let engine = ours.engine();
        assert_eq!(engine.data, theirs.data);
        assert_eq!(engine.quota, theirs.quota);
        assert_eq!((engine.connection_bytes, engine.vector_bytes), (theirs.connection_bytes, theirs.vector_bytes));
        assert_eq!((engine.encrypted, engine.durability), (theirs.encrypted, theirs.durability));
    }
}
