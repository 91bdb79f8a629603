//! The places where this installation keeps spaces: a layout for each, and one that new spaces are made in.

use std::collections::HashMap;

use locule_core::{Code, Error, Place, Result};

use crate::layout::Layout;

/// The places.
pub struct Places {
    usual: Place,
    layouts: HashMap<Place, Box<dyn Layout>>,
}

/// What stands for the usual place where rows are older than the words for places.
pub const MAIN: &str = "main";

impl Places {
    /// These places, of which `usual` is one.
    pub fn new(usual: Place, layouts: HashMap<Place, Box<dyn Layout>>) -> Self {
        Places { usual, layouts }
    }

    /// What keeps the spaces of a place.
    pub fn of(&self, place: Place) -> Result<&dyn Layout> {
        let place = if place.as_str() == MAIN { self.usual } else { place };
        self.layouts.get(&place).map(|layout| &**layout).ok_or_else(|| {
            Error::new(
                Code::BackendUnavailable,
                "This space is kept where this server does not know the way. Whoever runs it: the configuration of this \
                 server lacks a place that the directory names.",
            )
            .because(format!("no place {place:?}"))
        })
    }

    /// What keeps the spaces that are made now.
    pub fn usual(&self) -> Result<&dyn Layout> {
        self.of(self.usual)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &dyn Layout> {
        self.layouts.values().map(|layout| &**layout)
    }
}
