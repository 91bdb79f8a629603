//! Who has been verified for one request is not kept for another.
use locule_core::auth::Principal;

fn twice(principal: &Principal) -> (Principal, Principal) {
    (Principal::clone(principal), Principal::clone(principal))
}

fn main() {}
