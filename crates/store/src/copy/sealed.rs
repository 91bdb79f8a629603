//! Rows of sealed spaces: opened as they are read and sealed as they are put, so that a copy says the same everywhere.

use std::borrow::Cow;

use locule_core::Result;

use super::{Cell, Cells};
use crate::content::Place;
use crate::copy::tables::Table;
use crate::error::corrupt;
use crate::memories::{form, history};
use crate::tx::{Row, Tx};
use crate::{context, jobs, relationships, settings, trail};

/// How a column is sealed.
#[derive(Clone, Copy)]
enum How {
    Content,
    Label,
    /// A text that is content where it is a JSON object, and is not sealed otherwise.
    Object,
}

/// What is sealed, and which column of the table tells its rows apart to the seal.
const SEALED: &[(&str, &[(&str, How)])] = &[
    (
        "id",
        &[
            (form::MEMORY, How::Content),
            (form::AGENT, How::Label),
            (form::RUN, How::Label),
            (form::APP, How::Label),
            (form::CATEGORIES, How::Label),
            (form::METADATA, How::Content),
            (form::HASH, How::Label),
            (form::FEEDBACK, How::Label),
            (form::FEEDBACK_REASON, How::Content),
            (jobs::PAYLOAD, How::Content),
            (jobs::RESULTS, How::Content),
            (jobs::ERROR, How::Content),
            (context::content::KEY_HASH, How::Label),
            (context::content::KEY, How::Content),
            (context::content::VALUE, How::Content),
            (context::content::AUDIENCE, How::Content),
            (context::content::TOPICS, How::Content),
            (context::content::WRITER, How::Content),
            (context::content::METADATA, How::Content),
            (context::agent::NAME_HASH, How::Label),
            (context::agent::NAME, How::Content),
            (context::agent::TOPICS, How::Content),
            (context::agent::POSTS, How::Content),
            (relationships::TYPE, How::Label),
            (relationships::METADATA, How::Content),
        ],
    ),
    ("name", &[(settings::VALUE, How::Content)]),
    ("number", &[(form::EMBEDDING, How::Content)]),
    ("sequence", &[(trail::OBJECT, How::Object)]),
    ("memory_id", &[(history::OLD, How::Content), (history::NEW, How::Content)]),
];

/// How a column of this table is sealed, under what name, and by what its rows are told apart.
fn rule(table: &Table, column: &str) -> Option<(How, &'static str, usize)> {
    SEALED.iter().find_map(|(key, columns)| {
        let (name, how) = columns.iter().find(|(name, _)| name.split_once('.') == Some((table.name, column)))?;
        Some((*how, *name, table.position(key)?))
    })
}

/// The bytes by which a row is told apart.
fn key(cells: &Cells, position: usize) -> Result<Vec<u8>> {
    match cells.get(position) {
        Some(Cell::Id(id)) => Ok(id.to_vec()),
        Some(Cell::Text(name)) => Ok(name.clone().into_bytes()),
        Some(Cell::Integer(number)) => Ok(number.to_be_bytes().to_vec()),
        _ => Err(corrupt("a row that nothing tells apart")),
    }
}

/// Opens what a row has, whose cells were read as they stand.
pub fn open(row: &dyn Row, table: &Table, cells: &mut Cells) -> Result<()> {
    if row.seal().is_none() {
        return Ok(());
    }
    for (at, column) in table.columns.iter().enumerate() {
        let Some((how, name, told_by)) = rule(table, column.name) else { continue };
        let place = key(cells, told_by)?;
        let place = Place(name, &place);
        cells[at] = match (how, &cells[at]) {
            (_, Cell::Null) => Cell::Null,
            (How::Content, Cell::Text(_)) => Cell::Text(row.text_of(at, place)?.into_owned()),
            (How::Content, Cell::Json(_)) => Cell::Json(row.json_of(at, place)?.into_owned()),
            (How::Content, Cell::Blob(_)) => Cell::Blob(row.bytes_of(at, place)?.into_owned()),
            (How::Object, Cell::Text(text)) if trail::is_content(text) => {
                Cell::Text(row.object_of(text, place)?.into_owned())
            }
            (How::Object, other @ Cell::Text(_)) => other.clone(),
            (How::Label, Cell::Text(_)) => row.label_of(at, name)?.map_or(Cell::Null, Cell::Text),
            (How::Label, Cell::Texts(_)) => Cell::Texts(row.labels_of(at, name)?),
            _ => return Err(corrupt("a sealed column of another kind")),
        };
    }
    Ok(())
}

/// Seals rows as the space of this transaction has them.
pub fn seal<'a>(tx: &dyn Tx, table: &Table, rows: &'a [Cells]) -> Result<Cow<'a, [Cells]>> {
    if tx.seal().is_none() {
        return Ok(Cow::Borrowed(rows));
    }
    rows.iter().map(|cells| sealed(tx, table, cells)).collect::<Result<Vec<_>>>().map(Cow::Owned)
}

fn sealed(tx: &dyn Tx, table: &Table, cells: &Cells) -> Result<Cells> {
    let seal = |(cell, column): (&Cell, &super::tables::Column)| {
        let Some((how, name, told_by)) = rule(table, column.name) else { return Ok(cell.clone()) };
        let place = key(cells, told_by)?;
        let place = Place(name, &place);
        Ok(match (how, cell) {
            (How::Content, Cell::Text(text)) => Cell::Text(tx.text(place, text).into_owned()),
            (How::Content, Cell::Json(json)) => Cell::Json(tx.json(place, json).into_owned()),
            (How::Content, Cell::Blob(bytes)) => Cell::Blob(tx.bytes(place, bytes).into_owned()),
            (How::Object, Cell::Text(text)) if trail::is_content(text) => {
                Cell::Text(tx.json(place, text.as_str()).into_owned())
            }
            (How::Label, Cell::Text(label)) => Cell::Text(tx.label(name, label).into_owned()),
            (How::Label, Cell::Texts(labels)) => Cell::Texts(tx.labels(name, labels).into_owned()),
            (_, other) => other.clone(),
        })
    };
    cells.iter().zip(table.columns).map(seal).collect()
}
