//! The seam between statements and databases: a transaction that belongs to one space.
//!
//! Statements are written once, with `$1`, `$2` … in the order of their first use, in SQL that SQLite and PostgreSQL both
//! speak. A backend only binds: it hands out transactions that see one space and nothing else, and that are rolled back
//! when dropped. What the two databases say differently stands behind [`Dialect`].

use jiff::Timestamp;
use locule_core::Result;
use locule_core::filter::{Ordering, Test};
use locule_core::id::{JobId, MemoryId, RelationshipId};

use crate::content::Seal;

/// A value that goes into a statement. Each kind is one type in either database, so that a statement can be sent with the
/// types of its values and need not be prepared first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
    /// The id of an object: 16 bytes, or a `uuid`.
    Id(&'a [u8; 16]),
    /// A moment: microseconds since 1970, or a `timestamptz`.
    Moment(Timestamp),
    /// A JSON object: its text, or a `jsonb`.
    Json(&'a str),
    /// Texts: a JSON list of them, or a `text[]`.
    Texts(&'a [String]),
    /// Values of one kind, where a database has arrays.
    List(&'a [Owned]),
}

impl<'a> Value<'a> {
    /// Text, or NULL.
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Value::Null, Value::Text)
    }

    /// A JSON object, or NULL.
    pub fn json(json: Option<&'a str>) -> Self {
        json.map_or(Value::Null, Value::Json)
    }

    /// A moment, or NULL.
    pub fn moment(moment: Option<Timestamp>) -> Self {
        moment.map_or(Value::Null, Value::Moment)
    }

    /// A whole number, or NULL.
    pub fn integer(integer: Option<i64>) -> Self {
        integer.map_or(Value::Null, Value::Integer)
    }
}

/// A row that comes out of a statement. Columns count from 0.
pub trait Row {
    /// Whether the column is NULL.
    fn is_null(&self, column: usize) -> bool;
    /// A whole number.
    fn integer(&self, column: usize) -> Result<i64>;
    /// Any number.
    fn real(&self, column: usize) -> Result<f64>;
    /// Text.
    fn text(&self, column: usize) -> Result<&str>;
    /// Bytes.
    fn blob(&self, column: usize) -> Result<&[u8]>;
    /// The id of an object.
    fn id(&self, column: usize) -> Result<[u8; 16]>;
    /// A moment.
    fn moment(&self, column: usize) -> Result<Timestamp>;
    /// The text of a JSON object.
    fn json(&self, column: usize) -> Result<&str>;
    /// Texts.
    fn texts(&self, column: usize) -> Result<Vec<String>>;

    /// What opens the content of the row, if it is sealed.
    fn seal(&self) -> Option<&Seal> {
        None
    }
}

impl dyn Row + '_ {
    /// Text, where there is some.
    pub fn maybe_text(&self, column: usize) -> Result<Option<String>> {
        if self.is_null(column) { Ok(None) } else { self.text(column).map(|text| Some(text.to_owned())) }
    }

    /// A moment, where there is one.
    pub fn maybe_moment(&self, column: usize) -> Result<Option<Timestamp>> {
        if self.is_null(column) { Ok(None) } else { self.moment(column).map(Some) }
    }

    /// The id of a memory.
    pub fn memory_id(&self, column: usize) -> Result<MemoryId> {
        self.id(column).map(MemoryId::from_bytes)
    }

    /// The id of a relationship.
    pub fn relationship_id(&self, column: usize) -> Result<RelationshipId> {
        self.id(column).map(RelationshipId::from_bytes)
    }

    /// The id of a job.
    pub fn job_id(&self, column: usize) -> Result<JobId> {
        self.id(column).map(JobId::from_bytes)
    }

    /// A whole number, where there is one.
    pub fn maybe_integer(&self, column: usize) -> Result<Option<i64>> {
        if self.is_null(column) { Ok(None) } else { self.integer(column).map(Some) }
    }
}

/// A transaction of one space. Dropped, it is rolled back, and nothing of it is left on the connection.
pub trait Tx {
    /// Runs a statement; says how many rows it changed.
    fn execute(&self, sql: &str, values: &[Value]) -> Result<usize>;

    /// Runs a statement of which nothing is wanted but that it succeeds. Where the database is far away it may go out only
    /// with the next one, on one journey, and that fails if this does.
    fn run(&self, sql: &str, values: &[Value]) -> Result<()> {
        self.execute(sql, values).map(drop)
    }

