//! The server: its routes on one page, its listeners, and how it stops.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use locule::{Code, Engine, Error, Principal, Result, limit};
use tokio::net::TcpListener;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;

use crate::metrics::Metrics;
use crate::pool::{Pool, Share};
use crate::streams::Streams;
use crate::{extract, layer, mem0, native, openapi, operator};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where users and services connect.
    pub listen: SocketAddr,
    /// Where operators connect; `None` for nowhere.
    pub operator_listen: Option<SocketAddr>,
    /// How long a request may take.
    pub deadline: Duration,
    /// How many units of work run at a time.
    pub workers: usize,
    /// Requests per second that one space may make, on average; 0 for no bound.
    pub rate_per_s: u32,
    /// Where mem0's clients find their face.
    pub mem0_prefix: String,
    /// From which origins pages may ask in a browser.
    pub origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            operator_listen: Some(SocketAddr::from(([127, 0, 0, 1], 7401))),
            deadline: Duration::from_secs(10),
            workers: 32,
            rate_per_s: 0,
            mem0_prefix: mem0::path::HOME.to_owned(),
            origins: Vec::new(),
        }
    }
}

/// What all requests share.
pub struct App {
    /// The installation.
    pub engine: Arc<Engine>,
    /// Where blocking work runs.
    pub pool: Pool,
    /// How long a request may take.
    pub deadline: Duration,
    /// Figures.
    pub metrics: Metrics,
    /// Answers that go on for as long as their clients like.
    pub streams: Arc<Streams>,
    rates: Option<RateLimiter<Share, DashMapStateStore<Share>, DefaultClock>>,
    hasher: RandomState,
}

impl App {
    fn new(engine: Arc<Engine>, settings: &Settings) -> Self {
        let rates =
            std::num::NonZeroU32::new(settings.rate_per_s).map(|rate| RateLimiter::dashmap(Quota::per_second(rate)));
        App {
            engine,
            pool: Pool::new(settings.workers),
            deadline: settings.deadline,
            metrics: Metrics::new(),
            streams: Arc::default(),
            rates,
            hasher: RandomState::new(),
        }
    }

    /// Whose turn the work of this principal takes: its own, or that of the user a service acts for. The hash has a key of
    /// this process, so that nobody can aim at another's turn.
    pub fn share(&self, principal: &Principal, acts_for: Option<&str>) -> Share {
        let actor = principal.actor();
        match principal.role() {
            locule::Role::Service => Share(self.hasher.hash_one((actor.kind(), acts_for))),
            _ => Share(self.hasher.hash_one((actor.kind(), actor.name()))),
        }
    }

    /// Whose turn it takes to find out who holds a credential. A service's many users all come with its one key, so that it has
    /// several places.
    pub fn share_of_credential(&self, credential: &str) -> Share {
        const PLACES: u64 = 16;
        Share(self.hasher.hash_one((credential, self.hasher.hash_one(std::time::Instant::now()) % PLACES)))
    }

    /// Counts a request against the rate of its share.
    pub fn check_rate(&self, share: Share) -> Result<()> {
        match &self.rates {
            Some(rates) if rates.check_key(&share).is_err() => {
                Err(Error::new(Code::RateLimited, "Too many requests in this second. Try again in a moment."))
            }
            _ => Ok(()),
        }
    }

    /// An id for a request that brings none.
    pub fn fresh_id(&self) -> String {
        let random = [self.hasher.hash_one(std::time::Instant::now()), RandomState::new().hash_one(0)];
        format!("{:016x}{:016x}", random[0], random[1])
    }
}

/// The routes for users and services.
pub fn public() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(native::memories::routes())
        .merge(native::relationships::routes())
        .merge(native::runs::routes())
        .merge(native::jobs::routes())
        .merge(native::context::routes())
        .merge(native::settings::routes())
        .merge(native::project::routes())
        .merge(native::space::routes())
        .merge(mem0::routes())
        .merge(openapi::routes())
}

/// The routes for operators.
pub fn operators() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(operator::routes()).merge(openapi::health())
}

fn finish(router: Router<Arc<App>>, app: &Arc<App>) -> Router {
    router
        .method_not_allowed_fallback(extract::no_such_method)
        .fallback(extract::no_such_path)
        .layer(from_fn_with_state(app.clone(), layer::around))
        .with_state(app.clone())
}

