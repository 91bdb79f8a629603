//! Rows in an archive: with the names of their table and columns, so that a later version knows what an earlier one wrote.

use locule_core::{Code, Error, Result};

use super::frames::damaged;
use crate::copy::tables::Table;
use crate::copy::{Cell, Cells};

/// Some rows of a table as bytes.
pub fn encode(table: &Table, rows: &[Cells]) -> Vec<u8> {
    let mut out = Vec::new();
    Cell::Text(table.name.to_owned()).encode(&mut out);
    Cell::Texts(table.columns.iter().map(|column| column.name.to_owned()).collect()).encode(&mut out);
    Cell::Integer(rows.len() as i64).encode(&mut out);
    rows.iter().flatten().for_each(|cell| cell.encode(&mut out));
    out
}

/// The rows of one of these tables. A column that was added since is empty.
pub fn decode(mut bytes: &[u8], tables: &[&'static Table]) -> Result<(&'static Table, Vec<Cells>)> {
    let input = &mut bytes;
    let (Cell::Text(name), Cell::Texts(columns), Cell::Integer(count)) =
        (Cell::decode(input)?, Cell::decode(input)?, Cell::decode(input)?)
    else {
        return Err(damaged("rows of it do not read"));
    };
    let table = tables.iter().find(|table| table.name == name).ok_or_else(newer)?;
    let places: Vec<usize> =
        columns.iter().map(|column| table.position(column).ok_or_else(newer)).collect::<Result<_>>()?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut row = vec![Cell::Null; table.columns.len()];
        for place in &places {
            row[*place] = Cell::decode(input)?;
        }
        rows.push(row);
    }
    if input.is_empty() { Ok((table, rows)) } else { Err(damaged("rows of it do not end where they should")) }
}

fn newer() -> Error {
    Error::new(
        Code::SchemaTooNew,
        "This backup was made by a newer version of Locule. Run that version, or a later one. Nothing was changed.",
    )
}
