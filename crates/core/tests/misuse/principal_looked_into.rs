//! Whose space a principal may open is the gate's affair; nobody reads it off and goes round.
use locule_core::auth::Principal;

fn peek(principal: Principal) {
    let _ = principal.who;
}

fn main() {}
