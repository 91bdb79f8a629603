//! A server to measure: started on a free port with its own data, and stopped.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Options;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    data: PathBuf,
    program: PathBuf,
    settings: Vec<(&'static str, String)>,
    _scratch: Option<TempDir>,
}

impl Server {
    /// A server over fresh data.
    pub fn fresh(options: &Options) -> Self {
        let scratch = scratch(options);
        let data = scratch.path().join("data");
        run(&options.server, &["init", "--data", &data.display().to_string()]);
        let mut server = Server::over(options, &data);
        server._scratch = Some(scratch);
        server
    }

    /// A server over data that is there.
    pub fn over(options: &Options, data: &Path) -> Self {
        Server::with(options, data, &[])
    }

    /// The same, set up so.
    pub fn with(options: &Options, data: &Path, settings: &[(&'static str, String)]) -> Self {
        let (address, operators) = (free(), free());
        let child = Command::new(&options.server)
            .args(["serve", "--data", &data.display().to_string(), "--listen", &address.to_string()])
            .args(["--operator-listen", &operators.to_string()])
            .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Server {
            child,
            address,
            data: data.to_owned(),
            program: options.server.clone(),
            settings: settings.to_vec(),
            _scratch: None,
        };
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < patience, "the server does not accept");
            std::thread::sleep(Duration::from_micros(200));
        }
        server
    }

    pub fn token(&self, user: &str) -> String {
        let output = Command::new(&self.program)
            .args(["token", user, "--data", &self.data.display().to_string()])
            .envs(self.settings.iter().map(|(name, value)| (*name, value.as_str())))
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// CPU seconds the server has used, as the kernel accounts them.
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server lives");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        // SAFETY: asks for a number.
        ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
    }

    pub fn resident_bytes(&self) -> f64 {
        resident_bytes(self.child.id())
    }

    pub fn files_open(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: signals the child that this value started and still owns.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

pub fn resident_bytes(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) * 1024.0
}

pub fn scratch(options: &Options) -> TempDir {
    tempfile::Builder::new().prefix("locule-bench-").tempdir_in(&options.scratch).expect("a scratch directory")
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

pub fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
