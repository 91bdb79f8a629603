//! Where the data is, where the server listens, and how much it takes on.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::setting::{Setting, quoted, section};
use crate::app;

section! {
    /// Where the data is, where the server listens, and how much it takes on.
    pub struct Server in "" {
        /// The data directory.
        plain data: PathBuf = PathBuf::from("./locule-data");
        /// Where users and services connect. Beyond this machine, put a proxy with TLS in front.
        plain listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7400));
        /// Where operators connect, or `off`. If this usual address is taken, any free port. An address that other machines reach needs `--operator-public`.
        plain operator_listen: OperatorListen = OperatorListen(Some(app::OPERATORS));
        /// How long a request may take, in seconds; 1 to 3,600.
        plain deadline_s: u32 = 10;
        /// How many requests are worked on at a time; 1 to 1,024. More of them wait their turn.
        plain workers: usize = 32;
        /// Requests per second that one user may make; 0 for no bound.
        plain rate_per_s: u32 = 0;
        /// What stands before the paths of mem0's clients: their `host` is this server's address and this. It begins with a slash and is not the start of another API's.
        plain mem0_prefix: String = "/mem0".to_owned();
        /// From which origins pages may ask in a browser, such as `https://app.example.com`; several with commas between them. Left out, from none.
        plain cors_origins: Option<String> = None;
    }
}

impl Server {
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=3_600).contains(&self.deadline_s) {
            return Err(("deadline_s", "it is a number of seconds from 1 to 3600".to_owned()));
        }
        if !(1..=1_024).contains(&self.workers) {
            return Err(("workers", "it is a number from 1 to 1024".to_owned()));
        }
        let taken = ["/api", "/operator", "/docs", "/mcp", "/bento"];
        let plain = self.mem0_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
        let named = self.mem0_prefix.len() > 1 && self.mem0_prefix.starts_with('/') && !self.mem0_prefix.ends_with('/');
        if !plain || !named || taken.iter().any(|taken| self.mem0_prefix.starts_with(taken)) {
            return Err((
                "mem0_prefix",
                "it is a path such as /mem0, of its own, that ends without a slash".to_owned(),
            ));
        }
        if let Some(wrong) = self.origins().find(|origin| !is_origin(origin)) {
            return Err(("cors_origins", format!("{} is no origin: one is as https://app.example.com", quoted(wrong))));
        }
        Ok(())
    }

    /// The origins whose pages may ask.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.cors_origins
            .iter()
            .flat_map(|origins| origins.split(','))
            .map(str::trim)
            .filter(|origin| !origin.is_empty())
    }
}

/// A scheme and a host, maybe a port, and nothing behind. Not `*`: whose page may hold somebody's token is to be said by name.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte))
    })
}

/// Where operators connect; nowhere when `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorListen(pub Option<SocketAddr>);

impl Setting for OperatorListen {
    const KIND: &'static str = "string";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(OperatorListen(None)),
            text => {
                SocketAddr::from_text(text).map(Some).map(OperatorListen).map_err(|error| format!("{error}, or `off`"))
            }
        }
    }

    fn shown(&self) -> Option<String> {
        Some(self.0.map_or_else(|| quoted("off"), |address| quoted(&address.to_string())))
    }
}
