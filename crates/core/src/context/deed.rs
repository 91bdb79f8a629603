//! What an act on context was about, for a trail that is to tell that much. All of it is content.

use serde::Serialize;

use super::Name;

/// Which agent, and which keys or topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// Which agent acted; without one it was the application itself.
    pub agent: Option<Name>,
    /// The keys that it was about, where it was about some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Name>,
    /// The topics that it was about, where it was about some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<Name>,
}

impl Deed {
    /// About these keys.
    pub fn to_keys(agent: Option<&Name>, keys: impl IntoIterator<Item = Name>) -> Self {
        Deed { agent: agent.cloned(), keys: keys.into_iter().collect(), topics: Vec::new() }
    }

    /// About these topics.
    pub fn to_topics(agent: Option<&Name>, topics: &[Name]) -> Self {
        Deed { agent: agent.cloned(), keys: Vec::new(), topics: topics.to_vec() }
    }

    /// As the object of an entry in the trail: a JSON object in ASCII.
    pub fn object(&self) -> String {
        // Names are JSON already, and such an object can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}
