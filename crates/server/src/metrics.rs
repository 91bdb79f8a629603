//! Figures for operators, in Prometheus' text format. None carries a user: that would be many, and personal.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The figures.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<RouteLabel, Histogram>,
    waiting: Gauge,
    connections: Gauge,
    vector_bytes: Gauge<i64>,
    users: Gauge,
    memories: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

/// From a tenth of a millisecond to ten seconds.
const BOUNDS_S: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("locule");
        let metrics = Metrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BOUNDS_S)),
            waiting: Gauge::default(),
            connections: Gauge::default(),
            vector_bytes: Gauge::default(),
            users: Gauge::default(),
            memories: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit("request_duration", "From head to answer", Unit::Seconds, metrics.seconds.clone());
        registry.register("waiting", "Units of work that wait for a thread", metrics.waiting.clone());
        registry.register("open_connections", "Database connections held open", metrics.connections.clone());
        registry.register("vector_bytes", "Bytes of vectors in memory", metrics.vector_bytes.clone());
        registry.register("users", "Users that have a space", metrics.users.clone());
        registry.register("memories", "Memories of all users, as last published", metrics.memories.clone());
        Metrics { registry, ..metrics }
    }

    /// One request has been answered.
    pub fn request(&self, method: &Method, route: &str, status: u16, took: Duration) {
        // A stranger can make up any number of methods, and each would be kept for ever.
        let known =
            [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let labels = Labels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&RouteLabel { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// The text, with the gauges set.
    pub fn text(&self, waiting: usize, held: (usize, usize), figures: &locule::Figures) -> String {
        self.waiting.set(waiting as i64);
        self.connections.set(held.0 as i64);
        self.vector_bytes.set(held.1 as i64);
        self.users.set(figures.users as i64);
        self.memories.set(figures.memories as f64);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
