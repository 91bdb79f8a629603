//! On macOS a module finds Python's symbols in the process that loads it, and its linker has to be told so.

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its target in the environment")]
fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos") {
        println!("cargo::rustc-cdylib-link-arg=-undefined");
        println!("cargo::rustc-cdylib-link-arg=dynamic_lookup");
    }
}
