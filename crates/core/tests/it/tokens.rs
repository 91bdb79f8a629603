//! Which tokens are taken: a table of those that are not, a table of those that are, and the edges between.

mod forge;
mod hostile;
mod published;

use std::collections::BTreeSet;
use std::time::Instant;

use locule_core::Code;
use locule_core::audit::Actor;
use locule_core::auth::Authenticator;
use locule_core::auth::jwt::{Keys, Rules, Secret, Verifier, claimed_issuer, mint};
use locule_core::id::{Issuer, Subject};
use locule_core::policy::Role;
use serde_json::json;

pub use self::forge::{secret, undated};

use self::forge::{Forge, SECRET, bare, token};
use crate::support::{TestDirectory, noon, noon_and, sources};

fn verifier(rules: Rules) -> Verifier {
    Verifier::new(rules, Keys::Secrets(vec![secret()])).unwrap()
}

/// Every rule as strict as it goes.
fn strict() -> Rules {
    Rules { require_issuer: true, require_audience: true, ..Rules::default() }
}

#[test]
fn no_hostile_token_is_taken_and_no_refusal_tells_why() {
    let verifier = verifier(Rules::default());
    let table = hostile::table();
    let names: BTreeSet<_> = table.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), table.len(), "each has a name of its own");
    assert!(table.len() >= 170);
    let usual = verifier.verify("", noon()).unwrap_err();
    for (name, token) in &table {
        match verifier.verify(token, noon()) {
            Ok(_) => panic!("taken: {name}"),
            Err(error) => {
                assert_eq!(error.code(), Code::Unauthenticated, "{name}");
                assert_eq!(format!("{error:?}"), format!("{usual:?}"), "{name}");
            }
        }
    }
}

