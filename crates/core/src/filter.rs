//! Which memories: a small language of conditions, as JSON.
//!
//! `{"agent_id": "chef", "metadata.kind": {"in": ["food", "drink"]}, "NOT": {"categories": {"contains": "old"}}}`
//!
//! An object's keys are all required (`AND`); `AND` and `OR` take lists, `NOT` takes one filter or a list of which none
//! may hold. A condition is a bare value (equal), a list (one of), or an object of operators: `eq`, `ne`, `in`, `gt`,
//! `gte`, `lt`, `lte`, `contains`, `icontains`; `"*"` asks that the field is there. A field is one of [`Field`], or a path into the
//! metadata: `metadata.key`, `metadata.key.inner`, or `{"metadata": {"key": …}}`.
//! What is not understood is refused: an unknown word never means "everything".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result, limit};

/// A condition over memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    /// All of them hold; an empty list always does.
    All(Vec<Filter>),
    /// At least one holds; an empty list never does.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// One field passes one test.
    Field(Field, Test),
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// `id`
    Id,
    /// `memory`: the text.
    Memory,
    /// `agent_id`
    AgentId,
    /// `run_id`
    RunId,
    /// `app_id`
    AppId,
    /// `categories`: a test passes if it passes for one of them.
    Categories,
    /// `created_at`
    CreatedAt,
    /// `updated_at`
    UpdatedAt,
    /// `expiration`
    Expiration,
    /// `metadata.…`: the path's keys, outermost first.
    Metadata(Vec<String>),
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Test {
    /// It equals one of these; never for a field that is not there.
    In(Vec<Scalar>),
    /// It equals none of these; a field that is not there passes.
    NotIn(Vec<Scalar>),
    /// It stands so to the value; only values of one kind compare.
    Compare(Ordering, Scalar),
    /// It is a text that holds this text (for categories and lists: has this item), minding case or not.
    Contains {
        /// The text to find.
        text: String,
        /// Whether `A` and `a` are one letter.
        fold_case: bool,
    },
    /// It is there and not null.
    Present,
}

/// How a field stands to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ordering {
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// `true`, `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A moment, for the fields that hold one.
    Time(Timestamp),
}

/// A filter as read, and the users it names.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The condition, without any user: below the gate there is none.
    pub filter: Filter,
    /// Every user the filter names in any way. The gate refuses all but the caller.
    pub users: Vec<String>,
}

/// Reads a filter.
pub fn parse(json: &Value) -> Result<Parsed> {
    let mut parser = Parser { nodes: 0, users: Vec::new() };
    let filter = parser.filter(json, 1)?;
    Ok(Parsed { filter, users: parser.users })
}

struct Parser {
    nodes: usize,
    users: Vec<String>,
}

