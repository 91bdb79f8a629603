//! The model that finds in conversations what is worth remembering.

use std::time::Duration;

use super::setting::section;

section! {
    /// The model that finds in conversations what is worth remembering. Without one, conversations are kept word for word.
    pub struct Chat in "chat" {
        /// The model's name; with it, `infer` finds facts. Not set: there is no model, and nothing is asked of any.
        plain model: Option<String> = None;
        /// The address up to and without `/chat/completions`; otherwise `OPENAI_BASE_URL`, otherwise OpenRouter's if only `OPENROUTER_API_KEY` is set, otherwise OpenAI's own.
        plain url: Option<String> = None;
        /// The key that is sent; otherwise `OPENAI_API_KEY`, and at OpenRouter's address `OPENROUTER_API_KEY`; otherwise none.
        secret key: Option<String> = None;
        /// Whether the model is asked for a JSON object (`response_format`), for endpoints that can; its answer is read either way.
        plain json_object: bool = false;
        /// How long one request to it may take, in seconds.
        plain timeout_s: u32 = 60;
        /// How often a piece of work is tried before it counts as failed; it is kept then, and can be asked for again.
        plain attempts: u32 = 5;
        /// How many requests to it are under way at a time.
        plain concurrency: usize = 2;
    }
}

const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENROUTER_URL: &str = "https://openrouter.ai/api/v1";

/// What other programs' variables say.
#[derive(Clone, Copy, Default)]
pub struct Known<'a> {
    pub openai_url: Option<&'a str>,
    pub openai_key: Option<&'a str>,
    pub openrouter_key: Option<&'a str>,
}

impl Chat {
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, value) in [
            ("timeout_s", self.timeout_s as usize),
            ("attempts", self.attempts as usize),
            ("concurrency", self.concurrency),
        ] {
            if value == 0 {
                return Err((name, "it is at least 1".to_owned()));
            }
        }
        Ok(())
    }

    /// For the engine, if a model is named. A key is sent to nobody but whose it is.
    pub fn engine(&self, known: Known) -> Option<locule::ChatEndpoint> {
        let model = given(self.model.as_deref())?;
        let openai = given(known.openai_url).or(given(known.openai_key).map(|_| OPENAI_URL));
        let openrouter = given(known.openrouter_key).map(|_| OPENROUTER_URL);
        let url = given(self.url.as_deref()).or(openai).or(openrouter).unwrap_or(OPENAI_URL);
        let key = match url.starts_with(OPENROUTER_URL) {
            true => given(known.openrouter_key).or(given(known.openai_key)),
            false => given(known.openai_key),
        };
        Some(locule::ChatEndpoint {
            key: given(self.key.as_deref()).or(key).map(str::to_owned),
            json_object: self.json_object,
            timeout: Duration::from_secs(self.timeout_s.into()),
            attempts: self.attempts,
            concurrency: self.concurrency,
            ..locule::ChatEndpoint::new(url, model)
        })
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_nobody_but_whose_it_is() {
        let named =
            |url: Option<&str>| Chat { model: Some("small".into()), url: url.map(str::to_owned), ..Chat::default() };
        let all = Known { openai_url: None, openai_key: Some("sk-openai"), openrouter_key: Some("sk-or") };
        let found = |chat: &Chat, known: Known| {
            let endpoint = chat.engine(known).unwrap();
            (endpoint.url.clone(), endpoint.key)
        };
        let openrouter = Known { openai_key: None, ..all };
        assert_eq!(found(&named(None), all), (OPENAI_URL.to_owned(), Some("sk-openai".to_owned())));
        assert_eq!(found(&named(None), openrouter), (OPENROUTER_URL.to_owned(), Some("sk-or".to_owned())));
        assert_eq!(found(&named(Some(OPENROUTER_URL)), all), (OPENROUTER_URL.to_owned(), Some("sk-or".to_owned())));
        assert_eq!(found(&named(Some(OPENAI_URL)), openrouter), (OPENAI_URL.to_owned(), None));
        let mine = Known { openai_url: Some("http://localhost:1/v1"), ..Known::default() };
        assert_eq!(found(&named(None), mine), ("http://localhost:1/v1".to_owned(), None));
        assert!(Chat::default().engine(all).is_none());
    }
}
