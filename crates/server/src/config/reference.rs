//! The configuration as people read it: the page in docs/, the table in `serve --help`, and what is in force now.

use std::fmt::Write as _;

use super::environment::variable;
use super::setting::Row;
use super::{Config, Origin, path};

const HEAD: &str = "\
# Configuration

Every setting has a default; none needs to be set.
A value comes from, each counting more than the one before: the default, the file `locule.toml` (another with `--config`
or `LOCULE_CONFIG`), the environment, a flag.
Any setting can be given as a flag: `--set quota.memories=1000`.
In the environment and in flags, items of a list stand with commas between them, and an empty text takes back what can be
left out.

A name that is misspelt is refused and never ignored.
`locule config` shows what is in force and where each value comes from.
Paths are taken from the directory the program is started in.

This page is written by the program: `locule config --reference`.
";

const NAMES: &str = "
## Names that other programs share

| variable | what it does |
|---|---|
| `JWT_SECRET` | The secret that signs and verifies users' tokens (HS256): one secret of at least 32 bytes, taken as it is. An empty or shorter one is refused. |
| `OPENAI_API_KEY` | The endpoint's key, if `embedding.provider` is `openai` and `embedding.key` is not set; likewise for `chat.key` if `chat.model` is set. Not looked at otherwise. |
| `OPENAI_BASE_URL` | The endpoint's address, likewise for `embedding.url` and `chat.url`. |
| `OPENROUTER_API_KEY` | The key for OpenRouter, if `chat.model` is set and `chat.url` leads there, or nothing says where it leads. |
| `DATABASE_URL`, `SUPABASE_DB_URL` | Where the PostgreSQL is, and who may set it up, if `storage.layout` is not `file` and `postgres.url` and `postgres.admin_url` are not set. Requests never run as the user it names. |
| `LOCULE_CONFIG` | The file to read in place of `./locule.toml`. |

## An example

```toml
data = \"/var/lib/locule\"
listen = \"127.0.0.1:7400\"

[quota]
memories = 100_000

[tokens]
issuer = \"https://auth.example.com/\"
require_issuer = true
jwks_url = \"https://auth.example.com/.well-known/jwks.json\"
```
";

impl Config {
    /// The page `docs/configuration.md`.
    pub fn page() -> String {
        let mut page = HEAD.to_owned();
        for section in Config::default().sections() {
            let heading = match section.name() {
                "" => "The settings that stand first".to_owned(),
                name => format!("`[{name}]`"),
            };
            let _ = write!(page, "\n## {heading}\n\n{}\n\n", section.about());
            page.push_str("| setting | variable | default | meaning |\n|---|---|---|---|\n");
            for Row { key, meaning, value, .. } in section.rows() {
                let default = value.map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
                let variable = variable(section.name(), key);
                let _ = writeln!(page, "| `{key}` | `{variable}` | {default} | {meaning} |");
            }
        }
        page + NAMES
    }

    /// A table for a terminal.
    pub fn table() -> String {
        let mut table = String::from(
            "Settings, with their defaults (file locule.toml, or --set NAME=VALUE, or the variable below):\n",
        );
        for section in Config::default().sections() {
            for Row { key, value, .. } in section.rows() {
                let (name, value) = (path(section.name(), key), value.unwrap_or_else(|| "(not set)".to_owned()));
                let _ = writeln!(table, "  {name:<26} {value:<20} {}", variable(section.name(), key));
            }
        }
        table + "\nWhat each means: `locule config --reference`."
    }

    /// What is in force, as a file that would bring it about, with where each value comes from.
    pub fn in_force(&self) -> String {
        let mut file = String::new();
        for section in self.sections() {
            if !section.name().is_empty() {
                let _ = write!(file, "\n[{}]\n", section.name());
            }
            for row in section.rows() {
                let origin = self.origin(section.name(), row.key);
                match shown(&row) {
                    Some(value) => {
                        let line = format!("{} = {value}", row.key);
                        let _ = writeln!(file, "{line:<44} # {origin}");
                    }
                    None => {
                        let line = format!("# {}", row.key);
                        let _ = writeln!(file, "{line:<44} # not set");
                    }
                }
            }
        }
        file
    }

    /// The same for a program: one object per setting.
    pub fn in_force_json(&self) -> serde_json::Value {
        let mut settings = Vec::new();
        for section in self.sections() {
            for row in section.rows() {
                let value = shown(&row).map(|value| json(&value));
                settings.push(serde_json::json!({
                    "name": path(section.name(), row.key),
                    "value": value,
                    "from": self.origin(section.name(), row.key),
                }));
            }
        }
        settings.into()
    }

    fn origin(&self, section: &str, key: &str) -> String {
        match self.origins.get(&path(section, key)) {
            None => "default".to_owned(),
            Some(Origin::File) => self.file.as_ref().map_or_else(String::new, |file| file.display().to_string()),
            Some(Origin::Environment) => variable(section, key),
            Some(Origin::Flag) => "flag".to_owned(),
        }
    }
}

fn shown(row: &Row) -> Option<String> {
    row.value.clone().map(|value| if row.secret { "\"(secret)\"".to_owned() } else { value })
}

/// A value as TOML writes it, as JSON.
fn json(value: &str) -> serde_json::Value {
    let table = toml::from_str::<toml::Table>(&format!("value = {value}")).unwrap_or_default();
    table.get("value").and_then(|value| serde_json::to_value(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_program_does() {
        let page = include_str!("../../../../docs/configuration.md");
        assert!(page == Config::page(), "docs/configuration.md: write it with `locule config --reference`");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let mut config = Config::default();
        config.embedding.key = Some("sk-very-secret".to_owned());
        assert!(!config.in_force().contains("sk-very"));
        assert!(!config.in_force_json().to_string().contains("sk-very"));
    }

    #[test]
    fn what_is_in_force_is_a_file_that_brings_it_about() {
        let shown = Config::default().in_force();
        let table: toml::Table = toml::from_str(&shown).unwrap();
        assert_eq!(table["quota"]["memories"].as_integer(), Some(1_000_000));
    }
}
