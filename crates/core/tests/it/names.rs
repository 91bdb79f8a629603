//! Two people are one only if issuer and subject are equal to the byte.

use locule_core::id::{Identity, Issuer, Subject};
use proptest::prelude::*;

/// Names that something, somewhere, takes for one another.
const CONFUSABLE: &[&str] = &[
    "alice",
    "Alice",
    "ALICE",
    "alice.",
    "alice/",
    "alice\\",
    "a",
    "al",
    "b",
    "1",
    "01",
    "1.0",
    "1e0",
    "-",
    "--",
    "*",
    "%",
    "null",
    "undefined",
    "true",
    "...",
    "../alice",
    "alice/..",
    "./alice",
    "CON",
    "con",
    "aux.txt",
    "NUL",
    "a:b",
    "a::b",
    "é",
    "ė",
    "ı",
    "i",
    "ﬁ",
    "fi",
    "ß",
    "ss",
    "\u{202e}ecila",
    "a\u{200b}lice",
    "а",
    "😀",
    "' OR 1=1 --",
    "$1",
    "a b",
];

fn bytes(issuer: &str, subject: &str) -> Option<Vec<u8>> {
    let identity = Identity { issuer: Issuer::try_from(issuer).ok()?, subject: Subject::try_from(subject).ok()? };
    Some(identity.to_bytes())
}

#[test]
fn names_that_look_alike_are_different_people() {
    for one in CONFUSABLE {
        for other in CONFUSABLE {
            let (one_bytes, other_bytes) = (bytes("locule", one), bytes("locule", other));
            assert!(one_bytes.is_some(), "{one:?} is a name");
            assert_eq!(one == other, one_bytes == other_bytes, "{one:?} and {other:?}");
        }
    }
}

#[test]
fn names_with_a_long_common_beginning_are_different_people() {
    let long = "x".repeat(254);
    assert_ne!(bytes("locule", &format!("{long}a")), bytes("locule", &format!("{long}b")));
    assert_ne!(bytes("locule", &long), bytes("locule", &format!("{long}x")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_refused_or_kept_to_the_byte(text in any::<String>()) {
        if let Ok(subject) = Subject::try_from(text.as_str()) {
            prop_assert_eq!(subject.as_str(), &text);
        }
        if let Ok(issuer) = Issuer::try_from(text.as_str()) {
            prop_assert_eq!(issuer.as_str(), &text);
        }
    }

    #[test]
    fn two_pairs_share_their_bytes_only_if_they_are_one(
        one in ("\\PC{1,6}", "\\PC{1,6}"), other in ("\\PC{1,6}", "\\PC{1,6}"),
    ) {
        if let (Some(one_bytes), Some(other_bytes)) = (bytes(&one.0, &one.1), bytes(&other.0, &other.1)) {
            prop_assert_eq!(one == other, one_bytes == other_bytes);
        }
    }

    /// The hardest pairs: one text, cut in two places.
    #[test]
    fn moving_letters_between_issuer_and_subject_makes_another_person(text in "[ab]{2,9}", cuts in (1usize..9, 1usize..9)) {
        let cut = |at: usize| text.split_at(at.min(text.len() - 1));
        let (one, other) = (cut(cuts.0), cut(cuts.1));
        prop_assert_eq!(one == other, bytes(one.0, one.1) == bytes(other.0, other.1));
    }

    #[test]
    fn the_bytes_give_the_pair_back((issuer, subject) in ("\\PC{1,40}", "\\PC{1,40}")) {
        if let Some(bytes) = bytes(&issuer, &subject) {
            let part = |bytes: &[u8]| {
                let (length, rest) = bytes.split_at(4);
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
                (String::from_utf8(rest[..length].to_vec()).unwrap(), rest[length..].to_vec())
            };
            let (read_issuer, rest) = part(&bytes);
            let (read_subject, rest) = part(&rest);
            prop_assert_eq!((read_issuer, read_subject, rest), (issuer, subject, vec![]));
        }
    }
}
