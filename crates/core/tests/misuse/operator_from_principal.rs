//! Not even an operator's key is the right itself: that comes from the gate, which looks and takes note.
use locule_core::Operator;
use locule_core::auth::Principal;

fn forge(principal: Principal) -> Operator {
    principal.into()
}

fn main() {}
