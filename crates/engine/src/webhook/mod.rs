//! Telling a project's application of changes: where a webhook may lead, what is sent there, and the proof of who sent it.
//!
//! Nothing here knows which webhooks there are or opens a space: work that a change has left takes a body from here and sends
//! it, once, and is told whether trying again may help.

mod egress;
mod event;
mod signature;

pub use egress::{Courier, Parcel, check};
pub use event::body_of;
pub use signature::SIGNATURE;
