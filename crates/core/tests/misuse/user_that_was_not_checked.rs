//! A user's name is text only after it has been checked, and so is an issuer's.
use locule_core::id::{Issuer, Subject};

fn unchecked(text: String) -> (Subject, Issuer) {
    (Subject(text.clone()), Issuer(text))
}

fn from_json(body: &str) -> Subject {
    serde_json::from_str(body).unwrap()
}

fn main() {}
