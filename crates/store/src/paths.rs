//! Names on disk: from a space's random id, never from anything a user wrote.

use std::path::{Path, PathBuf};

use locule_core::id::SpaceId;

/// `root/ab/<name>.<extension>`: fanned out over 1,024 directories, so that none grows without bound.
pub fn fan_out(root: &Path, space: SpaceId, extension: &str) -> PathBuf {
    let name = space.name();
    root.join(&name[..2]).join(name).with_extension(extension)
}

/// What an installation keeps where.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Below this directory.
    pub fn new(root: PathBuf) -> Self {
        Paths { root }
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The master key.
    pub fn master_key(&self) -> PathBuf {
        self.root.join("master.key")
    }

    /// The directory.
    pub fn directory(&self) -> PathBuf {
        self.root.join("directory.db")
    }

    /// The key files.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The spaces.
    pub fn spaces(&self) -> PathBuf {
        self.root.join("spaces")
    }

    /// One space's file.
    pub fn space(&self, space: SpaceId) -> PathBuf {
        fan_out(&self.spaces(), space, "db")
    }
}
