//! Tokens that must not be taken, each with the name of its trick.

use data_encoding::{BASE64, BASE64URL};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::forge::{Forge, SECRET, bare, base64, ed25519, p256, raw, rsa, token};
use crate::support::noon;

pub fn table() -> Vec<(&'static str, String)> {
    [shapes(), signatures(), algorithms(), headers(), times(), people(), others(), json_tricks()].concat()
}

type Table = Vec<(&'static str, String)>;

/// A good token taken apart.
fn parts() -> [String; 3] {
    let token = bare();
    let parts: Vec<&str> = token.split('.').collect();
    [parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned()]
}

fn shapes() -> Table {
    let good = bare();
    let [head, body, seal] = parts();
    vec![
        ("nothing", String::new()),
        ("one segment", head.clone()),
        ("two segments", format!("{head}.{body}")),
        ("four segments", format!("{good}.{seal}")),
        ("five segments, as encrypted tokens have", format!("{head}.{body}.{seal}.{seal}.{seal}")),
        ("dots alone", "..".to_owned()),
        ("no header", format!(".{body}.{seal}")),
        ("no claims", format!("{head}..{seal}")),
        ("no signature", format!("{head}.{body}.")),
        ("a blank before", format!(" {good}")),
        ("a line end after", format!("{good}\n")),
        ("a line end inside", format!("{head}.\n{body}.{seal}")),
        ("a NUL after", format!("{good}\0")),
        ("the scheme before it", format!("Bearer {good}")),
        ("padding after the signature", format!("{good}=")),
        ("padding after the header", format!("{}.{body}.{seal}", BASE64URL.encode(br#"{"alg":"HS256"}"#))),
        ("the other alphabet", format!("{head}.{body}.{}", seal.replace('-', "+").replace('_', "/") + "+/")),
        ("a letter outside ASCII", format!("{head}.{body}é.{seal}")),
        ("8 KiB and one byte", padded(8 * 1024 + 1)),
        ("ten megabytes", padded(10_000_000)),
        ("a key that nobody issued", "locule_0011223344556677_x_y".to_owned()),
    ]
}

/// A token that would be good, were it not this long.
fn padded(bytes: usize) -> String {
    let mut filler = bytes * 3 / 4 - 200;
    loop {
        let token = token(json!({"filler": "x".repeat(filler)}));
        if token.len() >= bytes {
            return token;
        }
        filler += (bytes - token.len()).div_ceil(2);
    }
}

#[test]
fn the_long_token_would_be_good_were_it_shorter() {
    assert!(padded(8 * 1024 + 1).len() <= 8 * 1024 + 4);
    let short = padded(8 * 1024 - 8);
    assert!(short.len() <= 8 * 1024);
    assert!(super::verifier(Default::default()).verify(&short, noon()).is_ok());
}

fn signatures() -> Table {
    let [head, body, seal] = parts();
    let [.., other_seal] = {
        let token = token(json!({"sub": "bob"}));
        token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap_or([const { String::new() }; 3])
    };
    let bytes = data_encoding::BASE64URL_NOPAD.decode(seal.as_bytes()).unwrap();
    let flipped: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| if at == 31 { byte ^ 1 } else { *byte }).collect();
    let other_secret = EncodingKey::from_secret(b"another secret, of which we know nothing");
    vec![
        ("signed with another secret", Forge::new().key(other_secret, Algorithm::HS256).sign()),
        ("signed with an empty secret", Forge::new().key(EncodingKey::from_secret(b""), Algorithm::HS256).sign()),
        (
            "signed with half the secret",
            Forge::new().key(EncodingKey::from_secret(&SECRET[..32]), Algorithm::HS256).sign(),
        ),
        ("the signature of another token", format!("{head}.{body}.{other_seal}")),
        ("one bit of the signature turned", format!("{head}.{body}.{}", base64(&flipped))),
        ("half a signature", format!("{head}.{body}.{}", base64(&bytes[..16]))),
        ("one byte of a signature", format!("{head}.{body}.{}", base64(&bytes[..1]))),
        ("a signature twice", format!("{head}.{body}.{}", base64([&bytes[..], &bytes[..]].concat()))),
        ("a signature of zeros", format!("{head}.{body}.{}", base64([0; 32]))),
        ("a signature in hex", format!("{head}.{body}.{}", data_encoding::HEXLOWER.encode(&bytes))),
        ("stray last bits in the signature", format!("{head}.{body}.{}", stray(&seal))),
        ("claims changed after signing", format!("{head}.{}.{seal}", base64(r#"{"sub":"bob","exp":9999999999}"#))),
        ("header changed after signing", format!("{}.{body}.{seal}", base64(r#"{"alg":"HS256"}"#))),
    ]
}

/// Another spelling of the same bytes: 32 bytes leave two bits of the last letter unused.
fn stray(segment: &str) -> String {
    let (kept, last) = segment.split_at(segment.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    format!("{kept}{}", alphabet.as_bytes()[at | 1] as char)
}

fn algorithms() -> Table {
    let named = |alg: &str| Forge::new().header(&format!(r#"{{"alg":{alg},"typ":"JWT"}}"#));
    let hs256 = |alg: &str| named(alg).sign();
    let secret = || EncodingKey::from_secret(SECRET);
    let public_key = EncodingKey::from_secret(include_bytes!("../rsa-public.pem"));
    let [_, body, _] = parts();
    vec![
        ("none, unsigned", format!("{}.{body}.", base64(r#"{"alg":"none"}"#))),
        ("none, signed all the same", hs256(r#""none""#)),
        ("None", hs256(r#""None""#)),
        ("nOnE", hs256(r#""nOnE""#)),
        ("no algorithm", Forge::new().header(r#"{"typ":"JWT"}"#).sign()),
        ("an empty algorithm", hs256(r#""""#)),
        ("an algorithm that is null", hs256("null")),
        ("an algorithm that is a number", hs256("256")),
        ("a list of algorithms", hs256(r#"["HS256"]"#)),
        ("an algorithm in small letters", hs256(r#""hs256""#)),
        ("an algorithm and a blank", hs256(r#""HS256 ""#)),
        ("HS384, rightly signed", named(r#""HS384""#).key(secret(), Algorithm::HS384).sign()),
        ("HS512, rightly signed", named(r#""HS512""#).key(secret(), Algorithm::HS512).sign()),
        ("HS256 that calls itself HS512", hs256(r#""HS512""#)),
        ("HS256 that calls itself RS256", hs256(r#""RS256""#)),
        ("HS256 with a public key as the secret", Forge::new().key(public_key, Algorithm::HS256).sign()),
        ("RS256, rightly signed", named(r#""RS256""#).key(rsa(), Algorithm::RS256).sign()),
        ("PS256, rightly signed", named(r#""PS256""#).key(rsa(), Algorithm::PS256).sign()),
        ("ES256, rightly signed", named(r#""ES256""#).key(p256(1), Algorithm::ES256).sign()),
        ("EdDSA, rightly signed", named(r#""EdDSA""#).key(ed25519(1), Algorithm::EdDSA).sign()),
        ("an encryption", hs256(r#""dir""#)),
    ]
}

fn headers() -> Table {
    let more = |field: &str| Forge::new().header(&format!(r#"{{"alg":"HS256",{field}}}"#)).sign();
    let whole = |json: &str| Forge::new().header(json).sign();
    vec![
        ("a critical extension", more(r#""crit":["exp"],"exp":1"#)),
        ("an empty list of critical extensions", more(r#""crit":[]"#)),
        ("an unencoded payload", more(r#""b64":false"#)),
        ("compression", more(r#""zip":"DEF""#)),
        ("a key set's address", more(r#""jku":"https://evil.example/keys""#)),
        ("a key", more(r#""jwk":{"kty":"oct","k":"AAAA"}"#)),
        ("a certificate's address", more(r#""x5u":"https://evil.example/cert""#)),
        ("a certificate", more(r#""x5c":["MIIB"]"#)),
        ("a certificate's thumbprint", more(r#""x5t":"AAAA""#)),
        ("a field of another's making", more(r#""nonce":"1""#)),
        ("an empty key name", more(r#""kid":"""#)),
        ("a key name of 129 bytes", more(&format!(r#""kid":"{}""#, "k".repeat(129)))),
        ("a key name that is a path", more(r#""kid":"../../dev/null""#)),
        ("a key name that is SQL", more(r#""kid":"' UNION SELECT 'x""#)),
        ("a key name with a line end", more(r#""kid":"a\nb""#)),
        ("a key name outside ASCII", more(r#""kid":"é""#)),
        ("a key name that is a number", more(r#""kid":1"#)),
        ("a key name that is null", more(r#""kid":null"#)),
        ("a type of another kind", more(r#""typ":"dpop+jwt""#)),
        ("a type that is empty", more(r#""typ":"""#)),
        ("a type that is null", more(r#""typ":null"#)),
        ("a type that is a number", more(r#""typ":1"#)),
        ("a token in the token", more(r#""cty":"JWT""#)),
        ("a content type that is a list", more(r#""cty":[]"#)),
        ("two algorithms", more(r#""alg":"none""#)),
        ("two algorithms, one escaped", more(r#""\u0061lg":"HS256""#)),
        ("two key names", more(r#""kid":"a","kid":"b""#)),
        ("two types", more(r#""typ":"JWT","typ":"JWT""#)),
        ("a header that is a list", whole(r#"["HS256","JWT","a","b"]"#)),
        ("a header that is a text", whole(r#""HS256""#)),
        ("a header that is null", whole("null")),
        ("an empty header object", whole("{}")),
        ("a header that is no JSON", whole("alg=HS256")),
        ("a header that goes on", whole(r#"{"alg":"HS256"}{"alg":"none"}"#)),
        ("a header after a byte-order mark", whole("\u{feff}{\"alg\":\"HS256\"}")),
        ("a header nested without end", whole(&format!(r#"{{"alg":{}"#, "[".repeat(3000)))),
    ]
}

fn times() -> Table {
    let now = noon().as_second();
    vec![
        ("no end", Forge::new().without("exp").sign()),
        ("an end that is null", token(json!({"exp": null}))),
        ("an end as text", token(json!({"exp": (now + 60).to_string()}))),
        ("an end that is true", token(json!({"exp": true}))),
        ("an end in a list", token(json!({"exp": [now + 60]}))),
        ("an end in an object", token(json!({"exp": {"$date": now + 60}}))),
        ("expired an hour ago", token(json!({"iat": now - 7200, "exp": now - 3600}))),
        ("expired in 1969", token(json!({"exp": -1}))),
        ("expired at zero", token(json!({"exp": 0}))),
        ("expired a millionth of a second ago, beyond leeway", raw(&format!(r#""exp":{}.999999"#, now - 31))),
        ("an end beyond numbers", raw(r#""exp":1e400"#)),
        ("an end beyond the calendar", raw(r#""exp":1e300"#)),
        ("the last integer as the end", token(json!({"exp": i64::MAX}))),
        ("an end beyond integers", token(json!({"exp": u64::MAX}))),
        ("an end in milliseconds", token(json!({"exp": (now + 60) * 1000}))),
        ("no number as the end", raw(r#""exp":NaN"#)),
        ("infinity as the end", raw(r#""exp":Infinity"#)),
        ("an end in hex", raw(r#""exp":0x7fffffff"#)),
        ("not valid yet", token(json!({"nbf": now + 50 * 60}))),
        ("a beginning as text", token(json!({"nbf": now.to_string()}))),
        ("a beginning that is null", token(json!({"nbf": null}))),
        ("a beginning beyond the calendar", raw(r#""nbf":-1e300"#)),
        ("issued tomorrow", token(json!({"iat": now + 86400, "exp": now + 90000}))),
        ("issued as text", token(json!({"iat": now.to_string()}))),
        ("issued as null", token(json!({"iat": null}))),
        ("a life of a year", token(json!({"exp": now + 365 * 86400}))),
        (
            "a year to go, and no telling since when",
            Forge::new().without("iat").claims(json!({"exp": now + 365 * 86400})).sign(),
        ),
    ]
}

fn people() -> Table {
    let named = |sub: Value| token(json!({"sub": sub}));
    vec![
        ("nobody", Forge::new().without("sub").sign()),
        ("a user that is null", named(Value::Null)),
        ("a user that is a number", named(json!(1))),
        ("a user that is true", named(json!(true))),
        ("a list of users", named(json!(["alice"]))),
        ("a user in an object", named(json!({"id": "alice"}))),
        ("an empty name", named(json!(""))),
        ("a blank name", named(json!(" "))),
        ("a name after a blank", named(json!(" alice"))),
        ("a name before a line end", named(json!("alice\n"))),
        ("a name with a NUL", named(json!("alice\0"))),
        ("a name with a control character", named(json!("al\u{85}ice"))),
        ("the caller's own word", named(json!("me"))),
        ("the folder here", named(json!("."))),
        ("the folder above", named(json!(".."))),
        ("a space that belongs to no user", named(json!("urn:locule:space:1"))),
        ("a name of 256 bytes", named(json!("x".repeat(256)))),
        ("a name in another normal form", named(json!("e\u{301}"))),
        ("half a character", raw(r#""sub":"\ud800""#)),
    ]
}

fn others() -> Table {
    vec![
        ("a visitor", token(json!({"role": "anon"}))),
        ("a server", token(json!({"role": "service_role"}))),
        ("an administrator", token(json!({"role": "admin"}))),
        ("a role in capitals", token(json!({"role": "Authenticated"}))),
        ("an empty role", token(json!({"role": ""}))),
        ("a role that is null", token(json!({"role": null}))),
        ("a list of roles", token(json!({"role": ["authenticated"]}))),
        ("for somebody else", token(json!({"aud": "https://other.example"}))),
        ("for several others", token(json!({"aud": ["a", "b"]}))),
        ("for nobody", token(json!({"aud": []}))),
        ("for an empty name", token(json!({"aud": ""}))),
        ("for somebody like us", token(json!({"aud": "Authenticated"}))),
        ("for null", token(json!({"aud": null}))),
        ("for a number", token(json!({"aud": 1}))),
        ("for us and a number", token(json!({"aud": ["authenticated", 1]}))),
        ("from somebody else", token(json!({"iss": "https://evil.example"}))),
        ("from an empty name", token(json!({"iss": ""}))),
        ("from somebody like us", token(json!({"iss": "Locule"}))),
        ("from us and a slash", token(json!({"iss": "locule/"}))),
        ("from null", token(json!({"iss": null}))),
        ("from a list", token(json!({"iss": ["locule"]}))),
        ("from a number", token(json!({"iss": 1}))),
    ]
}

fn json_tricks() -> Table {
    let payload = |bytes: Vec<u8>| Forge::new().payload(bytes).sign();
    let exp = noon().as_second() + 60;
    let text = |json: String| payload(json.into_bytes());
    vec![
        ("two users", raw(r#""sub":"alice","sub":"bob""#)),
        ("one user twice", raw(r#""sub":"alice","sub":"alice""#)),
        ("two users, one escaped", raw(r#""sub":"alice","s\u0075b":"bob""#)),
        ("two ends", raw(&format!(r#""exp":1,"exp":{exp}"#))),
        ("two roles", raw(r#""role":"anon","role":"authenticated""#)),
        ("two issuers", raw(r#""iss":"locule","iss":"locule""#)),
        ("two of what means nothing here", raw(r#""email":"a@example.com","email":"b@example.com""#)),
        ("claims in a list", text(format!(r#"["alice",{exp}]"#))),
        ("claims as text", text(r#""alice""#.to_owned())),
        ("claims that are null", text("null".to_owned())),
        ("no JSON", text("sub=alice".to_owned())),
        ("claims cut short", text(format!(r#"{{"sub":"alice","exp":{exp}"#))),
        ("claims that go on", text(format!(r#"{{"sub":"alice","exp":{exp}}}{{"sub":"bob"}}"#))),
        ("a comma too many", text(format!(r#"{{"sub":"alice","exp":{exp},}}"#))),
        ("claims in single quotes", text(format!("{{'sub':'alice','exp':{exp}}}"))),
        ("claims nested without end", text(format!(r#"{{"sub":"alice","exp":{exp},"x":{}"#, "[".repeat(4000)))),
        ("claims after a byte-order mark", text(format!("\u{feff}{{\"sub\":\"alice\",\"exp\":{exp}}}"))),
        (
            "claims that are not UTF-8",
            payload([br#"{"sub":"al"#.as_slice(), &[0xff], format!(r#"ice","exp":{exp}}}"#).as_bytes()].concat()),
        ),
        (
            "claims in UTF-16",
            payload(format!(r#"{{"sub":"alice","exp":{exp}}}"#).encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ),
        ("claims encoded twice", text(BASE64.encode(format!(r#"{{"sub":"alice","exp":{exp}}}"#).as_bytes()))),
    ]
}
