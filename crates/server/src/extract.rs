//! From a request to the right to act: credential, principal, target; and the body, once it is known that it may be read.
//!
//! A handler that takes `Caller<ReadMemories>` runs only for callers who may read memories in the space that the path
//! names. It gets no scope until it has something to do: the scope is made where the work runs.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request as HttpRequest};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Limited};
use locule::context::tools::Rights;
use locule::{
    Act, Code, Engine, Erasure, Error, Management, Operator, Principal, Read, Request, Result, Role, Scope, Target,
    Write, limit,
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::app::{App, RequestId};
use crate::pool::{Kind, Share};
use crate::problem::Refusal;

/// The header in which a service names whom it acts for, where the path says `me`.
pub const ACT_AS: &str = "locule-act-as";

/// The header for an API key, beside `Authorization: Bearer`.
pub const API_KEY: &str = "x-api-key";

/// What a handler does, as a type.
pub trait Acting: Send + Sync + 'static {
    /// The act that the policy knows.
    const ACT: Act;
}

macro_rules! acting {
    ($($name:ident),*) => {$(
        #[doc = concat!("[`Act::", stringify!($name), "`], as a type.")]
        pub enum $name {}
        impl Acting for $name {
            const ACT: Act = Act::$name;
        }
    )*};
}

acting!(ReadMemories, WriteMemories, ReadUsage, Export, Erase);

/// Somebody verified, who may do `A` in the space that the request is about.
pub struct Caller<A: Acting> {
    app: Arc<App>,
    principal: Arc<Principal>,
    /// The name in the path; `None` for `me`.
    named: Option<String>,
    request: Request,
    share: Share,
    act: PhantomData<A>,
}

impl<A: Acting> FromRequestParts<Arc<App>> for Caller<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let named = in_path(parts, "user_id").filter(|named| named != "me");
        let mut request = Request { id: request_id(parts), ..Request::default() };
        let principal = match authenticate(app, &parts.headers).await {
            Ok(principal) => Arc::new(principal),
            Err(error) => return Err(refuse_stranger(app, error, named, A::ACT, request).await),
        };
        request.act_as = act_as(&parts.headers)?;
        Caller::of(app.clone(), principal, named, request).await
    }
}

impl<A: Acting> Caller<A> {
    /// A principal who may do this in the space of whom the request names, or in their own. What stands in `request` is
    /// checked with it.
    pub async fn of(
        app: Arc<App>,
        principal: Arc<Principal>,
        named: Option<String>,
        request: Request,
    ) -> Result<Self, Refusal> {
        let share = app.share(&principal, named.as_deref().or(request.act_as.as_deref()));
        app.check_rate(share)?;
        let caller = Caller { app, principal, named, request, share, act: PhantomData };
        caller.check_permission().await?;
        Ok(caller)
    }

    /// Notes users that the query or the body names. If one is not the target, the scope will be refused.
    pub fn also_names(mut self, users: impl IntoIterator<Item = String>) -> Self {
        self.request.also_named.extend(users);
        self
    }

    /// Does something with the right to look.
    pub async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, Scope<Read>) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.run(Kind::Read, |caller| {
            let engine = &caller.app.engine;
            work(engine, engine.gate().read(&caller.principal, caller.target(), A::ACT, &caller.request)?)
        })
        .await
    }

    /// Does something with the right to change.
    pub async fn write<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, Scope<Write>) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.run(Kind::Write, |caller| {
            let engine = &caller.app.engine;
            work(engine, engine.gate().write(&caller.principal, caller.target(), A::ACT, &caller.request)?)
        })
        .await
    }

    /// Does something with the right to destroy.
    pub async fn erase<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, Erasure) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.run(Kind::Write, |caller| {
            let engine = &caller.app.engine;
            work(engine, engine.gate().erase(&caller.principal, caller.target(), &caller.request)?)
        })
        .await
    }

    /// The right to look, for work that outlives the request's own turn: a stream.
    pub async fn scope(self) -> Result<(Arc<App>, Scope<Read>, String), Refusal> {
        let app = self.app.clone();
        let scope = self.read(|_, scope| Ok(scope)).await?;
        let subject = scope.origin().owner().map(|owner| owner.subject.as_str().to_owned()).unwrap_or_default();
        Ok((app, scope, subject))
    }

    /// A place among the streams of this caller's share, if there is one left.
    pub fn stream(&self) -> Result<crate::streams::Place, Refusal> {
        Ok(self.app.streams.enter(self.share)?)
    }

    async fn check_permission(&self) -> Result<(), Refusal> {
        let gate = self.app.engine.gate();
        if gate.permits(&self.principal, self.target(), A::ACT, &self.request) {
            return Ok(());
        }
        // Ask for what will be refused, so that the refusal goes on record, which takes the disk.
        self.again().read(|_, _| Err(Error::internal("a refusal that was none"))).await
    }

    /// The same caller once more, for another piece of work of the same request: it asks for its right anew.
    pub fn again(&self) -> Self {
        Caller {
            act: PhantomData::<A>,
            app: self.app.clone(),
            principal: self.principal.clone(),
            named: self.named.clone(),
            request: self.request.clone(),
            share: self.share,
        }
    }

    /// How long the request may take.
    pub fn deadline(&self) -> Duration {
        self.app.deadline
    }

    fn target(&self) -> Target<'_> {
        self.named.as_deref().map_or(Target::Own, Target::Named)
    }

    async fn run<T: Send + 'static>(
        self,
        kind: Kind,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (app, share) = (self.app.clone(), self.share);
        Ok(app.pool.run(share, kind, app.deadline, move || work(&self)).await?)
    }
}

