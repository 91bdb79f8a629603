//! mem0's filters: which memories of one space, and, apart from that, whose space.
//!
//! A user named anywhere in a filter is no condition that the data could be asked for: there is none in it. What a filter
//! says of users picks the space or is refused, and what is left of it is true or false of everything in that space. A
//! condition within can thus narrow an answer, and never lead it elsewhere.

use locule::filter::{self, Filter};
use locule::{Error, Result, limit};
use serde_json::{Map, Value, json};

use super::wire;

/// Which of mem0's two faces a filter comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The hosted one, which knows its fields and refuses others.
    Platform,
    /// The self-hosted one, where any other key is one of the metadata.
    SelfHosted,
}

/// Who asks, as far as it decides whom a filter may name.
#[derive(Clone, Copy, Debug)]
pub enum Asker<'a> {
    /// Somebody whose credential says whose space it is.
    User,
    /// A service, which may have said whom it acts for beside the filter.
    Service(Option<&'a str>),
}

/// A filter as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The condition, without any user.
    pub filter: Filter,
    /// Whom the gate is to be asked about; the first is whose space it is, where a service asks.
    pub users: Vec<String>,
}

/// Reads a filter.
pub fn read(json: &Map<String, Value>, surface: Surface, asker: Asker) -> Result<Asked> {
    let mut named = Named::default();
    named.object(json, true, true);
    let (owner, users) = match asker {
        // Whoever else is named, the gate refuses: all are the owner, or nothing comes of this.
        Asker::User => (named.all.first().cloned(), named.all),
        Asker::Service(beside) => {
            let owner = named.owner(beside)?;
            let users = owner.iter().cloned().collect();
            (owner, users)
        }
    };
    let mut reader = Reader { surface, owner: owner.as_deref(), nodes: 0 };
    let filter = reader.object(json, 1)?;
    Ok(Asked { filter, users })
}

/// The users of a filter.
#[derive(Default)]
struct Named {
    /// Those that every match must be of.
    pinned: Vec<String>,
    /// Those that some match may be of.
    positive: Vec<String>,
    /// All, in whatever way they are named.
    all: Vec<String>,
}

impl Named {
    /// What stands outside comes before what stands within, whatever the order of the keys: it says whose space is meant.
    fn object(&mut self, fields: &Map<String, Value>, must: bool, positive: bool) {
        for (_, value) in fields.iter().filter(|(key, _)| known(key) == "user_id") {
            self.user(value, must, positive);
        }
        for (key, value) in fields {
            match known(key) {
                "AND" => self.list(value, must, positive),
                "OR" => self.list(value, false, positive),
                "NOT" => self.list(value, false, false),
                _ => {}
            }
        }
    }

    fn list(&mut self, value: &Value, must: bool, positive: bool) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.list(item, must, positive)),
            Value::Object(fields) => self.object(fields, must, positive),
            _ => {}
        }
    }

    fn user(&mut self, value: &Value, must: bool, positive: bool) {
        match value {
            Value::String(star) if star == "*" => {}
            Value::Array(users) => {
                let must = must && users.len() == 1;
                users.iter().for_each(|user| self.user(user, must, positive));
            }
            Value::Object(tests) => {
                for (operator, value) in tests {
                    let is = matches!(operator.as_str(), "eq" | "in");
                    self.user(value, must && is, positive && is);
                }
            }
            value => {
                let user = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if must {
                    self.pinned.push(user.clone());
                }
                if positive && !self.positive.contains(&user) {
                    self.positive.push(user.clone());
                }
                self.all.push(user);
            }
        }
    }

    /// Whose space a service means.
    fn owner(&self, beside: Option<&str>) -> Result<Option<String>> {
        match (self.pinned.first(), &self.positive[..]) {
            (Some(pinned), _) => Ok(Some(pinned.clone())),
            (None, [user]) => Ok(Some(user.clone())),
            (None, []) => Ok(beside.map(str::to_owned)),
            (None, _) => Err(Error::invalid(
                "These filters ask for several users at once. Every user has a space of their own: ask for one at a time.",
            )),
        }
    }
}

struct Reader<'a> {
    surface: Surface,
    owner: Option<&'a str>,
    nodes: usize,
}

