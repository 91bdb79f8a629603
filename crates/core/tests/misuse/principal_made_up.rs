//! Nobody can be made up.
use locule_core::auth::Principal;

fn main() {
    let _somebody = Principal { who: todo!(), actor: todo!(), issued_at: todo!() };
}
