//! A secret for tokens cannot be read back, copied or printed.
use locule_core::auth::jwt::Secret;

fn show(secret: Secret) -> String {
    let _copy = secret.clone();
    let _bytes = &secret.0;
    secret.to_string()
}

fn main() {}