    /// Runs a statement and shows each row to `each`, until there are no more or `each` fails.
    fn query(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()>;

    /// Makes it durable. The transaction is over either way.
    fn commit(&self) -> Result<()>;

    /// Ends this transaction and begins another that sees all that is committed by now.
    fn renew(&self) -> Result<()>;

    /// Whether nothing has been asked in it yet, so that nobody would notice if it were renewed.
    fn untouched(&self) -> bool;

    /// How this database says what the two say differently.
    fn dialect(&self) -> &'static dyn Dialect;

    /// What seals the content of the space, if it is sealed.
    fn seal(&self) -> Option<&Seal> {
        None
    }
}

impl dyn Tx + '_ {
    /// The rows of a statement, each made into something.
    pub fn all<T>(&self, sql: &str, values: &[Value], read: impl Fn(&dyn Row) -> Result<T>) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.query(sql, values, &mut |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row of a statement, if it has one.
    pub fn first<T>(&self, sql: &str, values: &[Value], read: impl Fn(&dyn Row) -> Result<T>) -> Result<Option<T>> {
        let mut first = None;
        self.query(sql, values, &mut |row| {
            if first.is_none() {
                first = Some(read(row)?);
            }
            Ok(())
        })?;
        Ok(first)
    }
}

/// A statement that is put together piece by piece, its values bound and never spliced in.
#[derive(Default)]
pub struct Sql {
    text: String,
    values: Vec<Owned>,
}

/// A value that a statement under construction keeps.
#[derive(Clone, Debug, PartialEq)]
pub enum Owned {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// Texts.
    Texts(Vec<String>),
    /// The id of an object.
    Id([u8; 16]),
    /// A moment.
    Moment(Timestamp),
    /// A JSON value.
    Json(String),
    /// Values of one kind, where a database has arrays.
    List(Vec<Owned>),
}

impl Owned {
    /// A copy of the value.
    pub fn of(value: Value) -> Self {
        match value {
            Value::Null => Owned::Null,
            Value::Integer(integer) => Owned::Integer(integer),
            Value::Real(real) => Owned::Real(real),
            Value::Text(text) => Owned::Text(text.to_owned()),
            Value::Blob(bytes) => Owned::Blob(bytes.to_vec()),
            Value::Id(id) => Owned::Id(*id),
            Value::Moment(moment) => Owned::Moment(moment),
            Value::Json(json) => Owned::Json(json.to_owned()),
            Value::Texts(texts) => Owned::Texts(texts.to_vec()),
            Value::List(list) => Owned::List(list.to_vec()),
        }
    }

    /// The value, for as long as this one is kept.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Owned::Null => Value::Null,
            Owned::Blob(bytes) => Value::Blob(bytes),
            Owned::Texts(texts) => Value::Texts(texts),
            Owned::Integer(integer) => Value::Integer(*integer),
            Owned::Real(real) => Value::Real(*real),
            Owned::Text(text) => Value::Text(text),
            Owned::Id(id) => Value::Id(id),
            Owned::Moment(moment) => Value::Moment(*moment),
            Owned::Json(json) => Value::Json(json),
            Owned::List(list) => Value::List(list),
        }
    }
}

impl Sql {
    /// Adds words.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds the place of a value.
    pub fn bind(&mut self, value: Owned) -> &mut Self {
        self.values.push(value);
        let place = format!("${}", self.values.len());
        self.push(&place)
    }

    /// The statement.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its values.
    pub fn values(&self) -> Vec<Value<'_>> {
        self.values.iter().map(Owned::borrow).collect()
    }
}

/// What SQLite and PostgreSQL say differently.
pub trait Dialect: Sync {
    /// Whether the history has a line for each memory that was added, and not only for what became of it.
    fn keeps_creations(&self) -> bool;

    /// Whether the database keeps the word index. If not, it is made in memory, and the next five have nothing to do.
    fn keeps_words(&self) -> bool;

    /// Puts a text into the word index.
    fn words_insert(&self, tx: &dyn Tx, number: i64, text: &str) -> Result<()>;

    /// Takes a text out of the word index.
    fn words_remove(&self, tx: &dyn Tx, number: i64, text: &str) -> Result<()>;

    /// Empties the word index.
    fn words_clear(&self, tx: &dyn Tx) -> Result<()>;

    /// How many memories have this word.
    fn words_count(&self, tx: &dyn Tx, word: &str) -> Result<u64>;

    /// Every memory that has one of these words, with its BM25 (k1 1.2, b 0.75), larger being better.
    fn words_rank(&self, tx: &dyn Tx, words: &[String], each: &mut dyn FnMut(i64, f32)) -> Result<()>;

    /// What has a text expression compare byte by byte.
    fn collation(&self) -> &'static str;

    /// A condition on the value at a path of the metadata; true or false, never NULL.
    fn metadata(&self, sql: &mut Sql, path: &[String], test: &Test);

    /// A condition that holds if one of the categories passes the test; true or false, never NULL.
    fn categories(&self, sql: &mut Sql, test: &Test);

    /// The condition that a text expression holds a text.
    fn holds(&self, sql: &mut Sql, expression: &str, text: &str, fold_case: bool);

    /// What makes an expression before it the condition that it is one of these values, which are all of one kind.
    fn among(&self, sql: &mut Sql, values: &[Owned]);
}

/// The operator in SQL.
pub fn operator(ordering: Ordering) -> &'static str {
    match ordering {
        Ordering::Less => " < ",
        Ordering::LessOrEqual => " <= ",
        Ordering::Greater => " > ",
        Ordering::GreaterOrEqual => " >= ",
    }
}