impl Parser {
    fn filter(&mut self, json: &Value, depth: usize) -> Result<Filter> {
        limit::FILTER_DEPTH.check(depth)?;
        let Value::Object(fields) = json else {
            return Err(Error::invalid("A filter is an object such as {\"agent_id\": \"chef\"}."));
        };
        let mut all = Vec::new();
        for (key, value) in fields {
            match key.as_str() {
                "AND" | "and" => all.push(Filter::All(self.list(key, value, depth)?)),
                "OR" | "or" => all.push(Filter::Any(self.list(key, value, depth)?)),
                "NOT" | "not" if value.is_array() => {
                    all.push(Filter::Not(Box::new(Filter::Any(self.list(key, value, depth)?))));
                }
                "NOT" | "not" => all.push(Filter::Not(Box::new(self.filter(value, depth + 1)?))),
                "user_id" => self.user(value),
                "metadata" => self.metadata(value, &mut all)?,
                _ => self.conditions(field(key)?, value, &mut all)?,
            }
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn list(&mut self, key: &str, value: &Value, depth: usize) -> Result<Vec<Filter>> {
        let Value::Array(items) = value else {
            return Err(Error::invalid(format!("`{key}` takes a list of filters.")));
        };
        items.iter().map(|item| self.filter(item, depth + 1)).collect()
    }

    /// Any shape at all that names a user is noted as its text, so that nothing but the caller's own id passes the gate.
    fn user(&mut self, value: &Value) {
        match value {
            Value::String(user) => self.users.push(user.clone()),
            Value::Array(users) => users.iter().for_each(|user| self.user(user)),
            Value::Object(tests) if tests.keys().all(|operator| operator == "eq" || operator == "in") => {
                tests.values().for_each(|user| self.user(user));
            }
            other => self.users.push(other.to_string()),
        }
    }

    fn metadata(&mut self, value: &Value, all: &mut Vec<Filter>) -> Result<()> {
        let Value::Object(fields) = value else {
            return Err(Error::invalid("`metadata` takes an object: {\"metadata\": {\"key\": value}}."));
        };
        for (key, value) in fields {
            check_text(key)?;
            self.conditions(Field::Metadata(vec![key.clone()]), value, all)?;
        }
        Ok(())
    }

    fn conditions(&mut self, field: Field, value: &Value, all: &mut Vec<Filter>) -> Result<()> {
        match value {
            Value::Object(tests) => self.operators(&field, tests, all),
            Value::Array(values) => self.push(&field, Test::In(scalars(&field, values)?), all),
            Value::String(star) if star == "*" => self.push(&field, Test::Present, all),
            Value::Null => self.absent(&field, all),
            value => self.push(&field, Test::In(vec![scalar(&field, value)?]), all),
        }
    }

    fn operators(&mut self, field: &Field, tests: &Map<String, Value>, all: &mut Vec<Filter>) -> Result<()> {
        if tests.is_empty() {
            return Err(Error::invalid("A condition is empty: give a value or an operator such as {\"eq\": …}."));
        }
        for (operator, value) in tests {
            let test = match operator.as_str() {
                "eq" if value.is_null() => return self.absent(field, all),
                "ne" if value.is_null() => Test::Present,
                "eq" => Test::In(vec![scalar(field, value)?]),
                "ne" => Test::NotIn(vec![scalar(field, value)?]),
                "in" => Test::In(operands(field, operator, value)?),
                "nin" => Test::NotIn(operands(field, operator, value)?),
                "lt" => Test::Compare(Ordering::Less, scalar(field, value)?),
                "lte" => Test::Compare(Ordering::LessOrEqual, scalar(field, value)?),
                "gt" => Test::Compare(Ordering::Greater, scalar(field, value)?),
                "gte" => Test::Compare(Ordering::GreaterOrEqual, scalar(field, value)?),
                "contains" | "icontains" => {
                    let Value::String(text) = value else {
                        return Err(Error::invalid(format!("`{operator}` takes a text.")));
                    };
                    check_text(text)?;
                    Test::Contains { text: text.clone(), fold_case: operator == "icontains" }
                }
                _ => {
                    return Err(Error::invalid(
                        "Unknown operator in a filter. There are eq, ne, in, nin, gt, gte, lt, lte, contains, icontains.",
                    ));
                }
            };
            self.push(field, test, all)?;
        }
        Ok(())
    }

    fn absent(&mut self, field: &Field, all: &mut Vec<Filter>) -> Result<()> {
        let mut present = Vec::new();
        self.push(field, Test::Present, &mut present)?;
        all.extend(present.into_iter().map(|present| Filter::Not(Box::new(present))));
        Ok(())
    }

    fn push(&mut self, field: &Field, test: Test, all: &mut Vec<Filter>) -> Result<()> {
        self.nodes += 1;
        limit::FILTER_NODES.check(self.nodes)?;
        all.push(Filter::Field(field.clone(), test));
        Ok(())
    }
}

fn field(name: &str) -> Result<Field> {
    Ok(match name {
        "id" => Field::Id,
        "memory" => Field::Memory,
        "agent_id" => Field::AgentId,
        "run_id" => Field::RunId,
        "app_id" => Field::AppId,
        "categories" => Field::Categories,
        "created_at" => Field::CreatedAt,
        "updated_at" => Field::UpdatedAt,
        "expiration" => Field::Expiration,
        _ => {
            let Some(path) = name.strip_prefix("metadata.") else {
                return Err(Error::invalid(
                    "Unknown field in a filter. There are id, memory, agent_id, run_id, app_id, categories, created_at, \
                     updated_at, expiration and metadata.<key>.",
                ));
            };
            check_text(path)?;
            let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
            limit::JSON_DEPTH.check(keys.len())?;
            Field::Metadata(keys)
        }
    })
}

/// Nothing that is kept holds U+0000, and a database may refuse to be asked for it.
fn check_text(text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid("A filter holds the character U+0000, which nothing that is kept holds."));
    }
    limit::QUERY_BYTES.check(text.len())
}

fn operands(field: &Field, operator: &str, value: &Value) -> Result<Vec<Scalar>> {
    let Value::Array(values) = value else {
        return Err(Error::invalid(format!("`{operator}` takes a list of values.")));
    };
    scalars(field, values)
}

