//! The directory of this test program, and the warden who removes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::statvfs::statvfs;

use crate::fail::OrFail;

const PREFIX: &str = "locule-testbed-";

/// What this test program has on disk.
pub struct Run {
    pub name: String,
    directory: PathBuf,
    /// In memory, if the machine keeps files there and has room.
    in_memory: Option<PathBuf>,
    // Its standard input is the end it waits for: the kernel closes it when this program is gone.
    _warden: Child,
}

impl Run {
    /// Where services have their directories: on the disk, or where it need not be, where files are made ten times as fast.
    pub fn directory(&self, on_disk: bool) -> &Path {
        if on_disk { &self.directory } else { self.in_memory.as_ref().unwrap_or(&self.directory) }
    }
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
        let name = name_of(&directory);
        let _warden = warden(&directory, &name);
        let in_memory = has_room(Path::new(MEMORY)).then(|| Path::new(MEMORY).join(&name));
        if let Some(path) = &in_memory {
            fs::create_dir(path).or_fail(format_args!("making {}", path.display()));
        }
        // Services run as somebody else must be able to come through; their own directories are closed.
        for path in [&directory].into_iter().chain(&in_memory) {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).or_fail("opening a directory");
        }
        Run { name, directory, in_memory, _warden }
    })
}

const MEMORY: &str = "/dev/shm";

/// For some twenty clusters. Containers often have 64 MiB there, which is not enough for two.
fn has_room(path: &Path) -> bool {
    statvfs(path).is_ok_and(|space| space.blocks_available() * space.fragment_size() > 1 << 30)
}

fn warden(directory: &Path, name: &str) -> Child {
    // Apart from this program's session, so that what ends the tests (Ctrl-C, a time limit) leaves the warden its work.
    Command::new("setsid")
        .args(["sh", "-c", include_str!("warden.sh"), "locule-testbed-warden"])
        .arg(directory)
        .arg(name)
        .arg(MEMORY)
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
