//! A name is not a person, in whatever form it comes.
use locule_core::auth::Principal;
use locule_core::id::Identity;

fn believe(name: String, identity: Identity) -> (Principal, Principal) {
    (name.into(), identity.into())
}

fn main() {}
