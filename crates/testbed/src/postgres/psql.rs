//! SQL for fixtures, through `psql`: a testbed needs no driver.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fail::OrFail;
use crate::service::plain_environment;

/// What the statements answer, a line for each row and `|` between columns, or what psql complained of.
///
/// `target` is a database's name or a whole `postgres://` address. Each statement stands alone, as `CREATE DATABASE` wants.
pub fn run(programs: &Path, environment: &[(&str, &str)], target: &str, sql: &str) -> Result<String, String> {
    let mut child = Command::new(programs.join("psql"))
        .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", target])
        .env_clear()
        .envs(plain_environment())
        .env("PGCONNECT_TIMEOUT", "30")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_fail("starting psql");
    let mut input = child.stdin.take().or_fail("psql reads");
    // A psql that cannot connect ends without reading; what it says about that comes below.
    let _ = input.write_all(sql.as_bytes());
    drop(input);
    let output = child.wait_with_output().or_fail("waiting for psql");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
