//! Nothing outlives the test that started it.

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use locule_testbed::{Flavour, PgBouncer, Postgres, Setup};

#[test]
fn a_service_ends_with_its_value_frozen_or_not_and_when_the_test_panics() {
    for panics in [false, true] {
        let mut left = None;
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
            let pool = PgBouncer::start(&postgres, 1, &[]);
            left = Some(Left::of(&postgres));
            postgres.freeze();
            pool.freeze();
            assert!(!panics, "as it must");
        }));
        left.unwrap().is_gone();
    }
}

#[test]
fn a_killed_test_program_leaves_nothing_running_and_nothing_on_disk() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "end::a_program_that_will_be_killed", "--nocapture"])
        .env(KILLED, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let directory =
        lines.map(Result::unwrap).find_map(|line| Some(line.split_once("directory: ")?.1.to_owned())).unwrap();
    let left = Left { directory: PathBuf::from(directory) };
    assert!(!left.processes().is_empty());

    child.kill().unwrap();
    child.wait().unwrap();
    left.is_gone();
    Left { directory: left.directory.parent().unwrap().to_owned() }.is_gone();
}

const KILLED: &str = "LOCULE_TESTBED_KILLED";

/// What the test above runs in a process of its own; by itself it does nothing.
#[test]
fn a_program_that_will_be_killed() {
    if env::var_os(KILLED).is_none() {
        return;
    }
    let postgres = Postgres::start(Flavour::Debian15);
    let _pool = PgBouncer::start(&postgres, 1, &[]);
    // A frozen backend does not notice that its postmaster is gone.
    postgres.freeze();
    println!("directory: {}", postgres.socket_dir().display());
    sleep(Duration::from_secs(600));
}

/// What a service might leave.
struct Left {
    directory: PathBuf,
}

impl Left {
    fn of(postgres: &Postgres) -> Left {
        let left = Left { directory: postgres.socket_dir().to_owned() };
        assert!(!left.processes().is_empty());
        left
    }

    /// By their command lines, in which PostgreSQL's show the last two parts of the directory.
    fn processes(&self) -> Vec<String> {
        let parent = self.directory.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
        let mark = format!("{parent}/{}", self.directory.file_name().unwrap().to_str().unwrap());
        let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).into_owned())
        });
        lines.filter(|line| line.contains(&mark)).collect()
    }

    fn is_gone(&self) {
        let begin = Instant::now();
        while !self.processes().is_empty() || self.directory.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "left: {:?}", self.processes());
            sleep(Duration::from_millis(20));
        }
    }
}
