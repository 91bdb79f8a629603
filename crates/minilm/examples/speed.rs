//! How long loading and embedding take on one core: the median and the least of several runs.
//!
//! `cargo run --release -p locule-minilm --example speed`

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::hint::black_box;
use std::time::Instant;

use locule_minilm::{LoadError, Model};

const RUNS: usize = 48;

const SHORT: [&str; 16] = [
    "I'm allergic to peanuts",
    "My sister lives in Lisbon with two cats",
    "Prefers window seats on long flights",
    "The standup is at nine every weekday",
    "What did she say about the new flat",
    "He is learning to play the cello",
    "Never deploy on a Friday afternoon",
    "Our dog is called Biscuit",
    "I work as a carpenter",
    "Her favourite tea is plain green sencha",
    "They moved from Oslo to Ghent in May",
    "Always answer me in short sentences please",
    "Runs ten kilometres before breakfast on Sundays",
    "The spare key is under the blue pot",
    "which food should I avoid",
    "My thesis is about medieval bridges",
];

/// 129 words.
const LONG: &str = "Last spring we rented a narrow house near the harbour, because the old flat had become \
    too small for four people and a loud parrot. The move took three days; a neighbour lent us his van, and \
    my brother carried most of the books up the stairs without a single complaint. Since then I cycle to the \
    office along the canal, which takes twenty minutes when the bridge is down and forty when a barge goes \
    through. On Thursdays I leave early to fetch the children from their swimming lesson, so please do not \
    plan meetings after three. The doctor told me to drink less coffee and to walk more, and I try, with \
    mixed success. In autumn we hope to plant two pear trees behind the kitchen window.";

fn main() -> Result<(), LoadError> {
    let model = Model::embedded()?;
    let batch: Vec<&str> = SHORT.iter().cycle().take(128).copied().collect();

    report("load, ms", |_| {
        black_box(Model::embedded().is_ok());
    });
    report("short text (6.5 words), ms", |run| {
        black_box(model.embed(SHORT[run % SHORT.len()]));
    });
    report("long text (129 words), ms", |_| {
        black_box(model.embed(LONG));
    });
    report("128 short texts at once, ms", |_| {
        black_box(model.embed_batch(&batch));
    });
    Ok(())
}

/// The least says what the code can do, the median what the machine gave it just now.
fn report(what: &str, mut run: impl FnMut(usize)) {
    let mut times_ms: Vec<f64> = (0..RUNS)
        .map(|index| {
            let start = Instant::now();
            run(index);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times_ms.sort_by(f64::total_cmp);
    println!("{what:30} median {:8.2}   least {:8.2}", times_ms[RUNS / 2], times_ms[0]);
}
