//! Whether a memory matches a filter, without a database: for spaces whose rows the database cannot read.
//!
//! It says what the statements of the store say: texts compare byte by byte, values of different kinds do not compare, and
//! every part is true or false, so that `Not` means not.

use std::cmp::Ordering as Standing;

use jiff::Timestamp;
use serde_json::{Number, Value};

use crate::filter::{Field, Filter, Ordering, Scalar, Test};
use crate::id::MemoryId;
use crate::memory::Memory;

impl Filter {
    /// Whether it holds for this memory.
    pub fn matches(&self, memory: &Memory) -> bool {
        match self {
            Filter::All(filters) => filters.iter().all(|filter| filter.matches(memory)),
            Filter::Any(filters) => filters.iter().any(|filter| filter.matches(memory)),
            Filter::Not(filter) => !filter.matches(memory),
            Filter::Field(field, test) => field.passes(memory, test),
        }
    }
}

impl Field {
    fn passes(&self, memory: &Memory, test: &Test) -> bool {
        match self {
            Field::Id => id(memory.id, test),
            Field::Memory => text(Some(&memory.memory), test),
            Field::AgentId => text(memory.agent_id.as_deref(), test),
            Field::RunId => text(memory.run_id.as_deref(), test),
            Field::AppId => text(memory.app_id.as_deref(), test),
            Field::CreatedAt => moment(Some(memory.created_at), test),
            Field::UpdatedAt => moment(Some(memory.updated_at), test),
            Field::Expiration => moment(memory.expiration, test),
            Field::Categories => categories(&memory.categories, test),
            Field::Metadata(path) => {
                let found = path.split_first().and_then(|(first, inner)| {
                    inner.iter().try_fold(memory.metadata.get(first)?, |value, key| value.as_object()?.get(key))
                });
                metadata(found.filter(|value| !value.is_null()), test)
            }
        }
    }
}

fn id(id: MemoryId, test: &Test) -> bool {
    let read = |value: &Scalar| as_text(value).and_then(|text| text.parse::<MemoryId>().ok());
    match test {
        Test::In(values) => values.iter().any(|value| read(value) == Some(id)),
        Test::NotIn(values) => !values.iter().any(|value| read(value) == Some(id)),
        Test::Compare(ordering, value) => read(value).is_some_and(|value| ordering.is(id.cmp(&value))),
        Test::Contains { .. } => false,
        Test::Present => true,
    }
}

fn moment(at: Option<Timestamp>, test: &Test) -> bool {
    let read = |value: &Scalar| match value {
        Scalar::Time(moment) => Some(*moment),
        _ => None,
    };
    let one_of = |values: &[Scalar]| at.is_some_and(|at| values.iter().any(|value| read(value) == Some(at)));
    match test {
        Test::In(values) => one_of(values),
        Test::NotIn(values) => !one_of(values),
        Test::Compare(ordering, value) => at.zip(read(value)).is_some_and(|(at, value)| ordering.is(at.cmp(&value))),
        Test::Contains { .. } => false,
        Test::Present => at.is_some(),
    }
}

fn text(text: Option<&str>, test: &Test) -> bool {
    let one_of = |values: &[Scalar]| text.is_some_and(|text| values.iter().any(|value| is_text(value, text)));
    match test {
        Test::In(values) => one_of(values),
        Test::NotIn(values) => !one_of(values),
        Test::Compare(ordering, Scalar::Text(value)) => text.is_some_and(|text| ordering.is(text.cmp(value))),
        Test::Compare(..) => false,
        Test::Contains { text: part, fold_case } => text.is_some_and(|text| holds(text, part, *fold_case)),
        Test::Present => text.is_some(),
    }
}

fn categories(categories: &[String], test: &Test) -> bool {
    let one_of = |values: &[Scalar]| {
        categories.iter().any(|category| values.iter().filter_map(as_text).any(|value| value == *category))
    };
    match test {
        Test::In(values) => one_of(values),
        Test::NotIn(values) => !one_of(values),
        Test::Compare(ordering, value) => {
            as_text(value).is_some_and(|value| categories.iter().any(|category| ordering.is(category.cmp(&value))))
        }
        Test::Contains { text, fold_case } => categories.iter().any(|category| is(category, text, *fold_case)),
        Test::Present => !categories.is_empty(),
    }
}

fn metadata(found: Option<&Value>, test: &Test) -> bool {
    let one_of = |values: &[Scalar]| {
        found.is_some_and(|found| values.iter().any(|value| compare(found, value) == Some(Standing::Equal)))
    };
    match test {
        Test::In(values) => one_of(values),
        Test::NotIn(values) => !one_of(values),
        Test::Compare(ordering, value) => {
            found.and_then(|found| compare(found, value)).is_some_and(|standing| ordering.is(standing))
        }
        // A text holds the text; a list has it as an item.
        Test::Contains { text, fold_case } => match found {
            Some(Value::String(found)) => holds(found, text, *fold_case),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(|item| is(item, text, *fold_case)),
            _ => false,
        },
        Test::Present => found.is_some(),
    }
}

/// How a value stands to another of its kind.
fn compare(found: &Value, value: &Scalar) -> Option<Standing> {
    match (found, value) {
        (Value::String(found), value) => as_text(value).map(|value| found.as_str().cmp(&value)),
        (Value::Bool(found), Scalar::Bool(value)) => Some(found.cmp(value)),
        (Value::Number(found), Scalar::Integer(value)) => number(found, *value as f64, Some(*value)),
        (Value::Number(found), Scalar::Float(value)) => number(found, *value, None),
        _ => None,
    }
}

/// Whole numbers exactly, all others as floats.
fn number(found: &Number, float: f64, whole: Option<i64>) -> Option<Standing> {
    match (found.as_i64(), whole) {
        (Some(found), Some(value)) => Some(found.cmp(&value)),
        _ => found.as_f64()?.partial_cmp(&float),
    }
}

fn as_text(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Text(text) => Some(text.clone()),
        Scalar::Time(moment) => Some(moment.to_string()),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) => None,
    }
}

fn is_text(value: &Scalar, text: &str) -> bool {
    matches!(value, Scalar::Text(value) if value == text)
}

/// Only ASCII is folded.
fn holds(text: &str, part: &str, fold_case: bool) -> bool {
    if fold_case { text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()) } else { text.contains(part) }
}

fn is(text: &str, other: &str, fold_case: bool) -> bool {
    if fold_case { text.eq_ignore_ascii_case(other) } else { text == other }
}

impl Ordering {
    fn is(self, standing: Standing) -> bool {
        match self {
            Ordering::Less => standing.is_lt(),
            Ordering::LessOrEqual => standing.is_le(),
            Ordering::Greater => standing.is_gt(),
            Ordering::GreaterOrEqual => standing.is_ge(),
        }
    }
}
