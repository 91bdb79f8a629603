//! What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5802 and 7677), computed here, so that the password itself never
//! comes near a statement or a log.
//!
//! With one iteration. The usual 4,096 make guessing a person's password slow, and every new connection with it; these
//! passwords are 256 bits derived from the master key, which nobody guesses at any speed.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const ITERATIONS: u32 = 1;

/// What is kept of this password with this salt.
pub fn scram(password: &[u8], salt: [u8; 16]) -> String {
    // The first of the rounds of PBKDF2 is over the salt and the number of the block.
    let salted = mac(password, &[&salt[..], &1_u32.to_be_bytes()].concat());
    let stored = Sha256::digest(mac(&salted, b"Client Key"));
    let server = mac(&salted, b"Server Key");
    let (salt, stored, server) = (BASE64.encode(&salt), BASE64.encode(&stored), BASE64.encode(&server));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}")
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As another implementation has it: `hashlib.pbkdf2_hmac("sha256", b"pencil", bytes(range(16)), 1)` and Python's `hmac`.
    #[test]
    fn it_is_what_postgresql_expects() {
        let salt: [u8; 16] = std::array::from_fn(|at| at as u8);
        assert_eq!(
            scram(b"pencil", salt),
            "SCRAM-SHA-256$1:AAECAwQFBgcICQoLDA0ODw==$ulPBEMD7pdxjBcsUkN1eHH+6PaNEw+VlbDgOlKfXVz0=:FLxfly9TUma+46jkj8QyTfQMWRqeNyK1YOt6NKVPr/I="
        );
    }
}
