//! From a filter to the condition of a statement. Every part is true or false, never NULL, so that `NOT` means not.

use locule_core::filter::{Field, Filter, Scalar, Test};
use locule_core::id::MemoryId;

use crate::tx::{Dialect, Owned, Sql, operator};

/// Adds the condition.
pub fn push(sql: &mut Sql, dialect: &dyn Dialect, filter: &Filter) {
    match filter {
        Filter::All(filters) => join(sql, dialect, filters, " AND ", "TRUE"),
        Filter::Any(filters) => join(sql, dialect, filters, " OR ", "FALSE"),
        Filter::Not(filter) => {
            sql.push("NOT ");
            push(sql, dialect, filter);
        }
        Filter::Field(Field::Metadata(path), test) => dialect.metadata(sql, path, test),
        Filter::Field(Field::Categories, test) => dialect.categories(sql, test),
        Filter::Field(field, test) => column(sql, dialect, field, test),
    }
}

fn join(sql: &mut Sql, dialect: &dyn Dialect, filters: &[Filter], between: &str, empty: &str) {
    sql.push("(");
    for (index, filter) in filters.iter().enumerate() {
        sql.push(if index == 0 { "" } else { between });
        push(sql, dialect, filter);
    }
    sql.push(if filters.is_empty() { empty } else { "" }).push(")");
}

fn name(field: &Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Memory => "memory",
        Field::AgentId => "agent_id",
        Field::RunId => "run_id",
        Field::AppId => "app_id",
        Field::CreatedAt => "created_at",
        Field::UpdatedAt => "updated_at",
        Field::Expiration => "expiration",
        Field::Categories | Field::Metadata(_) => "NULL",
    }
}

fn column(sql: &mut Sql, dialect: &dyn Dialect, field: &Field, test: &Test) {
    let name = name(field);
    match test {
        Test::In(values) => one_of(sql, dialect, field, values),
        Test::NotIn(values) => {
            sql.push("NOT ");
            one_of(sql, dialect, field, values);
        }
        Test::Compare(ordering, value) => match owned(field, value) {
            Some(value) => {
                let collation = if is_text(field) { dialect.collation() } else { "" };
                sql.push("coalesce(").push(name).push(collation).push(operator(*ordering)).bind(value).push(", FALSE)");
            }
            None => {
                sql.push("FALSE");
            }
        },
        Test::Contains { .. } if !is_text(field) => {
            sql.push("FALSE");
        }
        Test::Contains { text, fold_case } => {
            sql.push("coalesce(");
            dialect.holds(sql, name, text, *fold_case);
            sql.push(", FALSE)");
        }
        Test::Present => {
            sql.push("(").push(name).push(" IS NOT NULL)");
        }
    }
}

fn one_of(sql: &mut Sql, dialect: &dyn Dialect, field: &Field, values: &[Scalar]) {
    let values: Vec<Owned> = values.iter().filter_map(|value| owned(field, value)).collect();
    if values.is_empty() {
        sql.push("FALSE");
        return;
    }
    sql.push("coalesce(").push(name(field));
    dialect.among(sql, &values);
    sql.push(", FALSE)");
}

fn is_text(field: &Field) -> bool {
    matches!(field, Field::Memory | Field::AgentId | Field::RunId | Field::AppId)
}

/// The value as the field's column has it; `None` for one of another kind, or a text that is no id, which nothing there
/// equals, precedes or follows.
fn owned(field: &Field, value: &Scalar) -> Option<Owned> {
    match (field, value) {
        (Field::Id, Scalar::Text(text)) => text.parse::<MemoryId>().ok().map(|id| Owned::Id(*id.as_bytes())),
        (Field::CreatedAt | Field::UpdatedAt | Field::Expiration, Scalar::Time(moment)) => Some(Owned::Moment(*moment)),
        (field, Scalar::Text(text)) if is_text(field) => Some(Owned::Text(text.clone())),
        _ => None,
    }
}
