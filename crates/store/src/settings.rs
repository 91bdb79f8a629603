//! A user's own settings, in their space: a row for each that is set.

use locule_core::memory::Metadata;
use locule_core::settings::Settings;
use locule_core::{Error, Result};

use crate::content::Place;
use crate::error::corrupt;
use crate::space::{Reader, Writer};
use crate::tx::Value;

/// What the column with content is called for the seal.
pub(crate) const VALUE: &str = "space_settings.value";

impl Reader<'_> {
    /// The settings, as far as there are any.
    pub fn settings(&self) -> Result<Settings> {
        let rows = self.tx.all("SELECT name, value FROM space_settings", &[], |row| {
            let name = row.text(0)?.to_owned();
            let value = row.text_of(1, Place(VALUE, name.as_bytes()))?;
            Ok((name, serde_json::from_str(&value).map_err(corrupt)?))
        })?;
        Settings::of(rows.into_iter().collect()).map_err(corrupt)
    }
}

impl Writer<'_> {
    /// Changes the settings: each name replaces, `null` takes away. As they are after.
    pub fn change_settings(&mut self, change: &Metadata) -> Result<Settings> {
        let before = self.settings()?;
        let after = before.changed(change)?;
        let (before, object) = (before.object()?, after.object()?);
        for name in before.keys().filter(|name| !object.contains_key(*name)) {
            self.tx.run("DELETE FROM space_settings WHERE name = $1", &[Value::Text(name)])?;
        }
        for (name, value) in object.iter().filter(|(name, value)| before.get(*name) != Some(value)) {
            let value = serde_json::to_string(value).map_err(Error::internal)?;
            let sealed = self.tx.text(Place(VALUE, name.as_bytes()), &value);
            let values = [Value::Text(&sealed), Value::Moment(self.reader.now), Value::Text(name)];
            let sql = if before.contains_key(name) {
                "UPDATE space_settings SET value = $1, updated_at = $2 WHERE name = $3"
            } else {
                "INSERT INTO space_settings (value, updated_at, name) VALUES ($1, $2, $3)"
            };
            self.tx.run(sql, &values)?;
        }
        self.note("change_settings", None)?;
        Ok(after)
    }
}
