//! The directory of this test program, and the warden who removes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::fail::OrFail;

const PREFIX: &str = "locule-testbed-";

/// What this test program has on disk.
pub struct Run {
    pub directory: PathBuf,
    pub name: String,
    // Its standard input is the end it waits for: the kernel closes it when this program is gone.
    _warden: Child,
}

pub fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        sweep();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir()
            .or_fail("making a temporary directory")
            // Statics are never dropped: the warden removes it.
            .keep();
        // Services run as somebody else must be able to come through; their own directories are closed.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).or_fail("opening the directory");
        let name = name_of(&directory);
        let _warden = warden(&directory, &name);
        Run { directory, name, _warden }
    })
}

fn warden(directory: &Path, name: &str) -> Child {
    // Apart from this program's session, so that what ends the tests (Ctrl-C, a time limit) leaves the warden its work.
    Command::new("setsid")
        .args(["sh", "-c", include_str!("warden.sh"), "locule-testbed-warden"])
        .arg(directory)
        .arg(name)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .or_fail("starting `setsid sh`")
}

/// What programs left whose warden was killed too.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for directory in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if owner(&name_of(&directory)).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Its input is closed at once, which is what it waits for.
            let mut warden = warden(&directory, &name_of(&directory));
            drop(warden.stdin.take());
            let _ = warden.wait();
        }
    }
}

fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

pub fn name_of(directory: &Path) -> String {
    directory.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}
