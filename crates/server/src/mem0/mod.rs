//! The face that mem0's clients know: the hosted platform's paths, on this server.
//!
//! It translates and decides nothing. A user's credential is bound to its user, whatever the request names; a service says for
//! whom it asks. What mem0's own answers are is not copied where it would show somebody another's memories.

mod account;
mod asking;
mod batch;
mod client;
mod deletion;
mod entities;
mod events;
mod exports;
mod feedback;
mod filter;
mod ids;
mod installation;
mod memories;
mod older;
mod page;
pub mod path;
pub mod problem;
mod profiles;
mod projects;
mod remember;
mod selfhosted;
mod webhooks;
mod wire;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(account::routes())
        .merge(memories::routes())
        .merge(deletion::routes())
        .merge(older::routes())
        .merge(entities::routes())
        .merge(batch::routes())
        .merge(events::routes())
        .merge(profiles::routes())
        .merge(feedback::routes())
        .merge(exports::routes())
        .merge(projects::routes())
        .merge(webhooks::routes())
        .merge(selfhosted::routes())
        .merge(installation::routes())
}