#[test]
fn tokens_as_issuers_make_them_are_taken() {
    let verifier = verifier(Rules::default());
    for (name, token) in [
        ("bare", bare()),
        ("with the issuer", token(json!({"iss": "locule"}))),
        ("for signed-in users", token(json!({"aud": "authenticated"}))),
        ("for us and others", token(json!({"aud": ["https://other.example", "authenticated"]}))),
        ("of a signed-in user", token(json!({"role": "authenticated"}))),
        (
            "with claims that mean nothing here",
            token(json!({"email": "a@example.com", "scope": "openid", "app": {"a": [null]}})),
        ),
        ("that does not say when it was issued", Forge::new().without("iat").sign()),
        (
            "with times to the millisecond",
            token(json!({"iat": noon().as_second() as f64 + 0.25, "exp": noon().as_second() as f64 + 60.5})),
        ),
        ("valid from now", token(json!({"nbf": noon().as_second()}))),
        ("of no type", Forge::new().header(r#"{"alg":"HS256"}"#).sign()),
        ("of the type of access tokens", Forge::new().header(r#"{"alg":"HS256","typ":"at+jwt"}"#).sign()),
        ("of a type in small letters", Forge::new().header(r#"{"alg":"HS256","typ":"jwt"}"#).sign()),
        ("that names its key", Forge::new().header(r#"{"typ":"JWT","alg":"HS256","kid":"2026-11.a_b~c="}"#).sign()),
        (
            "with the longest key name",
            Forge::new().header(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(128))).sign(),
        ),
        ("that says what it holds", Forge::new().header(r#"{"alg":"HS256","cty":"json"}"#).sign()),
        ("with blanks in its JSON", Forge::new().header("{ \"alg\" : \"HS256\" }\n").sign()),
    ] {
        let principal = verifier.verify(&token, noon()).unwrap_or_else(|_| panic!("refused: {name}"));
        assert_eq!(
            (principal.role(), principal.actor().kind(), principal.actor().name()),
            (Role::Owner, "user", "alice"),
            "{name}"
        );
    }
}

#[test]
fn every_name_that_a_user_may_have_is_taken_to_the_byte() {
    let verifier = verifier(Rules::default());
    for sub in ["1", "auth0|5f7c8ec7c33c6c004bbafe82", "a@example.com", "ünïcödé", "a/b", "😀", &"x".repeat(255)]
    {
        let principal = verifier.verify(&token(json!({"sub": sub})), noon()).unwrap();
        assert_eq!(principal.actor().name(), sub);
    }
}

#[test]
fn what_is_required_must_be_there_and_right() {
    let verifier = verifier(strict());
    assert!(verifier.verify(&token(json!({"iss": "locule", "aud": "authenticated"})), noon()).is_ok());
    for missing in
        [json!({}), json!({"iss": "locule"}), json!({"aud": "authenticated"}), json!({"iss": "locule", "aud": []})]
    {
        assert!(verifier.verify(&token(missing.clone()), noon()).is_err(), "{missing}");
    }
}

#[test]
fn leeway_ends_on_the_second() {
    let seconds = |seconds: i64| noon_and(seconds).as_second();
    for leeway_s in [0, 30, 60] {
        let verifier = verifier(Rules { leeway_s, ..Rules::default() });
        let leeway = i64::from(leeway_s);
        let taken = |claims, at| verifier.verify(&token(claims), noon_and(at)).is_ok();

        let expires = || json!({"iat": seconds(0), "exp": seconds(100)});
        assert!(taken(expires(), 100 + leeway - 1), "one second before the end, {leeway_s}");
        assert!(!taken(expires(), 100 + leeway), "at the end, {leeway_s}");
        assert!(!taken(expires(), 100 + leeway + 1), "one second after, {leeway_s}");

        let begins = || json!({"nbf": seconds(100)});
        assert!(!taken(begins(), 100 - leeway - 1), "one second before the beginning, {leeway_s}");
        assert!(taken(begins(), 100 - leeway), "at the beginning, {leeway_s}");

        let issued = || json!({"iat": seconds(100), "exp": seconds(200)});
        assert!(!taken(issued(), 100 - leeway - 1), "one second too early, {leeway_s}");
        assert!(taken(issued(), 100 - leeway), "at the earliest, {leeway_s}");
    }
}

#[test]
fn a_life_is_as_long_as_the_rules_say_and_no_second_longer() {
    let day = 24 * 60 * 60;
    let lives = |seconds: i64| token(json!({"iat": noon().as_second(), "exp": noon().as_second() + seconds}));
    let unborn = |seconds: i64| Forge::new().without("iat").claims(json!({"exp": noon().as_second() + seconds})).sign();
    let daily = verifier(Rules::default());
    for make in [&lives as &dyn Fn(i64) -> String, &unborn] {
        assert!(daily.verify(&make(day), noon()).is_ok());
        assert!(daily.verify(&make(day + 1), noon()).is_err());
    }
    let endless = verifier(Rules { lifetime_max_s: None, ..Rules::default() });
    assert!(endless.verify(&lives(1000 * day), noon()).is_ok());
    assert!(endless.verify(&lives(-1000), noon()).is_err());
}

#[test]
fn one_secret_takes_over_from_another_without_a_gap() {
    let new = || Secret::new(b"the next secret, at least as long as 32".to_vec()).unwrap();
    let mint =
        |secret: &Secret| mint(secret, &Rules::default(), &Subject::try_from("alice").unwrap(), noon(), 60).unwrap();
    let verifier = |secrets| Verifier::new(Rules::default(), Keys::Secrets(secrets)).unwrap();
    let (of_the_old, of_the_new) = (mint(&secret()), mint(&new()));

    let both = verifier(vec![new(), secret()]);
    assert!(both.verify(&of_the_old, noon()).is_ok());
    assert!(both.verify(&of_the_new, noon()).is_ok());
    let after = verifier(vec![new()]);
    assert!(after.verify(&of_the_old, noon()).is_err());
    assert!(after.verify(&of_the_new, noon()).is_ok());
}

#[test]
fn a_minted_token_is_taken_by_the_rules_it_was_minted_for() {
    let alice = Subject::try_from("alice").unwrap();
    for rules in
        [Rules::default(), strict(), Rules { issuer: Issuer::try_from("https://id.example").unwrap(), ..strict() }]
    {
        let token = mint(&secret(), &rules, &alice, noon(), 60).unwrap();
        assert_eq!(claimed_issuer(&token).as_deref(), Some(rules.issuer.as_str()));
        let verifier = verifier(rules.clone());
        assert!(verifier.serves(Some(rules.issuer.as_str())));
        assert_eq!(verifier.verify(&token, noon()).unwrap().actor().name(), "alice");
        assert!(verifier.verify(&token, noon_and(60 + 30)).is_err());
        for ttl_s in [0, 24 * 60 * 60 + 1] {
            assert_eq!(mint(&secret(), &rules, &alice, noon(), ttl_s).unwrap_err().code(), Code::Invalid);
        }
    }
}

#[test]
fn a_token_goes_to_the_verifier_of_the_issuer_it_claims() {
    let here = verifier(Rules::default());
    let there = verifier(Rules { issuer: Issuer::try_from("https://id.example").unwrap(), ..strict() });
    for (claimed, by_here, by_there) in [
        (None, true, false),
        (Some("locule"), true, false),
        (Some("https://id.example"), false, true),
        (Some("x"), false, false),
    ] {
        assert_eq!((here.serves(claimed), there.serves(claimed)), (by_here, by_there), "{claimed:?}");
    }
    assert_eq!(claimed_issuer(&token(json!({"iss": "https://id.example"}))).as_deref(), Some("https://id.example"));
    for none in [&bare(), &token(json!({"iss": 7})), "", "..", "a.b.c", &"x".repeat(10_000)] {
        assert_eq!(claimed_issuer(none), None);
    }
}

#[test]
fn one_issuer_does_not_sign_for_another() {
    let elsewhere = Rules { issuer: Issuer::try_from("https://id.example").unwrap(), ..strict() };
    let their_secret = || Secret::new(b"a secret that only the other issuer has".to_vec()).unwrap();
    let verifiers = vec![
        verifier(Rules::default()),
        Verifier::new(elsewhere.clone(), Keys::Secrets(vec![their_secret()])).unwrap(),
    ];
    let directory = std::sync::Arc::new(TestDirectory::default());
    let authenticator = Authenticator::new(verifiers, directory, sources().0);
    let alice = Subject::try_from("alice").unwrap();
    let who = |secret: &Secret, rules: &Rules| {
        let principal = authenticator.authenticate(&mint(secret, rules, &alice, noon(), 60).unwrap()).ok()?;
        let Actor::User(identity) = principal.actor() else { panic!("a token is a user's") };
        Some(identity.clone())
    };

    let (ours, theirs) = (who(&secret(), &Rules::default()).unwrap(), who(&their_secret(), &elsewhere).unwrap());
    assert_eq!(ours.subject, theirs.subject);
    assert_ne!(ours, theirs, "two people of one name");
    assert_eq!(who(&secret(), &elsewhere), None, "our secret under their name");
    assert_eq!(who(&their_secret(), &Rules::default()), None, "their secret under our name");
}

#[test]
fn a_secret_is_long_and_is_no_key_that_others_have() {
    let secret = |bytes: &[u8]| Secret::new(bytes.to_vec()).map(|_| ()).map_err(|error| error.code());
    let public_pem = include_str!("rsa-public.pem");
    let public_base64: String = public_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let public_der = data_encoding::BASE64.decode(public_base64.as_bytes()).unwrap();
    for (name, bad) in [
        ("empty", b"".as_slice()),
        ("31 bytes", &SECRET[..31]),
        ("one byte over and over", &[b'x'; 64]),
        ("all zeros", &[0; 32]),
        ("a public key as PEM", public_pem.as_bytes()),
        ("the same after blank lines", format!("\n \t\n{public_pem}").as_bytes()),
        ("the same after a byte-order mark", format!("\u{feff}{public_pem}").as_bytes()),
        ("its body alone", public_base64.as_bytes()),
        ("the same as DER", &public_der),
        ("a private key as PEM", include_bytes!("rsa.pem")),
        ("a key for SSH", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJf+aBcDeFgHiJkLmNoPqRsT alice@example"),
        ("a JWK", br#"{"kty":"oct","k":"dGhpcyBpcyBhIHNlY3JldCB0aGF0IGlzIGxvbmc"}"#),
        ("a key set", br#" {"keys": []                                   }"#),
    ] {
        assert_eq!(secret(bad), Err(Code::Invalid), "{name}");
    }
    assert_eq!(secret(&SECRET[..32]), Ok(()));
    // What looks like none of these passes: any bytes, any text, any encoding of random bytes.
    assert_eq!(secret(&(0..=255).collect::<Vec<u8>>()), Ok(()));
    assert_eq!(secret(data_encoding::BASE64.encode(&(7..55).collect::<Vec<u8>>()).as_bytes()), Ok(()));
    assert_eq!(format!("{:?}", Secret::new(SECRET.to_vec()).unwrap()), "Secret(…)");
}

#[test]
fn rules_that_cannot_be_kept_stop_the_start() {
    let starts = |rules, keys| Verifier::new(rules, keys).is_ok();
    let one = || Keys::Secrets(vec![secret()]);
    assert!(starts(Rules { leeway_s: 60, ..Rules::default() }, one()));
    assert!(!starts(Rules { leeway_s: 61, ..Rules::default() }, one()));
    assert!(!starts(Rules { lifetime_max_s: Some(0), ..Rules::default() }, one()));
    assert!(!starts(Rules { audiences: vec![], ..strict() }, one()));
    assert!(!starts(Rules::default(), Keys::Secrets(vec![])));
}

/// Prints what verifying costs: `cargo test --release -p locule-core -- --ignored --nocapture verifying_is_cheap`.
#[test]
#[ignore = "a measurement; means something in release only"]
fn verifying_is_cheap() {
    let verifier = verifier(Rules::default());
    let token =
        token(json!({"iss": "locule", "aud": "authenticated", "role": "authenticated", "email": "alice@example.com"}));
    let now = noon();
    let mut runs_ns: Vec<u128> = (0..200)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..1000 {
                assert!(verifier.verify(std::hint::black_box(&token), now).is_ok());
            }
            start.elapsed().as_nanos() / 1000
        })
        .collect();
    runs_ns.sort_unstable();
    let (median_ns, worst_ns) = (runs_ns[100], runs_ns[199]);
    println!("verifying an HS256 token of {} bytes: {median_ns} ns in the middle, {worst_ns} ns at worst", token.len());
    let mut costliest = (0, "");
    for (name, token) in hostile::table() {
        let start = Instant::now();
        (0..100).for_each(|_| assert!(verifier.verify(std::hint::black_box(&token), now).is_err()));
        costliest = costliest.max((start.elapsed().as_nanos() / 100, name));
    }
    println!("refusing the costliest hostile one ({}): {} ns", costliest.1, costliest.0);
    assert!(median_ns <= 10_000);
}
