//! API keys: what proves one, what ends one, and whom a service's key acts for.

use std::sync::Arc;

use jiff::Timestamp;
use locule_core::auth::{ActAs, Authenticator, KeyId, KeyKind, NewKey};
use locule_core::clock::ManualClock;
use locule_core::id::{Issuer, Subject};
use locule_core::policy::Role;
use locule_core::{Code, limit};

use crate::support::{TestDirectory, identity, noon_and, sources};

/// A directory, and an installation that takes nothing but its keys.
struct Bench {
    directory: Arc<TestDirectory>,
    authenticator: Authenticator,
    clock: ManualClock,
    sources: locule_core::clock::Sources,
}

impl Bench {
    fn new() -> Self {
        let directory = Arc::new(TestDirectory::default());
        let (sources, clock) = sources();
        let authenticator = Authenticator::new(vec![], directory.clone(), sources.clone());
        Bench { directory, authenticator, clock, sources }
    }

    /// A fresh key that the directory knows.
    fn key(&self, kind: KeyKind, expires_at: Option<Timestamp>) -> String {
        let NewKey { record, text } = NewKey::mint(kind, "test", expires_at, &self.sources).unwrap();
        self.directory.put_key(record);
        text
    }

    fn role(&self, credential: &str) -> Result<Role, Code> {
        self.authenticator.authenticate(credential).map(|principal| principal.role()).map_err(|error| error.code())
    }
}

fn alices(read_only: bool) -> KeyKind {
    KeyKind::User { identity: identity("alice"), read_only }
}

fn service(act_as: &str) -> KeyKind {
    KeyKind::Service { issuer: Issuer::default(), act_as: ActAs::parse(act_as).unwrap() }
}

#[test]
fn a_key_is_whom_it_was_made_for() {
    let bench = Bench::new();
    for (kind, role) in [
        (alices(false), Role::Owner),
        (alices(true), Role::Reader),
        (service("*"), Role::Service),
        (KeyKind::Operator, Role::Operator),
    ] {
        let text = bench.key(kind, None);
        let principal = bench.authenticator.authenticate(&text).unwrap();
        assert_eq!(principal.role(), role);
        // The trail names the key and never holds what opens it.
        assert_eq!(principal.actor().kind(), "key");
        assert_eq!(principal.actor().name(), text.split('_').nth(1).unwrap());
    }
}

