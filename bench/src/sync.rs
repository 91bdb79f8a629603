//! What one sync of this disk takes: the unit of everything durable.

use std::io::Write;
use std::time::Instant;

use crate::Options;
use crate::report::{Report, median, quantile};
use crate::server::scratch;

pub fn measure(options: &Options, report: &mut Report) {
    let directory = scratch(options);
    let mut file = std::fs::File::create(directory.path().join("sync")).expect("a file");
    let block = [7; 4096];
    let mut times: Vec<f64> = (0..400)
        .map(|_| {
            file.write_all(&block).expect("written");
            let began = Instant::now();
            file.sync_data().expect("synced");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.figure("fdatasync of 4 KiB, median", median(&mut times), "ms");
    report.figure("fdatasync of 4 KiB, p99", quantile(&mut times, 0.99), "ms");
}
