//! All routes on one page, and the description of the API that they make.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::{mem0, native, openapi, operator};

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

/// OpenAPI 3.1, as JSON: the routes for users and services, and those for operators.
pub fn document() -> String {
    let (_, mut document) = public().split_for_parts();
    let (_, operators) = operators().split_for_parts();
    document.merge(operators);
    document.to_pretty_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::Router;

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