#[test]
fn a_key_is_told_by_its_form_and_no_two_are_alike() {
    let bench = Bench::new();
    let (one, other) = (bench.key(alices(false), None), bench.key(alices(false), None));
    let parts: Vec<&str> = one.split('_').collect();
    let [product, id, secret, check] = parts[..] else { panic!("not four parts: {one}") };
    assert_eq!((product, id.len(), check.len()), ("locule", 16, 6));
    assert!(secret.len() >= 43 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{secret}");
    assert_ne!(one.split('_').nth(1), other.split('_').nth(1));
    assert_ne!(one.split('_').nth(2), other.split('_').nth(2));
}

#[test]
fn the_directory_keeps_nothing_that_opens_a_space() {
    let (sources, _) = sources();
    let NewKey { record, text } = NewKey::mint(alices(false), "test", None, &sources).unwrap();
    let secret = text.split('_').nth(2).unwrap();
    assert!(!format!("{record:?}").contains(secret));
}

#[test]
fn a_key_ends_on_the_second_it_says() {
    let bench = Bench::new();
    let text = bench.key(alices(false), Some(noon_and(60)));
    bench.clock.advance_s(59);
    assert_eq!(bench.role(&text), Ok(Role::Owner));
    bench.clock.advance_s(1);
    assert_eq!(bench.role(&text), Err(Code::Unauthenticated));
    bench.clock.advance_s(1);
    assert_eq!(bench.role(&text), Err(Code::Unauthenticated));
}

#[test]
fn a_key_that_does_not_prove_itself_is_refused_and_not_told_why() {
    let bench = Bench::new();
    let (text, other) = (bench.key(alices(false), None), bench.key(KeyKind::Operator, None));
    let parts: Vec<&str> = text.split('_').collect();
    let other_parts: Vec<&str> = other.split('_').collect();
    let sealed = |id: &str, secret: &str| {
        let body = format!("locule_{id}_{secret}");
        let hash = <sha2::Sha256 as sha2::Digest>::digest(body.as_bytes());
        format!("{body}_{}", data_encoding::HEXLOWER.encode(&hash[..3]))
    };
    assert_eq!(sealed(parts[1], parts[2]), text, "the check can be computed, so that it proves nothing");
    let NewKey { text: never_kept, .. } = NewKey::mint(alices(false), "test", None, &bench.sources).unwrap();

    let usual = format!("{:?}", bench.authenticator.authenticate("").unwrap_err());
    for (name, bad) in [
        ("nothing but the beginning", "locule_".to_owned()),
        ("no secret", format!("locule_{}", parts[1])),
        ("an empty secret", sealed(parts[1], "")),
        ("an id the directory does not have", never_kept),
        ("a wrong secret", sealed(parts[1], &"A".repeat(parts[2].len()))),
        ("half the secret", sealed(parts[1], &parts[2][..20])),
        ("more than the secret", sealed(parts[1], &format!("{}A", parts[2]))),
        ("the secret of another key", sealed(parts[1], other_parts[2])),
        ("the id of another key", sealed(other_parts[1], parts[2])),
        ("a wrong check", format!("{}_000000", text.rsplit_once('_').unwrap().0)),
        ("a check cut short", text[..text.len() - 1].to_owned()),
        ("a check in capitals", text.rsplit_once('_').map(|(body, check)| format!("{body}_{}X", check)).unwrap()),
        ("an id in capitals", sealed(&parts[1].to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"), parts[2])),
        ("a short id", sealed(&parts[1][1..], parts[2])),
        ("another product", text.replacen("locule_", "locula_", 1)),
        ("a blank before", format!(" {text}")),
        ("a line end after", format!("{text}\n")),
        ("a token's form", "a.b.c".to_owned()),
        ("too long", format!("locule_{}", "x".repeat(limit::TOKEN_BYTES.max))),
    ] {
        let refusal = bench.authenticator.authenticate(&bad).expect_err(name);
        assert_eq!(format!("{refusal:?}"), usual, "{name}");
    }
    assert_eq!(bench.role(&text), Ok(Role::Owner));
}

#[test]
fn a_name_for_a_key_has_a_bound() {
    let (sources, _) = sources();
    let mint = |bytes: usize| {
        NewKey::mint(alices(false), &"n".repeat(bytes), None, &sources).map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(mint(limit::KEY_NAME_BYTES.max), Ok(()));
    assert_eq!(mint(limit::KEY_NAME_BYTES.max + 1), Err(Code::TooLarge));
}

#[test]
fn an_act_as_pattern_covers_what_it_says() {
    let alike = |pattern: &str, name: &str| ActAs::parse(pattern).unwrap().covers(&Subject::try_from(name).unwrap());
    for (pattern, name, covers) in [
        ("*", "alice", true),
        ("shop-*", "shop-1", true),
        ("shop-*", "shop-", true),
        ("shop-*", "shop", false),
        ("shop-*", "Shop-1", false),
        ("shop-*", "my-shop-1", false),
        ("alice", "alice", true),
        ("alice", "alice2", false),
        ("alice", "Alice", false),
    ] {
        assert_eq!(alike(pattern, name), covers, "{pattern} {name}");
    }
    for pattern in ["*", "shop-*", "alice"] {
        assert_eq!(ActAs::parse(pattern).unwrap().to_string(), pattern);
    }
    // A star elsewhere is a letter like others: it names one user and covers nobody else.
    assert!(alike("*a", "*a") && !alike("*a", "ba") && !alike("a*b", "axb"));
    for bad in ["", "**", "a*b*", "me", " ", "shop-\n*"] {
        assert!(ActAs::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_key_for_one_user_never_reads_back_as_a_key_for_many() {
    let (sources, _) = sources();
    let only = |name: &str| ActAs::Only(Subject::try_from(name).unwrap());
    let mint = |act_as| {
        NewKey::mint(KeyKind::Service { issuer: Issuer::default(), act_as }, "test", None, &sources).map(|_| ())
    };
    for act_as in [only("*"), only("shop-*"), ActAs::Prefix("shop-*".to_owned()), ActAs::Prefix(String::new())] {
        assert_eq!(mint(act_as.clone()).map_err(|error| error.code()), Err(Code::Invalid), "{act_as}");
    }
    for act_as in [only("alice"), only("*a"), ActAs::Prefix("shop-".to_owned()), ActAs::Anyone] {
        assert_eq!(mint(act_as.clone()).map_err(|error| error.code()), Ok(()), "{act_as}");
    }
}

#[test]
fn a_key_id_is_sixteen_small_hex_digits() {
    assert!(KeyId::try_from("0123456789abcdef").is_ok());
    for bad in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "../../../../../.."]
    {
        assert!(KeyId::try_from(bad).is_err(), "{bad:?}");
    }
}
