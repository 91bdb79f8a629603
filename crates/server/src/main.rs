//! The program `locule`.
#![forbid(unsafe_code)]

mod app;
mod cmd;
mod config;
mod extract;
mod layer;
mod mem0;
mod metrics;
mod native;
mod openapi;
mod operator;
mod patience;
mod pool;
mod problem;
mod routes;
mod serve;
mod streams;

use std::process::ExitCode;

fn main() -> ExitCode {
    cmd::run()
}
