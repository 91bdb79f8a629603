//! One service: a directory of its own and the program that runs in it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::fail::OrFail;
use crate::run::{name_of, run};
use crate::{account, process};

pub struct Service {
    directory: PathBuf,
    mark: String,
    child: Mutex<Option<Child>>,
}

impl Service {
    /// A directory that belongs to the account services run as, and nothing in it.
    pub fn new(kind: &str) -> Service {
        Service::placed(kind, true)
    }

    /// On the disk, or anywhere.
    pub fn placed(kind: &str, on_disk: bool) -> Service {
        let run = run();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{kind}-"))
            .tempdir_in(run.directory(on_disk))
            .or_fail(format_args!("making a directory for {kind}"))
            .keep();
        account::hand_over(&directory);
        let mark = format!("{}/{}", run.name, name_of(&directory));
        Service { directory, mark, child: Mutex::new(None) }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What stands in the command line of all its processes.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// A file of the service, readable by it alone.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, content).or_fail(format_args!("writing {name}"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).or_fail(format_args!("closing {name}"));
        account::hand_over(&path);
        path
    }

    /// A command that runs as the service does and writes to its log. Nothing of the tests' environment reaches it: a
    /// `PGOPTIONS` of whoever runs them is not what is tested.
    pub fn command(&self, program: &Path) -> Command {
        program.exists().then_some(()).or_fail(format_args!("there is no {}: run .ci/services", program.display()));
        let log = || {
            let file = OpenOptions::new().create(true).append(true).open(self.log_path()).or_fail("opening a log");
            Stdio::from(file)
        };
        // Away from the terminal: see `process`.
        let mut command = Command::new("setsid");
        command.arg(program).current_dir(&self.directory).env_clear().envs(plain_environment());
        command.stdin(Stdio::null()).stdout(log()).stderr(log());
        account::lower(&mut command);
        command
    }

    /// Runs a command to its end, which must be a good one.
    pub fn complete(&self, program: &Path, arguments: &[OsString]) {
        let status =
            self.command(program).args(arguments).status().or_fail(format_args!("running {}", program.display()));
        status.success().then_some(()).or_fail(format_args!("{} failed:\n{}", program.display(), self.log()));
    }

    /// Starts the program and waits until it is ready, by what it has logged since or by anything else. If it is not, it is
    /// ended, and the error is what it logged.
    pub fn launch(
        &self,
        mut command: Command,
        at_most: Duration,
        is_ready: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let before = self.log().len();
        let logged = || self.log().split_off(before);
        let mut child = self.child();
        child.is_none().then_some(()).or_fail(format_args!("{} is already running", self.mark));
        *child = Some(command.spawn().or_fail(format_args!("starting {}", self.mark)));
        drop(child);

        process::wait(at_most, || is_ready(&logged()) || !self.is_running());
        if self.is_running() && is_ready(&logged()) {
            return Ok(());
        }
        self.kill();
        Err(format!("{} did not become ready:\n{}", self.mark, logged()))
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(child) = self.child().as_ref() {
            process::signal(pid_of(child), signal);
        }
    }

    /// Whether the program that was launched is still there.
    pub fn is_running(&self) -> bool {
        self.child().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn pid(&self) -> Option<Pid> {
        self.child().as_ref().map(pid_of)
    }

    pub fn processes(&self) -> Vec<Pid> {
        process::marked(&self.mark)
    }

    /// Asks it to end with this signal; what is still there after a while is killed.
    pub fn stop(&self, signal: Signal, at_most: Duration) {
        self.signal(signal);
        process::wait(at_most, || !self.is_running());
        self.kill();
    }

    pub fn kill(&self) {
        process::kill_all(&self.mark);
        if let Some(mut child) = self.child().take() {
            let _ = child.wait();
        }
    }

    pub fn freeze(&self) {
        process::freeze(&self.mark);
    }

    pub fn thaw(&self) {
        process::thaw(&self.mark);
    }

    // A test that panicked while it held the lock has left nothing half done.
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        // A second or two where the disk is told of every block that is free. If the program ends meanwhile, the warden goes on.
        let directory = std::mem::take(&mut self.directory);
        thread::spawn(move || fs::remove_dir_all(directory));
    }
}

/// The same on every machine.
pub fn plain_environment() -> [(&'static str, &'static str); 2] {
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8")]
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}
