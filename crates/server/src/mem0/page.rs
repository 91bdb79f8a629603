//! Pages as mem0 counts them: by number, in an envelope with the exact total.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use locule::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::client::Params;
use super::path::Asked;
use super::wire;
use crate::problem::Refusal;

/// How many a page holds when nobody says, and at most.
const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 200;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: usize,
    /// How many it holds.
    pub size: usize,
    /// Whether the request said both.
    pub asked_for: bool,
}

impl Page {
    /// From the query, or else the body.
    pub fn of(params: &Params, body: &Map<String, Value>) -> Result<Self> {
        Page::up_to(params, body, SIZE_DEFAULT, SIZE_MAX)
    }

    /// The same with other sizes.
    pub fn up_to(params: &Params, body: &Map<String, Value>, default: usize, max: usize) -> Result<Self> {
        let of = |name: &str| -> Result<Option<usize>> {
            match params.get(name) {
                Some(text) => wire::number(Some(&Value::from(text)), name),
                None => wire::number(body.get(name), name),
            }
        };
        let (number, size) = (of("page")?, of("page_size")?);
        if number == Some(0) || size.is_some_and(|size| size == 0 || size > max) {
            return Err(Error::invalid(format!("`page` counts from 1, and `page_size` is a number from 1 to {max}.")));
        }
        let asked_for = number.is_some() && size.is_some();
        Ok(Page { number: number.unwrap_or(1), size: size.unwrap_or(default), asked_for })
    }

    /// How many come before it.
    pub fn offset(self) -> usize {
        (self.number - 1).saturating_mul(self.size)
    }

    /// Passes if there is such a page.
    pub fn check(self, total: u64) -> Result<()> {
        if self.number > 1 && self.offset() as u64 >= total {
            return Err(Error::new(Code::NotFound, "Invalid page."));
        }
        Ok(())
    }

    /// The page with its total and its neighbours.
    pub fn envelope(self, total: u64, results: Vec<Value>, links: &Links) -> Value {
        let more = (self.offset() + results.len()) as u64 != total && !results.is_empty();
        let before = self.number > 1;
        json!({
            "count": total,
            "next": more.then(|| links.to(self.number + 1, self.size)),
            "previous": before.then(|| links.to(self.number - 1, self.size)),
            "results": results,
        })
    }
}

/// What the addresses of other pages are made of.
pub struct Links {
    base: String,
    others: Vec<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Links {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let uri = parts.extensions.get::<Asked>().map_or(&parts.uri, |Asked(uri)| uri);
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST.as_str()).unwrap_or("localhost");
        // What a proxy in front says of itself.
        let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        let others = uri.query().unwrap_or_default().split('&');
        let others =
            others.filter(|pair| !pair.is_empty() && !pair.starts_with("page=") && !pair.starts_with("page_size="));
        Ok(Links { base: format!("{scheme}://{host}{}", uri.path()), others: others.map(str::to_owned).collect() })
    }
}

impl Links {
    fn to(&self, number: usize, size: usize) -> String {
        let mut pairs = self.others.clone();
        pairs.extend([format!("page={number}"), format!("page_size={size}")]);
        format!("{}?{}", self.base, pairs.join("&"))
    }
}
