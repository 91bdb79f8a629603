//! Tokens signed with keys that the issuer publishes, and a source of such keys that follows a script.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use locule_core::auth::jwt::{KeySet, KeySource, Keys, Rules, Verifier};
use locule_core::{Code, Error, Result};
use serde_json::{Value, json};

use super::forge::{Forge, ed25519, p256, rsa};
use crate::support::{noon, noon_and};

/// A source that has a set, and knows what it will be told when it asks.
struct Script {
    current: Mutex<Option<Arc<KeySet>>>,
    answers: Mutex<VecDeque<Option<KeySet>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(current: Option<KeySet>) -> Arc<Self> {
        let current = Mutex::new(current.map(Arc::new));
        Arc::new(Script { current, answers: Mutex::default(), asked: AtomicUsize::new(0) })
    }

    /// What the issuer will answer next; `None` for not at all.
    fn then(&self, answer: Option<KeySet>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn unreachable_issuer() -> Error {
    Error::new(Code::ProviderUnavailable, "The issuer does not answer.")
}

impl KeySource for Script {
    fn current(&self) -> Result<Arc<KeySet>> {
        self.current.lock().unwrap().clone().ok_or_else(unreachable_issuer)
    }

    fn refresh(&self, _now: Timestamp) -> Result<Arc<KeySet>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let fresh = Arc::new(self.answers.lock().unwrap().pop_front().flatten().ok_or_else(unreachable_issuer)?);
        *self.current.lock().unwrap() = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

/// The public half of a key, under this name.
fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk["use"] = json!("sig");
    jwk
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

fn verifier(source: &Arc<Script>) -> Verifier {
    Verifier::new(Rules::default(), Keys::Jwks(Arc::clone(source) as Arc<dyn KeySource>)).unwrap()
}

fn header(alg: &str, kid: Option<&str>) -> String {
    kid.map_or(json!({"alg": alg}), |kid| json!({"alg": alg, "kid": kid})).to_string()
}

fn signed(key: EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    Forge::new().header(&header(&format!("{algorithm:?}"), kid)).key(key, algorithm).sign()
}

fn families() -> [(EncodingKey, Algorithm); 3] {
    [(rsa(), Algorithm::RS256), (p256(1), Algorithm::ES256), (ed25519(1), Algorithm::EdDSA)]
}

#[test]
fn each_family_of_keys_verifies_its_own_tokens() {
    let keys = families().map(|(key, algorithm)| jwk(&key, algorithm, Some("2026")));
    let source = Script::new(Some(set(&keys)));
    let verifier = verifier(&source);
    for (key, algorithm) in families() {
        // By name, and without one as the only key of its family.
        for kid in [Some("2026"), None] {
            let token = signed(key.clone(), algorithm, kid);
            assert_eq!(verifier.verify(&token, noon()).unwrap().actor().name(), "alice", "{algorithm:?}");
            assert!(verifier.verify(&(token[..token.len() - 4].to_owned() + "AAAA"), noon()).is_err(), "{algorithm:?}");
        }
    }
    assert_eq!(source.asked(), 0);
}

#[test]
fn a_published_key_is_never_a_secret() {
    let public_pem = include_bytes!("../rsa-public.pem");
    let source = Script::new(Some(set(&[jwk(&rsa(), Algorithm::RS256, Some("r"))])));
    let verifier = verifier(&source);
    let secrets = [
        public_pem.to_vec(),
        public_pem.trim_ascii().to_vec(),
        jwk(&rsa(), Algorithm::RS256, Some("r"))["n"].to_string().into_bytes(),
        vec![],
    ];
    for secret in secrets {
        let key = EncodingKey::from_secret(&secret);
        for alg in ["HS256", "RS256", "none"] {
            let forged = Forge::new().header(&header(alg, Some("r"))).key(key.clone(), Algorithm::HS256).sign();
            assert!(verifier.verify(&forged, noon()).is_err(), "{alg}");
        }
    }
    assert_eq!(source.asked(), 0, "and none of them makes us ask for keys");
}

#[test]
fn a_token_does_not_choose_the_algorithm_of_a_key() {
    let source = Script::new(Some(set(
        &families().map(|(key, algorithm)| jwk(&key, algorithm, Some(&format!("{algorithm:?}"))))
    )));
    let verifier = verifier(&source);
    for (key, algorithm) in families() {
        for (_, other) in families().into_iter().filter(|(_, other)| *other != algorithm) {
            let (own_name, other_name) = (format!("{algorithm:?}"), format!("{other:?}"));
            for (alg, kid) in [(&other_name, &own_name), (&own_name, &other_name), (&other_name, &other_name)] {
                let forged = Forge::new().header(&header(alg, Some(kid))).key(key.clone(), algorithm).sign();
                assert!(verifier.verify(&forged, noon()).is_err(), "{algorithm:?} as {alg} of {kid}");
            }
        }
    }
    // A stronger padding with the same key is not what the key is for.
    let padded = Forge::new().header(&header("PS256", Some("RS256"))).key(rsa(), Algorithm::PS256).sign();
    assert!(verifier.verify(&padded, noon()).is_err());
}

#[test]
fn a_token_without_a_key_name_means_the_only_key_or_none() {
    let two = [jwk(&ed25519(1), Algorithm::EdDSA, Some("a")), jwk(&ed25519(2), Algorithm::EdDSA, Some("b"))];
    let source = Script::new(Some(set(&two)));
    let verifier = verifier(&source);
    assert!(verifier.verify(&signed(ed25519(1), Algorithm::EdDSA, None), noon()).is_err());
    assert!(verifier.verify(&signed(ed25519(1), Algorithm::EdDSA, Some("a")), noon()).is_ok());
    assert!(verifier.verify(&signed(ed25519(1), Algorithm::EdDSA, Some("b")), noon()).is_err());
}

#[test]
fn a_new_key_works_at_first_sight_and_an_old_one_stops_with_the_set() {
    let key = |seed: u8, kid| jwk(&ed25519(seed), Algorithm::EdDSA, Some(kid));
    let source = Script::new(Some(set(&[key(1, "old")])));
    let verifier = verifier(&source);
    let (old, new) =
        (signed(ed25519(1), Algorithm::EdDSA, Some("old")), signed(ed25519(2), Algorithm::EdDSA, Some("new")));
    assert!(verifier.verify(&old, noon()).is_ok());

    source.then(Some(set(&[key(1, "old"), key(2, "new")])));
    assert!(verifier.verify(&new, noon()).is_ok());
    assert!(verifier.verify(&old, noon()).is_ok());
    assert_eq!(source.asked(), 1);

    *source.current.lock().unwrap() = Some(Arc::new(set(&[key(2, "new")])));
    assert!(verifier.verify(&old, noon_and(1)).is_err());
    assert!(verifier.verify(&new, noon_and(1)).is_ok());
}

#[test]
fn a_flood_of_unknown_keys_makes_us_ask_once_in_thirty_seconds() {
    let source = Script::new(Some(set(&[jwk(&ed25519(1), Algorithm::EdDSA, Some("a"))])));
    let verifier = verifier(&source);
    let flood = |seconds: i64| {
        for number in 0..100 {
            source.then(Some(set(&[jwk(&ed25519(1), Algorithm::EdDSA, Some("a"))])));
            let token = signed(ed25519(2), Algorithm::EdDSA, Some(&format!("k{number}")));
            assert!(verifier.verify(&token, noon_and(seconds)).is_err());
        }
    };
    for (seconds, asked) in [(0, 1), (1, 1), (29, 1), (30, 2), (59, 2), (60, 3), (1000, 4)] {
        flood(seconds);
        assert_eq!(source.asked(), asked, "after {seconds} seconds");
    }
    // A clock set back by an hour does not shut us off for an hour.
    flood(-3600);
    assert_eq!(source.asked(), 5);
}

#[test]
fn many_threads_with_unknown_keys_ask_once() {
    let source = Script::new(Some(set(&[jwk(&ed25519(1), Algorithm::EdDSA, Some("a"))])));
    let verifier = verifier(&source);
    let token = signed(ed25519(2), Algorithm::EdDSA, Some("b"));
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| assert!(verifier.verify(&token, noon()).is_err()));
        }
    });
    assert_eq!(source.asked(), 1);
}

