//! The one HTTP client, for addresses that an operator has configured and nobody else can choose.
//!
//! https only, except to this machine; no redirects; answers are read up to a bound and time.

use std::time::Duration;

use jiff::fmt::rfc2822;
use locule_core::{Code, Error, Result, deadline};
use ureq::Agent;
use ureq::http::{HeaderMap, Uri};

/// A client for one configured address.
pub(crate) struct Http {
    agent: Agent,
    timeout: Duration,
}

/// What became of a request.
pub(crate) enum Answer {
    /// It was answered well.
    Body(String),
    /// It was refused with this status; a part of what was said, for the log.
    Refused(u16, String),
    /// The status says to come back, perhaps after so many seconds.
    Later(u16, Option<u64>),
}

impl Http {
    /// A client for `url`, or the reason why that may not be asked.
    pub fn to(url: &str, timeout: Duration) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("The configured address {url:?}: {why}.")));
        let Ok(uri) = url.parse::<Uri>() else { return refuse("it is not a URL") };
        let host = uri.host().unwrap_or_default();
        match uri.scheme_str() {
            _ if host.is_empty() => return refuse("it names no host"),
            Some("https") => {}
            Some("http") if is_this_machine(host) => {}
            Some("http") => return refuse("http is taken only for this machine; use https"),
            _ => return refuse("it is neither https nor http"),
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(true)
            .http_status_as_error(false)
            .build()
            .new_agent();
        Ok(Http { agent, timeout })
    }

    /// Reads a document.
    pub fn get(&self, url: &str, bytes_max: u64) -> Result<String> {
        let mut response = self.agent.get(url).call().map_err(unreachable)?;
        if response.status().as_u16() != 200 {
            return Err(Error::internal(format!("status {}", response.status())));
        }
        response.body_mut().with_config().limit(bytes_max).read_to_string().map_err(unreachable)
    }

    /// Sends JSON and reads the answer, within the time there is.
    pub fn post(&self, url: &str, key: Option<&str>, body: &serde_json::Value, bytes_max: u64) -> Result<Answer> {
        let mut request = self.agent.post(url).config().timeout_global(Some(deadline::rest(self.timeout))).build();
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send_json(body).map_err(unreachable)?;
        let status = response.status().as_u16();
        if status == 429 || status >= 500 {
            return Ok(Answer::Later(status, retry_after_s(response.headers())));
        }
        let text = response.body_mut().with_config().limit(bytes_max).read_to_string().map_err(unreachable)?;
        if status == 200 {
            Ok(Answer::Body(text))
        } else {
            Ok(Answer::Refused(status, text.chars().take(300).collect()))
        }
    }
}

/// After how many seconds to come back: a number, or a date, which is held against the one of the answer (RFC 9110, 10.2.3).
fn retry_after_s(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let moment = |name: &str| rfc2822::parse(text(name)?).ok();
    let date =
        || moment("retry-after")?.timestamp().duration_since(moment("date")?.timestamp()).as_secs().try_into().ok();
    text("retry-after")?.parse().ok().or_else(date)
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unreachable(error: ureq::Error) -> Error {
    Error::new(Code::ProviderUnavailable, "The configured endpoint does not answer.").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_addresses_are_asked() {
        let ask = |url| Http::to(url, Duration::from_secs(1)).is_ok();
        for good in ["https://example.com/v1", "http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]:1/x"] {
            assert!(ask(good), "{good}");
        }
        for bad in ["http://example.com", "http://127.0.0.1.example.com", "ftp://example.com", "file:///x", "x", ""] {
            assert!(!ask(bad), "{bad}");
        }
    }
    #[test]
    fn a_time_to_come_back_is_a_number_or_a_date() {
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let of = |after: &str, date: &str| {
            let headers = [("retry-after", after), ("date", date)];
            let read = |(name, value): (&str, &str)| Some((name.parse().ok()?, value.parse().ok()?));
            retry_after_s(&headers.into_iter().filter_map(read).collect())
        };
        assert_eq!(of("7", NOW), Some(7));
        assert_eq!(of("Sun, 06 Nov 1994 08:50:37 GMT", NOW), Some(60));
        for (after, date) in [("Sun, 06 Nov 1994 08:49:00 GMT", NOW), ("soon", NOW), (NOW, "today"), ("-1", NOW)] {
            assert_eq!(of(after, date), None, "{after} {date}");
        }
    }
}
