//! The native module of the Python package, `locule._native`: the library `locule` in process, and nothing of its own.
//!
//! It is thin on purpose. What goes in and what comes out is JSON text in the words of the native REST face, so that both ways
//! into a space answer alike; the classes people see are Python (`clients/python/locule`). Every call that touches the store
//! lets go of the interpreter's lock first.
#![forbid(unsafe_code)]

mod context;
mod failure;
mod installation;
mod jobs;
mod mesh;
mod owner;
mod relationships;
mod setup;
mod space;
mod wire;

use pyo3::prelude::*;

/// The module.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::context::{Context, Follower};
    #[pymodule_export]
    use crate::installation::Installation;
    #[pymodule_export]
    use crate::space::Space;
}
