//! Nobody makes himself an operator.
use locule_core::Operator;
use locule_core::audit::Actor;

fn forge() -> Operator {
    Operator { actor: Actor::Nobody, request_id: String::new() }
}

fn main() {}
