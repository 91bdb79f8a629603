//! Changes of the context as they happen, as server-sent events. What this server changes is told at once; what others change,
//! within a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use locule::context::{Changes, Follower, Heard, Name, Told, Wake};
use locule::{Error, Result};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Caller, Query, ReadMemories};
use crate::problem::{Problem, Refusal};
use crate::streams::Place;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(changes))
}

/// How often it is looked what others have changed.
const LOOK: Duration = Duration::from_secs(1);

/// How long one stream lasts: whoever follows on shows their credential again.
const LAST: Duration = Duration::from_secs(15 * 60);

/// How many events wait for a slow client.
const EVENTS: usize = 1;

/// From where, and for whom.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// Only entries written after this revision; the header `Last-Event-ID` says the same. From the beginning if left out.
    after: Option<u64>,
    /// Only what this agent may read.
    agent: Option<String>,
    /// For how many seconds to follow, 900 at most and if left out; with 0 what is there is told, and that is the end.
    wait_s: Option<f64>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// Follow the changes: an event `entry` for each entry that was written, `removed` with the key of each that is gone, and
/// `keys`, once at the beginning, with all the keys there are. The id of an event is the revision to go on from. At most 16
/// streams at a time; each ends after a quarter of an hour, and is taken up again with `Last-Event-ID`.
#[utoipa::path(get, path = "/api/{user_id}/context/changes", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ChangesQuery),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 422, body = Problem),
              (status = 429, body = Problem, description = "16 are open already"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn changes(
    caller: Caller<ReadMemories>,
    headers: HeaderMap,
    Query(query): Query<ChangesQuery>,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id").map(|last| last.to_str().ok().and_then(|last| last.parse().ok()));
    let after = match (query.after, last) {
        (Some(after), _) | (None, Some(Some(after))) => after,
        (None, None) => 0,
        (None, Some(None)) => {
            return Err(Error::invalid("`Last-Event-ID` is the id of an event of this stream.").into());
        }
    };
    let wait_s = query.wait_s.unwrap_or(LAST.as_secs_f64()).clamp(-1.0, LAST.as_secs_f64());
    let wait = Duration::try_from_secs_f64(wait_s)
        .map_err(|_| Error::invalid("`wait_s` is a number of seconds, 0 or more."))?;
    let caller = caller.also_names(query.user_id);
    let agent = query.agent.as_deref().map(Name::of);
    // The first look is the request's own: what is refused is refused before anything is answered.
    let first = look(&caller, after.into(), agent.clone()).await?;
    let place = caller.stream()?;
    let begun = tokio::time::Instant::now();
    let (end, last) = (begun + wait, begun + LAST);
    let (give, take) = channel(EVENTS);
    let following = Following { caller, agent, place, give, follower: Follower::after(after), end, last };
    tokio::spawn(following.run(first));
    let events = Sse::new(ReceiverStream::new(take));
    Ok(events.keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

async fn look(caller: &Caller<ReadMemories>, heard: Heard, agent: Option<Name>) -> Result<Option<Changes>, Refusal> {
    caller.again().read(move |engine, scope| engine.context_changes(scope, heard, agent.as_ref())).await
}

/// Somebody who follows.
struct Following {
    caller: Caller<ReadMemories>,
    agent: Option<Name>,
    place: Place,
    give: Sender<Result<Event, Infallible>>,
    follower: Follower,
    /// When nothing more is looked for.
    end: tokio::time::Instant,
    /// When a client that does not take what it is told is left to itself.
    last: tokio::time::Instant,
}

impl Following {
    async fn run(mut self, first: Option<Changes>) {
        let woken = Arc::new(Notify::new());
        let wake: Wake = {
            let woken = woken.clone();
            Arc::new(move || woken.notify_one())
        };
        let watch = self.caller.again().read(move |engine, scope| Ok(engine.watch_context(&scope, wake))).await;
        let mut stopping = self.place.stopping();
        let mut found = Ok(first);
        loop {
            let more = found.as_ref().is_ok_and(|found| found.as_ref().is_some_and(|changes| changes.more.is_some()));
            let told = match found {
                Ok(Some(changes)) => self.tell(changes).await,
                Ok(None) => Some(()),
                // Who asks too much of a busy server asks again.
                Err(Refusal(error)) => error.code().retry_after_s().map(drop),
            };
            if told.is_none() || self.give.is_closed() || (!more && tokio::time::Instant::now() >= self.end) {
                break;
            }
            if !more {
                tokio::select! {
                    () = woken.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    () = tokio::time::sleep_until(self.end) => break,
                    () = self.give.closed() => break,
                    _ = stopping.wait_for(|stopping| *stopping) => break,
                }
            }
            found = look(&self.caller, self.follower.heard(), self.agent.clone()).await;
        }
        drop(watch);
    }

    /// Tells of changes; `None` if there is nobody to be told.
    async fn tell(&mut self, changes: Changes) -> Option<()> {
        let mut stopping = self.place.stopping();
        for Told { after, news } in self.follower.tell(changes) {
            let data = serde_json::to_string(&news).ok()?;
            let event = Event::default().event(news.event()).id(after.to_string()).data(data);
            tokio::select! {
                given = self.give.send(Ok(event)) => given.ok()?,
                () = tokio::time::sleep_until(self.last) => return None,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        Some(())
    }
}
