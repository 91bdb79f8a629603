//! mem0's own clients, as they are published, against the real server: `compat/mem0` installs them and has what they do, and
//! [`checklist`] what has to come of it.
//!
//! They run as somebody who may do little, in an empty folder, with nothing of this process's environment, and with their
//! telemetry off.

mod checklist;
mod moving;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::house::House;

/// The clients' environments, installed now if they are not there.
fn installed() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compat-mem0");
        let output = Command::new("bash").arg(scripts().join("install")).arg(target).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compat/mem0")
}

/// A program as somebody who may do little, in this folder, which is theirs.
fn lowly(program: &Path, folder: &Path) -> Command {
    locule_testbed::hand_over(folder);
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command.env("MEM0_TELEMETRY", "false").env("PYTHONDONTWRITEBYTECODE", "1");
    locule_testbed::lower(&mut command);
    command
}

/// A copy of a file that they may read.
fn put(file: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(file.file_name().unwrap());
    std::fs::copy(file, &copy).unwrap();
    locule_testbed::hand_over(&copy);
    copy
}

/// Who uses a client.
#[derive(Clone, Copy)]
enum Kind {
    /// A service's key, which names the user.
    Service,
    /// The user's own token.
    User,
}

/// A client with somebody's credential.
struct Client<'a> {
    house: &'a House,
    kind: Kind,
    user: &'static str,
    credential: String,
    settings: Vec<(&'static str, String)>,
}

impl<'a> Client<'a> {
    fn of(house: &'a House, kind: Kind) -> Self {
        let user = "alice-123";
        let credential = match kind {
            Kind::Service => house.service_key("*"),
            Kind::User => house.token(user),
        };
        Client { house, kind, user, credential, settings: Vec::new() }
    }

    fn host(&self) -> String {
        format!("http://{}/mem0", self.house.nobody().address())
    }

    /// Runs a program on one of the scripts, or on no script, in a folder of its own.
    fn run(&self, program: &Path, script: Option<&str>, arguments: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let mut command = lowly(program, folder.path());
        if let Some(script) = script {
            let copy = put(&scripts().join(script), folder.path());
            command.arg(copy).args([&self.host(), &self.credential, self.user]);
        }
        command.args(arguments).env("COLUMNS", "200").env("OTHER", "bob-456");
        command
            .env("MODULES", program_home(program))
            .env("MEM0_BASE_URL", self.host())
            .env("MEM0_API_KEY", &self.credential);
        command.env("KIND", if matches!(self.kind, Kind::Service) { "service" } else { "user" });
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    }

    /// Runs a script of Python or Node to its end, which says that all went well.
    fn tell(&self, environment: &str, script: &str, arguments: &[&str]) {
        let home = installed().join(environment);
        let output = if script.ends_with(".py") {
            self.run(&home.join("bin/python"), Some(script), arguments)
        } else {
            self.with("MODULES", &home.display().to_string()).run(Path::new("node"), Some(script), arguments)
        };
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let last: Vec<&str> = err.lines().rev().take(25).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        assert!(
            output.status.success() && out.trim_end().ends_with("ok"),
            "{script} {arguments:?}: {out}\n{}",
            last.join("\n")
        );
    }

    fn with(&self, name: &'static str, value: &str) -> Client<'a> {
        let mut settings = self.settings.clone();
        settings.push((name, value.to_owned()));
        Client { house: self.house, kind: self.kind, user: self.user, credential: self.credential.clone(), settings }
    }
}

fn program_home(program: &Path) -> PathBuf {
    program.parent().unwrap_or(Path::new(".")).to_owned()
}
