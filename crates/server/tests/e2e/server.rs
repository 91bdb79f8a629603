//! The program as a process: started on a free port, listened to, stopped by its number.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The program.
const LOCULE: &str = env!("CARGO_BIN_EXE_locule");

/// How long a start or an end may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    child: Child,
    /// Where users and services connect.
    pub public: SocketAddr,
    /// Where operators connect.
    pub operators: SocketAddr,
}

/// The program with these settings (`LOCULE_…`) and with nothing of this process's own.
pub fn program(data: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(LOCULE);
    command.env_clear().env("LOCULE_DATA", data).envs(settings.iter().copied()).current_dir(data.parent().unwrap());
    command.stdin(Stdio::null());
    command
}

/// Runs one command to its end.
pub fn run(data: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    program(data, settings).args(arguments).output().unwrap()
}

impl Server {
    /// Starts one and waits until it listens. Every line it writes goes into `log`.
    pub fn start(data: &Path, settings: &[(&str, &str)], log: &Arc<Mutex<Vec<String>>>) -> Self {
        let mut command = program(data, settings);
        command.args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (heard, hearing) = channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        keep(out, log.clone(), heard.clone());
        keep(err, log.clone(), heard);
        let mut addresses = Vec::new();
        let begun = Instant::now();
        while addresses.len() < 2 {
            let line = hearing.recv_timeout(PATIENCE.saturating_sub(begun.elapsed()));
            let line = line.unwrap_or_else(|_| panic!("no server: {:?}", log.lock().unwrap()));
            addresses.extend(addresses_in(&line));
        }
        Server { child, public: addresses[0], operators: addresses[1] }
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How many bytes of memory it holds.
    pub fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Asks it to end.
    pub fn ask_to_stop(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the server does not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(from: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>, heard: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            log.lock().unwrap().push(line.clone());
            let _ = heard.send(line);
        }
    });
}

/// Every `127.0.0.1:port` of a line.
fn addresses_in(line: &str) -> Vec<SocketAddr> {
    let starts = line.match_indices("127.0.0.1:").map(|(start, _)| start);
    let ends = |start: usize| {
        let digits = line[start + 10..].bytes().take_while(u8::is_ascii_digit).count();
        line[start..start + 10 + digits].parse().ok()
    };
    starts.filter_map(ends).collect()
}
