//! A model that one talks to: any endpoint with OpenAI's `POST /chat/completions`.
//!
//! It is asked behind an answer, by work that tries again later; so it tries once and says whether trying again may help.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use locule_core::{Code, Error, Result, deadline};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::ChatEndpoint;
use crate::http::{Answer, Http};

/// The largest answer that is read, in bytes: what is found in a conversation is shorter than the conversation.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The most that a `Retry-After` is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Whoever set the model its task.
    System,
    /// Who speaks to it.
    User,
    /// The model itself.
    Assistant,
}

/// One message to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What.
    pub content: String,
}

/// Why an attempt came to nothing, in words that may be shown to whoever asked for the work: no address, no key, and nothing
/// that the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether to try again.
    pub again: Again,
    /// What happened.
    pub why: String,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It may, whenever suits.
    Later,
    /// It may, and not before so long: the other side says so.
    After(Duration),
    /// It does not: the same would happen again.
    Never,
}

impl Failure {
    /// One after which trying again may help.
    pub fn later(why: impl Into<String>) -> Self {
        Failure { again: Again::Later, why: why.into() }
    }

    /// One that would happen again.
    pub fn never(why: impl Into<String>) -> Self {
        Failure { again: Again::Never, why: why.into() }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::new(Code::ProviderUnavailable, failure.why)
    }
}

/// The configured model.
pub struct Chat {
    endpoint: ChatEndpoint,
    url: String,
    http: Http,
    /// How many more may ask at this moment.
    free: Mutex<usize>,
    freed: Condvar,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

impl Chat {
    /// The model as configured; its address is checked now, and asked later.
    pub(crate) fn new(endpoint: ChatEndpoint) -> Result<Self> {
        if endpoint.model.is_empty() || endpoint.attempts == 0 || endpoint.concurrency == 0 {
            return Err(Error::invalid("A chat model needs a name, and at least 1 attempt and 1 request at a time."));
        }
        let http = Http::to(&endpoint.url, endpoint.timeout)?;
        let url = format!("{}/chat/completions", endpoint.url.trim_end_matches('/'));
        Ok(Chat { free: Mutex::new(endpoint.concurrency), freed: Condvar::new(), endpoint, url, http })
    }

    /// What the model is called.
    pub fn model(&self) -> &str {
        &self.endpoint.model
    }

    /// How many requests are under way at a time.
    pub fn concurrency(&self) -> usize {
        self.endpoint.concurrency
    }

    /// How it is set up.
    pub(crate) fn endpoint(&self) -> &ChatEndpoint {
        &self.endpoint
    }

    /// What the model says to these messages.
    pub fn say(&self, messages: &[Message]) -> Result<String, Failure> {
        let mut body = json!({"model": self.endpoint.model, "messages": messages, "stream": false});
        if self.endpoint.json_object {
            body["response_format"] = json!({"type": "json_object"});
        }
        let _place = self.place()?;
        match self.http.post(&self.url, self.endpoint.key.as_deref(), &body, ANSWER_BYTES_MAX) {
            Ok(Answer::Body(text)) => read(&text),
            Ok(Answer::Later(status, seconds)) => {
                let after = seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
                let again = after.map_or(Again::Later, Again::After);
                Err(Failure { again, why: format!("The model is busy or broken (status {status}).") })
            }
            // What it says to that may repeat what it was told, which is nothing for a log.
            Ok(Answer::Refused(status, _)) => {
                tracing::warn!(status, "the chat model refuses a request");
                Err(refused(status))
            }
            Err(error) => {
                tracing::warn!(?error, "the chat model does not answer");
                Err(Failure::later("The model does not answer, or not whole, or takes too long."))
            }
        }
    }

