//! A principal does not become another.
use locule_core::audit::Actor;
use locule_core::auth::Principal;

fn pretend(principal: &mut Principal) {
    principal.actor = Actor::Nobody;
}

fn main() {}
