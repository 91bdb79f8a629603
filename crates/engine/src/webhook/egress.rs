//! Where a webhook may lead. Whoever sets one up makes this server send requests, so that it could reach what only this
//! server can: its own network, and the addresses where clouds hand out credentials.
//!
//! https only. Every address that a name stands for must be one of the public internet, and the address that was looked at is
//! the one that is connected to, since it is looked at where the connection asks for it. No redirects, no proxy; an answer is
//! read no further than its status. Hosts that the operator names are excepted from the first two.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use locule_core::{Error, Result, limit};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::signature::{SIGNATURE, sign};
use crate::config::Webhooks;
use crate::model::chat::Failure;

/// Passes a URL that a webhook may have. What its name stands for is looked at with every delivery.
pub fn check(url: &str, settings: &Webhooks) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid(format!("`url` of a webhook: {why}.")));
    limit::URL_BYTES.check(url.len())?;
    let Ok(uri) = url.parse::<Uri>() else { return refuse("it is no URL") };
    let Some(authority) = uri.authority() else { return refuse("it names no host") };
    if authority.as_str().contains('@') {
        return refuse("it holds a user or a password; deliveries are signed instead");
    }
    let host = bare(authority.host());
    if host.is_empty() {
        return refuse("it names no host");
    }
    let excepted = is_excepted(host, &settings.allow);
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if excepted => {}
        _ => return refuse("it begins with https://"),
    }
    match host.parse::<IpAddr>() {
        Ok(address) if !excepted && !is_public(address) => refuse(
            "its host is no address of the public internet; whoever runs Locule can except it (`webhooks.allow`)",
        ),
        _ => Ok(()),
    }
}

/// What is sent to a webhook.
pub struct Parcel<'a> {
    /// Where to.
    pub url: &'a str,
    /// The key of its proof.
    pub secret: &'a str,
    /// The same for every attempt, so that a receiver knows what it has had.
    pub delivery: &'a str,
    /// What.
    pub body: &'a str,
}

/// Sends parcels.
pub struct Courier {
    agent: Agent,
    settings: Webhooks,
}

impl Courier {
    /// One that goes where these settings let it.
    pub fn new(settings: Webhooks) -> Self {
        Courier::by(settings, DefaultResolver::default())
    }

    /// Where it goes and how long it waits.
    pub(crate) fn settings(&self) -> &Webhooks {
        &self.settings
    }

    /// One for whom names stand for what `names` says.
    fn by(settings: Webhooks, names: impl Resolver) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .user_agent("locule-webhook/1")
            .build();
        let guarded = Guarded { names: Box::new(names), allow: settings.allow.clone() };
        Courier { agent: Agent::with_parts(config, DefaultConnector::default(), guarded), settings }
    }

    /// Sends one, once. It has arrived if the other side answers with a status of 2xx.
    pub fn send(&self, parcel: &Parcel, now: Timestamp) -> Result<(), Failure> {
        // What was checked when the webhook was made may be excepted no longer.
        check(parcel.url, &self.settings).map_err(|error| Failure::never(error.detail()))?;
        let sent = self
            .agent
            .post(parcel.url)
            .header("content-type", "application/json")
            .header(SIGNATURE, sign(parcel.secret, now, parcel.body))
            .header("locule-delivery", parcel.delivery)
            .send(parcel.body);
        let response = sent.map_err(lost)?;
        let status = response.status().as_u16();
        match status {
            200..=299 => Ok(()),
            300..=399 => Err(Failure::never(format!(
                "The receiver answers with a redirect (status {status}), and none is followed: name its new address."
            ))),
            410 => Err(Failure::never("The receiver is gone (status 410).")),
            _ => Err(Failure::later(format!("The receiver does not take it (status {status})."))),
        }
    }
}

/// The word for a refusal inside of an error of the client's.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name stands for an address that is not of the public internet")
    }
}

impl std::error::Error for Refused {}

fn lost(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Refused>()) => Failure::never(
            "The receiver's name stands for an address that is not of the public internet, where nothing is sent.",
        ),
        ureq::Error::Timeout(_) => Failure::later("The receiver takes too long."),
        ureq::Error::HostNotFound => Failure::later("The receiver's name is not known."),
        _ => Failure::later("The receiver does not answer."),
    }
}

/// Finds out what a name stands for, and refuses it all if any of it is not public.
#[derive(Debug)]
struct Guarded {
    names: Box<dyn Resolver>,
    allow: Vec<String>,
}

impl Resolver for Guarded {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        let excepted = is_excepted(bare(uri.host().unwrap_or_default()), &self.allow);
        if excepted || found.iter().all(|address| is_public(address.ip())) {
            return Ok(found);
        }
        Err(ureq::Error::Io(std::io::Error::other(Refused)))
    }
}

fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']']).trim_end_matches('.')
}

fn is_excepted(host: &str, allow: &[String]) -> bool {
    allow.iter().any(|name| bare(name).eq_ignore_ascii_case(host))
}

