//! From a request of mem0's clients to a caller: the credential in any of the three places they put it, and the user,
//! whom they name in the body, the query, the path or not at all.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request as HttpRequest};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use locule::{Engine, Error, Management, MemoryId, Principal, Request, Result, Role};
use serde_json::{Map, Value};

use super::filter::Asker;
use crate::app::App;
use crate::extract::{self, API_KEY, Acting, Caller, ReadMemories};
use crate::pool::Kind;
use crate::problem::Refusal;

/// What a service is told that names nobody.
const NAME_USER: &str = "filters must include at least one positively-scoped entity ID: a service key names the user it acts \
    for, as \"user_id\" in the filters, the body or the query, or in the header locule-act-as. Example: \
    {\"filters\": {\"user_id\": \"alice\"}}.";

/// Somebody verified, who wants to do `A`; in whose space is not known yet.
pub struct Client<A: Acting> {
    app: Arc<App>,
    principal: Arc<Principal>,
    request: Request,
    act: PhantomData<A>,
}

impl<A: Acting> FromRequestParts<Arc<App>> for Client<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let mut request = Request { id: extract::request_id(parts), ..Request::default() };
        let verified = match credential(&parts.headers) {
            Ok(credential) => extract::verified(app, credential).await,
            Err(error) => Err(error),
        };
        let principal = match verified {
            Ok(principal) => Arc::new(principal),
            Err(error) => return Err(extract::refuse_stranger(app, error, None, A::ACT, request).await),
        };
        request.act_as = extract::act_as(&parts.headers)?;
        Ok(Client { app: app.clone(), principal, request, act: PhantomData })
    }
}

impl<A: Acting> Client<A> {
    /// The server.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Who it is.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Whether it is a service, which acts for others and is nobody itself.
    pub fn is_service(&self) -> bool {
        self.principal.role() == Role::Service
    }

    /// Whether the request says for whom, beside what its body and query say.
    pub fn acts_for_somebody(&self) -> bool {
        !self.is_service() || self.request.act_as.is_some()
    }

    /// Does something with the right to the settings and webhooks of a service's application.
    pub async fn manage<T: Send + 'static>(
        self,
        work: impl FnOnce(&Engine, Management) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let share = self.app.share(&self.principal, None);
        self.app.check_rate(share)?;
        let Client { app, principal, request, .. } = self;
        let engine = app.engine.clone();
        let manage = move || work(&engine, engine.gate().manage(&principal, &request)?);
        Ok(app.pool.run(share, Kind::Write, app.deadline, manage).await?)
    }

    /// The caller, of whose request `users` are all that it names. A user is bound to the credential; a service acts for
    /// whom it names.
    pub async fn caller(self, users: Vec<String>) -> Result<Caller<A>, Refusal> {
        let named = if self.is_service() {
            let named = users.first().or(self.request.act_as.as_ref()).cloned();
            Some(named.ok_or_else(|| Error::invalid(NAME_USER))?)
        } else {
            None
        };
        let request = Request { also_named: users, ..self.request };
        Caller::of(self.app, self.principal, named, request).await
    }

    /// The caller for an object of this id. Where a service names nobody, the id leads to whose it may be.
    pub async fn caller_of(self, id: MemoryId, users: Vec<String>) -> Result<Caller<A>, Refusal> {
        if !users.is_empty() || self.acts_for_somebody() {
            return self.caller(users).await;
        }
        match self.owner_of(id).await? {
            Some(owner) => self.caller(vec![owner]).await,
            None => Err(Error::not_found().into()),
        }
    }

    /// Whose it is, among those that the service acts for.
    async fn owner_of(&self, id: MemoryId) -> Result<Option<String>, Refusal> {
        let (app, principal) = (self.app.clone(), self.principal.clone());
        let share = app.share(&principal, None);
        let look = move || app.engine.gate().led_by(&principal, id.tag());
        let mut led = self.app.pool.run(share, Kind::Read, self.app.deadline, look).await?;
        if led.len() < 2 {
            return Ok(led.pop().map(|owner| owner.as_str().to_owned()));
        }
        // Two spaces of one tag in four thousand million: whoever has it is the one.
        for owner in led {
            let named = Some(owner.as_str().to_owned());
            let caller: Caller<ReadMemories> =
                Caller::of(self.app.clone(), self.principal.clone(), named.clone(), self.request.clone()).await?;
            if caller.read(move |engine, scope| engine.get(scope, id)).await.is_ok() {
                return Ok(named);
            }
        }
        Ok(None)
    }
}

/// The one credential of a request: `Authorization: Token …` as mem0's clients send it, `Bearer …`, or `X-API-Key`.
fn credential(headers: &HeaderMap) -> Result<&str> {
    let missing = || {
        Error::unauthenticated(
            "Authentication required. Send `Authorization: Token <key or token>`, `Authorization: Bearer <key or token>` or \
             `X-API-Key: <key>`, once.",
        )
    };
    let mut schemes = headers.get_all(header::AUTHORIZATION).iter();
    let mut keys = headers.get_all(API_KEY).iter();
    let text = |value: &axum::http::HeaderValue| value.to_str().is_ok();
    match (schemes.next(), schemes.next(), keys.next(), keys.next()) {
        (Some(value), None, None, None) if text(value) => {
            let value = value.to_str().map_err(|_| missing())?;
            let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
            let known = ["token", "bearer"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
            if known && !token.is_empty() && !token.contains(' ') { Ok(token) } else { Err(missing()) }
        }
        (None, None, Some(value), None) => value.to_str().map_err(|_| missing()),
        _ => Err(missing()),
    }
}

/// The JSON object of a body; empty where there is none. What is in it and not known is not minded: clients of all ages
/// send what once was.
pub struct Body(pub Map<String, Value>);

impl FromRequest<Arc<App>> for Body {
    type Rejection = Refusal;

    async fn from_request(request: HttpRequest, app: &Arc<App>) -> Result<Self, Refusal> {
        let bytes = extract::bytes(request, app).await?;
        if bytes.is_empty() {
            return Ok(Body(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Body(fields)),
            Ok(_) => Err(Error::invalid("The body is a JSON object.").into()),
            Err(error) => Err(Error::invalid(format!("The body: {error}.")).into()),
        }
    }
}

/// The query of the URL: names and values as they come, some of them more than once.
pub struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(pairs)) => Ok(Params(pairs)),
            Err(error) => Err(Error::invalid(format!("The query: {}.", error.body_text())).into()),
        }
    }
}

impl Params {
    /// The last value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The users it names.
    pub fn users(&self) -> Vec<String> {
        self.all("user_id").into_iter().map(str::to_owned).collect()
    }
}

impl<A: Acting> Client<A> {
    /// Who asks, for what a filter may name.
    pub fn asker(&self) -> Asker<'_> {
        if self.is_service() { Asker::Service(self.request.act_as.as_deref()) } else { Asker::User }
    }
}
