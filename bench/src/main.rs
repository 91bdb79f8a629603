//! Measures Locule: over HTTP with authentication, and as a library; each figure beside the aim it is held to.
//!
//! Everything runs on this machine in one go, so that figures can be read as ratios. CPU is the server process's own, as
//! the kernel accounts it; the client's is not in it.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod adding;
mod client;
mod cold;
mod data;
mod embedding;
mod endpoint;
mod fairness;
mod fleet;
mod mem0;
mod postgres;
mod quality;
mod report;
mod searching;
mod server;
mod sync;

use std::path::PathBuf;

use clap::Parser;

/// Measure Locule on this machine.
#[derive(Parser)]
pub struct Options {
    /// The server to measure.
    #[arg(long, default_value = "target/release/locule")]
    server: PathBuf,
    /// Where to keep data meanwhile: on the disk whose syncs are to count.
    #[arg(long, default_value = ".")]
    scratch: PathBuf,
    /// Seconds for each figure.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many users the fleet has.
    #[arg(long, default_value_t = 10_000)]
    users: usize,
    /// The largest space, in memories.
    #[arg(long, default_value_t = 100_000)]
    largest: usize,
    /// Only the parts whose name begins so.
    #[arg(long)]
    only: Option<String>,
    /// Write all figures here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Figures of neighbours, as `others/neighbours.py` printed them, to stand beside ours.
    #[arg(long)]
    neighbours: Option<PathBuf>,
    /// A Python that has `mem0ai`, to measure mem0's library beside its client against us.
    #[arg(long)]
    mem0: Option<PathBuf>,
}

/// Measures one thing and puts its figures into the report.
type Part = fn(&Options, &mut report::Report);

fn main() {
    let options = Options::parse();
    let mut report = report::Report::new();
    let parts: [(&str, Part); 10] = [
        ("sync", sync::measure),
        ("search", searching::measure),
        ("add", adding::measure),
        ("cold", cold::measure),
        ("embedding", embedding::measure),
        ("quality", quality::measure),
        ("fairness", fairness::measure),
        ("fleet", fleet::measure),
        ("postgres", postgres::measure),
        ("mem0", mem0::measure),
    ];
    for (name, measure) in parts {
        if options.only.as_deref().is_none_or(|only| name.starts_with(only)) {
            eprintln!("measuring: {name}");
            measure(&options, &mut report);
        }
    }
    if let Some(path) = &options.neighbours {
        report.neighbours(path);
    }
    report.print();
    if let Some(path) = &options.json {
        report.write(path);
    }
}