/// Whether an address is one of the public internet: everything that the registries of special addresses (RFC 6890 and its
/// successors) name is not, nor is what stands for such an address in IPv6.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let special = match (a, b, c) {
        // This network, private ones, this machine, link-local (where clouds hand out credentials).
        (0 | 10 | 127, ..) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Behind a provider's translation.
        (100, 64..=127, _) => true,
        // Protocols, documentation, relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // Azure's host, which looks like any other address and hands out credentials.
        (168, 63, 129) => d == 16,
        // Multicast and the rest.
        (224.., ..) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is given out: so much for ::1, ::, mapped and translated IPv4, local and link-local ones, multicast.
    let given_out = a & 0xe000 == 0x2000;
    let special = match a {
        // Protocols, among them Teredo, which carries IPv4; and documentation.
        0x2001 => b < 0x0200 || b == 0x0db8,
        // 6to4 carries IPv4.
        0x2002 => true,
        // Documentation.
        0x3fff => b < 0x1000,
        _ => false,
    };
    given_out && !special
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::time::Duration;

    use locule_testbed::{Say, Web};

    use super::*;
    use crate::model::chat::Again;

    /// Names that stand for what the test says: each look takes the next of these.
    #[derive(Debug)]
    struct Names(Mutex<Vec<Vec<SocketAddr>>>);

    impl Resolver for Names {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            self.0.lock().unwrap().remove(0).into_iter().for_each(|address| found.push(address));
            Ok(found)
        }
    }

    fn allowing(hosts: &[&str]) -> Webhooks {
        let allow = hosts.iter().map(|&host| host.to_owned()).collect();
        Webhooks { allow, timeout: Duration::from_millis(500), ..Webhooks::default() }
    }

    fn send(courier: &Courier, url: &str) -> Result<(), Failure> {
        let parcel = Parcel { url, secret: "whsec_test", delivery: "d-1", body: r#"{"a":1}"# };
        courier.send(&parcel, Timestamp::from_second(1_700_000_000).unwrap())
    }

    #[test]
    fn a_parcel_arrives_with_its_proof() {
        let web = Web::saying([], Say::status(204));
        send(&Courier::new(allowing(&["127.0.0.1"])), &format!("{}/hook?x=1", web.url())).unwrap();
        let asked = web.asked();
        assert_eq!((&*asked[0].method, &*asked[0].path, &*asked[0].body), ("POST", "/hook?x=1", r#"{"a":1}"#));
        let proof = sign("whsec_test", Timestamp::from_second(1_700_000_000).unwrap(), r#"{"a":1}"#);
        assert_eq!(asked[0].header(SIGNATURE), Some(&*proof));
        assert_eq!(asked[0].header("locule-delivery"), Some("d-1"));
    }

    #[test]
    fn what_is_not_taken_is_tried_again_and_what_leads_elsewhere_is_not() {
        let to = |say: Say| {
            let web = Web::saying([], say);
            let failure = send(&Courier::new(allowing(&["127.0.0.1"])), &web.url()).unwrap_err();
            (failure.again, web.asked().len())
        };
        for status in [400, 404, 429, 500, 503] {
            assert_eq!(to(Say::status(status)), (Again::Later, 1), "{status}");
        }
        assert_eq!(to(Say::status(200).held()), (Again::Later, 1));
        assert_eq!(to(Say::status(410)), (Again::Never, 1));
        // Also a redirect to where it might go by itself is not followed.
        let target = Web::saying([], Say::status(200));
        assert_eq!(to(Say::with_header(307, "location", &target.url())), (Again::Never, 1));
        assert!(target.asked().is_empty());
    }

    #[test]
    fn an_endless_answer_is_read_no_further_than_its_status() {
        let body = "x".repeat(64 << 20);
        let web = Web::saying([], Say::Whole { status: 200, headers: Vec::new(), body });
        assert_eq!(send(&Courier::new(allowing(&["127.0.0.1"])), &web.url()), Ok(()));
    }

    #[test]
    fn only_https_to_the_public_internet_is_taken() {
        let taken = |url: &str| check(url, &Webhooks::default()).is_ok();
        for good in [
            "https://example.com/hook",
            "https://example.com:8443/x?y=z",
            "https://93.184.216.34/",
            "https://[2606:4700::1]/",
        ] {
            assert!(taken(good), "{good}");
        }
        for bad in [
            "http://example.com",
            "ftp://example.com",
            "example.com",
            "https://",
            "https://user:secret@example.com",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            &format!("https://example.com/{}", "x".repeat(5_000)),
        ] {
            assert!(!taken(bad), "{bad}");
        }
        assert!(check("http://Hooks.Internal:8080/", &allowing(&["hooks.internal"])).is_ok());
        assert!(check("http://hooks.internal.example.com/", &allowing(&["hooks.internal"])).is_err());
    }

    #[test]
    fn no_special_address_is_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "168.63.129.17",
            "172.32.0.1",
            "192.1.0.1",
            "2606:4700::1",
            "2a00:1450::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_name_is_refused_for_what_it_stands_for() {
        let never = |courier: &Courier, url: &str| {
            let failure = send(courier, url).unwrap_err();
            assert_eq!(failure.again, Again::Never, "{url}: {}", failure.why);
        };
        // Real names and spellings of this machine, told apart by nobody but the look at the address.
        let courier = Courier::new(allowing(&[]));
        for url in ["https://localhost/", "https://2130706433/", "https://0x7f.1/", "https://0/"] {
            never(&courier, url);
        }
        // One good address beside a bad one, and one that was good when it was looked at before.
        let (good, bad) = ("93.184.216.34:443".parse().unwrap(), "10.0.0.1:443".parse().unwrap());
        let courier = Courier::by(allowing(&[]), Names(Mutex::new(vec![vec![good, bad], vec![bad], vec![bad]])));
        for _ in 0..3 {
            never(&courier, "https://hooks.example.com/");
        }
    }

    #[test]
    fn the_address_that_was_looked_at_is_the_one_connected_to() {
        let web = Web::saying([], Say::status(200));
        // The name stands for the receiver once; a second look would find nothing and stop the test.
        let names = Names(Mutex::new(vec![vec![web.address()]]));
        let courier = Courier::by(allowing(&["hooks.internal"]), names);
        assert_eq!(send(&courier, "http://hooks.internal/"), Ok(()));
        assert_eq!(web.asked()[0].header("host"), Some("hooks.internal"));
    }
}
