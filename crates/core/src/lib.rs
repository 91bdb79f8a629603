//! Who may touch which space.
//!
//! This crate decides and describes; it reads no file, speaks no SQL and no HTTP, and starts no runtime.
//! A verified [`Principal`](auth::Principal) comes in, a [`Scope`] goes out, and nothing below this crate
//! opens a user's space without one. Everything else here is plain records with their checks.
//!
//! ```compile_fail
//! // A scope has no public constructor: only the gate makes one.
//! let scope = locule_core::Scope::<locule_core::Read> { };
//! ```
#![forbid(unsafe_code)]

pub mod audit;
pub mod auth;
pub mod clock;
pub mod context;
pub mod deadline;
pub mod directory;
mod error;
pub mod feedback;
pub mod filter;
mod gate;
pub mod id;
pub mod job;
pub mod limit;
mod matching;
pub mod memory;
mod place;
pub mod policy;
pub mod project;
pub mod relationship;
mod scope;
pub mod settings;

pub use error::{Code, Error, Result};
pub use gate::{Gate, Provision, Request, Target};
pub use place::Place;
pub use scope::{Chamber, Erasure, Management, Move, Operator, Read, Right, Scope, Write};
