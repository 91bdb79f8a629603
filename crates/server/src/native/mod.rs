//! The native face: REST under `/api/{user_id}`, where `me` stands for the caller.

pub mod context;
pub mod jobs;
pub mod memories;
pub mod project;
pub mod relationships;
pub mod runs;
pub mod settings;
pub mod space;
pub mod wire;
