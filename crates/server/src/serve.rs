//! Serving: the listeners, and how the server stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use locule::{Engine, limit};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::app::{App, OPERATORS, Settings};
use crate::patience::Patient;
use crate::{extract, layer, mem0, routes};

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
    let app = Arc::new(App::new(engine.clone(), &settings, routes::document));
    runtime.block_on(async {
        let (public, _) = routes::public().split_for_parts();
        let (operators, _) = routes::operators().split_for_parts();
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
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && address == OPERATORS => {
            tracing::warn!(%address, "the operators' usual address is taken; they get another port");
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        bound => bound,
    }
}

/// How long a client may take to send the head of a request, and how long what is under way may take at the end.
const HEAD: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(10);

/// How long a client may take nothing of its answer, which is in memory meanwhile.
const TAKES: Duration = Duration::from_secs(60);

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
        let connection = connections.watch(http.serve_connection(TokioIo::new(Patient::new(stream, TAKES)), service));
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
