//! Panics that say what was being done.

use std::fmt::Display;

pub trait OrFail<T> {
    /// What is inside, or the end of the test with the reason.
    fn or_fail(self, doing: impl Display) -> T;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    #[track_caller]
    fn or_fail(self, doing: impl Display) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("testbed: {doing}: {error}"),
        }
    }
}

impl<T> OrFail<T> for Option<T> {
    #[track_caller]
    fn or_fail(self, doing: impl Display) -> T {
        match self {
            Some(value) => value,
            None => panic!("testbed: {doing}"),
        }
    }
}
