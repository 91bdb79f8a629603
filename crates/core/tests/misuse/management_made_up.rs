//! Nobody gives himself the right to manage a project.
use locule_core::audit::Actor;
use locule_core::id::Issuer;
use locule_core::Management;

fn forge() -> Management {
    Management { issuer: Issuer::default(), actor: Actor::Nobody, request_id: String::new() }
}

fn main() {}
