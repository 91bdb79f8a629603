//! What makes vectors from texts.

use std::time::Duration;

use super::setting::{section, words};

words! {
    /// What makes vectors from texts.
    pub enum Provider {
        /// The built-in model.
        Local = "local",
        /// An endpoint that speaks OpenAI's API.
        Openai = "openai",
        /// Nothing here.
        None = "none",
    }
}

section! {
    /// What makes vectors from texts.
    pub struct Embedding in "embedding" {
        /// `local`: the built-in model, nothing leaves the machine. `openai`: any endpoint with OpenAI's `POST /embeddings`. `none`: callers bring vectors with every memory. A space keeps the vectors of one model: after a change `locule reindex` has them made anew.
        plain provider: Provider = Provider::Local;
        /// With `openai`: the address up to and without `/embeddings`; otherwise `OPENAI_BASE_URL`, otherwise OpenAI's own.
        plain url: Option<String> = None;
        /// With `openai`: the key that is sent; otherwise `OPENAI_API_KEY`, otherwise none.
        secret key: Option<String> = None;
        /// With `openai`: the model's name; `text-embedding-3-small` if left out.
        plain model: Option<String> = None;
        /// How many numbers a vector has: 1536 if left out with `openai`; must be given with `none`; the built-in model has 384.
        plain dimension: Option<usize> = None;
        /// With `openai`: whether the endpoint is asked for that many numbers, for models that can do several.
        plain send_dimension: bool = false;
        /// With `openai`: put before every text that is stored, for models that want it.
        plain document_prefix: String = String::new();
        /// With `openai`: put before every text that is searched for.
        plain query_prefix: String = String::new();
        /// With `openai`: how many texts one request carries.
        plain batch: usize = 64;
        /// With `openai`: how long one request may take, in seconds.
        plain timeout_s: u32 = 20;
    }
}

const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENAI_MODEL: &str = "text-embedding-3-small";
const OPENAI_DIMENSION: usize = 1536;

/// How many numbers the built-in model's vectors have.
const LOCAL_DIMENSION: usize = 384;

impl Embedding {
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.batch == 0 {
            return Err(("batch", "it is at least 1".to_owned()));
        }
        if self.timeout_s == 0 {
            return Err(("timeout_s", "it is at least 1".to_owned()));
        }
        match (self.provider, self.dimension) {
            (Provider::None, None) => Err((
                "dimension",
                "with `embedding.provider = \"none\"` say how many numbers callers' vectors have".to_owned(),
            )),
            (Provider::Local, Some(dimension)) if dimension != LOCAL_DIMENSION => {
                Err(("dimension", format!("the built-in model has {LOCAL_DIMENSION}: leave it out")))
            }
            _ => Ok(()),
        }
    }

    /// For the engine. `url` and `key` are what OpenAI's own variables say, and count only for such an endpoint.
    pub fn engine(&self, url: Option<&str>, key: Option<&str>) -> locule::Embedding {
        match self.provider {
            Provider::Local => locule::Embedding::Local,
            Provider::None => locule::Embedding::Supplied { dimension: self.dimension.unwrap_or_default() },
            Provider::Openai => locule::Embedding::Endpoint(locule::Endpoint {
                key: self.key.as_deref().or(key).filter(|key| !key.is_empty()).map(str::to_owned),
                send_dimension: self.send_dimension,
                document_prefix: self.document_prefix.clone(),
                query_prefix: self.query_prefix.clone(),
                batch: self.batch,
                timeout: Duration::from_secs(self.timeout_s.into()),
                ..locule::Endpoint::new(
                    self.url.as_deref().or(url).filter(|url| !url.is_empty()).unwrap_or(OPENAI_URL),
                    self.model.as_deref().unwrap_or(OPENAI_MODEL),
                    self.dimension.unwrap_or(OPENAI_DIMENSION),
                )
            }),
        }
    }
}