    /// A place among those who ask. Work waits for it as for an answer, a request no longer than it has.
    fn place(&self) -> Result<Place<'_>, Failure> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = deadline::rest(self.endpoint.timeout);
        let (mut free, waited) =
            self.freed.wait_timeout_while(free, patience, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Failure::later("The model has as many requests of ours as it may have."));
        }
        *free -= 1;
        Ok(Place(self))
    }
}

struct Place<'a>(&'a Chat);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// What is wrong with the set-up is mended while the work waits; what is wrong with the request is not.
fn refused(status: u16) -> Failure {
    match status {
        401..=404 => Failure::later(format!(
            "The model's endpoint refuses to be asked (status {status}): whoever runs Locule looks at [chat]."
        )),
        408 | 409 | 425 => Failure::later(format!("The model is busy or broken (status {status}).")),
        _ => Failure::never(format!("The model refuses this request (status {status}).")),
    }
}

fn read(text: &str) -> Result<String, Failure> {
    let odd = |why: &str| Failure::later(format!("The model answers what cannot be used: {why}."));
    let completion: Completion = serde_json::from_str(text).map_err(|_| odd("it is no chat completion"))?;
    let said = completion.choices.into_iter().next().and_then(|choice| choice.message.content);
    said.filter(|said| !said.trim().is_empty()).ok_or_else(|| odd("it says nothing"))
}

#[cfg(test)]
mod tests {
    use locule_testbed::{Say, Web};

    use super::*;

    fn ask(say: Say) -> (Result<String, Failure>, Web) {
        let web = Web::saying([], say);
        let chat = Chat::new(ChatEndpoint {
            key: Some("sk-1".to_owned()),
            timeout: Duration::from_millis(400),
            ..ChatEndpoint::new(web.url(), "small")
        });
        let message = Message { role: Role::User, content: "hello".to_owned() };
        (chat.unwrap().say(&[message]), web)
    }

    fn failure(say: Say) -> Failure {
        ask(say).0.unwrap_err()
    }

    #[test]
    fn a_good_answer_is_what_the_model_says() {
        let (said, web) = ask(Say::chat("good day"));
        assert_eq!(said, Ok("good day".to_owned()));
        let asked = web.asked();
        assert_eq!((asked.len(), &*asked[0].path), (1, "/chat/completions"));
        assert_eq!(asked[0].header("authorization"), Some("Bearer sk-1"));
        let body = asked[0].json();
        assert_eq!((&body["model"], &body["messages"][0]["role"]), (&json!("small"), &json!("user")));
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_stays_is_not() {
        for status in [401, 403, 404, 408, 429, 500, 503] {
            assert_eq!(failure(Say::status(status)).again, Again::Later, "{status}");
        }
        for status in [301, 400, 413, 422] {
            assert_eq!(failure(Say::status(status)).again, Again::Never, "{status}");
        }
        let told = failure(Say::with_header(429, "retry-after", "7")).again;
        assert_eq!(told, Again::After(Duration::from_secs(7)));
        let believed = failure(Say::with_header(503, "retry-after", "99999999")).again;
        assert_eq!(believed, Again::After(RETRY_AFTER_MAX));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let empty = json!({"choices": []});
        let silent = json!({"choices": [{"message": {"content": null}}]});
        for say in [Say::json(&empty), Say::json(&silent), Say::chat(" "), Say::json(&json!("x")), Say::Cut] {
            let failure = failure(say);
            assert_eq!(failure.again, Again::Later, "{}", failure.why);
        }
        // One that hangs, and one that never ends.
        assert_eq!(failure(Say::chat("late").held()).again, Again::Later);
        assert_eq!(failure(Say::chat(&"x".repeat(2 << 20))).again, Again::Later);
    }

    #[test]
    fn what_the_other_side_says_is_shown_to_nobody() {
        let body = "Incorrect API key provided: sk-1".to_owned();
        let why = failure(Say::Whole { status: 400, headers: Vec::new(), body }).why;
        assert!(!why.contains("sk-1") && !why.contains("127.0.0.1"), "{why}");
    }
}
