//! A PgBouncer before a PostgreSQL.

use std::path::Path;
use std::time::Duration;

use crate::address::{secret, url};
use crate::fail::OrFail;
use crate::port;
use crate::postgres::Postgres;
use crate::service::Service;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// Its own account, beside those of the server, for `SHOW` and `RELOAD`.
const ADMIN: &str = "bouncer_admin";

/// Debian's PgBouncer, pooling by transaction: what two statements outside a transaction see need not be one connection.
pub struct PgBouncer<'a> {
    service: Service,
    postgres: &'a Postgres,
    port: u16,
    password: String,
}

impl<'a> PgBouncer<'a> {
    /// Before all databases of a cluster, with so many connections to the server for each user and database, for users
    /// whose passwords the server checks too.
    pub fn start(postgres: &'a Postgres, pool_size: u32, users: &[(&str, &str)]) -> PgBouncer<'a> {
        let service = Service::new("pgbouncer");
        let password = secret();
        service.write("users", &user_list(users.iter().copied().chain([(ADMIN, password.as_str())])));
        let (port, ()) = port::claim(|port| {
            service.write("pgbouncer.ini", &configuration(postgres.port(), port, pool_size, service.directory()));
            launch(&service, port)
        });
        PgBouncer { service, postgres, port, password }
    }

    /// The port it listens on, the same after each start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where one of its users finds a database of the server.
    pub fn url_for(&self, user: &str, password: &str, database: &str) -> String {
        url(user, password, self.port, database)
    }

    /// Asks its console: `SHOW POOLS`, `RECONNECT`. A line for each row, `|` between columns.
    #[track_caller]
    pub fn admin(&self, command: &str) -> String {
        let console = url(ADMIN, &self.password, self.port, "pgbouncer");
        self.postgres.try_psql_at(&console, command).or_fail(command)
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Whether it is there, frozen or not.
    pub fn is_running(&self) -> bool {
        self.service.is_running()
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.service.kill();
    }

    /// Stops it where it is: connections stay open and nothing goes through.
    pub fn freeze(&self) {
        self.service.freeze();
    }

    /// Goes on after [`freeze`](PgBouncer::freeze).
    pub fn thaw(&self) {
        self.service.thaw();
    }

    /// Starts again what was killed, on the same port.
    pub fn start_again(&self) {
        launch(&self.service, self.port).or_fail("starting pgbouncer again");
    }
}

fn launch(service: &Service, port: u16) -> Result<(), String> {
    let mut command = service.command(Path::new(PROGRAM));
    command.arg(service.directory().join("pgbouncer.ini"));
    service.launch(command, Duration::from_secs(20), |log| log.contains("process up") && port::answers(port))
}

fn configuration(server: u16, port: u16, pool_size: u32, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {directory}/users\n\
         admin_users = {ADMIN}\n\
         pool_mode = transaction\n\
         default_pool_size = {pool_size}\n\
         max_client_conn = 1000\n\
         ignore_startup_parameters = extra_float_digits\n\
         ; Fifteen seconds as it comes, for which a test of a server that restarts would wait.\n\
         server_login_retry = 1\n"
    )
}

/// Passwords stand there in plain: PgBouncer needs them for its own logins to the server.
fn user_list<'a>(users: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    users.map(|(user, password)| format!("{} {}\n", quoted(user), quoted(password))).collect()
}
