//! The face of mem0.

mod differs;
mod infer;
mod matrix;
mod selfhosted;
mod webhooks;
mod wire;
