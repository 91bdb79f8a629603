//! What a list, a search and a deletion ask for: the ids and the filters of a request, as one condition in one space.

use locule::filter::{self, Filter};
use locule::{Error, Result};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::filter::{Surface, both, read};
use super::ids::NAMES;
use super::wire;
use crate::extract::Acting;

/// Which memories, and whom the request names.
pub struct Asking {
    /// The condition; everything without one.
    pub filter: Option<Filter>,
    /// The users.
    pub users: Vec<String>,
}

/// Reads the filters of a body, the ids at its top where this route takes them there, and the short forms beside them.
pub fn asking<A: Acting>(
    client: &Client<A>,
    body: &Map<String, Value>,
    surface: Surface,
    ids_at_top: bool,
) -> Result<Asking> {
    let mut all = Map::new();
    for name in NAMES {
        match body.get(name).filter(|value| !value.is_null()) {
            Some(value) if ids_at_top => {
                all.insert(name.to_owned(), value.clone());
            }
            Some(_) => {
                return Err(Error::invalid(format!(
                    "`{name}` stands in the filters here: {{\"filters\": {{\"{name}\": …}}}}."
                )));
            }
            None => {}
        }
    }
    match body.get("filters") {
        None | Some(Value::Null) => {}
        Some(Value::Object(filters)) if filters.is_empty() => {}
        Some(filters @ Value::Object(_)) => {
            all.insert("AND".to_owned(), json!([filters]));
        }
        Some(Value::Array(filters)) => {
            all.insert("AND".to_owned(), json!(filters));
        }
        Some(_) => return Err(Error::invalid("`filters` is a JSON object.")),
    }
    let asked = read(&all, surface, client.asker())?;
    let filter = both((!all.is_empty()).then_some(asked.filter), beside(body)?);
    Ok(Asking { filter, users: asked.users })
}

/// The conditions that have a place of their own beside the filters.
fn beside(body: &Map<String, Value>) -> Result<Option<Filter>> {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let mut conditions = Vec::new();
    if let Some(start) = given("start_date") {
        conditions.push(json!({"created_at": {"gte": wire::moment(start)?.to_string()}}));
    }
    if let Some(end) = given("end_date") {
        conditions.push(json!({"created_at": {"lt": wire::end_of(end)?.to_string()}}));
    }
    if let Some(categories @ Value::Array(list)) = given("categories")
        && !list.is_empty()
    {
        conditions.push(json!({"categories": {"in": categories}}));
    }
    if let Some(Value::String(keywords)) = given("keywords") {
        conditions.push(json!({"memory": {"icontains": keywords}}));
    }
    if let Some(metadata @ Value::Object(fields)) = given("metadata")
        && !fields.is_empty()
    {
        conditions.push(json!({ "metadata": metadata }));
    }
    let conditions = conditions.iter().map(|condition| Ok(filter::parse(condition)?.filter));
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    Ok((!conditions.is_empty()).then_some(Filter::All(conditions)))
}
