//! What the directory said last, for as long as nobody has changed it.
//!
//! Every request asks the same few questions. Before an answer is used again, the database is asked whether it has changed
//! since, by us or by any other process, and a change counts from the moment it is committed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use locule_core::auth::{KeyId, KeyRecord};
use locule_core::directory::{Standing, State};
use locule_core::id::{Identity, Issuer, SpaceId};
use locule_core::{Chamber, Error, Result};

use super::home::Question;
use super::{Application, Directory};
use crate::tx::Tx;

/// How many answers of a kind are kept.
const ANSWERS: usize = 16_384;

/// The answers.
#[derive(Default)]
pub struct Answers {
    pub standings: HashMap<Identity, Standing>,
    pub chambers: HashMap<SpaceId, Option<(Chamber, State)>>,
    pub keys: HashMap<KeyId, Option<KeyRecord>>,
    pub projects: HashMap<Issuer, Arc<Application>>,
}

/// The answers of one kind.
type Kind<K, V> = fn(&mut Answers) -> &mut HashMap<K, V>;

impl Directory {
    /// The answer of this kind for `key`: what is known, or else what `find` finds.
    pub(super) fn ask<K: Hash + Eq + Clone, V: Clone>(
        &self,
        kind: Kind<K, V>,
        key: &K,
        find: impl FnMut(&dyn Tx) -> Result<V>,
    ) -> Result<V> {
        let mut asked = Asked { kind, key, find, answer: None };
        self.home.ask(&mut asked)?;
        asked.answer.ok_or_else(|| Error::internal("a question without an answer"))
    }
}

struct Asked<'a, K, V, F> {
    kind: Kind<K, V>,
    key: &'a K,
    find: F,
    answer: Option<V>,
}

impl<K: Hash + Eq + Clone, V: Clone, F: FnMut(&dyn Tx) -> Result<V>> Question for Asked<'_, K, V, F> {
    fn known(&mut self, answers: &mut Answers) -> bool {
        self.answer = (self.kind)(answers).get(self.key).cloned();
        self.answer.is_some()
    }

    fn find(&mut self, tx: &dyn Tx) -> Result<()> {
        self.answer = Some((self.find)(tx)?);
        Ok(())
    }

    fn keep(&self, answers: &mut Answers) {
        let kept = (self.kind)(answers);
        if kept.len() >= ANSWERS {
            kept.clear();
        }
        if let Some(answer) = &self.answer {
            kept.insert(self.key.clone(), answer.clone());
        }
    }
}
