//! The proof that a delivery is ours and of now: an HMAC-SHA-256 over the moment and the body, under the webhook's secret.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

/// The header that carries the proof: `t=<seconds since 1970>,v1=<64 hex digits>`.
pub const SIGNATURE: &str = "locule-signature";

/// The value of the header for a body that is sent now.
pub(super) fn sign(secret: &str, now: Timestamp, body: &str) -> String {
    let seconds = now.as_second();
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    format!("t={seconds},v1={}", HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test`
        let signed = sign("whsec_test", Timestamp::from_second(1_700_000_000).unwrap(), r#"{"a":1}"#);
        assert_eq!(signed, "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789");
    }
}
