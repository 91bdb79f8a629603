//! An empty cluster that is copied.
//!
//! `initdb` takes a second, a copy of what it made a tenth of one. So it runs once for each version and account, and its
//! work is kept beside the build.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::setup::Flavour;
use crate::fail::OrFail;
use crate::service::Service;
use crate::{account, place};

/// The superuser comes in through the socket's directory, which is closed to others; everybody else has a password.
const HBA: &str = "\
local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
local replication all scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
";

/// Puts an empty cluster at `data`, in the directory of `service`.
pub fn copy(flavour: Flavour, service: &Service, data: &Path) {
    let kept = kept(flavour, service);
    duplicate(&kept, data);
}

fn kept(flavour: Flavour, service: &Service) -> PathBuf {
    // Tests start side by side; one of them makes the template.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);

    let path = place::folder().join(format!("template-{}-{}", version(flavour), account::uid()));
    if !path.exists() {
        make(flavour, service, &path);
    }
    path
}

fn make(flavour: Flavour, service: &Service, path: &Path) {
    let fresh = service.directory().join("template");
    let arguments = ["-D".into(), fresh.clone().into_os_string()].into_iter();
    let rest = ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    let arguments: Vec<OsString> = arguments.chain(rest.map(OsString::from)).collect();
    service.complete(&flavour.programs().join("initdb"), &arguments);
    // The file is there and stays its owner's.
    fs::write(fresh.join("pg_hba.conf"), HBA).or_fail("writing pg_hba.conf");

    fs::create_dir_all(place::folder()).or_fail("making target/testbed");
    let beside = path.with_extension(std::process::id().to_string());
    duplicate(&fresh, &beside);
    // Whole or not at all; if another program was faster, its own serves as well.
    if fs::rename(&beside, path).is_err() {
        let _ = fs::remove_dir_all(&beside);
    }
    let _ = fs::remove_dir_all(&fresh);
    path.exists().then_some(()).or_fail(format_args!("{} was not made", path.display()));
}

/// With owners and modes, which PostgreSQL insists on.
fn duplicate(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg("--reflink=auto").arg(from).arg(to).status().or_fail("running cp");
    status.success().then_some(()).or_fail(format_args!("copying {} to {}", from.display(), to.display()));
}

/// As "15.20": another one may have another catalogue.
fn version(flavour: Flavour) -> String {
    let program = flavour.programs().join("postgres");
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .or_fail(format_args!("running {} (.ci/services installs it)", program.display()));
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    line.split_whitespace().nth(2).or_fail("reading the version of postgres").to_owned()
}
