//! How SQLite says what PostgreSQL says otherwise: FTS5 and JSON1.

use locule_core::Result;
use locule_core::filter::{Scalar, Test};

use crate::tx::{Dialect, Owned, Sql, Tx, Value, operator};

/// SQLite's way.
pub struct Sqlite;

impl Dialect for Sqlite {
    /// The memory tells it, and a durable add writes one page less.
    fn keeps_creations(&self) -> bool {
        false
    }

    fn keeps_words(&self) -> bool {
        true
    }

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
        let count =
            tx.first("SELECT count(*) FROM words WHERE words MATCH $1", &[Value::Text(&quoted(word))], |row| {
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

    fn collation(&self) -> &'static str {
        ""
    }

    fn metadata(&self, sql: &mut Sql, path: &[String], test: &Test) {
        let path = Owned::Text(json_path(path));
        match test {
            Test::In(values) => self.any_of(sql, &path, values, ""),
            Test::NotIn(values) => self.any_of(sql, &path, values, "NOT "),
            Test::Compare(ordering, value) => compare(sql, &path, operator(*ordering), value),
            Test::Contains { text, fold_case } => {
                // A text holds the text; a list has it as an item.
                sql.push("(CASE json_type(metadata, ").bind(path.clone()).push(") WHEN 'text' THEN ");
                self.holds_at(sql, &path, text, *fold_case);
                sql.push(" WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(metadata, ")
                    .bind(path)
                    .push(") WHERE type = 'text' AND ");
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
            Test::In(values) if values.is_empty() => {
                sql.push("FALSE");
            }
            Test::In(values) => {
                sql.push("value");
                self.among(sql, &values.iter().map(owned).collect::<Vec<_>>());
            }
            Test::Compare(ordering, value) => {
                sql.push("value").push(operator(*ordering)).bind(owned(value));
            }
            Test::Contains { text, fold_case } => item_is(sql, text, *fold_case),
            Test::Present | Test::NotIn(_) => {
                sql.push("TRUE");
            }
        }
        sql.push(")");
    }

    fn holds(&self, sql: &mut Sql, expression: &str, text: &str, fold_case: bool) {
        if fold_case {
            // SQLite folds ASCII only; the text is folded the same way.
            sql.push("(instr(lower(")
                .push(expression)
                .push("), ")
                .bind(Owned::Text(text.to_ascii_lowercase()))
                .push(") > 0)");
        } else {
            sql.push("(instr(").push(expression).push(", ").bind(Owned::Text(text.to_owned())).push(") > 0)");
        }
    }

    /// Many values are bound as one JSON list: SQLite bounds the depth, the length and the places of a statement, and a
    /// filter may have more values than any of these allows.
    fn among(&self, sql: &mut Sql, values: &[Owned]) {
        if let [value] = values {
            sql.push(" = ").bind(value.clone());
            return;
        }
        let value = if matches!(values.first(), Some(Owned::Id(_))) { "unhex(value)" } else { "value" };
        let list: serde_json::Value = values.iter().map(json).collect();
        sql.push(" IN (SELECT ").push(value).push(" FROM json_each(").bind(Owned::Text(list.to_string())).push("))");
    }
}

fn json(value: &Owned) -> serde_json::Value {
    match value {
        Owned::Null => serde_json::Value::Null,
        Owned::Blob(bytes) => data_encoding::HEXLOWER.encode(bytes).into(),
        Owned::Texts(texts) => texts.as_slice().into(),
        Owned::Integer(integer) => (*integer).into(),
        Owned::Real(real) => (*real).into(),
        Owned::Text(text) => text.as_str().into(),
        Owned::Id(id) => data_encoding::HEXLOWER.encode(id).into(),
        Owned::Moment(moment) => moment.as_microsecond().into(),
        Owned::Json(text) => text.as_str().into(),
        Owned::List(list) => list.iter().map(json).collect(),
    }
}

impl Sqlite {
    fn any_of(&self, sql: &mut Sql, path: &Owned, values: &[Scalar], negation: &str) {
        sql.push(negation).push("(FALSE");
        for kind in [TRUTHS, NUMBERS, TEXTS] {
            let values: Vec<_> = values.iter().filter(|value| kinds(value) == kind).map(owned).collect();
            if !values.is_empty() {
                sql.push(" OR ");
                extract(sql, path, kind);
                self.among(sql, &values);
                sql.push(")");
            }
        }
        sql.push(")");
    }

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

// What JSON calls values that compare with one another: the text "5" is not the number 5, and no number stands before a text.
const TRUTHS: &str = "'true', 'false'";
const NUMBERS: &str = "'integer', 'real'";
const TEXTS: &str = "'text'";

fn kinds(value: &Scalar) -> &'static str {
    match value {
        Scalar::Bool(_) => TRUTHS,
        Scalar::Integer(_) | Scalar::Float(_) => NUMBERS,
        Scalar::Text(_) | Scalar::Time(_) => TEXTS,
    }
}

/// The value at the path, behind the condition that it is of these kinds.
fn extract(sql: &mut Sql, path: &Owned, kinds: &str) {
    sql.push("(coalesce(json_type(metadata, ").bind(path.clone()).push("), 'null') IN (").push(kinds);
    sql.push(") AND json_extract(metadata, ").bind(path.clone()).push(")");
}

fn compare(sql: &mut Sql, path: &Owned, operator: &str, value: &Scalar) {
    extract(sql, path, kinds(value));
    sql.push(operator).bind(owned(value)).push(")");
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

/// `$."a"."b"`: keys stand as JSON texts, so that a dot, a bracket, a dollar or a quote in one is just a character.
fn json_path(keys: &[String]) -> String {
    keys.iter().fold(String::from("$"), |path, key| format!("{path}.{}", serde_json::Value::from(key.as_str())))
}

/// A word as FTS5 takes it without reading any syntax into it.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}
