//! Seven tools with which models share context: their schemas, and what each does when it is called. A call answers a JSON
//! object whatever a model says; only a fault of ours is an error.

use std::collections::HashMap;
use std::sync::LazyLock;

use locule_core::context::{EntryQuery, Json, Listed, Name, Push, Topic};
use locule_core::{Code, Error, Read, Result, Scope, Write, limit};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Engine;

/// The tools, in the order in which they are shown.
pub const NAMES: [&str; 7] = [
    "get_context",
    "push_context",
    "list_context",
    "subscribe_to_topics",
    "discover_topics",
    "unsubscribe_from_topics",
    "delete_topic",
];

/// From how many followers on a topic counts as popular.
const POPULAR: usize = 2;

/// Which tools somebody of a role has.
pub fn of_role(role: &str) -> Result<&'static [&'static str]> {
    const LOOK: &[&str] = &["get_context", "list_context", "discover_topics"];
    const TAKE_PART: &[&str] = &[
        "get_context",
        "list_context",
        "discover_topics",
        "push_context",
        "subscribe_to_topics",
        "unsubscribe_from_topics",
    ];
    match role {
        "readonly" => Ok(LOOK),
        "contributor" | "moderator" => Ok(TAKE_PART),
        "admin" => Ok(&NAMES),
        _ => Err(Error::invalid("`role` is `readonly`, `contributor`, `moderator` or `admin`.")),
    }
}

