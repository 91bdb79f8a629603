//! Values as PostgreSQL has them: their types on the way in, and the binary forms on the way out.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use locule_core::{Error, Result};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::content::Seal;
use crate::error::corrupt;
use crate::tx::{Owned, Row, Value};

type Source = Box<dyn StdError + Sync + Send>;

/// Microseconds between 1970 and 2000, from where PostgreSQL counts.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// A value on its way into a statement.
#[derive(Debug)]
pub struct Parameter<'a>(pub Value<'a>);

impl Parameter<'_> {
    /// Its type. NULL is of whatever type the statement wants there.
    pub fn kind(&self) -> Type {
        match self.0 {
            Value::Null => Type::UNKNOWN,
            Value::Integer(_) => Type::INT8,
            Value::Real(_) => Type::FLOAT8,
            Value::Text(_) => Type::TEXT,
            Value::Blob(_) => Type::BYTEA,
            Value::Id(_) => Type::UUID,
            Value::Moment(_) => Type::TIMESTAMPTZ,
            Value::Json(_) => Type::JSONB,
            Value::Texts(_) => Type::TEXT_ARRAY,
            Value::List(list) => match list.first() {
                Some(Owned::Integer(_)) => Type::INT8_ARRAY,
                Some(Owned::Real(_)) => Type::FLOAT8_ARRAY,
                Some(Owned::Id(_)) => Type::UUID_ARRAY,
                Some(Owned::Moment(_)) => Type::TIMESTAMPTZ_ARRAY,
                Some(Owned::Json(_)) => Type::JSONB_ARRAY,
                Some(_) | None => Type::TEXT_ARRAY,
            },
        }
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Source> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(integer) => out.put_i64(integer),
            Value::Real(real) => out.put_f64(real),
            Value::Text(text) => out.put_slice(text.as_bytes()),
            Value::Blob(bytes) => out.put_slice(bytes),
            Value::Id(id) => out.put_slice(id),
            Value::Moment(moment) => out.put_i64(moment.as_microsecond() - EPOCH_2000),
            Value::Json(json) => {
                out.put_u8(1);
                out.put_slice(json.as_bytes());
            }
            Value::Texts(texts) => return texts.to_sql(kind, out),
            Value::List(list) => {
                let items: Vec<_> = list.iter().map(|item| Parameter(item.borrow())).collect();
                return items.to_sql(kind, out);
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value that goes in later, when whoever has it now may be gone.
#[derive(Debug)]
pub struct Kept(pub Owned);

impl Kept {
    /// Its type.
    pub fn kind(&self) -> Type {
        Parameter(self.0.borrow()).kind()
    }
}

impl ToSql for Kept {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Source> {
        Parameter(self.0.borrow()).to_sql(kind, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A row on its way out.
pub struct Columns<'a> {
    /// The row as it came.
    pub row: &'a tokio_postgres::Row,
    /// What opens its content.
    pub seal: Option<&'a Seal>,
}

impl<'a> Columns<'a> {
    /// A row without content, or none that is sealed.
    pub fn of(row: &'a tokio_postgres::Row) -> Self {
        Columns { row, seal: None }
    }
}

impl Columns<'_> {
    fn get<'b, T: FromSql<'b>>(&'b self, column: usize) -> Result<T> {
        self.row.try_get(column).map_err(corrupt)
    }
}

/// The bytes of a column, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Source> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Row for Columns<'_> {
    fn is_null(&self, column: usize) -> bool {
        matches!(self.row.try_get::<_, Option<Raw>>(column), Ok(None))
    }

    fn integer(&self, column: usize) -> Result<i64> {
        match *self.row.columns().get(column).ok_or_else(|| Error::internal("no such column"))?.type_() {
            Type::INT4 => self.get::<i32>(column).map(i64::from),
            Type::BOOL => self.get::<bool>(column).map(i64::from),
            _ => self.get(column),
        }
    }

    fn real(&self, column: usize) -> Result<f64> {
        self.get(column)
    }

    fn text(&self, column: usize) -> Result<&str> {
        self.get(column)
    }

    fn blob(&self, column: usize) -> Result<&[u8]> {
        self.get(column)
    }

    fn id(&self, column: usize) -> Result<[u8; 16]> {
        self.get::<Raw>(column)?.0.try_into().map_err(|_| corrupt("an id of another length"))
    }

    fn moment(&self, column: usize) -> Result<Timestamp> {
        let bytes = self.get::<Raw>(column)?.0.try_into().map_err(|_| corrupt("a moment of another length"))?;
        let microseconds = i64::from_be_bytes(bytes).checked_add(EPOCH_2000);
        microseconds.and_then(|at| Timestamp::from_microsecond(at).ok()).ok_or_else(|| corrupt("a moment out of range"))
    }

    fn json(&self, column: usize) -> Result<&str> {
        match self.get::<Raw>(column)?.0.split_first() {
            Some((1, json)) => std::str::from_utf8(json).map_err(corrupt),
            _ => Err(corrupt("a JSON of another version")),
        }
    }

    fn texts(&self, column: usize) -> Result<Vec<String>> {
        self.get(column)
    }

    fn seal(&self) -> Option<&Seal> {
        self.seal
    }
}
