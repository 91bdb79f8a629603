//! An OpenAI-compatible endpoint: `POST {url}/embeddings` with `{"model", "input"}`, answered by `{"data": [{"index", "embedding"}]}`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locule_core::{Code, Error, Result, limit};
use locule_store::Model;
use serde::Deserialize;
use serde_json::json;

use super::{Embedder, Purpose};
use crate::config::Endpoint;
use crate::http::{Answer, Http};

/// How often a request is made before giving up, and how long is waited between, longer each time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Bytes of one number as JSON, generously.
const NUMBER_BYTES: u64 = 32;

/// How many requests are under way at a time. One that hangs holds a thread of the server's: with this many at most, a
/// broken endpoint costs those who need it and nobody else.
const UNDER_WAY: usize = 8;

pub(super) struct Remote {
    under_way: AtomicUsize,
    endpoint: Endpoint,
    model: Model,
    http: Http,
}

#[derive(Deserialize)]
struct Vectors {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    index: usize,
    embedding: Vec<f32>,
}

impl Remote {
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        limit::DIMENSION.check(endpoint.dimension)?;
        if endpoint.dimension == 0 || endpoint.batch == 0 || endpoint.model.is_empty() {
            return Err(Error::invalid(
                "An embedding endpoint needs a model, its dimension, and a batch of at least 1.",
            ));
        }
        let http = Http::to(&endpoint.url, endpoint.timeout)?;
        // The prefixes shape the vectors as the model does: with others, stored vectors would not fit.
        let id = match (&*endpoint.document_prefix, &*endpoint.query_prefix) {
            ("", "") => endpoint.model.clone(),
            (document, query) => format!("{} ({document:?}, {query:?})", endpoint.model),
        };
        let model = Model { id, dimension: endpoint.dimension };
        Ok(Remote { under_way: AtomicUsize::new(0), endpoint, model, http })
    }

    fn batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let url = format!("{}/embeddings", self.endpoint.url.trim_end_matches('/'));
        let mut body = json!({"model": self.endpoint.model, "input": texts, "encoding_format": "float"});
        if self.endpoint.send_dimension {
            body["dimensions"] = json!(self.endpoint.dimension);
        }
        let bytes_max = 64 * 1024 + texts.len() as u64 * self.endpoint.dimension as u64 * NUMBER_BYTES;
        let mut last = None;
        for attempt in 0..TRIES {
            let mut pause = PAUSE * 2_u32.pow(attempt);
            match self.http.post(&url, self.endpoint.key.as_deref(), &body, bytes_max) {
                Ok(Answer::Body(text)) => return self.read(&text, texts.len()),
                Ok(Answer::Refused(status, text)) => {
                    return Err(unavailable("refuses the request").because(format!("status {status}: {text}")));
                }
                Ok(Answer::Later(status, after)) => {
                    pause = after.map_or(pause, Duration::from_secs);
                    last = Some(unavailable("is busy or broken").because(format!("status {status}")));
                }
                Err(error) => last = Some(unavailable("does not answer").because(error)),
            }
            if attempt + 1 < TRIES {
                std::thread::sleep(pause.min(PAUSE_MAX));
            }
        }
        Err(last.unwrap_or_else(|| unavailable("does not answer")))
    }

    /// An answer is believed only if it has one vector of the right length for each text.
    fn read(&self, text: &str, count: usize) -> Result<Vec<Vec<f32>>> {
        let odd = |what: &str| unavailable("answers what cannot be used").because(what.to_owned());
        let answer: Vectors = serde_json::from_str(text).map_err(|error| odd(&error.to_string()))?;
        let mut vectors = vec![Vec::new(); count];
        for Vector { index, embedding } in answer.data {
            if embedding.len() != self.model.dimension {
                return Err(odd(&format!("vectors of {} numbers, not {}", embedding.len(), self.model.dimension)));
            }
            *vectors.get_mut(index).ok_or_else(|| odd("a vector for no text"))? = embedding;
        }
        if vectors.iter().any(Vec::is_empty) {
            return Err(odd("fewer vectors than texts"));
        }
        Ok(vectors)
    }
}

/// A request's place among those under way.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Remote {
    fn place(&self) -> Result<Place<'_>> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.under_way);
        if before < UNDER_WAY { Ok(place) } else { Err(unavailable("has as many requests of ours as it may have")) }
    }
}

impl Embedder for Remote {
    fn model(&self) -> &Model {
        &self.model
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        let prefix = match purpose {
            Purpose::Document => &self.endpoint.document_prefix,
            Purpose::Query => &self.endpoint.query_prefix,
        };
        let _place = self.place()?;
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.endpoint.batch) {
            vectors.extend(self.batch(batch)?);
        }
        Ok(vectors)
    }
}

fn unavailable(what: &str) -> Error {
    Error::new(
        Code::ProviderUnavailable,
        format!(
            "The embedding endpoint {what}. Nothing was stored; try again in a moment, or bring your own `embedding`."
        ),
    )
}