/// Somebody verified as a service, which manages its application.
pub struct Managing {
    app: Arc<App>,
    principal: Arc<Principal>,
    request: Request,
    share: Share,
}

impl FromRequestParts<Arc<App>> for Managing {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let request = Request { id: request_id(parts), ..Request::default() };
        let principal = match authenticate(app, &parts.headers).await {
            Ok(principal) => Arc::new(principal),
            Err(error) => return Err(refuse_stranger(app, error, None, Act::Manage, request).await),
        };
        let share = app.share(&principal, None);
        app.check_rate(share)?;
        let managing = Managing { app: app.clone(), principal, request, share };
        if managing.principal.role() != Role::Service {
            // It is refused, on record, before its body is read.
            managing.again().run(|_, _| Ok(())).await?;
        }
        Ok(managing)
    }
}

impl Managing {
    fn again(&self) -> Self {
        let Managing { app, principal, request, share } = self;
        Managing { app: app.clone(), principal: principal.clone(), request: request.clone(), share: *share }
    }

    /// Does something with the right to manage.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, &Management) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Managing { app, principal, request, share } = self;
        let engine = app.engine.clone();
        let manage = move || work(&engine, &engine.gate().manage(&principal, &request)?);
        Ok(app.pool.run(share, Kind::Write, app.deadline, manage).await?)
    }
}

impl Caller<ReadMemories> {
    /// Does something that looks, and that asks for the right to change if there is something to change.
    pub async fn call<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, &Rights) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.run(Kind::Write, |caller| {
            let (gate, of) = (caller.app.engine.gate(), &caller.principal);
            let read = || gate.read(of, caller.target(), Act::ReadMemories, &caller.request);
            let write = || gate.write(of, caller.target(), Act::WriteMemories, &caller.request);
            work(&caller.app.engine, &Rights { read: &read, write: &write })
        })
        .await
    }
}

/// Somebody verified as an operator, on the operators' listener.
pub struct Operating {
    app: Arc<App>,
    operator: Operator,
}

impl FromRequestParts<Arc<App>> for Operating {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let request = Request { id: request_id(parts), ..Request::default() };
        let principal = match authenticate(app, &parts.headers).await {
            Ok(principal) => principal,
            Err(error) => return Err(refuse_stranger(app, error, None, Act::Operate, request).await),
        };
        let share = app.share(&principal, None);
        let work = {
            let app = app.clone();
            move || app.engine.gate().operate(&principal, &request)
        };
        let operator = app.pool.run(share, Kind::Read, app.deadline, work).await?;
        Ok(Operating { app: app.clone(), operator })
    }
}

impl Operating {
    /// Does something with an operator's right.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, &Operator) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let app = self.app.clone();
        let deadline = app.deadline;
        let engine = app.engine.clone();
        Ok(app.pool.run(Share(0), Kind::Read, deadline, move || work(&engine, &self.operator)).await?)
    }

    /// The server.
    pub fn app_arc(&self) -> Arc<App> {
        self.app.clone()
    }
}

/// A JSON object as the body. It is read only after the extractors before it have let the caller in.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: HttpRequest, app: &Arc<App>) -> Result<Self, Refusal> {
        let is_json = request.headers().get(header::CONTENT_TYPE).is_none_or(|value| {
            let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            return Err(Error::invalid("The body is JSON: send `content-type: application/json`.").into());
        }
        let bytes = bytes(request, app).await?;
        // A list would be taken for the fields in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Error::invalid("The body is a JSON object.").into());
        }
        serde_json::from_slice(&bytes).map(Json).map_err(|error| Error::invalid(format!("The body: {error}.")).into())
    }
}

