//! The content of rows, where a space is sealed: whoever runs the database sees that there are rows, when they were written,
//! how long they are and which of them have the same labels, and nothing of what they say.
//!
//! What is only ever read back is sealed so that no two look alike (AES-256-GCM-SIV), bound to the space by its key and to its
//! table, column and row. A label (who else wrote it, a category, the hash of a text) is sealed alike wherever it stands in its
//! column, so that the database can still find equal ones; for anything else it has to be opened first.

use std::borrow::Cow;

use data_encoding::BASE64URL_NOPAD;
use locule_core::Result;
use locule_core::clock::Sources;

use crate::error::corrupt;
use crate::seal::Secret;
use crate::tx::{Row, Tx};

/// What seals and opens one space's content.
pub struct Seal {
    content: Secret,
    labels: Secret,
    sources: Sources,
}

/// Where something stands: its column, as `table.column`, and what tells its row from the others.
#[derive(Clone, Copy)]
pub struct Place<'a>(pub &'static str, pub &'a [u8]);

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        [self.0.as_bytes(), b"\0", self.1].concat()
    }
}

impl Seal {
    /// With a space's own key.
    pub fn new(key: &Secret, sources: Sources) -> Self {
        Seal { content: key.derive("content"), labels: key.derive("labels"), sources }
    }

    fn close(&self, place: Place, plain: &[u8]) -> Vec<u8> {
        self.content.seal(plain, &place.bytes(), &self.sources)
    }

    fn open(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>> {
        self.content.open(sealed, &place.bytes()).ok_or_else(|| corrupt("sealed content that does not open here"))
    }

    fn open_text(&self, place: Place, sealed: &str) -> Result<String> {
        let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).map_err(corrupt)?;
        String::from_utf8(self.open(place, &sealed)?).map_err(corrupt)
    }

    fn label(&self, column: &'static str, plain: &str) -> String {
        BASE64URL_NOPAD.encode(&self.labels.seal_alike(plain.as_bytes(), column.as_bytes())[..])
    }

    fn open_label(&self, column: &'static str, sealed: &str) -> Result<String> {
        let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).map_err(corrupt)?;
        let plain = self.labels.open(&sealed, column.as_bytes());
        String::from_utf8(plain.ok_or_else(|| corrupt("a sealed label that does not open here"))?).map_err(corrupt)
    }
}

/// On the way in. Where a space is not sealed, everything goes in as it is.
impl dyn Tx + '_ {
    /// A text.
    pub fn text<'a>(&self, place: Place, text: &'a str) -> Cow<'a, str> {
        match self.seal() {
            Some(seal) => BASE64URL_NOPAD.encode(&seal.close(place, text.as_bytes())).into(),
            None => text.into(),
        }
    }

    /// The text of a JSON object.
    pub fn json<'a>(&self, place: Place, json: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        let json = json.into();
        match self.seal() {
            Some(seal) => {
                // It stays an object with one member, as the column wants one.
                let sealed = BASE64URL_NOPAD.encode(&seal.close(place, json.as_bytes()));
                format!("{{\"sealed\":\"{sealed}\"}}").into()
            }
            None => json,
        }
    }

    /// Bytes.
    pub fn bytes<'a>(&self, place: Place, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.seal().map_or(Cow::Borrowed(bytes), |seal| seal.close(place, bytes).into())
    }

    /// A label of this column. An empty one, which stands for none, stays so.
    pub fn label<'a>(&self, column: &'static str, label: &'a str) -> Cow<'a, str> {
        match self.seal() {
            Some(seal) if !label.is_empty() => seal.label(column, label).into(),
            _ => label.into(),
        }
    }

    /// Labels of this column.
    pub fn labels<'a>(&self, column: &'static str, labels: &'a [String]) -> Cow<'a, [String]> {
        match self.seal() {
            Some(seal) => labels.iter().map(|label| seal.label(column, label)).collect::<Vec<_>>().into(),
            None => labels.into(),
        }
    }
}

/// On the way out.
impl dyn Row + '_ {
    /// A text.
    pub fn text_of(&self, column: usize, place: Place) -> Result<Cow<'_, str>> {
        match self.seal() {
            Some(seal) => seal.open_text(place, self.text(column)?).map(Cow::Owned),
            None => self.text(column).map(Cow::Borrowed),
        }
    }

    /// The text of a JSON object.
    pub fn json_of(&self, column: usize, place: Place) -> Result<Cow<'_, str>> {
        self.object_of(self.json(column)?, place)
    }

    /// The text of a JSON object that is kept as this.
    pub fn object_of<'a>(&self, json: &'a str, place: Place) -> Result<Cow<'a, str>> {
        #[derive(serde::Deserialize)]
        struct Sealed<'a> {
            sealed: &'a str,
        }
        match self.seal() {
            Some(seal) => {
                let sealed: Sealed = serde_json::from_str(json).map_err(corrupt)?;
                seal.open_text(place, sealed.sealed).map(Cow::Owned)
            }
            None => Ok(json.into()),
        }
    }

    /// Bytes.
    pub fn bytes_of(&self, column: usize, place: Place) -> Result<Cow<'_, [u8]>> {
        let bytes = self.blob(column)?;
        self.seal().map_or(Ok(Cow::Borrowed(bytes)), |seal| seal.open(place, bytes).map(Cow::Owned))
    }

    /// A label, where there is one.
    pub fn label_of(&self, column: usize, name: &'static str) -> Result<Option<String>> {
        match (self.maybe_text(column)?, self.seal()) {
            (Some(label), Some(seal)) => seal.open_label(name, &label).map(Some),
            (label, _) => Ok(label),
        }
    }

    /// Labels.
    pub fn labels_of(&self, column: usize, name: &'static str) -> Result<Vec<String>> {
        let labels = self.texts(column)?;
        match self.seal() {
            Some(seal) => labels.iter().map(|label| seal.open_label(name, label)).collect(),
            None => Ok(labels),
        }
    }
}
