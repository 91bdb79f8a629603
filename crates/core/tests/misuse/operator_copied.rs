//! Nor is the right kept, or had for nothing.
use locule_core::Operator;

fn keep(operator: &Operator) -> Operator {
    Operator::clone(operator)
}

fn unasked() -> (Operator, Operator) {
    (Operator::default(), serde_json::from_str("{}").unwrap())
}

fn main() {}
