//! The store in which Patroni keeps who leads.

use std::path::Path;
use std::time::Duration;

use crate::port;
use crate::service::Service;

const PROGRAM: &str = "/usr/bin/etcd";

/// One etcd, of one member.
pub struct Etcd {
    service: Service,
    port: u16,
}

impl Etcd {
    /// Starts it.
    pub fn start() -> Etcd {
        let service = Service::new("etcd");
        let (port, ()) = port::claim(|port| launch(&service, port, port::free()));
        Etcd { service, port }
    }

    /// Where clients find it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Stops it where it is: a leader that cannot renew its lease steps down.
    pub fn freeze(&self) {
        self.service.freeze();
    }

    /// Goes on after [`freeze`](Etcd::freeze).
    pub fn thaw(&self) {
        self.service.thaw();
    }
}

fn launch(service: &Service, port: u16, peer_port: u16) -> Result<(), String> {
    let here = format!("http://127.0.0.1:{port}");
    let peers = format!("http://127.0.0.1:{peer_port}");
    let mut command = service.command(Path::new(PROGRAM));
    command.arg("--data-dir").arg(service.directory().join("data"));
    command.args(["--name", "only", "--logger", "zap", "--log-outputs", "stderr"]);
    command.args(["--listen-client-urls", &here, "--advertise-client-urls", &here]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("only={peers}")]);
    service
        .launch(command, Duration::from_secs(30), |log| log.contains("serving client traffic") && port::answers(port))
}
