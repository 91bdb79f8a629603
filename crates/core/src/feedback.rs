//! What somebody thinks of a memory. It stands beside the memory, goes wherever that goes, and is read only when it is asked for.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, limit};

/// How good a memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Rating {
    /// Right and of use.
    Positive,
    /// Wrong, or of no use.
    Negative,
    /// Does harm.
    VeryNegative,
}

impl Rating {
    /// The word for it, as mem0 has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Rating::Positive => "POSITIVE",
            Rating::Negative => "NEGATIVE",
            Rating::VeryNegative => "VERY_NEGATIVE",
        }
    }
}

impl TryFrom<&str> for Rating {
    type Error = Error;

    fn try_from(word: &str) -> Result<Self> {
        let rating = [Rating::Positive, Rating::Negative, Rating::VeryNegative].into_iter();
        rating.into_iter().find(|rating| rating.as_str() == word).ok_or_else(|| {
            Error::invalid("`feedback` is `POSITIVE`, `NEGATIVE`, `VERY_NEGATIVE`, or null to take it back.")
        })
    }
}

/// A rating with its reason; neither, where nobody has said anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// How good.
    #[serde(default)]
    pub feedback: Option<Rating>,
    /// Why.
    #[serde(default)]
    pub feedback_reason: Option<String>,
}

impl Feedback {
    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        let Some(reason) = &self.feedback_reason else { return Ok(()) };
        if reason.contains('\0') {
            return Err(Error::invalid("`feedback_reason` holds the character U+0000, which cannot be kept."));
        }
        limit::FEEDBACK_BYTES.check(reason.len())
    }
}
