//! How PostgreSQL says what SQLite says otherwise: `jsonb` and arrays. Texts compare byte by byte, as they do in SQLite.

use locule_core::Result;
use locule_core::filter::{Ordering, Scalar, Test};

use crate::tx::{Dialect, Owned, Sql, Tx, operator};

/// PostgreSQL's way.
pub struct Postgres;

impl Dialect for Postgres {
    fn keeps_creations(&self) -> bool {
        true
    }

    /// Behind row security an index on words would not be used: `@@` may not run before the policy, and an index over all
    /// users' words would tell by its timing how common a word is among the others. The words are indexed in memory.
    fn keeps_words(&self) -> bool {
        false
    }

    fn words_insert(&self, _: &dyn Tx, _: i64, _: &str) -> Result<()> {
        Ok(())
    }

    fn words_remove(&self, _: &dyn Tx, _: i64, _: &str) -> Result<()> {
        Ok(())
    }

    fn words_clear(&self, _: &dyn Tx) -> Result<()> {
        Ok(())
    }

    fn words_count(&self, _: &dyn Tx, _: &str) -> Result<u64> {
        Ok(0)
    }

    fn words_rank(&self, _: &dyn Tx, _: &[String], _: &mut dyn FnMut(i64, f32)) -> Result<()> {
        Ok(())
    }

    fn collation(&self) -> &'static str {
        " COLLATE \"C\""
    }

    fn metadata(&self, sql: &mut Sql, path: &[String], test: &Test) {
        match test {
            Test::In(values) => one_of(sql, path, values),
            Test::NotIn(values) => {
                sql.push("NOT ");
                one_of(sql, path, values);
            }
            Test::Compare(ordering, value) => compare(sql, path, *ordering, value),
            Test::Contains { text, fold_case } => {
                // A text holds the text; a list has it as an item.
                sql.push("(CASE ");
                kind(sql, path);
                sql.push(" WHEN 'string' THEN ");
                holds(sql, |sql| text_at(sql, path), text, *fold_case);
                sql.push(" WHEN 'array' THEN EXISTS (SELECT 1 FROM jsonb_array_elements(");
                at(sql, path);
                sql.push(") AS item WHERE jsonb_typeof(item) = 'string' AND ");
                is(sql, "(item #>> '{}')", text, *fold_case);
                sql.push(") ELSE FALSE END)");
            }
            Test::Present => {
                sql.push("(");
                kind(sql, path);
                sql.push(" <> 'null')");
            }
        }
    }

    fn categories(&self, sql: &mut Sql, test: &Test) {
        let (negation, test) = match test {
            Test::NotIn(values) => ("NOT ", Test::In(values.clone())),
            test => ("", test.clone()),
        };
        sql.push(negation).push("EXISTS (SELECT 1 FROM unnest(categories) AS item WHERE ");
        match &test {
            Test::In(values) => {
                let texts: Vec<Owned> = values.iter().filter_map(text).collect();
                if texts.is_empty() {
                    sql.push("FALSE");
                } else {
                    sql.push("item");
                    self.among(sql, &texts);
                }
            }
            Test::Compare(ordering, value) => match text(value) {
                Some(text) => {
                    sql.push("item").push(self.collation()).push(operator(*ordering)).bind(text);
                }
                None => {
                    sql.push("FALSE");
                }
            },
            Test::Contains { text, fold_case } => is(sql, "item", text, *fold_case),
            Test::Present | Test::NotIn(_) => {
                sql.push("TRUE");
            }
        }
        sql.push(")");
    }

    fn holds(&self, sql: &mut Sql, expression: &str, text: &str, fold_case: bool) {
        holds(
            sql,
            |sql| {
                sql.push(expression);
            },
            text,
            fold_case,
        );
    }

    fn among(&self, sql: &mut Sql, values: &[Owned]) {
        sql.push(" = ANY(").bind(Owned::List(values.to_vec())).push(")");
    }
}

/// The value at the path. `->` with a text looks into objects only: a key that is a number is no place in a list.
fn at(sql: &mut Sql, path: &[String]) {
    sql.push("(metadata");
    for key in path {
        sql.push(" -> ").bind(Owned::Text(key.clone()));
    }
    sql.push(")");
}

fn text_at(sql: &mut Sql, path: &[String]) {
    sql.push("(");
    at(sql, path);
    sql.push(" #>> '{}')");
}

/// What kind of value it is; 'null' for none.
fn kind(sql: &mut Sql, path: &[String]) {
    sql.push("coalesce(jsonb_typeof(");
    at(sql, path);
    sql.push("), 'null')");
}

fn one_of(sql: &mut Sql, path: &[String], values: &[Scalar]) {
    if values.is_empty() {
        sql.push("FALSE");
        return;
    }
    sql.push("coalesce(");
    at(sql, path);
    let values = values.iter().map(|value| Owned::Json(json(value))).collect();
    sql.push(" = ANY(").bind(Owned::List(values)).push("), FALSE)");
}

fn compare(sql: &mut Sql, path: &[String], ordering: Ordering, value: &Scalar) {
    sql.push("(");
    kind(sql, path);
    match value {
        Scalar::Text(_) | Scalar::Time(_) => {
            sql.push(" = 'string' AND ");
            text_at(sql, path);
            let text = text(value).unwrap_or_else(|| Owned::Text(String::new()));
            sql.push(" COLLATE \"C\"").push(operator(ordering)).bind(text);
        }
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) => {
            sql.push(if matches!(value, Scalar::Bool(_)) { " = 'boolean' AND " } else { " = 'number' AND " });
            at(sql, path);
            sql.push(operator(ordering)).bind(Owned::Json(json(value)));
        }
    }
    sql.push(")");
}

/// Only ASCII is folded, as in SQLite; the text is folded the same way.
fn holds(sql: &mut Sql, expression: impl FnOnce(&mut Sql), text: &str, fold_case: bool) {
    let (open, close) = if fold_case { ("lower(", " COLLATE \"C\")") } else { ("", "") };
    sql.push("(strpos(").push(open);
    expression(sql);
    sql.push(close).push(", ").bind(Owned::Text(fold(text, fold_case))).push(") > 0)");
}

fn is(sql: &mut Sql, item: &str, text: &str, fold_case: bool) {
    let (open, close) = if fold_case { ("lower(", " COLLATE \"C\")") } else { ("", "") };
    sql.push(open).push(item).push(close).push(" = ").bind(Owned::Text(fold(text, fold_case)));
}

fn fold(text: &str, fold_case: bool) -> String {
    if fold_case { text.to_ascii_lowercase() } else { text.to_owned() }
}

fn text(value: &Scalar) -> Option<Owned> {
    match value {
        Scalar::Text(text) => Some(Owned::Text(text.clone())),
        Scalar::Time(moment) => Some(Owned::Text(moment.to_string())),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) => None,
    }
}

fn json(value: &Scalar) -> String {
    let value: serde_json::Value = match value {
        Scalar::Bool(truth) => (*truth).into(),
        Scalar::Integer(integer) => (*integer).into(),
        Scalar::Float(float) => (*float).into(),
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Time(moment) => moment.to_string().into(),
    };
    value.to_string()
}
