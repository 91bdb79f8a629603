//! A right is given, not written down, even by who knows the space and the request.
use std::marker::PhantomData;

use locule_core::audit::Origin;
use locule_core::{Chamber, Read, Scope};

fn forge(space: Chamber, origin: Origin) -> Scope<Read> {
    Scope { space: Some(space), origin, right: PhantomData }
}

fn main() {}