#[test]
fn an_issuer_that_does_not_answer_signs_nobody_out() {
    let source = Script::new(Some(set(&[jwk(&ed25519(1), Algorithm::EdDSA, Some("a"))])));
    let verifier = verifier(&source);
    let (known, unknown) =
        (signed(ed25519(1), Algorithm::EdDSA, Some("a")), signed(ed25519(2), Algorithm::EdDSA, Some("b")));
    for _ in 0..10 {
        source.then(None);
    }
    for minute in 0..10 {
        assert_eq!(verifier.verify(&unknown, noon_and(minute * 60)).unwrap_err().code(), Code::Unauthenticated);
        assert!(verifier.verify(&known, noon_and(minute * 60)).is_ok());
    }
    assert_eq!(source.asked(), 10);
    source.then(Some(set(&[jwk(&ed25519(2), Algorithm::EdDSA, Some("b"))])));
    assert!(verifier.verify(&unknown, noon_and(600)).is_ok());
}

#[test]
fn without_any_keys_the_answer_is_to_try_later_and_not_that_the_token_is_bad() {
    let verifier = verifier(&Script::new(None));
    let token = signed(ed25519(1), Algorithm::EdDSA, Some("a"));
    assert_eq!(verifier.verify(&token, noon()).unwrap_err().code(), Code::ProviderUnavailable);
    // Junk is still junk.
    assert_eq!(verifier.verify("a.b.c", noon()).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let with = |mut jwk: Value, field: &str, value: Value| {
        jwk[field] = value;
        jwk
    };
    let number = |bytes: usize, last: u8| {
        let mut number = vec![0xc3; bytes];
        number[bytes - 1] = last;
        super::forge::base64(number)
    };
    let [rsa, ec, ed] = families().map(|(key, algorithm)| jwk(&key, algorithm, Some("k")));
    let usable = |jwk: &Value| set(std::slice::from_ref(jwk)).len() == 1;
    for good in [&rsa, &ec, &ed, &with(rsa.clone(), "n", json!(number(512, 1))), &with(rsa.clone(), "e", json!("Aw"))] {
        assert!(usable(good), "{good}");
        for (field, value, taken) in [
            ("use", json!("enc"), false),
            ("alg", json!("RS512"), false),
            ("alg", json!("HS256"), false),
            ("key_ops", json!(["encrypt"]), false),
            ("key_ops", json!(["verify"]), true),
            ("kid", json!("../k"), false),
            ("kid", json!(7), false),
            ("d", json!("AAAA"), false),
            ("kty", json!("oct"), false),
            ("kty", json!(null), false),
            ("crv", json!("P-384"), false),
            ("x5c", json!(["MIIB"]), true),
        ] {
            assert_eq!(usable(&with(good.clone(), field, value.clone())), taken, "{field} {value} in {good}");
        }
    }
    for (name, bad) in [
        ("a secret", json!({"kty": "oct", "kid": "k", "k": "dGhpcyBpcyBhIHNlY3JldCB0aGF0IGlzIGxvbmc"})),
        ("RSA of 1,024 bits", with(rsa.clone(), "n", json!(number(128, 1)))),
        (
            "RSA of 2,047 bits",
            with(rsa.clone(), "n", json!(super::forge::base64([vec![0x7f], vec![0xc3; 254], vec![1]].concat()))),
        ),
        (
            "RSA of 1,024 bits behind zeros",
            with(rsa.clone(), "n", json!(super::forge::base64([vec![0; 128], vec![0xc3; 127], vec![1]].concat()))),
        ),
        ("RSA of 4,104 bits", with(rsa.clone(), "n", json!(number(513, 1)))),
        ("an even modulus", with(rsa.clone(), "n", json!(number(256, 2)))),
        ("an exponent of one", with(rsa.clone(), "e", json!("AQ"))),
        ("an exponent of one behind a zero", with(rsa.clone(), "e", json!("AAE"))),
        ("an exponent of zero", with(rsa.clone(), "e", json!("AA"))),
        ("an even exponent", with(rsa.clone(), "e", json!("BA"))),
        ("a long exponent", with(rsa.clone(), "e", json!("AQAAAAE"))),
        ("no exponent", with(rsa.clone(), "e", json!(null))),
        ("padding", with(rsa.clone(), "e", json!("AQAB===="))),
        ("a point off the curve", with(ec.clone(), "x", json!(super::forge::base64([1; 32])))),
        ("a short coordinate", with(ec.clone(), "x", json!(super::forge::base64([1; 31])))),
        ("another curve", with(ec.clone(), "crv", json!("secp256k1"))),
        ("a key for agreement", with(ed.clone(), "crv", json!("X25519"))),
        ("a short Edwards key", with(ed.clone(), "x", json!(super::forge::base64([1; 16])))),
        ("a long Edwards key", with(ed.clone(), "x", json!(super::forge::base64([1; 33])))),
        ("no object", json!("key")),
    ] {
        assert!(!usable(&bad), "{name}");
        assert_eq!(set(&[bad, ed.clone()]).len(), 1, "{name} does not spoil the others");
    }
}

#[test]
fn a_set_has_bounds() {
    let parse = |json: &str| KeySet::parse(json).map(|set| set.len()).map_err(|error| error.code());
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]"#, "<html>", r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(parse(bad), Err(Code::Invalid), "{bad}");
    }
    assert_eq!(parse(r#"{"keys":[]}"#), Ok(0));
    assert!(set(&[]).is_empty());

    let oct = |count: usize| json!({"keys": vec![json!({"kty": "oct"}); count]}).to_string();
    assert_eq!(parse(&oct(64)), Ok(0));
    assert_eq!(parse(&oct(65)), Err(Code::TooLarge));
    let long = |bytes: usize| r#"{"keys":[]}"#.to_owned() + &" ".repeat(bytes - r#"{"keys":[]}"#.len());
    assert_eq!(parse(&long(256 * 1024)), Ok(0));
    assert_eq!(parse(&long(256 * 1024 + 1)), Err(Code::TooLarge));

    let named = |seed: u8, kid| jwk(&ed25519(seed), Algorithm::EdDSA, kid);
    let pair = |one, other| parse(&json!({"keys": [named(1, one), named(2, other)]}).to_string());
    assert_eq!(pair(Some("a"), Some("a")), Err(Code::Invalid));
    assert_eq!(pair(Some("a"), Some("b")), Ok(2));
    assert_eq!(pair(None, None), Ok(2));
}
