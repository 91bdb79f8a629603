//! Addresses, names and passwords as text.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;

use crate::fail::OrFail;

/// `postgres://user:password@127.0.0.1:port/database`
pub fn url(user: &str, password: &str, port: u16, database: &str) -> String {
    let (user, password, database) = (encoded(user), encoded(password), encoded(database));
    format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}")
}

/// Several servers, of which the client takes the one that may write.
pub fn url_to_any(user: &str, password: &str, ports: &[u16], database: &str) -> String {
    let (user, password, database) = (encoded(user), encoded(password), encoded(database));
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://{user}:{password}@{}/{database}?target_session_attrs=read-write", hosts.join(","))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

/// A name in SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A password of 128 random bits.
pub fn secret() -> String {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).or_fail("reading /dev/urandom");
    bytes.iter().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "{byte:02x}");
        all
    })
}
