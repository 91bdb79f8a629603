//! The program `locule`.
#![forbid(unsafe_code)]

mod app;
mod extract;
mod layer;
mod metrics;
mod native;
mod openapi;
mod operator;
mod pool;
mod problem;

fn main() {}
