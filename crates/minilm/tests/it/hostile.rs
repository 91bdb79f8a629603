//! Any text has a vector; none can make the call panic or grow without bound.

use crate::{MODEL, is_unit};

#[test]
fn odd_texts_have_vectors() {
    let texts = [
        "",
        " ",
        "\t\r\n",
        "\u{3000}\u{a0}",
        "\0",
        "\u{1}\u{1b}[31m\u{7f}",
        "\u{301}",
        "\u{301}\u{302}",
        "\u{feff}",
        "\u{200d}",
        "\u{fffd}",
        "\u{e000}",
        "\u{10ffff}",
        "\u{202e}abc",
        "\u{fdfa}",
        "🏳️‍🌈",
        "[CLS]",
        "[SEP][PAD]",
        "##",
        "\u{110cd}",
    ];
    for text in texts {
        assert!(is_unit(&MODEL.embed(text)), "{text:?}");
    }
}

#[test]
fn texts_without_words_are_as_the_empty_text() {
    let empty = MODEL.embed("");
    for text in [" ", "\n\n", "\0\0", "\u{200b}", "\u{301}\u{301}"] {
        assert_eq!(MODEL.embed(text), empty, "{text:?}");
    }
}

#[test]
fn what_follows_the_last_token_that_counts_does_not_matter() {
    let start = "word ".repeat(300);
    let longer = format!("{start} and something else");
    assert_eq!(MODEL.embed(&start), MODEL.embed(&longer));
}

#[test]
fn a_megabyte_of_anything_has_a_vector() {
    for pattern in ["word ", "a", " ", "\u{301}", "e\u{301}\u{323}", "\0", "中", ".", "\u{fdfa}", "한", "[SEP]"] {
        let text = pattern.repeat((1 << 20) / pattern.len());
        assert!(is_unit(&MODEL.embed(&text)), "{pattern:?}");
    }
}