impl Reader<'_> {
    fn object(&mut self, fields: &Map<String, Value>, depth: usize) -> Result<Filter> {
        limit::FILTER_DEPTH.check(depth)?;
        let mut all = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            all.push(match known(key) {
                "AND" => Filter::All(self.list("AND", value, depth)?),
                "OR" => Filter::Any(self.list("OR", value, depth)?),
                // A list: none of them may hold.
                "NOT" => Filter::Not(Box::new(Filter::Any(self.list("NOT", value, depth)?))),
                "user_id" => always(self.user(value)?),
                key => self.field(key, value)?,
            });
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn list(&mut self, key: &str, value: &Value, depth: usize) -> Result<Vec<Filter>> {
        let refuse = || Error::invalid(format!("`{key}` takes a list of filters."));
        match value {
            Value::Array(items) => {
                items.iter().map(|item| self.object(item.as_object().ok_or_else(refuse)?, depth + 1)).collect()
            }
            Value::Object(fields) => Ok(vec![self.object(fields, depth + 1)?]),
            _ => Err(refuse()),
        }
    }

    /// Whether this is true of the owner of the space.
    fn user(&self, value: &Value) -> Result<bool> {
        let is = |value: &Value| match value {
            Value::String(user) => user == "*" || Some(user.as_str()) == self.owner,
            value => self.owner == Some(&value.to_string()),
        };
        match value {
            Value::Array(users) => Ok(users.iter().any(is)),
            Value::Object(tests) => tests.iter().try_fold(true, |all, (operator, value)| {
                let holds = match (operator.as_str(), value) {
                    ("eq", value) => is(value),
                    ("ne", value) => !is(value),
                    ("in", Value::Array(users)) => users.iter().any(is),
                    ("nin", Value::Array(users)) => !users.iter().any(is),
                    _ => return Err(Error::invalid("`user_id` takes a text, `eq`, `ne`, `in` with a list, or \"*\".")),
                };
                Ok(all && holds)
            }),
            Value::Null => Ok(false),
            value => Ok(is(value)),
        }
    }

    fn field(&mut self, key: &str, value: &Value) -> Result<Filter> {
        self.nodes += 1;
        limit::FILTER_NODES.check(self.nodes)?;
        let condition = match key {
            "agent_id" | "app_id" | "run_id" => json!({ key: texts(value) }),
            "created_at" | "updated_at" => json!({ key: moments(value, &wire::moment)? }),
            "timestamp" => json!({"created_at": moments(value, &wire::moment)?}),
            "expiration_date" => json!({"expiration": moments(value, &wire::end_of)?}),
            "categories" => json!({"categories": folding_case(value)}),
            "metadata" => json!({ "metadata": value }),
            "keywords" | "keywords_search" | "text" => match value {
                Value::String(text) => json!({"memory": {"contains": text}}),
                tests => json!({ "memory": tests }),
            },
            "memory_ids" => json!({ "id": value }),
            key if self.surface == Surface::SelfHosted => json!({"metadata": {key: value}}),
            _ => {
                return Err(Error::invalid(format!(
                    "Unknown filter {key:?}. There are AND, OR, NOT, user_id, agent_id, app_id, run_id, created_at, \
                     updated_at, timestamp, expiration_date, categories, metadata, keywords, keywords_search, text and \
                     memory_ids."
                )));
            }
        };
        Ok(filter::parse(&condition)?.filter)
    }
}

/// A key by its usual name: mem0's own pages show some that its clients send as they are.
fn known(key: &str) -> &str {
    match key {
        "and" | "$and" => "AND",
        "or" | "$or" => "OR",
        "not" | "$not" => "NOT",
        "userId" => "user_id",
        "agentId" => "agent_id",
        "appId" => "app_id",
        "runId" => "run_id",
        "createdAt" => "created_at",
        "updatedAt" => "updated_at",
        "expirationDate" => "expiration_date",
        "memoryIds" => "memory_ids",
        key => key,
    }
}

/// A condition that holds for everything, or for nothing.
fn always(holds: bool) -> Filter {
    if holds { Filter::All(Vec::new()) } else { Filter::Any(Vec::new()) }
}