/// Serves until told to stop (SIGTERM, SIGINT), then finishes what is under way. `ready` is called once both listeners
/// accept, with their addresses (the port that was given, where 0 was asked for).
pub fn serve(
    engine: Arc<Engine>,
    settings: Settings,
    ready: impl FnOnce(SocketAddr, Option<SocketAddr>),
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let app = Arc::new(App::new(engine.clone(), &settings));
    runtime.block_on(async {
        let (public, _) = public().split_for_parts();
        let (operators, _) = operators().split_for_parts();
        let listener = TcpListener::bind(settings.listen).await?;
        let operator_listener = match settings.operator_listen {
            Some(address) => Some(bind_operators(address).await?),
            None => None,
        };
        let operator_address = operator_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        ready(listener.local_addr()?, operator_address);
        let workers = engine.start_workers();

        let (stop, stopping) = tokio::sync::watch::channel(());
        let mem0_prefix: Arc<str> = settings.mem0_prefix.into();
        let public = layer::open_to(&settings.origins, finish(public, &app));
        let mut listeners = vec![tokio::spawn(accept(listener, public, mem0_prefix.clone(), stopping.clone()))];
        if let Some(listener) = operator_listener {
            listeners.push(tokio::spawn(accept(listener, finish(operators, &app), mem0_prefix, stopping)));
        }
        let housekeeping = tokio::spawn(keep_house(engine.clone()));
        signal().await?;
        tracing::info!("stopping: finishing what is under way");
        let _ = stop.send(());
        app.streams.stop();
        for listener in listeners {
            tokio::select! {
                _ = listener => {}
                _ = signal() => break,
            }
        }
        housekeeping.abort();
        // Who waits for a model waits longer than anybody waits for us: what is left is done by the next server.
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            workers.stop();
            let _ = end.send(());
        });
        let _ = tokio::time::timeout(LAST, ended).await;
        Ok::<_, std::io::Error>(())
    })?;
    drop(runtime);
    engine.close().map_err(std::io::Error::other)
}

/// The operators' listener. Where another server on this machine has the usual address, any free port serves.
async fn bind_operators(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && Some(address) == usual_operators() => {
            tracing::warn!(%address, "the operators' usual address is taken; they get another port");
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        bound => bound,
    }
}

fn usual_operators() -> Option<SocketAddr> {
    Settings::default().operator_listen
}

/// How long a client may take to send the head of a request, and how long what is under way may take at the end.
const HEAD: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(10);

/// How often figures are published.
const HOUSE: Duration = Duration::from_secs(30);

async fn accept(
    listener: TcpListener,
    router: Router,
    mem0_prefix: Arc<str>,
    mut stopping: tokio::sync::watch::Receiver<()>,
) {
    let mut http = hyper::server::conn::http1::Builder::new();
    // Without flushing pipelines at once, for which hyper keeps any amount of an answer that its client does not take.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(limit::HEADER_BYTES.max);
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, most likely: those who hold them give some back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stopping.changed() => break,
        };
        let _ = stream.set_nodelay(true);
        let (router, mem0_prefix) = (router.clone(), mem0_prefix.clone());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            mem0::path::plain(&mut request, &mem0_prefix);
            without_trailing_slash(&mut request);
            router.clone().oneshot(request.map(axum::body::Body::new) as Request)
        });
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(connection);
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST, connections.shutdown()).await;
}

/// `/x/` is `/x`: a redirect would make some clients drop their credential. The page of the documentation alone is a
/// directory, since its links are relative. What deletes is taken at its word: `DELETE /api/me/memories/` is somebody's
/// slip with an empty id, and shall not delete everything.
fn without_trailing_slash<B>(request: &mut hyper::Request<B>) {
    let path = request.uri().path();
    if path.len() < 2 || !path.ends_with('/') || path == "/docs/" || request.method() == hyper::Method::DELETE {
        return;
    }
    let trimmed = path.trim_end_matches('/');
    let target = match request.uri().query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    if let Ok(target) = target.parse() {
        *request.uri_mut() = target;
    }
}

async fn keep_house(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(HOUSE);
    loop {
        ticks.tick().await;
        let engine = engine.clone();
        let published = tokio::task::spawn_blocking(move || engine.publish()).await;
        if let Ok(Err(error)) = published {
            tracing::warn!(?error, "figures could not be published");
        }
    }
}

async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths that are no part of the API: the page of the documentation, what leads there, and what stands for no path.
    const NOT_DOCUMENTED: [&str; 5] = ["/", "/docs", "/docs/", "/docs/{*rest}", "/{*__private__axum_fallback}"];

    /// Every path of a router. It tells them to nobody but who reads its debug print.
    fn paths(router: &Router<Arc<App>>) -> Vec<String> {
        let print = format!("{router:?}");
        let quoted = print.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
        let mut paths: Vec<_> =
            quoted.map(str::to_owned).filter(|path| !NOT_DOCUMENTED.contains(&path.as_str())).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    #[test]
    fn every_path_of_the_routers_is_documented() {
        for routes in [public(), operators()] {
            let (router, document) = routes.split_for_parts();
            let mut documented: Vec<_> = document.paths.paths.keys().cloned().collect();
            documented.sort();
            assert!(documented.len() > 5);
            assert_eq!(paths(&router), documented);
        }
    }
}