/// The schemas of some tools, as a framework wants them: `openai`, `anthropic`, `langchain` or `langgraph`.
pub fn schemas(framework: &str, tools: &[&str]) -> Result<Vec<Value>> {
    static SCHEMAS: LazyLock<Vec<Value>> =
        LazyLock::new(|| serde_json::from_str(include_str!("tools.json")).unwrap_or_default());
    let chosen = SCHEMAS.iter().filter(|schema| schema["name"].as_str().is_some_and(|name| tools.contains(&name)));
    let parameters_as = |field: &str, schema: &Value| {
        let mut named = json!({ "name": schema["name"], "description": schema["description"] });
        named[field] = schema["parameters"].clone();
        named
    };
    match framework {
        "openai" => Ok(chosen.map(|schema| json!({ "type": "function", "function": schema })).collect()),
        "anthropic" => Ok(chosen.map(|schema| parameters_as("input_schema", schema)).collect()),
        "langchain" => Ok(chosen.map(|schema| parameters_as("args_schema", schema)).collect()),
        "langgraph" => Ok(chosen.cloned().collect()),
        _ => Err(Error::invalid("`framework` is `openai`, `anthropic`, `langchain` or `langgraph`.")),
    }
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which tool.
    pub tool: String,
    /// Who calls.
    pub agent: Name,
    /// What the model gave: an object.
    pub arguments: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    #[serde(default)]
    keys: Option<Vec<Name>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushIn {
    key: Name,
    value: Json,
    #[serde(default)]
    topics: Option<Vec<Name>>,
    #[serde(default)]
    subscribers: Option<Vec<Name>>,
    #[serde(default)]
    ttl_hours: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topics {
    topics: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discover {
    #[serde(default)]
    include_subscriber_names: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    topic: Name,
    #[serde(default)]
    confirm: bool,
}

/// The two rights a call may need, each asked for when it is: so that a reader can call what only looks.
pub struct Rights<'a> {
    /// The right to look.
    pub read: &'a dyn Fn() -> Result<Scope<Read>>,
    /// The right to change.
    pub write: &'a dyn Fn() -> Result<Scope<Write>>,
}

impl Engine {
    /// Does what a tool is called for, and answers what the model is to see.
    pub fn call_tool(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let answered = match call.tool.as_str() {
            "get_context" => self.tool_get(rights, call),
            "push_context" => self.tool_push(rights, call),
            "list_context" => self.tool_list(rights, call),
            "subscribe_to_topics" => self.tool_subscribe(rights, call),
            "discover_topics" => self.tool_discover(rights, call),
            "unsubscribe_from_topics" => self.tool_unsubscribe(rights, call),
            "delete_topic" => self.tool_delete_topic(rights, call),
            _ => return Err(Error::not_found()),
        };
        let models = [Code::Invalid, Code::TooLarge, Code::QuotaExceeded, Code::Conflict];
        answered.or_else(|error| {
            if !models.contains(&error.code()) {
                return Err(error);
            }
            refused(call, &error)
        })
    }

    fn tool_get(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let keys = arguments::<Get>(call)?.keys.filter(|keys| !keys.is_empty());
        let query = EntryQuery { keys: keys.clone(), ..readable(call) };
        let entries = self.context_entries((rights.read)()?, &query)?;
        let found: Vec<Name> = entries.iter().map(|entry| entry.key.clone()).collect();
        let context: Vec<_> =
            entries.iter().map(|entry| format!("{}:{}", entry.key.json(), entry.value.text())).collect();
        object(&[
            ("success", yes()),
            ("context", format!("{{{}}}", context.join(","))),
            ("agent_name", call.agent.json()),
            ("keys_requested", list(keys.as_deref().unwrap_or(&found))),
            ("keys_found", list(&found)),
            ("message", text(&format!("Retrieved {} context items", found.len()))),
        ])
    }

    fn tool_push(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let PushIn { key, value, topics, subscribers, ttl_hours } = arguments(call)?;
        let hours = ttl_hours.unwrap_or(24.0);
        if hours < 0.0 {
            return Err(Error::invalid("ttl_hours is a number from 0; 0 keeps the value without an end."));
        }
        let value = meant(value);
        let push = Push {
            agents: subscribers.clone().unwrap_or_default(),
            topics: topics.clone().unwrap_or_default(),
            ttl_s: (hours > 0.0).then_some(hours * 3600.0),
            sender: Some(call.agent.clone()),
            ..Push::new(key.clone(), value.clone())
        };
        let with = [("topics", &push.topics), ("subscribers", &push.agents)];
        let with: Vec<_> = with
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {}", said(names)))
            .collect();
        let with = if with.is_empty() { "all agents".to_owned() } else { with.join(" and ") };
        // What the agent may not is for the model to see; what its user may not is not.
        match self.push_context((rights.write)()?, push) {
            Err(error) if error.code() == Code::NotAllowed => return refused(call, &error),
            pushed => pushed?,
        };
        let maybe = |names: Option<Vec<Name>>| names.map_or_else(|| "null".to_owned(), |names| list(&names));
        object(&[
            ("success", yes()),
            ("message", text(&format!("Context '{key}' shared with {with}"))),
            ("key", key.json()),
            ("value", value.text().to_owned()),
            ("topics", maybe(topics)),
            ("subscribers", maybe(subscribers)),
            ("ttl_hours", hours.to_string()),
            ("sender_agent", call.agent.json()),
        ])
    }

    fn tool_list(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let Nothing {} = arguments(call)?;
        let listed = self.list_context((rights.read)()?, &readable(call))?;
        let followed = self.followed(rights, call)?;
        let mut of_topic: HashMap<&Name, Vec<Name>> = followed.iter().map(|topic| (topic, Vec::new())).collect();
        let (mut others, mut bytes) = (Vec::new(), 0);
        for listed in &listed {
            let mut in_any = false;
            for topic in &listed.topics {
                let Some(keys) = of_topic.get_mut(topic) else { continue };
                // A key stands with each of its topics, however long it is.
                bytes += listed.key.size_bytes();
                limit::CONTEXT_ANSWER_BYTES.check(bytes)?;
                keys.push(listed.key.clone());
                in_any = true;
            }
            if !in_any {
                others.push(listed.key.clone());
            }
        }
        let mut by_topic: Vec<_> =
            followed.iter().map(|topic| format!("{}:{}", topic.json(), list(&of_topic[topic]))).collect();
        if !others.is_empty() {
            by_topic.push(format!("\"other\":{}", list(&others)));
        }
        object(&[
            ("success", yes()),
            ("keys_by_topic", format!("{{{}}}", by_topic.join(","))),
            ("all_accessible_keys", list(&keys(listed.iter()))),
            ("topics_subscribed", list(&followed)),
            ("message", text(&format!("Found {} accessible context keys", listed.len()))),
            ("agent_name", call.agent.json()),
            ("total_keys", listed.len().to_string()),
        ])
    }

    fn tool_subscribe(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let Topics { topics } = arguments(call)?;
        self.subscribe((rights.write)()?, &call.agent, topics.clone())?;
        let message = format!("Agent '{}' registered for topics: {}", call.agent, said(&topics));
        object(&[
            ("success", yes()),
            ("agent", call.agent.json()),
            ("topics", list(&topics)),
            ("message", text(&message)),
        ])
    }

    fn tool_discover(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let Discover { include_subscriber_names } = arguments(call)?;
        let mut topics = self.context_topics((rights.read)()?)?;
        topics.sort_by_key(|topic| std::cmp::Reverse(topic.subscribers.len()));
        let shown = |topic: &Topic| -> Result<String> {
            let mut fields = vec![
                ("subscriber_count", topic.subscribers.len().to_string()),
                ("is_active", (!topic.subscribers.is_empty()).to_string()),
            ];
            if include_subscriber_names {
                fields.push(("subscribers", list(&topic.subscribers)));
            }
            Ok(format!("{}:{}", topic.name.json(), object(&fields)?.text()))
        };
        let all = topics.iter().map(shown).collect::<Result<Vec<_>>>()?;
        let popular = topics.iter().filter(|topic| topic.subscribers.len() >= POPULAR);
        let popular: Vec<Name> = popular.map(|topic| topic.name.clone()).collect();
        let patterns = ["sales", "marketing", "support", "product", "analytics", "customer_data"].map(Name::of);
        let suggestions = object(&[
            ("for_broad_reach", list(&popular[..popular.len().min(3)])),
            ("common_patterns", list(&patterns)),
        ])?;
        let message = format!("Found {} topics. Popular topics (2+ subscribers): {}", topics.len(), said(&popular));
        object(&[
            ("success", yes()),
            ("topics", format!("{{{}}}", all.join(","))),
            ("total_topics", topics.len().to_string()),
            ("popular_topics", list(&popular)),
            ("suggestions", suggestions.text().to_owned()),
            ("message", text(&message)),
        ])
    }

    fn tool_unsubscribe(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let Topics { topics } = arguments(call)?;
        let (left, agent) = self.unsubscribe((rights.write)()?, &call.agent, &topics)?;
        let missing: Vec<_> = topics.into_iter().filter(|topic| !left.contains(topic)).collect();
        let done = if left.is_empty() {
            "followed none of these topics".to_owned()
        } else {
            format!("unsubscribed from topics: {}", said(&left))
        };
        object(&[
            ("success", yes()),
            ("agent", call.agent.json()),
            ("topics_unsubscribed", list(&left)),
            ("topics_not_subscribed", list(&missing)),
            ("remaining_topics", list(&agent.topics)),
            ("message", text(&format!("Agent '{}' {done}", call.agent))),
        ])
    }

    fn tool_delete_topic(&self, rights: &Rights, call: &Call) -> Result<Json> {
        let Delete { topic, confirm } = arguments(call)?;
        if !confirm {
            return object(&[
                ("success", no()),
                ("error", text("Deletion not confirmed: set confirm to true")),
                ("topic", topic.json()),
                (
                    "message",
                    text(&format!("Nothing was deleted. What is shared on '{topic}' alone would be destroyed")),
                ),
            ]);
        }
        let Some(deleted) = self.delete_topic((rights.write)()?, &topic)? else {
            let topics = self.context_topics((rights.read)()?)?;
            let names: Vec<Name> = topics.into_iter().map(|topic| topic.name).collect();
            return object(&[
                ("success", no()),
                ("error", text(&format!("Topic '{topic}' does not exist"))),
                ("topic", topic.json()),
                ("available_topics", list(&names)),
                ("message", text("See discover_topics for what there is")),
            ]);
        };
        let (subscribers, entries) = (deleted.subscribers, deleted.entries);
        let message =
            format!("Topic '{topic}' deleted: {subscribers} subscribers affected, {entries} context items deleted");
        object(&[
            ("success", yes()),
            ("topic", topic.json()),
            ("subscribers_affected", subscribers.to_string()),
            ("context_items_deleted", entries.to_string()),
            ("message", text(&message)),
        ])
    }

    fn followed(&self, rights: &Rights, call: &Call) -> Result<Vec<Name>> {
        let agents = self.context_agents((rights.read)()?)?;
        Ok(agents.into_iter().find(|agent| agent.name == call.agent).map(|agent| agent.topics).unwrap_or_default())
    }
}

/// What somebody who calls may read, as much as one answer may have.
fn readable(call: &Call) -> EntryQuery {
    let bytes_max = Some(limit::CONTEXT_ANSWER_BYTES.max);
    EntryQuery { agent: Some(call.agent.clone()), bytes_max, ..EntryQuery::default() }
}

fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T> {
    if !call.arguments.is_object() {
        return Err(Error::invalid(format!("The parameters of {} are a JSON object.", call.tool)));
    }
    serde_json::from_str(call.arguments.text())
        .map_err(|error| Error::invalid(format!("Invalid parameters of {}: {error}.", call.tool)))
}

fn refused(call: &Call, error: &Error) -> Result<Json> {
    object(&[("success", no()), ("error", text(&error.to_string())), ("agent_name", call.agent.json())])
}

/// A text that is JSON is taken for what it says.
fn meant(value: Json) -> Json {
    let inner = Name::from_json(value.text()).ok().and_then(|name| name.text());
    inner.and_then(|inner| Json::of(&inner).ok()).unwrap_or(value)
}

fn keys<'a>(listed: impl Iterator<Item = &'a Listed>) -> Vec<Name> {
    listed.map(|listed| listed.key.clone()).collect()
}

fn said(names: &[Name]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn object(fields: &[(&str, String)]) -> Result<Json> {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    Json::answer(format!("{{{}}}", fields.join(",")))
}

fn list(names: &[Name]) -> String {
    format!("[{}]", names.iter().map(Name::json).collect::<Vec<_>>().join(","))
}

fn text(text: &str) -> String {
    Name::of(text).json()
}

fn yes() -> String {
    "true".to_owned()
}

fn no() -> String {
    "false".to_owned()
}
