//! Whom a request is about: `user_id`, and the agent, application and run beside it.

use locule::filter::{Field, Filter, Scalar, Test};
use locule::{Error, Result};
use serde_json::{Map, Value};

use super::client::Params;

/// What mem0 calls the ids of entities. All but the user are labels within the user's space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The user: never a condition, always the space.
    pub user: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The application.
    pub app: Option<String>,
    /// The run.
    pub run: Option<String>,
}

/// The words for them.
pub const NAMES: [&str; 4] = ["user_id", "agent_id", "app_id", "run_id"];

impl Ids {
    /// Those at the top of a body, or in its `filters`, where the typed options of newer clients put them.
    pub fn of_body(body: &Map<String, Value>) -> Result<Self> {
        let top = Ids::of(body)?;
        match body.get("filters") {
            Some(Value::Object(filters)) => top.and(Ids::of(filters)?),
            _ => Ok(top),
        }
    }

    /// Those at the top of an object.
    pub fn of(fields: &Map<String, Value>) -> Result<Self> {
        let [user, agent, app, run] = NAMES.map(|name| text(name, fields.get(name)));
        Ok(Ids { user: user?, agent: agent?, app: app?, run: run? })
    }

    /// Those of a query.
    pub fn of_query(params: &Params) -> Result<Self> {
        let [user, agent, app, run] = NAMES.map(|name| text(name, params.get(name).map(Value::from).as_ref()));
        Ok(Ids { user: user?, agent: agent?, app: app?, run: run? })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Ids::default()
    }

    /// The user, as the list that a caller is made of.
    pub fn users(&self) -> Vec<String> {
        self.user.iter().cloned().collect()
    }

    /// The condition that a memory is of the agent, the application and the run, as far as they are named.
    pub fn filter(&self) -> Option<Filter> {
        let labels = [(Field::AgentId, &self.agent), (Field::AppId, &self.app), (Field::RunId, &self.run)];
        let is = |(field, label): (Field, &Option<String>)| {
            let label = label.clone()?;
            // Everything that has one, as the clients mean by a star.
            let test = if label == "*" { Test::Present } else { Test::In(vec![Scalar::Text(label)]) };
            Some(Filter::Field(field, test))
        };
        let all: Vec<Filter> = labels.into_iter().filter_map(is).collect();
        (!all.is_empty()).then_some(Filter::All(all))
    }

    /// Both together; if they say different things of one id, nobody knows what is meant.
    fn and(self, other: Ids) -> Result<Self> {
        let both = |name: &str, one: Option<String>, other: Option<String>| match (one, other) {
            (Some(one), Some(other)) if one != other => Err(Error::invalid(format!(
                "The body and its filters give `{name}` two different values: give it once."
            ))),
            (one, other) => Ok(one.or(other)),
        };
        Ok(Ids {
            user: both("user_id", self.user, other.user)?,
            agent: both("agent_id", self.agent, other.agent)?,
            app: both("app_id", self.app, other.app)?,
            run: both("run_id", self.run, other.run)?,
        })
    }
}

/// An id as text: numbers are taken for their digits.
fn text(name: &str, value: Option<&Value>) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => {
            Err(Error::invalid(format!("`{name}` is empty: give an id, or leave it out.")))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Error::invalid(format!("`{name}` is a text."))),
    }
}