fn scalars(field: &Field, values: &[Value]) -> Result<Vec<Scalar>> {
    limit::FILTER_VALUES.check(values.len())?;
    values.iter().map(|value| scalar(field, value)).collect()
}

fn scalar(field: &Field, value: &Value) -> Result<Scalar> {
    match (field, value) {
        (Field::CreatedAt | Field::UpdatedAt | Field::Expiration, Value::String(text)) => {
            moment(text).map(Scalar::Time)
        }
        (Field::CreatedAt | Field::UpdatedAt | Field::Expiration, _) => Err(Error::invalid(NOT_A_MOMENT)),
        (_, Value::String(text)) => {
            check_text(text)?;
            Ok(Scalar::Text(text.clone()))
        }
        (Field::Metadata(_), Value::Bool(value)) => Ok(Scalar::Bool(*value)),
        (Field::Metadata(_), Value::Number(number)) => Ok(match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Scalar::Integer(integer),
            (None, Some(float)) => Scalar::Float(float),
            (None, None) => return Err(Error::invalid("A number in the filter is too large.")),
        }),
        (Field::Metadata(_), _) => Err(Error::invalid("A filter compares with a text, a number, true or false.")),
        _ => Err(Error::invalid("This field of a filter is compared with a text.")),
    }
}

const NOT_A_MOMENT: &str = "A time is RFC 3339 (2026-11-24T12:00:00Z) or a date (2026-11-24).";

/// A moment as RFC 3339, or a date, which stands for its first moment in UTC.
pub fn moment(text: &str) -> Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    text.parse::<jiff::civil::Date>()
        .ok()
        .and_then(|date| jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok())
        .ok_or_else(|| Error::invalid(NOT_A_MOMENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: Value) -> Result<Parsed> {
        parse(&json)
    }

    #[test]
    fn keys_of_one_object_are_all_required() -> Result<()> {
        let parsed = read(json!({"agent_id": "chef", "metadata.kind.inner": {"gte": 3, "lt": 5}}))?;
        let Filter::All(all) = parsed.filter else { panic!("not all of them") };
        assert_eq!(all.len(), 3);
        assert_eq!(
            all[1],
            Filter::Field(
                Field::Metadata(vec!["kind".into(), "inner".into()]),
                Test::Compare(Ordering::GreaterOrEqual, Scalar::Integer(3)),
            )
        );
        Ok(())
    }

    #[test]
    fn every_user_a_filter_names_is_reported_and_none_is_kept() -> Result<()> {
        for (json, users) in [
            (json!({"user_id": "bob"}), vec!["bob"]),
            (
                json!({"OR": [{"user_id": "alice"}, {"NOT": {"user_id": {"in": ["bob", "eve"]}}}]}),
                vec!["alice", "bob", "eve"],
            ),
            (json!({"user_id": {"ne": "alice"}}), vec!["{\"ne\":\"alice\"}"]),
            (json!({"user_id": "*"}), vec!["*"]),
            (json!({"user_id": 7}), vec!["7"]),
        ] {
            assert_eq!(read(json)?.users, users);
        }
        Ok(())
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            json!("agent_id"),
            json!([]),
            json!({"owner": "x"}),
            json!({"agent_id": {"like": "x"}}),
            json!({"agent_id": {}}),
            json!({"agent_id": 5}),
            json!({"AND": {}}),
            json!({"created_at": "yesterday"}),
            json!({"metadata": "x"}),
            json!({"metadata.k": {"contains": 3}}),
            json!({"metadata.k": {"in": "x"}}),
            json!({"metadata.k": {"in": [[1]]}}),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_conditions_and_values_are_bounded() {
        let nest = |levels: usize| (1..levels).fold(json!({"agent_id": "x"}), |inner, _| json!({"NOT": inner}));
        assert!(parse(&nest(limit::FILTER_DEPTH.max)).is_ok());
        assert!(parse(&nest(limit::FILTER_DEPTH.max + 1)).is_err());
        let wide = |count: usize| json!({"OR": vec![json!({"agent_id": "x"}); count]});
        assert!(parse(&wide(limit::FILTER_NODES.max)).is_ok());
        assert!(parse(&wide(limit::FILTER_NODES.max + 1)).is_err());
        let many = |count: usize| json!({"agent_id": {"in": vec!["x"; count]}});
        assert!(parse(&many(limit::FILTER_VALUES.max)).is_ok());
        assert!(parse(&many(limit::FILTER_VALUES.max + 1)).is_err());
    }
}
