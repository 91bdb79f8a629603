//! A right is for one request.
use locule_core::{Read, Scope};

fn twice(scope: Scope<Read>) -> (Scope<Read>, Scope<Read>) {
    (scope.clone(), scope)
}

fn main() {}
