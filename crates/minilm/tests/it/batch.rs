//! A text has one vector, whatever its company.

use crate::{MODEL, is_unit};

const TEXTS: [&str; 7] = [
    "I'm allergic to peanuts",
    "",
    "The quarterly report shows revenue growing 12% year over year, driven by renewals.",
    "ok",
    "Она играет на скрипке по вечерам",
    "Our dog is called Biscuit",
    "fn main() { println!(\"hi\"); }",
];

#[test]
fn a_batch_gives_what_single_texts_give() {
    let single: Vec<Vec<f32>> = TEXTS.iter().map(|text| MODEL.embed(text)).collect();
    assert_eq!(MODEL.embed_batch(&TEXTS), single);
    assert!(single.iter().all(|vector| is_unit(vector)));
}

#[test]
fn order_does_not_matter() {
    let mut reversed = TEXTS;
    reversed.reverse();
    let mut vectors = MODEL.embed_batch(&reversed);
    vectors.reverse();
    assert_eq!(vectors, MODEL.embed_batch(&TEXTS));
}

#[test]
fn a_batch_larger_than_one_pass_keeps_its_order() {
    let long = "one more rather long text, with commas; ".repeat(40);
    let texts: Vec<&str> =
        TEXTS.into_iter().chain([long.as_str(), long.as_str(), "between", long.as_str()]).cycle().take(40).collect();
    let vectors = MODEL.embed_batch(&texts);
    assert_eq!(vectors.len(), texts.len());
    for (index, text) in texts.iter().enumerate().take(11) {
        assert_eq!(vectors[index], MODEL.embed(text), "{index}");
    }
    for index in 11..texts.len() {
        assert_eq!(vectors[index], vectors[index - 11], "{index}");
    }
}

#[test]
fn no_texts_have_no_vectors() {
    assert!(MODEL.embed_batch(&[]).is_empty());
}
