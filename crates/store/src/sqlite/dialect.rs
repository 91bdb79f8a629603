//! How SQLite says what PostgreSQL says otherwise: FTS5 and JSON1.

use locule_core::Result;
use locule_core::filter::{Scalar, Test};

use crate::tx::{Dialect, Owned, Sql, Tx, Value, operator};

/// SQLite's way.
pub struct Sqlite;

impl Dialect for Sqlite {
    fn words_insert(&self, tx: &dyn Tx, number: i64, text: &str) -> Result<()> {
        tx.execute("INSERT INTO words (rowid, memory) VALUES ($1, $2)", &[Value::Integer(number), Value::Text(text)])?;
        Ok(())
    }

    fn words_remove(&self, tx: &dyn Tx, number: i64, text: &str) -> Result<()> {
        // The index keeps no text: it must be told what it once was given.
        tx.execute(
            "INSERT INTO words (words, rowid, memory) VALUES ('delete', $1, $2)",
            &[Value::Integer(number), Value::Text(text)],
        )?;
        Ok(())
    }

    fn words_clear(&self, tx: &dyn Tx) -> Result<()> {
        tx.execute("INSERT INTO words (words) VALUES ('delete-all')", &[])?;
        Ok(())
    }

    fn words_count(&self, tx: &dyn Tx, word: &str) -> Result<u64> {
        let count = tx.first("SELECT count(*) FROM words WHERE words MATCH $1", &[Value::Text(&quoted(word))], |row| {
            row.integer(0)
        })?;
        Ok(count.unwrap_or(0) as u64)
    }

    fn words_rank(&self, tx: &dyn Tx, words: &[String], each: &mut dyn FnMut(i64, f32)) -> Result<()> {
        let any: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        tx.query(
            "SELECT rowid, bm25(words) FROM words WHERE words MATCH $1",
            &[Value::Text(&any.join(" OR "))],
            &mut |row| {
                // FTS5 gives the negative, so that the best comes first in ascending order.
                each(row.integer(0)?, -row.real(1)? as f32);
                Ok(())
            },
        )
    }

    fn metadata(&self, sql: &mut Sql, path: &[String], test: &Test) {
        let path = Owned::Text(json_path(path));
        match test {
            Test::In(values) => any_of(sql, &path, values, ""),
            Test::NotIn(values) => any_of(sql, &path, values, "NOT "),
            Test::Compare(ordering, value) => compare(sql, &path, operator(*ordering), value),
            Test::Contains { text, fold_case } => {
                // A text holds the text; a list has it as an item.
                sql.push("(CASE json_type(metadata, ").bind(path.clone()).push(") WHEN 'text' THEN ");
                self.holds_at(sql, &path, text, *fold_case);
                sql.push(" WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(metadata, ").bind(path).push(") WHERE type = 'text' AND ");
                item_is(sql, text, *fold_case);
                sql.push(") ELSE FALSE END)");
            }
            Test::Present => {
                sql.push("(coalesce(json_type(metadata, ").bind(path).push("), 'null') <> 'null')");
            }
        }
    }

    fn categories(&self, sql: &mut Sql, test: &Test) {
        let (negation, test) = match test {
            Test::NotIn(values) => ("NOT ", Test::In(values.clone())),
            test => ("", test.clone()),
        };
        sql.push(negation).push("EXISTS (SELECT 1 FROM json_each(categories) WHERE ");
        match &test {
            Test::In(values) => {
                sql.push("FALSE");
                for value in values {
                    sql.push(" OR value = ").bind(owned(value));
                }
            }
            Test::Compare(ordering, value) => {
                sql.push("value").push(operator(*ordering)).bind(owned(value));
            }
            Test::Contains { text, fold_case } => self.holds(sql, "value", text, *fold_case),
            Test::Present | Test::NotIn(_) => {
                sql.push("TRUE");
            }
        }
        sql.push(")");
    }

    fn holds(&self, sql: &mut Sql, expression: &str, text: &str, fold_case: bool) {
        if fold_case {
            // SQLite folds ASCII only; the text is folded the same way.
            sql.push("(instr(lower(").push(expression).push("), ").bind(Owned::Text(text.to_ascii_lowercase())).push(") > 0)");
        } else {
            sql.push("(instr(").push(expression).push(", ").bind(Owned::Text(text.to_owned())).push(") > 0)");
        }
    }
}

impl Sqlite {
    fn holds_at(&self, sql: &mut Sql, path: &Owned, text: &str, fold_case: bool) {
        let (open, close, text) = match fold_case {
            true => ("lower(", ")", text.to_ascii_lowercase()),
            false => ("", "", text.to_owned()),
        };
        sql.push("(instr(").push(open).push("json_extract(metadata, ").bind(path.clone()).push(")").push(close);
        sql.push(", ").bind(Owned::Text(text)).push(") > 0)");
    }
}

fn item_is(sql: &mut Sql, text: &str, fold_case: bool) {
    if fold_case {
        sql.push("lower(value) = ").bind(Owned::Text(text.to_ascii_lowercase()));
    } else {
        sql.push("value = ").bind(Owned::Text(text.to_owned()));
    }
}

fn any_of(sql: &mut Sql, path: &Owned, values: &[Scalar], negation: &str) {
    sql.push(negation).push("(FALSE");
    for value in values {
        sql.push(" OR ");
        compare(sql, path, " = ", value);
    }
    sql.push(")");
}

/// Compares only what is of one kind: the text "5" is not the number 5, and no number stands before a text.
fn compare(sql: &mut Sql, path: &Owned, operator: &str, value: &Scalar) {
    let kinds = match value {
        Scalar::Bool(_) => "'true', 'false'",
        Scalar::Integer(_) | Scalar::Float(_) => "'integer', 'real'",
        Scalar::Text(_) | Scalar::Time(_) => "'text'",
    };
    sql.push("(coalesce(json_type(metadata, ").bind(path.clone()).push("), 'null') IN (").push(kinds);
    sql.push(") AND json_extract(metadata, ").bind(path.clone()).push(")").push(operator).bind(owned(value)).push(")");
}

fn owned(value: &Scalar) -> Owned {
    match value {
        Scalar::Bool(truth) => Owned::Integer(i64::from(*truth)),
        Scalar::Integer(integer) => Owned::Integer(*integer),
        Scalar::Float(float) => Owned::Real(*float),
        Scalar::Text(text) => Owned::Text(text.clone()),
        Scalar::Time(moment) => Owned::Text(moment.to_string()),
    }
}

/// `$."a"."b"`: keys are quoted, so that a dot, a bracket or a dollar in one is just a character.
fn json_path(keys: &[String]) -> String {
    let mut path = String::from("$");
    for key in keys {
        path.push_str(".\"");
        path.push_str(key);
        path.push('"');
    }
    path
}

/// A word as FTS5 takes it without reading any syntax into it.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}