/// Numbers as the ids they stand for.
fn texts(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(tests) => tests.iter().map(|(operator, value)| (operator.clone(), texts(value))).collect(),
        value => value.clone(),
    }
}

/// mem0 does not mind the case of a category that it looks for.
fn folding_case(value: &Value) -> Value {
    let Value::Object(tests) = value else { return value.clone() };
    let fold = |operator: &str| if operator == "contains" { "icontains" } else { operator }.to_owned();
    tests.iter().map(|(operator, value)| (fold(operator), value.clone())).collect()
}

/// The moments of a condition, each read by `read`.
fn moments(value: &Value, read: &dyn Fn(&Value) -> Result<jiff::Timestamp>) -> Result<Value> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::String(star) if star == "*" => value.clone(),
        Value::Array(items) => items.iter().map(|item| moments(item, read)).collect::<Result<_>>()?,
        Value::Object(tests) => {
            let tests = tests.iter().map(|(operator, value)| Ok((operator.clone(), moments(value, read)?)));
            Value::Object(tests.collect::<Result<_>>()?)
        }
        value => Value::String(read(value)?.to_string()),
    })
}

/// Both conditions, as far as there are any.
pub fn both(one: Option<Filter>, other: Option<Filter>) -> Option<Filter> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Filter::All(vec![one, other])),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(asker: Asker, json: Value) -> Result<Asked> {
        read(json.as_object().unwrap(), Surface::Platform, asker)
    }

    fn users(asker: Asker, json: Value) -> Vec<String> {
        read_as(asker, json).unwrap().users
    }

    #[test]
    fn a_condition_within_never_leads_to_another_space() {
        let service = Asker::Service(None);
        let pinned = read_as(service, json!({"user_id": "alice", "AND": [{"user_id": "bob"}]})).unwrap();
        assert_eq!(pinned.users, ["alice"]);
        assert_eq!(pinned.filter, Filter::All(vec![Filter::All(vec![always(false)]), always(true)]));
        assert_eq!(users(service, json!({"AND": [{"user_id": "alice"}, {"user_id": {"ne": "bob"}}]})), ["alice"]);
        assert_eq!(users(service, json!({"OR": [{"user_id": "alice"}, {"agent_id": "chef"}]})), ["alice"]);
        for nobody in
            [json!({"user_id": "*"}), json!({"NOT": {"user_id": "bob"}}), json!({"agent_id": "chef"}), json!({})]
        {
            assert!(users(service, nobody.clone()).is_empty(), "{nobody}");
            assert_eq!(users(Asker::Service(Some("alice")), nobody.clone()), ["alice"], "{nobody}");
        }
        for several in
            [json!({"user_id": {"in": ["alice", "bob"]}}), json!({"OR": [{"user_id": "a"}, {"userId": "b"}]})]
        {
            assert!(read_as(service, several).is_err());
        }
    }

    #[test]
    fn everybody_whom_a_user_names_is_told_to_the_gate() {
        for (json, named) in [
            (json!({"user_id": "*"}), vec![]),
            (json!({"user_id": {"ne": "bob"}}), vec!["bob"]),
            (json!({"NOT": [{"OR": [{"userId": {"in": ["alice", "eve"]}}]}]}), vec!["alice", "eve"]),
            (json!({"user_id": 7}), vec!["7"]),
            (json!({"user_id": {"gt": ["bob"]}}), vec!["bob"]),
        ] {
            let mut found = Named::default();
            found.object(json.as_object().unwrap(), true, true);
            assert_eq!(found.all, named, "{json}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_at_one_face_and_metadata_at_the_other() {
        let json = json!({"user_id": "alice", "topic": "food"});
        assert!(read_as(Asker::User, json.clone()).is_err());
        assert!(read(json.as_object().unwrap(), Surface::SelfHosted, Asker::User).is_ok());
        for bad in
            [json!({"AND": "x"}), json!({"OR": [1]}), json!({"created_at": "yesterday"}), json!({"user_id": {"gt": 1}})]
        {
            assert!(read_as(Asker::User, bad.clone()).is_err(), "{bad}");
        }
    }
}
