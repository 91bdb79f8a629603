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
use crate::run::run;
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
    // Tests start side by side; one of them makes the template.
    static MAKING: Mutex<()> = Mutex::new(());
    let making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("template-{}-{}", version(flavour), account::uid());
    let kept = place::folder().join(&name);
    // Kept for this run alone if the checkout may only be read.
    let own = run().directory(true).join(&name);
    let template = match [&kept, &own].into_iter().find(|path| path.exists()) {
        Some(path) => path,
        None => {
            let fresh = make(flavour, service);
            let path = if keep(&fresh, &kept).is_ok() { &kept } else { &own };
            if path == &own {
                duplicate(&fresh, &own).or_fail("keeping an empty cluster");
            }
            let _ = fs::remove_dir_all(&fresh);
            path
        }
    };
    drop(making);
    duplicate(template, data).or_fail("copying an empty cluster");
}

/// An empty cluster, in the directory of a service.
fn make(flavour: Flavour, service: &Service) -> PathBuf {
    let fresh = service.directory().join("template");
    let arguments = ["-D".into(), fresh.clone().into_os_string()].into_iter();
    let rest = ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    let arguments: Vec<OsString> = arguments.chain(rest.map(OsString::from)).collect();
    service.complete(&flavour.programs().join("initdb"), &arguments);
    // The file is there and stays its owner's.
    fs::write(fresh.join("pg_hba.conf"), HBA).or_fail("writing pg_hba.conf");
    fresh
}

/// Whole or not at all. If another program was faster, its own serves as well.
fn keep(fresh: &Path, kept: &Path) -> Result<(), String> {
    fs::create_dir_all(place::folder()).map_err(|error| error.to_string())?;
    let beside = kept.with_extension(format!("{}.new", std::process::id()));
    let copied = duplicate(fresh, &beside);
    let _ = fs::rename(&beside, kept);
    let _ = fs::remove_dir_all(&beside);
    if kept.exists() { Ok(()) } else { copied.and(Err("it was not renamed".to_owned())) }
}

/// With owners and modes, which PostgreSQL insists on.
fn duplicate(from: &Path, to: &Path) -> Result<(), String> {
    let mut copy = Command::new("cp");
    let output = copy.args(["-a", "--reflink=auto"]).arg(from).arg(to).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
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
