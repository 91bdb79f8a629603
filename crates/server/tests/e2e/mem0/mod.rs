//! The face of mem0.

mod differs;
mod matrix;
mod selfhosted;
mod wire;
