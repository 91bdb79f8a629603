//! `/api/{user_id}`: the space as a whole.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use locule::{Receipt, Usage};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Caller, Erase, Export, ReadUsage};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(usage)).routes(routes!(export)).routes(routes!(erase))
}

/// How full the space is.
#[utoipa::path(get, path = "/api/{user_id}/usage", tag = "space",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`memories`, `memories_max`, `entries` of context and `agents` with theirs, `size_bytes`, `size_bytes_max`, `model`, `dimension`, and figures over the memories"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn usage(caller: Caller<ReadUsage>) -> Result<axum::Json<Usage>, Refusal> {
    Ok(axum::Json(caller.read(|engine, scope| engine.usage(scope)).await?))
}

/// Everything in the space, as one JSON object, streamed.
#[utoipa::path(get, path = "/api/{user_id}/export", tag = "space",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`user_id`, `export_date`, `total_memories`, `total_relationships`, `memories`, `relationships`"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn export(caller: Caller<Export>) -> Result<Response, Refusal> {
    let (app, scope, user_id) = caller.scope().await?;
    let (give, take) = channel(PIECES);
    let handle = Handle::current();
    // Not on the work pool: how long it takes is up to the client.
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Stream { give, handle });
        if let Err(error) = app.engine.export(scope, &user_id, &mut out, &mut |_, _| {}) {
            tracing::warn!(?error, "an export was cut off");
            // The client sees a broken transfer, not a short document, once it has taken what was before it.
            let _ = out.get_mut().send(Err(io::Error::other("cut off")));
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"locule-export.json\""),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(take))).into_response())
}

/// How many pieces wait for a slow client, and how large one is.
const PIECES: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;

/// How long a client may take nothing before the export is given up.
const PATIENCE: Duration = Duration::from_secs(30);

struct Stream {
    give: Sender<io::Result<Bytes>>,
    handle: Handle,
}

impl Stream {
    fn send(&mut self, piece: io::Result<Bytes>) -> io::Result<()> {
        let sent = self.handle.block_on(async { tokio::time::timeout(PATIENCE, self.give.send(piece)).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client does not take the export")),
        }
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Ok(Bytes::copy_from_slice(bytes))).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Erase the user: the space's key is destroyed and its files are removed, at once and for good.
#[utoipa::path(delete, path = "/api/{user_id}", tag = "space",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "The receipt"), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn erase(caller: Caller<Erase>) -> Result<axum::Json<Receipt>, Refusal> {
    Ok(axum::Json(caller.erase(|engine, erasure| engine.erase(erasure)).await?))
}
