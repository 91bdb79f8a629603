//! The environment, read once and only here.

use std::collections::BTreeMap;

use super::Problem;

/// What we look at of the environment.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// What our own variables begin with.
pub const PREFIX: &str = "LOCULE_";

/// Names that people have set already, for other programs too.
pub const JWT_SECRET: &str = "JWT_SECRET";
pub const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
pub const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
pub const OPENROUTER_API_KEY: &str = "OPENROUTER_API_KEY";

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Result<Self, Problem> {
        let mut ours = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
            let value = value.into_string().map_err(|_| Problem(format!("The variable {name} is not UTF-8.")))?;
            ours.insert(name.to_owned(), value);
        }
        Ok(Environment(ours))
    }

    /// An environment for a test.
    #[cfg(test)]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        Environment(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names of our own variables that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with(PREFIX))
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
        || [JWT_SECRET, OPENAI_API_KEY, OPENAI_BASE_URL, OPENROUTER_API_KEY].contains(&name)
        || super::postgres::ADDRESSES.contains(&name)
}

/// The variable that sets this setting.
pub fn variable(section: &str, key: &str) -> String {
    let path = if section.is_empty() { key.to_owned() } else { format!("{section}_{key}") };
    format!("{PREFIX}{}", path.to_ascii_uppercase())
}
