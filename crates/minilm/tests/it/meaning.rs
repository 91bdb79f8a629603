//! Nearness is nearness of meaning, not of words.

use crate::{MODEL, cosine};

#[test]
fn a_question_is_nearest_to_the_memory_that_answers_it() {
    let memories = [
        "I'm allergic to peanuts",
        "I work as a carpenter",
        "My daughter was born in Lisbon",
        "The car needs new winter tyres",
    ];
    let questions = [
        "what food should I avoid",
        "what is my job",
        "where does my child come from",
        "what should I buy before it snows",
    ];
    let memories = MODEL.embed_batch(&memories);
    for (index, question) in questions.iter().enumerate() {
        let question_vector = MODEL.embed(question);
        let nearest = (0..memories.len()).max_by(|left, right| {
            cosine(&memories[*left], &question_vector).total_cmp(&cosine(&memories[*right], &question_vector))
        });
        assert_eq!(nearest, Some(index), "{question}");
    }
}
