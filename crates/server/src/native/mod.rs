//! The native face: REST under `/api/{user_id}`, where `me` stands for the caller.

pub mod jobs;
pub mod memories;
pub mod relationships;
pub mod runs;
pub mod space;
pub mod wire;