/// The bytes of a body, as many as a body may have and as long as it may take.
pub async fn bytes(request: HttpRequest, app: &App) -> Result<Bytes, Refusal> {
    let body = Limited::new(request.into_body(), limit::BODY_BYTES.max).collect();
    let Ok(body) = tokio::time::timeout(app.deadline, body).await else {
        return Err(Error::new(Code::Deadline, "The body did not come in the time the server allows.").into());
    };
    Ok(body.map_err(too_large)?.to_bytes())
}

fn too_large(error: Box<dyn std::error::Error + Send + Sync>) -> Refusal {
    if error.is::<http_body_util::LengthLimitError>() {
        return limit::BODY_BYTES.check(usize::MAX).map_or_else(Refusal, |()| Error::internal(error).into());
    }
    Error::invalid("The body was cut off.").into()
}

/// The query of the URL. Unknown and repeated parameters are refused.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(error) => Err(Error::invalid(format!("The query: {}.", error.body_text())).into()),
        }
    }
}

/// Who sent the request. What has to be waited for is waited for where that keeps nobody else.
async fn authenticate(app: &Arc<App>, headers: &HeaderMap) -> Result<Principal> {
    verified(app, credential(headers)?).await
}

/// Who holds a credential.
pub async fn verified(app: &Arc<App>, credential: &str) -> Result<Principal> {
    if app.engine.authenticates_at_once(credential) {
        return app.engine.authenticate(credential);
    }
    let (share, credential) = (app.share_of_credential(credential), credential.to_owned());
    let engine = app.engine.clone();
    app.pool.run(share, Kind::Read, app.deadline, move || engine.authenticate(&credential)).await
}

/// The one credential of a request.
fn credential(headers: &HeaderMap) -> Result<&str> {
    let missing = || Error::unauthenticated("Send `Authorization: Bearer <token or key>`, once.");
    let mut bearer = headers.get_all(header::AUTHORIZATION).iter();
    let mut key = headers.get_all(API_KEY).iter();
    match (bearer.next(), bearer.next(), key.next(), key.next()) {
        (Some(value), None, None, None) => {
            let value = value.to_str().map_err(|_| missing())?;
            let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
            let well_formed = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ');
            if well_formed { Ok(token) } else { Err(missing()) }
        }
        (None, None, Some(value), None) => value.to_str().map_err(|_| missing()),
        _ => Err(missing()),
    }
}

/// Whom a service says it acts for.
pub fn act_as(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(ACT_AS).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match std::str::from_utf8(value.as_bytes()) {
            Ok(name) => Ok(Some(name.to_owned())),
            Err(_) => Err(Error::invalid("The act-as header is not UTF-8.").into()),
        },
        _ => Err(Error::invalid("Name one user to act for, once.").into()),
    }
}

/// What stands in the path where the route says `{name}`, percent-decoded once. Bytes that are no text read as the empty
/// text, which names nobody and nothing: they are looked for and not found like anything else that is not there.
pub fn in_path(parts: &Parts, name: &str) -> Option<String> {
    let route = parts.extensions.get::<MatchedPath>()?;
    let is_it = |segment: &str| segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name);
    let place = route.as_str().split('/').position(is_it)?;
    let segment = parts.uri.path().split('/').nth(place)?;
    Some(percent_decode_str(segment).decode_utf8().unwrap_or_default().into_owned())
}

/// The `{id}` of the path: of a memory, or of a user.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Id(in_path(parts, "id").unwrap_or_default()))
    }
}

/// What finds the request in the log.
pub fn request_id(parts: &Parts) -> String {
    parts.extensions.get::<RequestId>().map(|id| id.0.to_string()).unwrap_or_default()
}

/// Puts on record that somebody without a good credential was here, and hands the refusal back.
pub async fn refuse_stranger(
    app: &Arc<App>,
    error: Error,
    named: Option<String>,
    act: Act,
    request: Request,
) -> Refusal {
    if error.code() != Code::Unauthenticated {
        return error.into();
    }
    let work = {
        let app = app.clone();
        move || Err::<(), _>(app.engine.gate().refuse(error, named.as_deref(), act.as_str(), &request))
    };
    // All strangers together have one share, so that none of them can crowd out those who are known.
    match app.pool.run(Share(1), Kind::Read, app.deadline, work).await {
        Err(error) => error.into(),
        Ok(()) => Error::internal("a refusal that was none").into(),
    }
}

/// A method that a route does not have.
pub async fn no_such_method(method: Method) -> Refusal {
    Error::new(Code::NoSuchMethod, format!("{method} is not a method of this resource.")).into()
}

/// A path that nothing has.
pub async fn no_such_path() -> Refusal {
    Error::new(Code::NotFound, "There is no such resource. The API is described at /docs and in /openapi.json.").into()
}
