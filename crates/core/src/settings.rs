//! Settings: how what is told is to be remembered. A user has some of their own, in their space; a project has some for all of an
//! application's users. Where both say something, the user's counts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory::{Metadata, check_metadata, merge};
use crate::{Error, Result, limit};

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What to remember and what not, in words for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_instructions: Option<String>,
    /// The same for what agents say of themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_custom_instructions: Option<String>,
    /// What memories are sorted into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_categories: Option<Vec<Category>>,
    /// What a face keeps beside them for its clients.
    #[serde(flatten)]
    pub others: Metadata,
}

/// Something that memories are sorted into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The label that memories get.
    pub name: String,
    /// What belongs there, in words for a model.
    #[serde(default)]
    pub description: Option<String>,
}

impl Settings {
    /// The settings after a change: each name replaces, `null` takes away (RFC 7396).
    pub fn changed(&self, change: &Metadata) -> Result<Settings> {
        let mut object = self.object()?;
        merge(&mut object, change);
        Settings::of(object)
    }

    /// As an object, and only what is set.
    pub fn object(&self) -> Result<Metadata> {
        match serde_json::to_value(self).map_err(Error::internal)? {
            Value::Object(object) => Ok(object),
            _ => Err(Error::internal("settings that are no object")),
        }
    }

    /// From an object, if it fits the bounds of [`limit`].
    pub fn of(object: Metadata) -> Result<Settings> {
        let settings: Settings = serde_json::from_value(Value::Object(object))
            .map_err(|error| Error::invalid(format!("The settings: {error}.")))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        for instructions in [&self.custom_instructions, &self.agent_custom_instructions].into_iter().flatten() {
            limit::INSTRUCTIONS_BYTES.check(instructions.len())?;
        }
        let categories = self.custom_categories.as_deref().unwrap_or_default();
        limit::CUSTOM_CATEGORIES.check(categories.len())?;
        categories.iter().try_for_each(|category| crate::memory::check_label(&category.name))?;
        for name in self.others.keys() {
            let plain = !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
            if !plain {
                return Err(Error::invalid("The name of a setting is up to 64 small letters and underscores."));
            }
        }
        let object = self.object()?;
        limit::SETTINGS_BYTES.check(crate::job::written(&object).len())?;
        check_metadata(&object)
    }

    /// The settings that count where a user has some and a project has some.
    #[must_use]
    pub fn over(mut self, project: &Settings) -> Settings {
        let Settings { custom_instructions, agent_custom_instructions, custom_categories, others } = project;
        self.custom_instructions = self.custom_instructions.or_else(|| custom_instructions.clone());
        self.agent_custom_instructions = self.agent_custom_instructions.or_else(|| agent_custom_instructions.clone());
        self.custom_categories = self.custom_categories.or_else(|| custom_categories.clone());
        for (name, value) in others {
            self.others.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self
    }
}
